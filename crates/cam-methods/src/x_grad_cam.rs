//! XGrad-CAM (Fu et al. 2020, <https://arxiv.org/abs/2008.02312>).
//!
//! `M = ReLU(Σ_k w_k F_k)`, `w_k = Σ_{u,v} g_k F_k / Σ_{u,v} F_k`, `g_k = ∂y_c/∂F_k`: the mean gradient of a channel, weighted
//! by where the channel is active. Ours: a channel whose sum is 0 has the weight 0, with no epsilon in the others.

use cam_core::{About, Cost, FeatureShape, Method, Requirement, Subject};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::ops::{gradient, sum_positions, weighted_sum};

/// XGrad-CAM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct XGradCam {
    /// Whether negative evidence is cut off.
    pub relu: bool,
}

impl Default for XGradCam {
    fn default() -> Self {
        Self { relu: true }
    }
}

impl Method for XGradCam {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let features = subject.features();
        let total = sum_positions(features);
        let weights = sum_positions(&(gradient(subject) * features)) / &total;
        let weights = weights.where_self(&total.not_equal(0.0), &total.zeros_like());
        let map = weighted_sum(features, &weights);
        if self.relu { map.relu() } else { map }
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost { forwards: 1, backwards: 1, ..Cost::default() }
    }

    fn requirement(&self) -> Requirement {
        Requirement::Gradients
    }

    fn about(&self) -> About {
        About {
            title: "XGrad-CAM",
            summary: "ReLU of the channels weighted by their gradient where they are active",
            source: "Fu et al. 2020, arXiv 2008.02312",
        }
    }
}
