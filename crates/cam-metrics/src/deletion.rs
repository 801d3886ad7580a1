//! Deletion (Petsiuk et al. 2018, <https://arxiv.org/abs/1806.07421>, section 4.2).
//!
//! The area under the class's softmax probability (`score: logit`: its logit) while pixels are replaced, the most salient first.
//! Ours: equal values go in row-major order, and the trapezoid rule takes both end points at their true share of pixels.

use std::ops::RangeInclusive;

use cam_core::{About, Better, Explained, FeatureShape, Fill, Metric, Order, Output, Probe, Score};
use serde::{Deserialize, Serialize};

use crate::perturbation::{Area, Direction, Perturbation, Sampling, Unit};

/// Deletion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deletion {
    /// Intervals of the curve: 224 on a 224×224 image replaces 224 pixels at a time.
    #[serde(deserialize_with = "cam_core::options::at_least_one")]
    pub steps: u32,
    /// What goes at a time; there are no more steps than there are of it.
    pub unit: Unit,
    /// What replaces a pixel.
    pub fill: Fill,
    /// Which pixels go first: the most salient ones, or the least salient ones as a control, where more is better.
    pub order: Order,
    /// Which points of the curve go through the network.
    pub sampling: Sampling,
    /// What is measured.
    pub score: Output,
    /// How the area under the curve is computed.
    pub area: Area,
}

impl Default for Deletion {
    fn default() -> Self {
        Self {
            steps: 224,
            unit: Unit::Pixels,
            fill: Fill::Zero,
            order: Order::MostSalient,
            sampling: Sampling::EveryStep,
            score: Output::Softmax,
            area: Area::Trapezoid,
        }
    }
}

impl Metric for Deletion {
    fn score(&self, explained: &Explained<'_>) -> Option<Score> {
        Some(self.perturbation().score(explained))
    }

    fn probes(&self, size: [i64; 2]) -> Vec<Probe> {
        self.perturbation().probes(size)
    }

    fn better(&self) -> Better {
        self.perturbation().better()
    }

    fn range(&self) -> RangeInclusive<f64> {
        self.score.range()
    }

    fn about(&self) -> About {
        About {
            title: "Deletion",
            summary: "area under the confidence while pixels are removed, the most salient first",
            source: "Petsiuk et al. 2018, arXiv 1806.07421",
        }
    }

    fn forwards(&self, _: u64, features: FeatureShape) -> u64 {
        self.perturbation().forwards(features)
    }
}

impl Deletion {
    /// The score that a curve over so many pixels or cells makes; `None` where these options make curves of another length.
    pub fn area_under(&self, curve: &[f64], n_units: i64) -> Option<f64> {
        self.perturbation().area_under(curve, n_units)
    }

    fn perturbation(&self) -> Perturbation {
        let Self { steps, unit, fill, order, sampling, score, area } = *self;
        Perturbation {
            direction: Direction::Delete,
            unit,
            order,
            fill,
            steps,
            sampling,
            score,
            area,
        }
    }
}
