//! Eigen-CAM (Muhammad and Yeasin 2020, <https://arxiv.org/abs/2008.00299>).
//!
//! `M = X v₁`: `X` holds the activations as one row of `K` channels per position (`hw × K`), `v₁` is its first right
//! singular vector. It knows no class. Nothing is centered, so this is not a principal component. Ours: the sign, which
//! the decomposition leaves open, is the one that agrees with the sums over channels. pytorch-grad-cam subtracts each
//! channel's mean first (`center: true`).

use cam_core::{About, Cost, FeatureShape, Method, Subject};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::ops::first_component;

/// Eigen-CAM.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EigenCam {
    /// Whether each channel's mean is subtracted first (as pytorch-grad-cam).
    pub center: bool,
}

impl Method for EigenCam {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        first_component(subject.features(), self.center)
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost { forwards: 1, ..Cost::default() }
    }

    fn about(&self) -> About {
        About {
            title: "Eigen-CAM",
            summary: "the activations projected onto their first singular direction, whatever the class",
            source: "Muhammad and Yeasin 2020, arXiv 2008.00299",
        }
    }
}
