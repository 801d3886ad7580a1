//! Pointing game (Zhang et al. 2016, <https://arxiv.org/abs/1608.00507>).
//!
//! 1 where the map's largest value lies in a box of the image, or less than `tolerance` pixels from it, else 0. Ours: of
//! several equal maxima the share that hits, which is what a fair draw among them would score; the mean is over images,
//! and not first over each class's.

use cam_core::{About, Better, Explained, FeatureShape, Metric, Score};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

/// Pointing game; not defined for images without a box.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PointingGame {
    /// How near is a hit, in pixels of the network's input; 0 asks for a hit inside.
    pub tolerance: u32,
}

impl Default for PointingGame {
    fn default() -> Self {
        Self { tolerance: 15 }
    }
}

impl Metric for PointingGame {
    fn score(&self, explained: &Explained<'_>) -> Option<Score> {
        let goal = self.widened(explained.subject().region()?);
        let map = explained.map().unit();
        let maxima = map.eq_tensor(&map.max());
        let count = |truths: &Tensor| truths.sum(Kind::Int64).int64_value(&[]) as f64;
        Some((count(&maxima.logical_and(&goal)) / count(&maxima)).into())
    }

    fn needs_region(&self) -> bool {
        true
    }

    fn better(&self) -> Better {
        Better::Higher
    }

    fn about(&self) -> About {
        About {
            title: "Pointing game",
            summary: "whether the map's largest value lies in the object's box",
            source: "Zhang et al. 2016, arXiv 1608.00507",
        }
    }

    fn forwards(&self, _: u64, _: FeatureShape) -> u64 {
        0
    }
}

impl PointingGame {
    /// A region `[H, W]` with all that is nearer to it than the tolerance.
    fn widened(&self, region: &Tensor) -> Tensor {
        let reach = i64::from(self.tolerance);
        if reach == 0 {
            return region.shallow_clone();
        }
        let offsets = Tensor::arange_start(1 - reach, reach, (Kind::Int64, Device::Cpu)).square();
        let disc = (offsets.unsqueeze(0) + offsets.unsqueeze(1)).lt(reach * reach);
        let disc = disc.unsqueeze(0).unsqueeze(0).to_kind(Kind::Float).to_device(region.device());
        let _no_grad = tch::no_grad_guard();
        region
            .to_kind(Kind::Float)
            .unsqueeze(0)
            .unsqueeze(0)
            .conv2d(&disc, None::<Tensor>, 1, reach - 1, 1, 1)
            .gt(0.5)
            .view_as(region)
    }
}
