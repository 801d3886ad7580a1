//! Score-CAM (Wang et al. 2020, <https://arxiv.org/abs/1910.01279>, eq. 4 to 6).
//!
//! `M = ReLU(Σ_k s_k F_k)` with `s_k` the class's score on `x ⊙ mm(U(F_k))`: the image seen through channel `k`, upsampled
//! and min-max normalized. The default is the authors' repository: `s_k` is the softmax probability, a constant channel
//! is skipped, and the sum is taken at the image's size. Ours: equal channels are run once, a constant one costs nothing,
//! and the upsampling, which is linear, is done once after the sum. Four code bases in three options:
//!
//! | code | `weighting` | `masks` | `channels` |
//! | --- | --- | --- | --- |
//! | the authors' | `probability` | `upsample_first` | `raw` |
//! | torch-cam up to 0.3.1 | `probability` | `normalize_first` | `normalized` |
//! | torch-cam since 0.3.2 | `channel_softmax` | `normalize_first` | `raw` |
//! | pytorch-grad-cam | `channel_softmax` | `aligned_corners` | `raw` |

use cam_core::{About, Cost, FeatureShape, Fill, Method, Subject, logits_in_chunks, upsample};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::ops::{min_max_each, min_max_varying, weighted_sum};

/// Score-CAM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScoreCam {
    /// How scores become weights.
    pub weighting: Weighting,
    /// How a channel becomes a mask.
    pub masks: ChannelMasks,
    /// What is summed up.
    pub channels: Channels,
}

impl Default for ScoreCam {
    fn default() -> Self {
        Self {
            weighting: Weighting::Probability,
            masks: ChannelMasks::UpsampleFirst,
            channels: Channels::Raw,
        }
    }
}

/// How scores become weights of the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weighting {
    /// The class's softmax probability; a constant channel has none. The map of raw channels is made at the image's size.
    Probability,
    /// The class's logit, then a softmax over the channels; a constant channel counts as an empty image and the map
    /// stays at the channels' size.
    ChannelSoftmax,
}

/// How a channel becomes a mask of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelMasks {
    /// Upsampled with half-pixel centers, then min-max normalized: the largest value is 1.
    UpsampleFirst,
    /// Min-max normalized, then upsampled: an isolated peak stays below 1.
    NormalizeFirst,
    /// Upsampled so that the centers of corner cells fall on corner pixels, then min-max normalized.
    AlignedCorners,
}

/// Which channels are summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channels {
    /// The activations.
    Raw,
    /// Each min-max normalized, a constant one 0.
    Normalized,
}

impl Method for ScoreCam {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let channels = match self.channels {
            Channels::Raw => subject.features().shallow_clone(),
            Channels::Normalized => {
                min_max_each(&subject.features().transpose(0, 1)).transpose(0, 1)
            }
        };
        match self.weighting {
            Weighting::Probability => {
                let weights = self.scores(subject, 0.0, |logits| subject.probability(logits));
                let sum = weighted_sum(&channels, &weights);
                match self.channels {
                    Channels::Raw => upsample(&sum, subject.size()).relu(),
                    Channels::Normalized => sum.relu(),
                }
            }
            Weighting::ChannelSoftmax => {
                let empty = subject.with_image(subject.fill(Fill::Zero)).answer().logit;
                let scores = self.scores(subject, empty, |logits| subject.logit(logits));
                weighted_sum(&channels, &scores.softmax(0, None::<Kind>)).relu()
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

impl ScoreCam {
    /// One score a channel, `[K]`; a constant channel has the score `constant`.
    fn scores(
        &self,
        subject: &Subject<'_>,
        constant: f64,
        score: impl Fn(&Tensor) -> Tensor,
    ) -> Tensor {
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
            let channels = distinct.index_select(0, &chunk).unsqueeze(1);
            subject.image() * self.masks.of(&channels, subject.size())
        });
        scores.index_copy(0, &live, &score(&logits)).index_select(0, &which)
    }
}

impl ChannelMasks {
    /// Masks `[N, 1, H, W]` of channels `[N, 1, h, w]`, of which none is constant.
    fn of(self, channels: &Tensor, size: [i64; 2]) -> Tensor {
        match self {
            Self::UpsampleFirst => min_max_varying(&upsample(channels, size)),
            Self::NormalizeFirst => upsample(&min_max_varying(channels), size),
            Self::AlignedCorners => {
                min_max_varying(&channels.upsample_bilinear2d(size, true, None, None))
            }
        }
    }
}
