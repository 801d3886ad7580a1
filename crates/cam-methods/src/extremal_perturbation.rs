//! Extremal perturbations (Fong et al. 2019, <https://arxiv.org/abs/1910.08485>; constants of the authors' package TorchRay).
//!
//! `M = Σ_a m_a`, where `m_a` is the smooth mask of area `a` with which the class scores best: it maximizes
//! `y_c(m ⊗ x) − λ mean((sort(m) − r_a)²)`. `m ⊗ x` blurs the image the more the smaller the mask is there; `r_a` holds ones
//! in the last share `a` of its places and zeros before; `λ` grows by 0.35 % an iteration, from 300. A mask is a smooth
//! maximum of bumps on a grid of 7 pixels, and continues beyond the image on all sides; `a` is a share of all of it. Every
//! other iteration sees the image mirrored. Ours: nothing but how it is computed.

use cam_core::{About, Cost, FeatureShape, Method, Requirement, Subject};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// Extremal perturbations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExtremalPerturbation {
    /// Areas of the masks that are added up.
    #[serde(deserialize_with = "cam_core::options::open_shares")]
    pub areas: Vec<f64>,
    /// Steps of gradient ascent for each mask.
    #[serde(deserialize_with = "cam_core::options::at_least_one")]
    pub iterations: u32,
    /// What a mask is good for.
    pub variant: Variant,
    /// What scores.
    pub reward: Reward,
    /// Standard deviation of a Gaussian over the sum of masks, as a share of the image's shorter side.
    #[serde(deserialize_with = "cam_core::options::not_negative")]
    pub smooth: f64,
}

impl Default for ExtremalPerturbation {
    fn default() -> Self {
        Self {
            areas: vec![0.1],
            iterations: 800,
            variant: Variant::Preserve,
            reward: Reward::Simple,
            smooth: 0.0,
        }
    }
}

/// What a mask is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// What it shows scores high.
    Preserve,
    /// What it leaves scores low.
    Delete,
    /// Both.
    Dual,
}

/// What scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reward {
    /// The class's logit.
    Simple,
    /// The class's logit less the largest other one.
    Contrastive,
}

impl Method for ExtremalPerturbation {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let masks: Vec<Tensor> = self
            .areas
            .chunks(subject.classifier().batch() as usize)
            .map(|areas| {
                let (masks, _) = self.masks(subject, areas);
                masks.sum_dim_intlist(&[0_i64, 1][..], false, None::<Kind>)
            })
            .collect();
        let sum = Tensor::stack(&masks, 0).sum_dim_intlist(0_i64, false, None::<Kind>);
        let [height, width] = subject.size();
        blur(&sum, self.smooth * height.min(width) as f64)
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        let images = if self.variant == Variant::Dual { 2 } else { 1 };
        let passes = images * self.areas.len() as u64 * u64::from(self.iterations);
        Cost { forwards: passes, backwards: passes, ..Cost::default() }
    }

    fn requirement(&self) -> Requirement {
        Requirement::Gradients
    }

    fn about(&self) -> About {
        About {
            title: "Extremal perturbation",
            summary: "the smooth mask of a given area behind which the class scores best",
            source: "Fong et al. 2019, arXiv 1910.08485",
        }
    }
}

/// Pixels between two bumps.
const STEP: i64 = 7;
/// Width of a bump, and how far the mask continues beyond the image, in pixels; a multiple of the step.
const SIGMA: i64 = 21;
/// Bumps that a pixel looks at to either side.
const RADIUS: i64 = 1 + SIGMA / STEP;
/// Zero parameters around the grid, on either side.
const PADDING: i64 = 1 + 2 * SIGMA / STEP;
/// How closely the smooth maximum follows the maximum.
const COLDNESS: f64 = 20.0;
/// Levels of blur, from the strongest to none.
const LEVELS: i64 = 8;
/// Standard deviation of the strongest blur, in pixels.
const MAX_BLUR: f64 = 20.0;
/// Length of a step along the gradient.
const RATE: f64 = 0.01;
/// Share of the last step's direction that is kept.
const MOMENTUM: f64 = 0.9;

