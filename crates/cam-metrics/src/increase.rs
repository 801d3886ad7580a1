//! Increase in confidence (Chattopadhay et al. 2018, <https://arxiv.org/abs/1710.11063>, section 4.1).
//!
//! 1 where the class's softmax probability on the explanation image is larger than on the image (strictly), else 0.

use cam_core::{About, Better, Explained, FeatureShape, Metric, Output, Probe, Score};
use serde::{Deserialize, Serialize};

/// Increase in confidence, of one image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Increase {
    /// What is compared.
    pub score: Output,
}

impl Default for Increase {
    fn default() -> Self {
        Self { score: Output::Softmax }
    }
}

impl Metric for Increase {
    fn score(&self, explained: &Explained<'_>) -> Option<Score> {
        let [y, o] = [explained.subject(), explained.masked()]
            .map(|subject| self.score.of_answer(subject.answer()));
        // A comparison with NaN is false; a network that broke has not answered.
        let broke = y.is_nan() || o.is_nan();
        Some(if broke { f64::NAN } else { f64::from(u8::from(o > y)) }.into())
    }

    fn probes(&self, _: [i64; 2]) -> Vec<Probe> {
        vec![Probe::Masked]
    }

    fn better(&self) -> Better {
        Better::Higher
    }

    fn about(&self) -> About {
        About {
            title: "Increase",
            summary: "whether the explanation image raises the confidence",
            source: "Chattopadhay et al. 2018, arXiv 1710.11063",
        }
    }

    fn forwards(&self, _: u64, _: FeatureShape) -> u64 {
        1
    }
}
