//! Eigen-Grad-CAM (`EigenGradCAM` of <https://github.com/jacobgil/pytorch-grad-cam>; there is no paper).
//!
//! The first principal component, as in Eigen-CAM, of activations times gradients, `g_k ⊙ F_k` with `g_k = ∂y_c/∂F_k`, each
//! channel's mean subtracted. Ours: the sign, which the decomposition leaves open, is the one that agrees with the sum
//! of the products over channels, so that the map speaks for the class and not against it.

use cam_core::{About, Cost, FeatureShape, Method, Requirement, Subject};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::ops::{first_component, gradient};

/// Eigen-Grad-CAM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EigenGradCam {
    /// Whether each channel's mean is subtracted first.
    pub center: bool,
}

impl Default for EigenGradCam {
    fn default() -> Self {
        Self { center: true }
    }
}

impl Method for EigenGradCam {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        first_component(&(gradient(subject) * subject.features()), self.center)
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost { forwards: 1, backwards: 1, ..Cost::default() }
    }

    fn requirement(&self) -> Requirement {
        Requirement::Gradients
    }

    fn about(&self) -> About {
        About {
            title: "Eigen-Grad-CAM",
            summary: "the first principal component of activations times gradients",
            source: "EigenGradCAM of pytorch-grad-cam, github.com/jacobgil/pytorch-grad-cam",
        }
    }
}
