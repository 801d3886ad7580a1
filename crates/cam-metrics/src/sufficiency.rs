//! Sufficiency (DeYoung et al. 2020, ERASER, <https://arxiv.org/abs/1911.03429>).
//!
//! `y - mean_k o_k`, with `y` the class's softmax probability on the image and `o_k` where only the most salient share `k` of
//! the pixels is left. The shares are the paper's: 1, 5, 10, 20 and 50 percent. Ours: pixels take the place of tokens, and
//! those that are not left are 0 in normalized space. Quantus has another metric of this name, over pairs of images.

use cam_core::{About, Better, Explained, FeatureShape, Fill, Metric, Order, Probe, Score};
use serde::{Deserialize, Serialize};

use crate::mean;

/// Sufficiency.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sufficiency {
    /// Shares of pixels that are left, one after the other; at least one pixel each.
    #[serde(deserialize_with = "cam_core::options::open_shares")]
    pub kept: Vec<f64>,
    /// What stands everywhere else.
    pub fill: Fill,
}

impl Default for Sufficiency {
    fn default() -> Self {
        Self { kept: vec![0.01, 0.05, 0.1, 0.2, 0.5], fill: Fill::Zero }
    }
}

impl Metric for Sufficiency {
    fn score(&self, explained: &Explained<'_>) -> Option<Score> {
        let answers = explained.answers(&self.probes(explained.subject().size()));
        let left = mean(answers.iter().map(|answer| answer.probability));
        Some((explained.subject().confidence() - left).into())
    }

    fn probes(&self, [height, width]: [i64; 2]) -> Vec<Probe> {
        let n_pixels = height * width;
        let pixels = |share: &f64| ((share * n_pixels as f64).round() as i64).max(1);
        let order = Order::MostSalient;
        let probe = |share| Probe::Kept { pixels: pixels(share), order, fill: self.fill };
        self.kept.iter().map(probe).collect()
    }

    fn better(&self) -> Better {
        Better::Lower
    }

    fn range(&self) -> std::ops::RangeInclusive<f64> {
        -1.0..=1.0
    }

    fn about(&self) -> About {
        About {
            title: "Sufficiency",
            summary: "confidence that is lost where only the most salient pixels are left",
            source: "DeYoung et al. 2020, arXiv 1911.03429",
        }
    }

    fn forwards(&self, _: u64, _: FeatureShape) -> u64 {
        self.kept.len() as u64
    }
}
