//! A control: everything matters.
//!
//! `M = 1`. The explanation image is the image: drop 0, increase 0, complexity 1, and hence ADCC 0. Deletion and insertion
//! go through the pixels row by row. It is scored although it is constant, for it says of itself that it lies in [0, 1].

use cam_core::{About, Cost, FeatureShape, Method, Subject};
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// A map of ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AllOnes {}

impl Method for AllOnes {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        Tensor::ones(subject.size(), (subject.image().kind(), subject.image().device()))
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost::default()
    }

    fn about(&self) -> About {
        About {
            title: "All ones",
            summary: "a control: everything matters; the explanation image is the image",
            source: "a control of ours",
        }
    }

    fn is_unit(&self) -> bool {
        true
    }
}
