//! Input times gradient (Shrikumar et al. 2016, <https://arxiv.org/abs/1605.01713>).
//!
//! `M(i,j) = Σ over colors of x(i,j) ∂y_c/∂x(i,j)`, with its sign: the logit's first-order change when the pixel goes from 0
//! to what it is. Ours: 0 is the zero of the normalized image, which is the ImageNet mean for torchvision's networks and
//! neutral gray for EfficientNet-Lite.

use cam_core::{About, Cost, FeatureShape, Method, Requirement, Subject};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::{Colors, Output, ops::image_gradient};

/// Input times gradient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InputXGradient {
    /// How three colors become one number.
    pub colors: Colors,
    /// What is differentiated.
    pub score: Output,
}

impl Default for InputXGradient {
    fn default() -> Self {
        Self { colors: Colors::Sum, score: Output::Logit }
    }
}

impl Method for InputXGradient {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let gradient = image_gradient(subject, self.score, subject.image());
        self.colors.merge(&(subject.image() * gradient))
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost { forwards: 1, backwards: 1, ..Cost::default() }
    }

    fn requirement(&self) -> Requirement {
        Requirement::Gradients
    }

    fn about(&self) -> About {
        About {
            title: "Input x gradient",
            summary: "each pixel times the logit's gradient in it",
            source: "Shrikumar et al. 2016, arXiv 1605.01713",
        }
    }
}
