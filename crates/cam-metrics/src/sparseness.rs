//! Sparseness (Chalasani et al. 2020, <https://arxiv.org/abs/1810.06583>).
//!
//! The Gini index of the normalized map, its values `a_1 ≤ .. ≤ a_n` in order: `Σ_i (2i - n - 1) a_i / (n Σ_i a_i)`. A constant map
//! has 0, a single pixel `(n - 1) / n`. Ours: without an epsilon. What bicubic upsampling puts beyond [0, 1] is cut off.

use cam_core::{About, Better, Explained, FeatureShape, Metric, Score};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// Sparseness.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sparseness {}

impl Metric for Sparseness {
    fn score(&self, explained: &Explained<'_>) -> Option<Score> {
        let map = explained.map().unit().clamp(0.0, 1.0).to_kind(Kind::Double);
        let values = map.flatten(0, -1).sort(0, false).0;
        let n = values.numel() as i64;
        let weights = Tensor::arange(n, (Kind::Double, values.device())) * 2 + (1 - n);
        let sum = values.sum(Kind::Double).double_value(&[]);
        let gini = (weights * values).sum(Kind::Double).double_value(&[]) / (n as f64 * sum);
        // Rounding may bring a constant map below 0.
        Some(gini.clamp(0.0, 1.0).into())
    }

    fn better(&self) -> Better {
        Better::Higher
    }

    fn about(&self) -> About {
        About {
            title: "Sparseness",
            summary: "Gini index of the normalized map",
            source: "Chalasani et al. 2020, arXiv 1810.06583",
        }
    }

    fn forwards(&self, _: u64, _: FeatureShape) -> u64 {
        0
    }
}
