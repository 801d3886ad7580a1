//! Average Gain (Zhang et al. 2024, Opti-CAM, <https://arxiv.org/abs/2301.07002>).
//!
//! `max(0, o - y) / (1 - y)` with `y` the class's softmax probability on the image and `o` on the explanation image `x ⊙ M`:
//! the counterpart of average drop. Ours: a probability of exactly 1 cannot gain.

use cam_core::{About, Better, Explained, FeatureShape, Metric, Probe, Score};
use serde::{Deserialize, Serialize};

/// Average Gain, of one image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AverageGain {}

impl Metric for AverageGain {
    fn score(&self, explained: &Explained<'_>) -> Option<Score> {
        let (y, o) = (explained.subject().confidence(), explained.masked().confidence());
        // Not `max` and `min`, which would make scores of NaN.
        Some(if y >= 1.0 { 0.0 } else { ((o - y) / (1.0 - y)).clamp(0.0, 1.0) }.into())
    }

    fn probes(&self, _: [i64; 2]) -> Vec<Probe> {
        vec![Probe::Masked]
    }

    fn better(&self) -> Better {
        Better::Higher
    }

    fn about(&self) -> About {
        About {
            title: "Average Gain",
            summary: "share of the missing confidence that the explanation image adds",
            source: "Zhang et al. 2024, arXiv 2301.07002",
        }
    }

    fn forwards(&self, _: u64, _: FeatureShape) -> u64 {
        1
    }
}
