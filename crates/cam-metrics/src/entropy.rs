//! Entropy complexity (Bhatt et al. 2020, <https://arxiv.org/abs/2005.00631>).
//!
//! `-Σ_i p_i ln p_i / ln n`, `p = M / Σ M`, over the `n` pixels: 1 for a constant map, 0 for a single pixel. Ours: divided by its
//! largest value `ln n`, so that it is a fraction; times `ln n` it is the "Complexity" of Quantus, Xplique and LATEC. What bicubic
//! upsampling puts beyond [0, 1] is cut off.

use cam_core::{About, Better, Explained, FeatureShape, Metric, Score};
use serde::{Deserialize, Serialize};
use tch::Kind;

/// Entropy complexity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Entropy {}

impl Metric for Entropy {
    fn score(&self, explained: &Explained<'_>) -> Option<Score> {
        let map = explained.map().unit().clamp(0.0, 1.0).to_kind(Kind::Double);
        let shares = &map / map.sum(Kind::Double);
        let entropy = -shares.xlogy(&shares).sum(Kind::Double).double_value(&[]);
        let largest = (map.numel() as f64).ln();
        // An image of one pixel has nothing to spread.
        Some(if largest > 0.0 { (entropy / largest).clamp(0.0, 1.0) } else { 0.0 }.into())
    }

    fn better(&self) -> Better {
        Better::Lower
    }

    fn about(&self) -> About {
        About {
            title: "Entropy",
            summary: "entropy of the map's distribution over pixels, as a share of the largest",
            source: "Bhatt et al. 2020, arXiv 2005.00631",
        }
    }

    fn forwards(&self, _: u64, _: FeatureShape) -> u64 {
        0
    }
}
