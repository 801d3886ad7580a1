//! Ablation-CAM (Desai and Ramaswamy 2020, <https://doi.org/10.1109/WACV45572.2020.9093360>).
//!
//! `M = ReLU(Σ_k w_k F_k)`, `w_k = (y_c − y_c^k) / y_c` with `y_c^k` the logit when channel `k` is set to zero.
//! Ours: the denominator is `|y_c|`, the same where the logit is positive; a negative one would turn every weight around
//! (`denominator: signed` is the paper's formula). A channel that is zero anyway costs nothing, and a pooled linear head
//! gives `y_c − y_c^k = w_ck · mean(F_k)` without running.

use cam_core::{About, Cost, FeatureShape, Method, Subject, head_in_chunks};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::ops::{live_channels, weighted_sum};

/// Ablation-CAM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AblationCam {
    /// What a loss of logit is measured by.
    pub denominator: Denominator,
}

/// What a loss of logit is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Denominator {
    /// The logit's absolute value.
    Absolute,
    /// The logit itself; where it is negative, channels that speak for the class count against it.
    Signed,
}

impl Default for AblationCam {
    fn default() -> Self {
        Self { denominator: Denominator::Absolute }
    }
}

impl Method for AblationCam {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let _no_grad = tch::no_grad_guard();
        let logit = subject.logit(subject.logits());
        // Never 0: a map that is scaled by a tiny number more or less is the same map.
        let size = logit.abs().clamp_min(f64::from(f32::EPSILON));
        let denominator = match self.denominator {
            Denominator::Absolute => size,
            Denominator::Signed => size.copysign(&logit),
        };
        weighted_sum(subject.features(), &(losses(subject, &logit) / denominator)).relu()
    }

    fn cost(&self, features: FeatureShape) -> Cost {
        Cost { forwards: 1, head_forwards: features.channels as u64, ..Cost::default() }
    }

    fn about(&self) -> About {
        About {
            title: "Ablation-CAM",
            summary: "ReLU of the channels weighted by the share of the logit that is lost without each",
            source: "Desai and Ramaswamy 2020, doi 10.1109/WACV45572.2020.9093360",
        }
    }
}

/// How far the logit falls when a channel is set to zero: `[K]`.
fn losses(subject: &Subject<'_>, logit: &Tensor) -> Tensor {
    let features = subject.features();
    if let Some(head) = subject.classifier().pooled_linear_head() {
        let means = features.mean_dim(&[0_i64, 2, 3][..], false, None::<Kind>);
        return head.weight.get(subject.class()) * means;
    }
    let channels = features.size()[1];
    let losses = Tensor::zeros([channels], (features.kind(), features.device()));
    let live = live_channels(features);
    let n = live.size()[0];
    if n == 0 {
        return losses;
    }
    let logits = head_in_chunks(subject.classifier(), subject.tokens(), n, |range| {
        let len = range.end - range.start;
        let chunk = live.narrow(0, range.start, len).view([len, 1, 1, 1]);
        let others = Tensor::ones([len, channels, 1, 1], (features.kind(), features.device()));
        features * others.scatter_value(1, &chunk, 0.0)
    });
    losses.index_copy(0, &live, &(logit - subject.logit(&logits)))
}