impl ExtremalPerturbation {
    /// The masks of some areas `[A, 1, H, W]`, and the same with what continues beyond the image.
    fn masks(&self, subject: &Subject<'_>, areas: &[f64]) -> (Tensor, Tensor) {
        let like = (subject.image().kind(), subject.image().device());
        let pyramid = pyramid(subject.image());
        let bumps = bumps().to_kind(like.0).to_device(like.1);
        let grid = subject.size().map(|side| (side as u64).div_ceil(STEP as u64) as i64);
        let mut parameters = Tensor::ones([areas.len() as i64, 1, grid[0], grid[1]], like);
        let mut momentum: Option<Tensor> = None;
        let mut lambda = 300.0;
        let mut masks = None;
        for iteration in 0..self.iterations {
            let leaf = parameters.detach().set_requires_grad(true);
            let (inner, whole) = generate(&leaf, &bumps, subject.size());
            let reward = self.reward(subject, &pyramid, &inner, iteration % 2 == 0);
            let sorted = whole.flatten(1, -1).sort(1, false).0;
            let off =
                (sorted - references(areas, &whole)).square().mean_dim(1_i64, false, None::<Kind>);
            let loss = (off * lambda - reward).sum(None::<Kind>);
            let gradient = Tensor::run_backward(&[loss], &[&leaf], false, false).remove(0);
            let step = match momentum {
                None => gradient,
                Some(before) => before * MOMENTUM + gradient * (1.0 - MOMENTUM),
            };
            parameters = (leaf.detach() - &step * RATE).clamp(0.0, 1.0);
            momentum = Some(step);
            lambda *= 1.0035;
            masks = Some((inner.detach(), whole.detach()));
        }
        masks.expect("at least one iteration")
    }

    /// What masks `[A, 1, H, W]` achieve: `[A]`.
    fn reward(
        &self,
        subject: &Subject<'_>,
        pyramid: &Tensor,
        masks: &Tensor,
        flip: bool,
    ) -> Tensor {
        let score = |masks: &Tensor| {
            let images = perturbed(pyramid, masks);
            let images = if flip { images.flip([3]) } else { images };
            let logits = subject.classifier().logits(&images);
            match self.reward {
                Reward::Simple => subject.logit(&logits),
                Reward::Contrastive => {
                    let class = Tensor::from_slice(&[subject.class()]).to_device(logits.device());
                    let others = logits.index_fill(1, &class, f64::NEG_INFINITY);
                    subject.logit(&logits) - others.max_dim(1, false).0
                }
            }
        };
        match self.variant {
            Variant::Preserve => score(masks),
            Variant::Delete => -score(&(1.0 - masks)),
            Variant::Dual => score(masks) - score(&(1.0 - masks)),
        }
    }
}

/// What each of a pixel's neighbors on the grid weighs, by the pixel's place in its cell: `[(2 R + 1)², STEP², 1]`.
fn bumps() -> Tensor {
    let around = 2 * RADIUS + 1;
    let double = (Kind::Double, tch::Device::Cpu);
    let shift = (Tensor::arange(around, double) - RADIUS) * STEP;
    let along = Tensor::arange(STEP, double).unsqueeze(0) - shift.unsqueeze(1);
    let distance = along.view([around, 1, STEP, 1]).hypot(&along.view([1, around, 1, STEP]));
    let bumps = ((distance / SIGMA as f64 - 0.5).clamp_min(0.0).square() * -2.0).exp();
    bumps.view([around * around, STEP * STEP, 1])
}

/// Parameters on the grid `[A, 1, ⌈H/7⌉, ⌈W/7⌉]` to masks `[A, 1, H, W]`, and to these with what continues beyond the image.
fn generate(parameters: &Tensor, bumps: &Tensor, size: [i64; 2]) -> (Tensor, Tensor) {
    let grid = parameters.size();
    let [rows, columns] = [2, 3].map(|axis| grid[axis] + 2 * (PADDING - RADIUS));
    // `[A, neighbors, places in a cell, cells]`.
    let neighbors =
        parameters.im2col([2 * RADIUS + 1; 2], [1, 1], [PADDING; 2], [1, 1]).unsqueeze(2);
    // A line of places at a time, which fits the cache.
    let lines: Vec<Tensor> = (0..STEP)
        .map(|line| {
            let heights = &neighbors * bumps.narrow(1, line * STEP, STEP);
            (&heights * (&heights * COLDNESS).softmax(1, None::<Kind>)).sum_dim_intlist(
                1_i64,
                false,
                None::<Kind>,
            )
        })
        .collect();
    let mask = Tensor::cat(&lines, 1)
        .clamp(0.0, 1.0)
        .view([grid[0], STEP, STEP, rows, columns])
        .permute([0, 3, 1, 4, 2])
        .reshape([grid[0], 1, rows * STEP, columns * STEP]);
    let whole = mask.narrow(2, 0, (rows - 1) * STEP + 1).narrow(3, 0, (columns - 1) * STEP + 1);
    (whole.narrow(2, SIGMA, size[0]).narrow(3, SIGMA, size[1]), whole)
}

