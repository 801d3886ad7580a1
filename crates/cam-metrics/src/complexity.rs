//! Complexity (Poppi et al. 2021, <https://arxiv.org/abs/2104.10252>).
//!
//! The mean of the normalized map: its L1 norm over its number of pixels. Ours: at the image's size, where it equals the
//! mean of the small map for integer factors; `at: layer` is the mean of the small map, as Recipro-CAM's authors compute it.

use cam_core::{About, Better, Explained, FeatureShape, Metric, Score};
use serde::{Deserialize, Serialize};
use tch::Kind;

use crate::Resolution;

/// Complexity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Complexity {
    /// At which size.
    pub at: Resolution,
}

impl Default for Complexity {
    fn default() -> Self {
        Self { at: Resolution::Image }
    }
}

impl Metric for Complexity {
    fn score(&self, explained: &Explained<'_>) -> Option<Score> {
        let map = self.at.of(explained, explained.map());
        Some(map.mean(Kind::Double).double_value(&[]).into())
    }

    fn better(&self) -> Better {
        Better::Lower
    }

    fn about(&self) -> About {
        About {
            title: "Complexity",
            summary: "mean of the normalized map",
            source: "Poppi et al. 2021, arXiv 2104.10252",
        }
    }

    fn forwards(&self, _: u64, _: FeatureShape) -> u64 {
        0
    }
}
