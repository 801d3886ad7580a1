//! Energy-based pointing game (Wang et al. 2020, Score-CAM, <https://arxiv.org/abs/1910.01279>).
//!
//! `Σ_{p in boxes} M_p / Σ_p M_p`: the share of the normalized map that lies in the object's boxes. A constant map scores the
//! boxes' share of the area. On collages (`layout: grid`) it is GridPG (Rao et al. 2022,
//! <https://arxiv.org/abs/2205.10435>). What bicubic upsampling puts beyond [0, 1] is cut off.

use cam_core::{About, Better, Explained, FeatureShape, Metric, Score};
use serde::{Deserialize, Serialize};
use tch::Kind;

/// Energy-based pointing game; not defined for images without a box.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EnergyPointingGame {}

impl Metric for EnergyPointingGame {
    fn score(&self, explained: &Explained<'_>) -> Option<Score> {
        let region = explained.subject().region()?;
        let map = explained.map().unit().clamp(0.0, 1.0).to_kind(Kind::Double);
        let inside = (&map * region).sum(Kind::Double) / map.sum(Kind::Double);
        Some(inside.double_value(&[]).clamp(0.0, 1.0).into())
    }

    fn needs_region(&self) -> bool {
        true
    }

    fn better(&self) -> Better {
        Better::Higher
    }

    fn about(&self) -> About {
        About {
            title: "Energy pointing game",
            summary: "share of the map that lies in the object's boxes",
            source: "Wang et al. 2020, arXiv 1910.01279",
        }
    }

    fn forwards(&self, _: u64, _: FeatureShape) -> u64 {
        0
    }
}
