//! LayerCAM (Jiang et al. 2021, <https://doi.org/10.1109/TIP.2021.3089943>).
//!
//! `M = ReLU(Σ_k ReLU(g_k) ⊙ F_k)`, `g_k = ∂y_c/∂F_k`: every position of a channel has a weight of its own, its gradient
//! where that is positive. Ours: one layer alone; the paper's fusion of several, scaled by `tanh`, is left out.

use cam_core::{About, Cost, FeatureShape, Method, Requirement, Subject};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::ops::{gradient, sum_channels};

/// LayerCAM.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LayerCam {}

impl LayerCam {
    /// The map `[h, w]` of activations `[1, K, h, w]` and the logit's gradient in them.
    pub(crate) fn map(features: &Tensor, gradient: &Tensor) -> Tensor {
        sum_channels(&(gradient.relu() * features)).relu()
    }
}

impl Method for LayerCam {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        Self::map(subject.features(), &gradient(subject))
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost { forwards: 1, backwards: 1, ..Cost::default() }
    }

    fn requirement(&self) -> Requirement {
        Requirement::Gradients
    }

    fn about(&self) -> About {
        About {
            title: "LayerCAM",
            summary: "activations weighted position by position by their positive gradients",
            source: "Jiang et al. 2021, doi 10.1109/TIP.2021.3089943",
        }
    }
}