/// What sorted masks should look like, `[A, n]`: ones in the last share of each area, zeros before.
fn references(areas: &[f64], whole: &Tensor) -> Tensor {
    let n = whole.size()[2] * whole.size()[3];
    let rows: Vec<Tensor> = areas
        .iter()
        .map(|area| {
            let row = Tensor::ones([n], (whole.kind(), whole.device()));
            let _ = row.narrow(0, 0, (n as f64 * (1.0 - area)) as i64).zero_();
            row
        })
        .collect();
    Tensor::stack(&rows, 0)
}

/// The image `[1, 3, H, W]` blurred less and less: `[LEVELS, 3, H, W]`, the last level the image itself.
fn pyramid(image: &Tensor) -> Tensor {
    let levels: Vec<Tensor> = (0..LEVELS)
        .map(|level| blur(image, MAX_BLUR * (1.0 - level as f64 / (LEVELS - 1) as f64)))
        .collect();
    Tensor::cat(&levels, 0)
}

/// The image seen through masks `[A, 1, H, W]`: at every pixel the level of blur that the mask says, between two of them.
fn perturbed(pyramid: &Tensor, masks: &Tensor) -> Tensor {
    let level = masks.unsqueeze(1) * (LEVELS - 1) as f64;
    let below = level.detach().floor();
    let share = level - &below;
    let size = pyramid.size();
    let pick = |level: &Tensor| {
        let index = level
            .clamp_max((LEVELS - 1) as f64)
            .to_kind(Kind::Int64)
            .expand([masks.size()[0], 1, size[1], size[2], size[3]], false);
        pyramid
            .unsqueeze(0)
            .expand([masks.size()[0], -1, -1, -1, -1], false)
            .gather(1, &index, false)
    };
    let (blurred, sharper) = (pick(&below), pick(&(&below + 1.0)));
    (&blurred + share * (sharper - &blurred)).squeeze_dim(1)
}

/// A Gaussian of `sigma` pixels, cut off at four of them, over `[.., H, W]` with zeros beyond the border.
fn blur(image: &Tensor, sigma: f64) -> Tensor {
    if sigma == 0.0 {
        return image.shallow_clone();
    }
    let reach = (4.0 * sigma).ceil();
    let weigh = |offset: &Tensor| {
        (offset / sigma).square().g_mul_scalar(-0.5).exp() * offset.abs().le(reach)
    };
    let double = (Kind::Double, image.device());
    let total = weigh(&Tensor::arange_start(-reach, reach + 1.0, double)).sum(Kind::Double);
    let along = |side: i64| {
        let place = Tensor::arange(side, double);
        (weigh(&(place.unsqueeze(0) - place.unsqueeze(1))) / &total).to_kind(image.kind())
    };
    let size = image.size();
    let [height, width] = [size[size.len() - 2], size[size.len() - 1]];
    along(height).matmul(image).matmul(&along(width))
}

#[cfg(test)]
mod tests {
    use cam_core::{Classifier, Target, toy::Toy};

    use super::*;

    #[test]
    fn the_first_mask_is_the_smooth_maximum_of_all_bumps_inside_the_image() {
        let toy = Toy::network_a();
        let subject = Subject::new(&toy, Toy::waves(28, 21), Target::Class(0), 0);
        let once = ExtremalPerturbation { iterations: 1, ..ExtremalPerturbation::default() };
        let map = once.explain(&subject);
        // The grid has bumps at 0, 7, 14, 21 down and 0, 7, 14 across; each pixel looks at nine by nine around its cell.
        for (y, x) in [(0_i32, 0_i32), (10, 10), (27, 20), (6, 13)] {
            let [mut sum, mut total] = [0.0, 0.0];
            for (row, column) in (-4..=4).flat_map(|row| (-4..=4).map(move |column| (row, column)))
            {
                let (row, column) = (y / 7 + row, x / 7 + column);
                let inside = (0..4).contains(&row) && (0..3).contains(&column);
                let distance = f64::from(y - 7 * row).hypot(f64::from(x - 7 * column)) / 21.0;
                let bump = (-2.0 * (distance - 0.5).max(0.0).powi(2)).exp();
                let height = if inside { bump } else { 0.0 };
                sum += height * (20.0 * height).exp();
                total += (20.0 * height).exp();
            }
            let got = map.double_value(&[i64::from(y), i64::from(x)]);
            assert!((got - sum / total).abs() < 1e-12, "({y}, {x}): {got} is not {}", sum / total);
        }
    }

