//! Complexity (Poppi et al. 2021, <https://arxiv.org/abs/2104.10252>).
//!
//! The mean of the normalized map: its L1 norm over its number of pixels. Ours: at the image's size, where it equals the
//! mean of the small map for integer factors; `at: layer` is the mean of the small map, as Recipro-CAM's authors compute it.

use cam_core::{About, Better, Explained, Map, Metric, Score};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

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

/// At which size maps are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// The image's, `[H, W]`.
    Image,
    /// That of the layer under explanation, `[h, w]`; larger maps are averaged.
    Layer,
}

impl Resolution {
    /// A normalized map at that size.
    pub(crate) fn of(self, explained: &Explained<'_>, map: &Map) -> Tensor {
        match self {
            Self::Image => map.unit().shallow_clone(),
            Self::Layer => explained.at_layer(map),
        }
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

    fn forwards(&self, _: u64) -> u64 {
        0
    }
}
