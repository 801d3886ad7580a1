//! Score-CAM (Wang et al. 2020, <https://arxiv.org/abs/1910.01279>, eq. 4 to 6).
//!
//! `M = ReLU(Σ_k s_k F_k)` with `s_k` the class's score on `x ⊙ mm(U(F_k))`: the image seen through channel `k`, upsampled
//! and min-max normalized. The default is the authors' repository: `s_k` is the softmax probability, a constant channel
//! is skipped, and the sum is taken at the image's size. Ours: equal channels are run once, a constant one costs nothing,
//! and the upsampling, which is linear, is done once after the sum.

use cam_core::{About, Cost, FeatureShape, Fill, Method, Subject, logits_in_chunks, upsample};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::ops::weighted_sum;

/// Score-CAM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScoreCam {
    /// How scores become weights.
    pub weighting: Weighting,
}

impl Default for ScoreCam {
    fn default() -> Self {
        Self { weighting: Weighting::Probability }
    }
}

/// How scores become weights of the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weighting {
    /// The class's softmax probability; the map is made at the image's size (the authors' repository).
    Probability,
    /// The class's logit, then a softmax over the channels; a constant channel counts as an empty image and the map
    /// stays at the channels' size (as pytorch-grad-cam and torch-cam since 0.3.2).
    ChannelSoftmax,
}

impl Method for ScoreCam {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let features = subject.features();
        match self.weighting {
            Weighting::Probability => {
                let weights = scores(subject, 0.0, |logits| subject.probability(logits));
                upsample(&weighted_sum(features, &weights), subject.size()).relu()
            }
            Weighting::ChannelSoftmax => {
                let empty = subject.filled(Fill::Zero).logit;
                let scores = scores(subject, empty, |logits| subject.logit(logits));
                weighted_sum(features, &scores.softmax(0, None::<Kind>)).relu()
            }
        }
    }

    fn cost(&self, features: FeatureShape) -> Cost {
        Cost { forwards: 1 + features.channels as u64, ..Cost::default() }
    }

    fn about(&self) -> About {
        About {
            title: "Score-CAM",
            summary: "ReLU of the channels weighted by the class's score on the image seen through each",
            source: "Wang et al. 2020, arXiv 1910.01279",
        }
    }
}

/// One score a channel, `[K]`; a constant channel has the score `constant`.
fn scores(subject: &Subject<'_>, constant: f64, score: impl Fn(&Tensor) -> Tensor) -> Tensor {
    let channels = subject.features().squeeze_dim(0);
    // Equal channels make equal images: often a third of a network's channels or more are zero everywhere.
    let (distinct, which, _) = channels.unique_dim(0, true, true, false);
    let spatial = [-2_i64, -1];
    let (min, max) = (distinct.amin(&spatial[..], false), distinct.amax(&spatial[..], false));
    let live = max.greater_tensor(&min).nonzero().squeeze_dim(1);
    let scores = min.full_like(constant);
    let n = live.size()[0];
    if n == 0 {
        return scores.index_select(0, &which);
    }
    let logits = logits_in_chunks(subject.classifier(), n, |range| {
        let chunk = live.narrow(0, range.start, range.end - range.start);
        let masks = upsample(&distinct.index_select(0, &chunk).unsqueeze(1), subject.size());
        let (low, high) = (masks.amin(&spatial[..], true), masks.amax(&spatial[..], true));
        subject.image() * ((masks - &low) / (high - &low))
    });
    scores.index_copy(0, &live, &score(&logits)).index_select(0, &which)
}