    #[test]
    fn a_mask_reaches_its_area_and_covers_what_speaks_for_the_class() {
        // Only the bright corner speaks for class 0: everything else adds next to nothing.
        let image = Tensor::ones([1, 1, 28, 28], (Kind::Double, tch::Device::Cpu)) * 0.1;
        let _ = image.narrow(2, 0, 14).narrow(3, 0, 14).fill_(40.0);
        let toy = Toy::network_a();
        let subject = Subject::new(&toy, image, Target::Class(0), 0);
        let method = ExtremalPerturbation { iterations: 300, ..ExtremalPerturbation::default() };
        let (mask, whole) = method.masks(&subject, &[0.1]);
        assert_eq!((mask.size(), whole.size()), (vec![1, 1, 28, 28], vec![1, 1, 64, 64]));
        let mean = |t: &Tensor| t.mean(Kind::Double).double_value(&[]);
        assert!((mean(&whole) - 0.1).abs() < 0.03, "{}", mean(&whole));
        assert!(mask.min().double_value(&[]) >= 0.0 && mask.max().double_value(&[]) <= 1.0);
        let corner = |start: i64| mean(&mask.narrow(2, start, 14).narrow(3, start, 14));
        assert!(corner(0) > 1.5 * corner(14), "{} and {}", corner(0), corner(14));
    }

    #[test]
    fn a_mask_of_ones_shows_the_image_and_of_zeros_its_strongest_blur() {
        let image = Toy::waves(12, 9);
        let pyramid = pyramid(&image);
        let ones = Tensor::ones([1, 1, 12, 9], (Kind::Double, tch::Device::Cpu));
        let off = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]);
        assert!(off(&perturbed(&pyramid, &ones), &image) < 1e-12);
        assert!(off(&perturbed(&pyramid, &(&ones * 0.0)), &blur(&image, 20.0)) < 1e-12);
        // Half way between the second and the third level.
        let between = perturbed(&pyramid, &(&ones * (1.5 / 7.0)));
        let expected = (pyramid.narrow(0, 1, 1) + pyramid.narrow(0, 2, 1)) / 2.0;
        assert!(off(&between, &expected) < 1e-12);
    }

    #[test]
    fn a_blur_spreads_a_pixel_into_the_gaussian_cut_off_at_four_deviations() {
        let image = Tensor::zeros([1, 1, 1, 21], (Kind::Double, tch::Device::Cpu));
        let _ = image.narrow(3, 10, 1).fill_(1.0);
        let blurred: Vec<f64> = Vec::try_from(blur(&image, 1.0).flatten(0, -1)).unwrap();
        let weight = |i: i32| if i.abs() <= 4 { (-0.5 * f64::from(i * i)).exp() } else { 0.0 };
        let total: f64 = (-4..=4).map(weight).sum();
        for (i, got) in (-10..=10).zip(blurred) {
            // Down, there is one row: it keeps the middle of the kernel.
            let want = weight(i) / total * weight(0) / total;
            assert!((got - want).abs() < 1e-12, "{i}: {got} is not {want}");
        }
    }

    #[test]
    fn deleting_finds_the_same_corner_and_the_contrastive_reward_looks_at_the_other_class() {
        let image = Tensor::ones([1, 1, 14, 14], (Kind::Double, tch::Device::Cpu)) * 0.1;
        let _ = image.narrow(2, 0, 7).narrow(3, 0, 7).fill_(40.0);
        let toy = Toy::network_a();
        let subject = Subject::new(&toy, image, Target::Class(0), 0);
        let mask = Tensor::ones([1, 1, 14, 14], (Kind::Double, tch::Device::Cpu)) * 0.5;
        let pyramid = pyramid(subject.image());
        let reward = |variant, reward| {
            let method =
                ExtremalPerturbation { variant, reward, ..ExtremalPerturbation::default() };
            method.reward(&subject, &pyramid, &mask, false).double_value(&[0])
        };
        // Half a mask shows as much as it leaves.
        let simple = reward(Variant::Preserve, Reward::Simple);
        assert!((reward(Variant::Delete, Reward::Simple) + simple).abs() < 1e-12);
        assert!(reward(Variant::Dual, Reward::Simple).abs() < 1e-12);
        let logits = toy.logits(&perturbed(&pyramid, &mask));
        let expected = logits.double_value(&[0, 0]) - logits.double_value(&[0, 1]);
        assert!((reward(Variant::Preserve, Reward::Contrastive) - expected).abs() < 1e-12);
        assert!((simple - logits.double_value(&[0, 0])).abs() < 1e-12);
    }
}
