//! Saliency (Simonyan et al. 2013, <https://arxiv.org/abs/1312.6034>, section 3.1).
//!
//! `M(i,j) = max over colors of |∂y_c/∂x(i,j)|`: how much the logit moves with each pixel. Ours: nothing; other ways to
//! make one number of three colors are options.

use cam_core::{About, Cost, FeatureShape, Method, Requirement, Subject};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::{Colors, Output, ops::image_gradient};

/// Saliency.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Saliency {
    /// How three colors become one number.
    pub colors: Colors,
    /// What is differentiated.
    pub score: Output,
}

impl Default for Saliency {
    fn default() -> Self {
        Self { colors: Colors::MaxAbs, score: Output::Logit }
    }
}

impl Method for Saliency {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        self.colors.merge(&image_gradient(subject, self.score, subject.image()))
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost { forwards: 1, backwards: 1, ..Cost::default() }
    }

    fn requirement(&self) -> Requirement {
        Requirement::Gradients
    }

    fn about(&self) -> About {
        About {
            title: "Saliency",
            summary: "magnitude of the logit's gradient in each pixel",
            source: "Simonyan et al. 2013, arXiv 1312.6034",
        }
    }
}
