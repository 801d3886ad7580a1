//! CAM (Zhou et al. 2016, <https://arxiv.org/abs/1512.04150>).
//!
//! `M = ReLU(Σ_k w_ck F_k)` with `w` the weights of the linear layer behind the average pooling; the bias is left out.
//! Ours: the ReLU of the Recipro-CAM poster is the default, `relu: false` is the original.

use cam_core::{About, Cost, FeatureShape, Method, Requirement, Subject};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::ops::weighted_sum;

/// CAM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cam {
    /// Whether negative evidence is cut off.
    pub relu: bool,
}

impl Default for Cam {
    fn default() -> Self {
        Self { relu: true }
    }
}

impl Method for Cam {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let head =
            subject.classifier().pooled_linear_head().expect("CAM needs a pooled linear head");
        let map = weighted_sum(subject.features(), &head.weight.get(subject.class()));
        if self.relu { map.relu() } else { map }
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost { forwards: 1, ..Cost::default() }
    }

    fn about(&self) -> About {
        About {
            title: "CAM",
            summary: "ReLU of the channels weighted by the last linear layer",
            source: "Zhou et al. 2016, arXiv 1512.04150",
        }
    }

    fn requirement(&self) -> Requirement {
        Requirement::PooledLinearHead
    }
}
