//! Effective complexity (`EffectiveComplexity` of Quantus,
//! <https://github.com/understandable-machine-intelligence-lab/Quantus>).
//!
//! The share of pixels above a threshold, `mean(M > 1e-5)`. Nguyen and Martínez (2020, <https://arxiv.org/abs/2007.07584>),
//! whom Quantus cites, define it otherwise: as the fewest features with which the network's expected loss stays below a
//! bound. Ours: Quantus' count divided by the number of pixels.

use cam_core::{About, Better, Explained, FeatureShape, Metric, Score};
use serde::{Deserialize, Serialize};
use tch::Kind;

/// Effective complexity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EffectiveComplexity {
    /// What counts as nothing, of a map in `[0, 1]`.
    #[serde(deserialize_with = "cam_core::options::not_negative")]
    pub threshold: f64,
}

impl Default for EffectiveComplexity {
    fn default() -> Self {
        Self { threshold: 1e-5 }
    }
}

impl Metric for EffectiveComplexity {
    fn score(&self, explained: &Explained<'_>) -> Option<Score> {
        let counts = explained.map().unit().gt(self.threshold);
        Some(counts.to_kind(Kind::Double).mean(Kind::Double).double_value(&[]).into())
    }

    fn better(&self) -> Better {
        Better::Lower
    }

    fn about(&self) -> About {
        About {
            title: "Effective complexity",
            summary: "share of the pixels at which the map exceeds a small threshold",
            source: "Quantus; defined otherwise by Nguyen and Martinez 2020, arXiv 2007.07584",
        }
    }

    fn forwards(&self, _: u64, _: FeatureShape) -> u64 {
        0
    }
}
