//! Grad-CAM (Selvaraju et al. 2017, <https://arxiv.org/abs/1610.02391>, eq. 1 and 2).
//!
//! `M = ReLU(Σ_k α_k F_k)` with `α_k` the mean of `∂y_c/∂F_k` over the positions and `y_c` the logit.
//! Ours: the gradient stops at the cut, and a pooled linear head gives it in closed form.

use cam_core::{About, Cost, FeatureShape, Method, Requirement, Subject};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::ops::{gradient, weighted_sum};

/// Grad-CAM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GradCam {
    /// Whether negative evidence is cut off.
    pub relu: bool,
}

impl Default for GradCam {
    fn default() -> Self {
        Self { relu: true }
    }
}

impl GradCam {
    /// The map `[h, w]` of activations `[1, K, h, w]` and the logit's gradient in them.
    pub(crate) fn map(&self, features: &Tensor, gradient: &Tensor) -> Tensor {
        let weights = gradient.mean_dim(&[0_i64, 2, 3][..], false, None::<Kind>);
        let map = weighted_sum(features, &weights);
        if self.relu { map.relu() } else { map }
    }
}

impl Method for GradCam {
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
            title: "Grad-CAM",
            summary: "ReLU of the channels weighted by their mean gradient",
            source: "Selvaraju et al. 2017, arXiv 1610.02391",
        }
    }
}
