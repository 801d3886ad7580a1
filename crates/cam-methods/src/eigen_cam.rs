//! Eigen-CAM (Muhammad and Yeasin 2020, <https://arxiv.org/abs/2008.00299>).
//!
//! `M = X v`: the activations' columns `X` (`h·w` rows of `K`) projected onto their first right singular vector. It knows no
//! class. Ours: the sign, which the decomposition leaves open, is the one that agrees with the activations' sum; popular
//! code centers the columns first (`center: true`).

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
            summary: "the activations' first principal component, whatever the class",
            source: "Muhammad and Yeasin 2020, arXiv 2008.00299",
        }
    }
}
