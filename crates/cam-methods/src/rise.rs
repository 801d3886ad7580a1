//! RISE (Petsiuk et al. 2018, <https://arxiv.org/abs/1806.07421>, eq. 6).
//!
//! `M = 1/(N p) Σ_n f_c(x ⊙ m_n) m_n`: random masks weighted by the class's score on the image behind each. A mask is an
//! `s × s` grid that keeps a cell with probability `p`, upsampled bilinearly to `s + 1` cells of `⌈H/s⌉` pixels and cropped
//! at a random offset. Ours: masks come from a portable generator seeded per image and are never stored.

use cam_core::{About, Cost, FeatureShape, Method, Subject, logits_in_chunks, method_rng};
use rand::{Rng, RngExt};
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
    /// How masks are drawn.
    pub sampling: Sampling,
}

/// How masks are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampling {
    /// Each for itself (the authors' code).
    Independent,
    /// In pairs: the second mask of a pair keeps what the first one drops, cropped at the same offset. What masks add to a
    /// map at random cancels in a pair, so fewer masks give a map of the same variance.
    Antithetic,
}

impl Default for Rise {
    fn default() -> Self {
        Self {
            n_masks: 4000,
            cells: 7,
            p: 0.5,
            score: Output::Softmax,
            sampling: Sampling::Independent,
        }
    }
}

impl Method for Rise {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let rng = method_rng(subject.seed());
        self.weigh(subject, self.masks(subject.image(), rng))
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
        let n_masks = i64::from(self.n_masks);
        let batch = subject.classifier().batch();
        let mut sum = image.zeros_like().select(1, 0).flatten(0, -1);
        for start in (0..n_masks).step_by(batch as usize) {
            let n = batch.min(n_masks - start);
            let masks = next(n);
            let logits = logits_in_chunks(subject.classifier(), n, |_| image * &masks);
            sum += self.score.of(subject, &logits).matmul(&masks.view([n, -1]));
        }
        sum.view(subject.size()) / (f64::from(self.n_masks) * self.p)
    }

    /// Makes `n` random masks `[n, 1, H, W]` in `[0, 1]` at a call, where and as the image `[1, 3, H, W]` is.
    ///
    /// Bilinear upsampling is linear along each axis: a mask is the product of the rows' weights, the grid, and the columns'
    /// weights, and a batch of them is two batched products.
    fn masks(&self, image: &Tensor, rng: impl Rng) -> impl FnMut(i64) -> Tensor {
        let (_, _, height, width) = image.size4().expect("images have four dimensions");
        let s = i64::from(self.cells);
        let rows = Axis::new(s, height, image);
        let columns = Axis::new(s, width, image);
        let cell = [rows.cell, columns.cell];
        let mut grids = Grids { rise: self.clone(), rng, cell, opposite: None };
        move |n| {
            let (mut cells, mut top, mut left) = (vec![], vec![], vec![]);
            for _ in 0..n {
                let Grid { kept, offset } = grids.next();
                cells.extend(kept.into_iter().map(|kept| if kept { 1.0_f32 } else { 0.0 }));
                top.push(offset[0]);
                left.push(offset[1]);
            }
            let cells = Tensor::from_slice(&cells).view([n, s, s]);
            let cells = cells.to_kind(rows.weights.kind()).to_device(rows.weights.device());
            let masks = rows.cropped(&top).bmm(&cells).bmm(&columns.cropped(&left).transpose(1, 2));
            masks.clamp(0.0, 1.0).unsqueeze(1)
        }
    }
}

/// The interpolation of `s` cells to `s + 1` cells' length of pixels, along one axis.
struct Axis {
    /// Pixels of a cell: `⌈side/s⌉`.
    cell: i64,
    /// Pixels of the image.
    side: i64,
    /// What each cell gives to each pixel, `[(s + 1)·cell, s]`.
    weights: Tensor,
}

impl Axis {
    fn new(s: i64, side: i64, image: &Tensor) -> Self {
        let cell = (side + s - 1) / s;
        let unit = Tensor::eye(s, (image.kind(), image.device())).unsqueeze(0);
        let weights = unit.upsample_linear1d([(s + 1) * cell], false, None);
        Self { cell, side, weights: weights.squeeze_dim(0).transpose(0, 1).contiguous() }
    }

    /// The weights of the image's pixels for grids that begin `offsets` pixels before it, `[n, side, s]`.
    fn cropped(&self, offsets: &[i64]) -> Tensor {
        let pixels = Tensor::arange(self.side, (Kind::Int64, self.weights.device()));
        let offsets = Tensor::from_slice(offsets).to_device(self.weights.device());
        let rows = (offsets.unsqueeze(1) + pixels).flatten(0, -1);
        self.weights.index_select(0, &rows).view([-1, self.side, self.weights.size()[1]])
    }
}

