//! HiResCAM (Draelos and Carin 2020, <https://arxiv.org/abs/2011.08891>).
//!
//! `M = ReLU(Σ_k g_k ⊙ F_k)`, `g_k = ∂y_c/∂F_k`: activations times gradients, summed over the channels and never averaged
//! over positions. The paper has no ReLU (`relu: false`); its map on a pooled linear head adds up to the logit less its
//! bias. Ours: Grad-CAM's ReLU, as in pytorch-grad-cam.

use cam_core::{About, Cost, FeatureShape, Method, Requirement, Subject};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::ops::{gradient, sum_channels};

/// HiResCAM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HiResCam {
    /// Whether negative evidence is cut off.
    pub relu: bool,
}

impl Default for HiResCam {
    fn default() -> Self {
        Self { relu: true }
    }
}

impl Method for HiResCam {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let map = sum_channels(&(gradient(subject) * subject.features()));
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
            title: "HiResCAM",
            summary: "ReLU of activations times gradients, summed over channels",
            source: "Draelos and Carin 2020, arXiv 2011.08891",
        }
    }
}
