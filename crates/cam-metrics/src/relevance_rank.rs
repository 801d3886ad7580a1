//! Relevance rank accuracy (Arras et al. 2022, CLEVR-XAI, <https://arxiv.org/abs/2003.07258>).
//!
//! Of the `k` most salient pixels the share that lies in the object's boxes, `k` the number of pixels in these. Ours: equal
//! values in row-major order.

use cam_core::{About, Better, Explained, FeatureShape, Metric, Score};
use serde::{Deserialize, Serialize};
use tch::Kind;

/// Relevance rank accuracy; not defined for images without a box.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelevanceRank {}

impl Metric for RelevanceRank {
    fn score(&self, explained: &Explained<'_>) -> Option<Score> {
        let region = explained.subject().region()?;
        let n_inside = region.sum(Kind::Int64);
        let is_first = explained.ranks().less_tensor(&n_inside).view_as(region);
        let n_hits = is_first.logical_and(region).sum(Kind::Int64);
        Some((n_hits.int64_value(&[]) as f64 / n_inside.int64_value(&[]) as f64).into())
    }

    fn needs_region(&self) -> bool {
        true
    }

    fn better(&self) -> Better {
        Better::Higher
    }

    fn about(&self) -> About {
        About {
            title: "Relevance rank accuracy",
            summary: "share of the most salient pixels, as many as the object's boxes have, that lie in the boxes",
            source: "Arras et al. 2022, arXiv 2003.07258",
        }
    }

    fn forwards(&self, _: u64, _: FeatureShape) -> u64 {
        0
    }
}
