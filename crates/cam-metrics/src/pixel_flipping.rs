//! Pixel flipping (Bach et al. 2015, <https://doi.org/10.1371/journal.pone.0130140>; Samek et al. 2017,
//! <https://arxiv.org/abs/1509.06321>).
//!
//! The area under the class's softmax probability while pixels are replaced by the image's smallest value, the most
//! salient first: deletion to black. Ours: all channels of a pixel go at once, and the area is deletion's.

use cam_core::{About, Better, Explained, FeatureShape, Fill, Metric, Order, Output, Probe, Score};
use serde::{Deserialize, Serialize};

use crate::perturbation::{Area, Direction, Perturbation, Sampling, Unit};

/// Pixel flipping.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PixelFlipping {
    /// Intervals of the curve: 224 on a 224×224 image replaces 224 pixels at a time.
    #[serde(deserialize_with = "cam_core::options::at_least_one")]
    pub steps: u32,
    /// What replaces a pixel.
    pub fill: Fill,
    /// Which pixels go first: the most salient ones, or the least salient ones as a control, where more is better.
    pub order: Order,
}

impl Default for PixelFlipping {
    fn default() -> Self {
        Self { steps: 224, fill: Fill::Minimum, order: Order::MostSalient }
    }
}

impl Metric for PixelFlipping {
    fn score(&self, explained: &Explained<'_>) -> Option<Score> {
        Some(self.perturbation().score(explained))
    }

    fn probes(&self, size: [i64; 2]) -> Vec<Probe> {
        self.perturbation().probes(size)
    }

    fn better(&self) -> Better {
        self.perturbation().better()
    }

    fn about(&self) -> About {
        About {
            title: "Pixel flipping",
            summary: "area under the confidence while pixels turn black, the most salient first",
            source: "Bach et al. 2015, doi 10.1371/journal.pone.0130140",
        }
    }

    fn forwards(&self, _: u64, features: FeatureShape) -> u64 {
        self.perturbation().forwards(features)
    }
}

impl PixelFlipping {
    fn perturbation(&self) -> Perturbation {
        let Self { steps, fill, order } = *self;
        Perturbation {
            direction: Direction::Delete,
            unit: Unit::Pixels,
            order,
            fill,
            steps,
            sampling: Sampling::EveryStep,
            score: Output::Softmax,
            area: Area::Trapezoid,
        }
    }
}
