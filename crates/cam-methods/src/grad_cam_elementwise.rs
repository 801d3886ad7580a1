//! Element-wise Grad-CAM (`GradCAMElementWise` of <https://github.com/jacobgil/pytorch-grad-cam>; there is no paper).
//!
//! `M = Σ_k ReLU(g_k ⊙ F_k)`, `g_k = ∂y_c/∂F_k`: as HiResCAM, with negative products cut off before the channels are
//! summed. Ours: nothing.

use cam_core::{About, Cost, FeatureShape, Method, Requirement, Subject};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::ops::{gradient, sum_channels};

/// Element-wise Grad-CAM.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GradCamElementwise {}

impl Method for GradCamElementwise {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        sum_channels(&(gradient(subject) * subject.features()).relu())
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost { forwards: 1, backwards: 1, ..Cost::default() }
    }

    fn requirement(&self) -> Requirement {
        Requirement::Gradients
    }

    fn about(&self) -> About {
        About {
            title: "Grad-CAM element-wise",
            summary: "positive products of activations and gradients, summed over channels",
            source: "GradCAMElementWise of pytorch-grad-cam, github.com/jacobgil/pytorch-grad-cam",
        }
    }
}
