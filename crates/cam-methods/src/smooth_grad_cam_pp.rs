//! Smooth Grad-CAM++ (Omeiza et al. 2019, <https://arxiv.org/abs/1908.01224>).
//!
//! Grad-CAM++ with derivatives averaged over `n` noisy copies `x + ε`, `ε ~ N(0, σ²)` on the normalized image:
//! `D_p = mean(g^p)`, `α = D_2 / (2 D_2 + D_3 ΣF)`, `w_k = Σ_{u,v} α ReLU(D_1)`, `M = ReLU(Σ_k w_k F_k)`.
//! Ours: all three derivatives are averaged and `F` is that of the clean image; `weights` has the paper's numerator, and
//! torch-cam, which takes the last noisy copy, before and since it adds an epsilon.

use cam_core::{About, Cost, FeatureShape, Method, Requirement, Subject, method_rng};
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
    /// Whose weights.
    pub weights: SmoothWeights,
}

impl Default for SmoothGradCamPp {
    fn default() -> Self {
        Self { n: 4, sigma: 0.3, weights: SmoothWeights::Averaged }
    }
}

/// Whose weights of the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmoothWeights {
    /// `Σ α ReLU(D_1)`, `α = D_2 / (2 D_2 + D_3 ΣF)`, so that it is Grad-CAM++ where all copies agree.
    Averaged,
    /// `α = D_1 / (2 D_2 + D_3 ΣF)`: the numerator as published, by the account of torch-cam.
    Published,
    /// `α = D_2 / (2 D_2 + Σ D_3 F)`, times the gradient of the last noisy copy, with whose `F` the sum is taken; a channel
    /// with a position that no copy has a gradient at is left out. As torch-cam runs (57474d6 to 0.3.2).
    TorchCam,
    /// The same with 1e-8 added to the denominator, so that such a position counts 0. As torch-cam runs since 0.4.0. At
    /// inner layers `D_2` is often no larger than that.
    #[serde(rename = "torch_cam_0_4")]
    TorchCam04,
}

impl Method for SmoothGradCamPp {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let features = subject.features();
        let noisy = self.noisy(subject);
        let [d1, d2, d3] = &noisy.means;
        let sum = sum_positions(features);
        let alpha = match self.weights {
            SmoothWeights::Averaged => {
                let ratio = (d3 / d2).where_self(&d2.gt(0.0), &d2.zeros_like());
                (ratio * sum + 2.0).reciprocal()
            }
            SmoothWeights::Published => {
                (d1 / (d2 * 2.0 + d3 * sum)).where_self(&d2.gt(0.0), &d2.zeros_like())
            }
            SmoothWeights::TorchCam => d2 / (d2 * 2.0 + sum_positions(&(d3 * features))),
            SmoothWeights::TorchCam04 => d2 / (d2 * 2.0 + sum_positions(&(d3 * features)) + 1e-8),
        };
        let weights = |g: &Tensor| sum_positions(&(&alpha * g.relu()));
        let map = match self.weights {
            SmoothWeights::Averaged | SmoothWeights::Published => {
                weighted_sum(features, &weights(d1))
            }
            SmoothWeights::TorchCam | SmoothWeights::TorchCam04 => {
                weighted_sum(&noisy.features, &weights(&noisy.g).nan_to_num(0.0, None, None))
            }
        };
        map.relu()
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost { forwards: u64::from(self.n) + 1, backwards: u64::from(self.n), ..Cost::default() }
    }

    fn requirement(&self) -> Requirement {
        Requirement::Gradients
    }

    fn about(&self) -> About {
        About {
            title: "Smooth Grad-CAM++",
            summary: "Grad-CAM++ with derivatives averaged over noisy copies of the image",
            source: "Omeiza et al. 2019, arXiv 1908.01224",
        }
    }
}

/// What the noisy copies say.
struct Noisy {
    /// Means of `g`, `g²` and `g³` over them, each `[1, K, h, w]`.
    means: [Tensor; 3],
    /// The gradient of the last one, `[1, K, h, w]`.
    g: Tensor,
    /// The activations of the last one, `[1, K, h, w]`.
    features: Tensor,
}

impl SmoothGradCamPp {
    fn noisy(&self, subject: &Subject<'_>) -> Noisy {
        let takes_the_last =
            matches!(self.weights, SmoothWeights::TorchCam | SmoothWeights::TorchCam04);
        if gradient_is_constant(subject) && !takes_the_last {
            let g = gradient(subject);
            let means = [g.shallow_clone(), g.square(), &g * g.square()];
            return Noisy { means, g, features: subject.features().shallow_clone() };
        }
        let n = i64::from(self.n.max(1));
        let mut rng = method_rng(subject.seed());
        let mut all: Option<Noisy> = None;
        for start in (0..n).step_by(subject.classifier().batch() as usize) {
            let len = subject.classifier().batch().min(n - start);
            let clean = subject.image().repeat([len, 1, 1, 1]);
            let noisy = &clean + normal(&clean, &mut rng) * self.sigma;
            let (features, tokens) = {
                let _no_grad = tch::no_grad_guard();
                subject.classifier().features_and_tokens(&noisy)
            };
            let g = gradient_at(subject, &features, tokens.as_ref());
            let sum = |t: &Tensor| t.sum_dim_intlist(0_i64, true, None::<Kind>);
            let [x, y, z] = [sum(&g), sum(&g.square()), sum(&(&g * g.square()))];
            let means = match all {
                None => [x, y, z],
                Some(Noisy { means: [a, b, c], .. }) => [a + x, b + y, c + z],
            };
            let last = |t: &Tensor| t.narrow(0, len - 1, 1);
            all = Some(Noisy { means, g: last(&g), features: last(&features) });
        }
        let all = all.expect("at least one noisy copy");
        Noisy { means: all.means.map(|sum| sum / n as f64), ..all }
    }
}
