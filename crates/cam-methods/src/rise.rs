//! RISE (Petsiuk et al. 2018, <https://arxiv.org/abs/1806.07421>, eq. 6).
//!
//! `M = 1/(N p) Σ_n f_c(x ⊙ m_n) m_n`: random masks weighted by the class's score on the image behind each. A mask is an
//! `s × s` grid that keeps a cell with probability `p`, upsampled bilinearly to `s + 1` cells of `⌈H/s⌉` pixels and cropped
//! at a random offset. Ours: masks come from a portable generator seeded per image and are never stored.

use cam_core::{About, Cost, FeatureShape, Method, Subject, logits_in_chunks, upsample};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::Output;

/// RISE.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rise {
    /// Masks, N.
    #[serde(deserialize_with = "cam_core::options::at_least_one")]
    pub n_masks: u32,
    /// Cells of the grid along each side, s.
    #[serde(deserialize_with = "cam_core::options::at_least_one")]
    pub cells: u32,
    /// Probability that a cell is kept, p.
    #[serde(deserialize_with = "cam_core::options::open_share")]
    pub p: f64,
    /// What is weighted by: the authors' softmax probability, or the logit.
    pub score: Output,
}

impl Default for Rise {
    fn default() -> Self {
        Self { n_masks: 4000, cells: 7, p: 0.5, score: Output::Softmax }
    }
}

impl Method for Rise {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let mut rng = ChaCha8Rng::seed_from_u64(subject.seed());
        self.weigh(subject, |n| self.masks(n, subject.size(), &mut rng))
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost { forwards: u64::from(self.n_masks), ..Cost::default() }
    }

    fn about(&self) -> About {
        About {
            title: "RISE",
            summary: "random masks weighted by the class's score on the image behind each",
            source: "Petsiuk et al. 2018, arXiv 1806.07421",
        }
    }
}

impl Rise {
    /// `1/(N p) Σ_n f_c(x ⊙ m_n) m_n` over masks `[n, 1, H, W]` that `next` makes, a batch at a time.
    fn weigh(&self, subject: &Subject<'_>, mut next: impl FnMut(i64) -> Tensor) -> Tensor {
        let _no_grad = tch::no_grad_guard();
        let image = subject.image();
        let mut sum = image.select(1, 0).squeeze_dim(0).zeros_like();
        let n_masks = i64::from(self.n_masks);
        let batch = subject.classifier().batch();
        for start in (0..n_masks).step_by(batch as usize) {
            let n = batch.min(n_masks - start);
            let masks = next(n).to_kind(image.kind()).to_device(image.device());
            let logits = logits_in_chunks(subject.classifier(), n, |_| image * &masks);
            let scores = self.score.of(subject, &logits);
            sum += (masks.squeeze_dim(1) * scores.view([-1, 1, 1])).sum_dim_intlist(
                0_i64,
                false,
                None::<Kind>,
            );
        }
        sum / (f64::from(self.n_masks) * self.p)
    }

    /// `n` random masks `[n, 1, H, W]` in `[0, 1]`.
    fn masks(&self, n: i64, size: [i64; 2], rng: &mut impl Rng) -> Tensor {
        let s = i64::from(self.cells);
        let cell = size.map(|side| (side + s - 1) / s);
        let masks: Vec<Tensor> = (0..n)
            .map(|_| {
                let grid: Vec<f32> =
                    (0..s * s).map(|_| if rng.random_bool(self.p) { 1.0 } else { 0.0 }).collect();
                let offset = cell.map(|side| rng.random_range(0..side));
                let large = upsample(
                    &Tensor::from_slice(&grid).view([s, s]),
                    cell.map(|side| side * (s + 1)),
                );
                large.narrow(0, offset[0], size[0]).narrow(1, offset[1], size[1])
            })
            .collect();
        Tensor::stack(&masks, 0).unsqueeze(1).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use cam_core::{Target, toy::Toy};

    use super::*;

    #[test]
    fn all_sixteen_binary_masks_give_the_sums_computed_by_hand() {
        let toy = Toy::network_a();
        let subject = Subject::new(&toy, Toy::image(), Target::Class(0), 0);
        let table = [
            (Output::Logit, [2.5, 2.875, 2.125, 3.25]),
            (Output::Softmax, [0.937_288_982_4, 0.964_530_420_3, 0.894_367_997_1, 0.982_898_856_8]),
        ];
        for (score, expected) in table {
            let rise = Rise { n_masks: 16, score, ..Rise::default() };
            let mut code = 0..16_i32;
            let map = rise.weigh(&subject, |n| {
                let bits: Vec<f64> = code
                    .by_ref()
                    .take(n as usize)
                    .flat_map(|mask| (0..4).map(move |pixel| f64::from(mask >> pixel & 1)))
                    .collect();
                Tensor::from_slice(&bits).view([n, 1, 2, 2])
            });
            let map: Vec<f64> = Vec::try_from(map.flatten(0, -1)).unwrap();
            for (got, want) in map.iter().zip(expected) {
                assert!((got - want).abs() < 1e-9, "{score:?}: {got} is not {want}");
            }
        }
    }

    #[test]
    fn masks_lie_between_zero_and_one_and_keep_the_share_p() {
        for p in [0.1, 0.5] {
            let rise = Rise { p, ..Rise::default() };
            let masks = rise.masks(400, [56, 42], &mut ChaCha8Rng::seed_from_u64(1));
            assert_eq!(masks.size(), [400, 1, 56, 42]);
            assert!(masks.min().double_value(&[]) >= 0.0 && masks.max().double_value(&[]) <= 1.0);
            assert!((masks.mean(Kind::Double).double_value(&[]) - p).abs() < 0.02);
        }
    }

    #[test]
    fn a_constant_network_gives_the_mean_mask() {
        // f = 1/2 whatever the image: two equal logits.
        struct Constant;
        impl cam_core::Classifier for Constant {
            fn features(&self, images: &Tensor) -> Tensor {
                images.shallow_clone()
            }
            fn head(&self, features: &Tensor) -> Tensor {
                Tensor::ones([features.size()[0], 2], (Kind::Float, features.device()))
            }
            fn batch(&self) -> i64 {
                3
            }
        }
        let image = Tensor::ones([1, 3, 14, 14], (Kind::Float, tch::Device::Cpu));
        let subject = Subject::new(&Constant, image, Target::Class(0), 7);
        let rise = Rise { n_masks: 20, ..Rise::default() };
        let mean = rise.masks(20, [14, 14], &mut ChaCha8Rng::seed_from_u64(7)).mean_dim(
            &[0_i64, 1][..],
            false,
            None::<Kind>,
        );
        let difference = (rise.explain(&subject) - mean).abs().max().double_value(&[]);
        assert!(difference < 1e-6, "{difference}");
    }
}
