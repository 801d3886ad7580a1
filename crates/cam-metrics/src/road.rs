//! ROAD, remove and debias (Rong et al. 2022, <https://arxiv.org/abs/2202.00449>), least and most relevant combined as in
//! pytorch-grad-cam.
//!
//! `mean_s (f(x without the s least salient) - f(x without the s most salient)) / 2`, `f` the class's softmax probability. Pixels
//! that are removed are imputed from their neighbors with a little noise, so that the hole itself reveals less than one of
//! a single color. The shares `s` are 10 to 90 percent. Ours: noise from the image's seed, and exact shares of pixels,
//! equal values in row-major order.

use cam_core::{About, Better, Explained, FeatureShape, Metric, Order, Probe, Score};
use serde::{Deserialize, Serialize};

use crate::mean;

/// ROAD, combined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Road {
    /// Shares of pixels that are taken away, one after the other.
    #[serde(deserialize_with = "cam_core::options::open_shares")]
    pub removed: Vec<f64>,
}

impl Default for Road {
    fn default() -> Self {
        Self { removed: (1..10).map(|tenth| f64::from(tenth) / 10.0).collect() }
    }
}

impl Metric for Road {
    fn score(&self, explained: &Explained<'_>) -> Option<Score> {
        let answers = explained.answers(&self.probes(explained.subject().size()));
        let (most, least) = answers.split_at(self.removed.len());
        let pairs = least.iter().zip(most);
        Some(mean(pairs.map(|(least, most)| (least.probability - most.probability) / 2.0)).into())
    }

    fn probes(&self, [height, width]: [i64; 2]) -> Vec<Probe> {
        let n_pixels = height * width;
        let left = |share: &f64| n_pixels - (share * n_pixels as f64).round() as i64;
        // Without the most salient, the least salient are left.
        [Order::LeastSalient, Order::MostSalient]
            .into_iter()
            .flat_map(|order| {
                let probe = move |share| Probe::Imputed { pixels: left(share).max(1), order };
                self.removed.iter().map(probe)
            })
            .collect()
    }

    fn better(&self) -> Better {
        Better::Higher
    }

    fn range(&self) -> std::ops::RangeInclusive<f64> {
        -0.5..=0.5
    }

    fn about(&self) -> About {
        About {
            title: "ROAD",
            summary: "half of how much more confidence is lost without the most salient pixels than without the least, imputed",
            source: "Rong et al. 2022, arXiv 2202.00449",
        }
    }

    fn forwards(&self, _: u64, _: FeatureShape) -> u64 {
        2 * self.removed.len() as u64
    }
}
