//! Smooth Grad-CAM++ (Omeiza et al. 2019, <https://arxiv.org/abs/1908.01224>).
//!
//! Grad-CAM++ with derivatives averaged over `n` noisy copies `x + ε`, `ε ~ N(0, σ²)` on the normalized image:
//! `D_p = mean(g^p)`, `α = D_2 / (2 D_2 + D_3 ΣF)`, `w_k = Σ_{u,v} α ReLU(D_1)`, `M = ReLU(Σ_k w_k F_k)`.
//! Ours: all three derivatives are averaged and `F` is that of the clean image; popular code takes the last noisy copy.

use cam_core::{About, Cost, FeatureShape, Method, Subject};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::ops::{
    gradient, gradient_at, gradient_is_constant, normal, sum_positions, weighted_sum,
};

/// Smooth Grad-CAM++.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SmoothGradCamPp {
    /// Noisy copies.
    #[serde(deserialize_with = "cam_core::options::at_least_one")]
    pub n: u32,
    /// Standard deviation of the noise, in units of the normalized image.
    #[serde(deserialize_with = "cam_core::options::not_negative")]
    pub sigma: f64,
}

impl Default for SmoothGradCamPp {
    fn default() -> Self {
        Self { n: 4, sigma: 0.3 }
    }
}

impl Method for SmoothGradCamPp {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let features = subject.features();
        let [d1, d2, d3] = self.mean_powers_of_gradient(subject);
        let ratio = (&d3 / &d2).where_self(&d2.gt(0.0), &d2.zeros_like());
        let alpha = (ratio * sum_positions(features) + 2.0).reciprocal();
        let weights = (alpha * d1.relu()).sum_dim_intlist(&[0_i64, 2, 3][..], false, None::<Kind>);
        weighted_sum(features, &weights).relu()
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost { forwards: u64::from(self.n) + 1, backwards: u64::from(self.n), ..Cost::default() }
    }

    fn about(&self) -> About {
        About {
            title: "Smooth Grad-CAM++",
            summary: "Grad-CAM++ with derivatives averaged over noisy copies of the image",
            source: "Omeiza et al. 2019, arXiv 1908.01224",
        }
    }
}

impl SmoothGradCamPp {
    /// Means of `g`, `g²` and `g³` over the noisy copies, each `[1, K, h, w]`.
    fn mean_powers_of_gradient(&self, subject: &Subject<'_>) -> [Tensor; 3] {
        if gradient_is_constant(subject) {
            let g = gradient(subject);
            return [g.shallow_clone(), g.square(), &g * g.square()];
        }
        let n = i64::from(self.n.max(1));
        let mut rng = ChaCha8Rng::seed_from_u64(subject.seed());
        let mut sums: Option<[Tensor; 3]> = None;
        for start in (0..n).step_by(subject.classifier().batch() as usize) {
            let len = subject.classifier().batch().min(n - start);
            let clean = subject.image().repeat([len, 1, 1, 1]);
            let noisy = &clean + normal(&clean, &mut rng) * self.sigma;
            let features = {
                let _no_grad = tch::no_grad_guard();
                subject.classifier().features(&noisy)
            };
            let g = gradient_at(subject, &features);
            let sum = |t: &Tensor| t.sum_dim_intlist(0_i64, true, None::<Kind>);
            let powers = [sum(&g), sum(&g.square()), sum(&(&g * g.square()))];
            sums = Some(match sums {
                None => powers,
                Some([a, b, c]) => {
                    let [x, y, z] = powers;
                    [a + x, b + y, c + z]
                }
            });
        }
        sums.expect("at least one noisy copy").map(|sum| sum / n as f64)
    }
}