/// A grid that becomes a mask.
struct Grid {
    /// Which cells are kept.
    kept: Vec<bool>,
    /// How many pixels the image begins below its top and right of its left.
    offset: [i64; 2],
}

/// The random grids of one image, one after the other.
struct Grids<R> {
    rise: Rise,
    rng: R,
    /// Height and width of a cell, in pixels.
    cell: [i64; 2],
    /// The second grid of a pair, where the first one was the last to be given.
    opposite: Option<Grid>,
}

impl<R: Rng> Grids<R> {
    fn next(&mut self) -> Grid {
        if let Some(opposite) = self.opposite.take() {
            return opposite;
        }
        let Rise { cells, p, .. } = self.rise;
        let kept: Vec<bool> = (0..cells * cells).map(|_| self.rng.random_bool(p)).collect();
        let offset = self.cell.map(|side| self.rng.random_range(0..side));
        if self.rise.sampling == Sampling::Antithetic {
            // As opposed to the first as it can be with `p` of its cells kept: its complement at p = 1/2.
            let [after_kept, after_dropped] =
                [((2.0 * p - 1.0) / p).max(0.0), (p / (1.0 - p)).min(1.0)];
            let opposite =
                |&kept: &bool| self.rng.random_bool(if kept { after_kept } else { after_dropped });
            let kept = kept.iter().map(opposite).collect();
            self.opposite = Some(Grid { kept, offset });
        }
        Grid { kept, offset }
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

    fn image(height: i64, width: i64) -> Tensor {
        Tensor::ones([1, 3, height, width], (Kind::Float, tch::Device::Cpu))
    }

    #[test]
    fn a_mask_is_its_grid_upsampled_bilinearly_and_cropped() {
        let rise = Rise { cells: 3, ..Rise::default() };
        let masks = rise.masks(&image(20, 12), method_rng(3))(5);
        // The same draws, and libtorch's own interpolation in two dimensions.
        let rng = method_rng(3);
        let mut grids = Grids { rise, rng, cell: [7, 4], opposite: None };
        for n in 0..5 {
            let Grid { kept, offset: [top, left] } = grids.next();
            let grid: Vec<f32> = kept.into_iter().map(|kept| f32::from(u8::from(kept))).collect();
            let large = cam_core::upsample(&Tensor::from_slice(&grid).view([3, 3]), [28, 16]);
            let expected = large.narrow(0, top, 20).narrow(1, left, 12);
            let difference = (masks.get(n).squeeze_dim(0) - expected).abs().max().double_value(&[]);
            assert!(difference < 1e-6, "{difference}");
        }
    }

    #[test]
    fn the_masks_of_an_antithetic_pair_keep_what_the_other_one_drops() {
        let rise = Rise { sampling: Sampling::Antithetic, ..Rise::default() };
        let masks = rise.masks(&image(56, 42), method_rng(5))(3);
        let off = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]);
        let (first, second, third) = (masks.get(0), masks.get(1), masks.get(2));
        assert!(off(&(&first + second), &first.ones_like()) < 1e-6);
        assert!(off(&first, &third) > 0.5, "the next pair is another one");
    }

    #[test]
    fn masks_lie_between_zero_and_one_and_keep_the_share_p() {
        for (p, sampling) in [
            (0.1, Sampling::Independent),
            (0.5, Sampling::Independent),
            (0.1, Sampling::Antithetic),
            (0.5, Sampling::Antithetic),
            (0.8, Sampling::Antithetic),
        ] {
            let rise = Rise { p, sampling, ..Rise::default() };
            let masks = rise.masks(&image(56, 42), method_rng(1))(400);
            assert_eq!(masks.size(), [400, 1, 56, 42]);
            assert!(masks.min().double_value(&[]) >= 0.0 && masks.max().double_value(&[]) <= 1.0);
            let mean = masks.mean(Kind::Double).double_value(&[]);
            assert!((mean - p).abs() < 0.02, "{sampling:?}, p = {p}: {mean}");
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
        let mean = rise.masks(subject.image(), method_rng(7))(20).mean_dim(
            &[0_i64, 1][..],
            false,
            None::<Kind>,
        );
        let off = |map: Tensor, expected: &Tensor| (map - expected).abs().max().double_value(&[]);
        let difference = off(rise.explain(&subject), &mean);
        assert!(difference < 1e-6, "{difference}");
        // Pairs leave nothing of the masks: 1/(20 · 1/2) · 10 · 1/2.
        let pairs = Rise { sampling: Sampling::Antithetic, ..rise };
        let difference = off(pairs.explain(&subject), &(mean.ones_like() * 0.5));
        assert!(difference < 1e-6, "{difference}");
    }
}
