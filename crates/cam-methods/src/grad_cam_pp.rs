//! Grad-CAM++ (Chattopadhay et al. 2018, <https://arxiv.org/abs/1710.11063>, eq. 10 and 19).
//!
//! `M = ReLU(Σ_k w_k F_k)`, `w_k = Σ_{u,v} α ReLU(g)`, `α = g² / (2g² + g³ Σ_{a,b} F_k(a,b))`, `g = ∂y_c/∂F_k(u,v)`; the
//! score is `exp(y_c)` of a network of ReLUs, so its higher derivatives are powers of `g` and the exponential cancels.
//! Ours: `α` is computed as `1 / (2 + g ΣF)`, the same number for `g ≠ 0`, which needs no epsilon. `weights` has the other
//! weights that go by this name.

use cam_core::{About, Cost, FeatureShape, Method, Requirement, Subject};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::ops::{gradient, sum_positions, weighted_sum};

/// Grad-CAM++.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GradCamPp {
    /// Whose weights.
    pub weights: PpWeights,
}

impl Default for GradCamPp {
    fn default() -> Self {
        Self { weights: PpWeights::Paper }
    }
}

/// Whose weights of the channels, `α` being `1 / (2 + g ΣF)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PpWeights {
    /// `Σ α ReLU(g)`: the paper, and pytorch-grad-cam but for its epsilon.
    Paper,
    /// `Σ g² ReLU(g)`: torch-cam (57474d6 to 0.5.0), whose division by the denominator goes into a copy and is lost.
    TorchCam,
    /// `Σ α ReLU(g) / Σ_{g>0} α`: the authors' TensorFlow code, a mean of the positive gradients by `α`.
    TensorFlow,
    /// `mean(ReLU(g) / (2 + g mean(F)))`: Xplique.
    Xplique,
}

impl GradCamPp {
    /// The map `[h, w]` of activations `[1, K, h, w]` and the logit's gradient in them.
    pub(crate) fn map(&self, features: &Tensor, g: &Tensor) -> Tensor {
        let positive = g.relu();
        // Only positive gradients count, so the denominator is evaluated for them alone: at least 2 where F >= 0.
        let denominator = |activation: Tensor| &positive * activation + 2.0;
        let weights = match self.weights {
            PpWeights::Paper => sum_positions(&(&positive / denominator(sum_positions(features)))),
            PpWeights::TorchCam => sum_positions(&(positive.square() * &positive)),
            PpWeights::TensorFlow => {
                let alpha = positive.gt(0.0) / denominator(sum_positions(features));
                let total = sum_positions(&alpha);
                let mean = sum_positions(&(alpha * &positive)) / &total;
                mean.where_self(&total.not_equal(0.0), &total.zeros_like())
            }
            PpWeights::Xplique => {
                let mean = |tensor: &Tensor| tensor.mean_dim(&[-2_i64, -1][..], true, None::<Kind>);
                mean(&(&positive / denominator(mean(features))))
            }
        };
        weighted_sum(features, &weights).relu()
    }
}

impl Method for GradCamPp {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        self.map(subject.features(), &gradient(subject))
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost { forwards: 1, backwards: 1, ..Cost::default() }
    }

    fn requirement(&self) -> Requirement {
        Requirement::Gradients
    }

    fn about(&self) -> About {
        About {
            title: "Grad-CAM++",
            summary: "ReLU of the channels weighted by their positive gradients, each by 1/(2 + g sum F)",
            source: "Chattopadhay et al. 2018, arXiv 1710.11063",
        }
    }
}
