//! Coherency (Poppi et al. 2021, <https://arxiv.org/abs/2104.10252>).
//!
//! `(1 + ρ) / 2` with `ρ` Pearson's correlation of the image's map with the map of the explanation image `x ⊙ M`, same
//! class, at the image's size (`at: layer`: at the layer's). Ours: a second map that is constant counts as correlation 0, and a
//! random method draws from the same seed for both maps.

use cam_core::{About, Better, Degenerate, Explained, FeatureShape, Metric, Probe, Score};
use serde::{Deserialize, Serialize};

use crate::{Resolution, correlation::pearson};

/// Coherency; not defined for imported maps, which cannot be made again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Coherency {
    /// At which size the two maps are compared.
    pub at: Resolution,
}

impl Default for Coherency {
    fn default() -> Self {
        Self { at: Resolution::Image }
    }
}

impl Metric for Coherency {
    fn score(&self, explained: &Explained<'_>) -> Option<Score> {
        let map = explained.map();
        let correlation = match map.again(explained.explain_masked()?) {
            Ok(again) => pearson(&self.at.of(explained, map), &self.at.of(explained, &again)),
            Err(Degenerate::Constant) => 0.0,
            Err(Degenerate::NotFinite) => f64::NAN,
        };
        Some(f64::midpoint(1.0, correlation).into())
    }

    fn probes(&self, _: [i64; 2]) -> Vec<Probe> {
        vec![Probe::Masked]
    }

    fn better(&self) -> Better {
        Better::Higher
    }

    fn about(&self) -> About {
        About {
            title: "Coherency",
            summary: "correlation of the map with the map of the explanation image, from 0 to 1",
            source: "Poppi et al. 2021, arXiv 2104.10252",
        }
    }

    fn forwards(&self, method_forwards: u64, _: FeatureShape) -> u64 {
        method_forwards
    }
}
