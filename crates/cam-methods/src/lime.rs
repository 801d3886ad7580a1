//! LIME for images (Ribeiro et al. 2016, <https://arxiv.org/abs/1602.04938>; defaults of the authors' package `lime`).
//!
//! The image is cut into superpixels. `n_samples` images hide a random half of them, the first one none; a ridge regression
//! of the class's probability on `z ∈ {0, 1}^d` (what is shown), each sample weighted by `exp(−D² / 2 width²)` with `D` the
//! cosine distance of `z` from all ones, gives every superpixel its coefficient, which is the map there.
//! Ours: superpixels are SLIC's instead of quickshift's, and what is hidden is 0 in normalized space
//! (`hide: mean`, the superpixel's own mean color, is the package's).

use cam_core::{About, Cost, FeatureShape, Method, Subject, logits_in_chunks, method_rng};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::{
    Hide, Output,
    superpixels::{Superpixels, matrix},
};

/// LIME.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lime {
    /// Samples, the whole image among them.
    #[serde(deserialize_with = "cam_core::options::at_least_one")]
    pub n_samples: u32,
    /// About how many superpixels.
    #[serde(deserialize_with = "cam_core::options::at_least_four")]
    pub superpixels: u32,
    /// What stands in place of a hidden superpixel.
    pub hide: Hide,
    /// Width of the kernel that weighs samples by their distance from the whole image.
    #[serde(deserialize_with = "cam_core::options::positive")]
    pub kernel_width: f64,
    /// The regression's penalty on squared coefficients.
    #[serde(deserialize_with = "cam_core::options::positive")]
    pub ridge: f64,
    /// What is regressed.
    pub score: Output,
}

impl Default for Lime {
    fn default() -> Self {
        Self {
            n_samples: 1000,
            superpixels: 50,
            hide: Hide::Zero,
            kernel_width: 0.25,
            ridge: 1.0,
            score: Output::Softmax,
        }
    }
}

impl Method for Lime {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let _no_grad = tch::no_grad_guard();
        let superpixels = Superpixels::of(subject.image(), self.superpixels);
        let mut rng = method_rng(subject.seed());
        let rows: Vec<Vec<bool>> = (0..self.n_samples)
            .map(|row| (0..superpixels.len()).map(|_| row == 0 || rng.random_bool(0.5)).collect())
            .collect();
        let logits = logits_in_chunks(subject.classifier(), rows.len() as i64, |range| {
            superpixels.show(&rows[range.start as usize..range.end as usize], self.hide)
        });
        let scores = self.score.of(subject, &logits).to_kind(Kind::Double).to_device(Device::Cpu);
        let weights: Vec<f64> = rows.iter().map(|row| self.weight(row)).collect();
        superpixels.paint(&ridge(
            &matrix(&rows),
            &scores,
            &Tensor::from_slice(&weights),
            self.ridge,
        ))
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost { forwards: u64::from(self.n_samples), ..Cost::default() }
    }

    fn about(&self) -> About {
        About {
            title: "LIME",
            summary: "a local ridge regression of the class's probability on which superpixels are shown",
            source: "Ribeiro et al. 2016, arXiv 1602.04938",
        }
    }
}

impl Lime {
    /// How much a sample counts.
    fn weight(&self, row: &[bool]) -> f64 {
        let shown = row.iter().filter(|shown| **shown).count() as f64;
        // The cosine of z and all ones is |z| / (√|z| √d); that of nothing counts as 0.
        let distance = 1.0 - (shown / row.len() as f64).sqrt();
        (-distance.powi(2) / (2.0 * self.kernel_width.powi(2))).exp()
    }
}

/// Coefficients `[d]` of a weighted ridge regression with an unpenalized intercept: rows `[n, d]`, values and weights `[n]`.
fn ridge(rows: &Tensor, values: &Tensor, weights: &Tensor, penalty: f64) -> Tensor {
    let weights = weights.unsqueeze(1);
    let values = values.unsqueeze(1);
    let centered = |t: &Tensor| {
        t - (t * &weights).sum_dim_intlist(0_i64, true, None::<Kind>) / weights.sum(None::<Kind>)
    };
    let (rows, values) = (centered(rows), centered(&values));
    let weighted = (&rows * &weights).transpose(0, 1);
    let penalty = Tensor::eye(rows.size()[1], (Kind::Double, Device::Cpu)) * penalty;
    let normal = weighted.matmul(&rows) + penalty;
    Tensor::linalg_solve(&normal, &weighted.matmul(&values), true).squeeze_dim(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ridge_of_one_shrinks_the_coefficients_of_a_full_factorial_of_four_to_four_fifths() {
        // 16 rows: each centered column has the squared norm 4, and 4 / (4 + 1) is left.
        let rows: Vec<Vec<bool>> =
            (0..16_u32).map(|code| (0..4).map(|bit| code >> bit & 1 == 1).collect()).collect();
        let rows = matrix(&rows);
        let truth = Tensor::from_slice(&[0.5_f64, -1.0, 2.0, 0.0]);
        let values = rows.mv(&truth) + 3.0;
        let weights = Tensor::ones([16], (Kind::Double, Device::Cpu));
        for (penalty, share) in [(1.0, 0.8), (1e-12, 1.0)] {
            let found = ridge(&rows, &values, &weights, penalty);
            let off = (found - &truth * share).abs().max().double_value(&[]);
            assert!(off < 1e-10, "{penalty}: {off}");
        }
    }

    #[test]
    fn a_sample_counts_by_its_cosine_distance_from_all_ones() {
        let lime = Lime::default();
        assert!((lime.weight(&[true; 4]) - 1.0).abs() < 1e-15);
        // Distances 1/2 and 1, over 2 · 0.25² = 1/8.
        assert!((lime.weight(&[true, false, false, false]) - (-2.0_f64).exp()).abs() < 1e-15);
        assert!((lime.weight(&[false; 4]) - (-8.0_f64).exp()).abs() < 1e-15);
    }
}
