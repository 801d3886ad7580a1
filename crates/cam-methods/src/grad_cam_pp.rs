//! Grad-CAM++ (Chattopadhay et al. 2018, <https://arxiv.org/abs/1710.11063>, eq. 10 and 19).
//!
//! `M = ReLU(Σ_k w_k F_k)`, `w_k = Σ_{u,v} α ReLU(g)`, `α = g² / (2g² + g³ Σ_{a,b} F_k(a,b))`, `g = ∂y_c/∂F_k(u,v)`; the
//! score is `exp(y_c)` of a network of ReLUs, so its higher derivatives are powers of `g` and the exponential cancels.
//! Ours: `α` is computed as `1 / (2 + g ΣF)`, the same number for `g ≠ 0`, which needs no epsilon.

use cam_core::{About, Cost, FeatureShape, Method, Subject};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::ops::{gradient, sum_positions, weighted_sum};

/// Grad-CAM++.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GradCamPp {}

impl Method for GradCamPp {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let features = subject.features();
        let g = gradient(subject);
        let positive = g.relu();
        // Only positive gradients count, so the denominator is evaluated for them alone: at least 2 where F >= 0.
        let contributions = &positive / (&positive * sum_positions(features) + 2.0);
        let weights = contributions.sum_dim_intlist(&[0_i64, 2, 3][..], false, None::<Kind>);
        weighted_sum(features, &weights).relu()
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost { forwards: 1, backwards: 1, ..Cost::default() }
    }

    fn about(&self) -> About {
        About {
            title: "Grad-CAM++",
            summary: "ReLU of the channels weighted by their positive gradients, each by 1/(2 + g sum F)",
            source: "Chattopadhay et al. 2018, arXiv 1710.11063",
        }
    }
}
