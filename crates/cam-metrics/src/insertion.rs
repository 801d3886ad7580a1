//! Insertion (Petsiuk et al. 2018, <https://arxiv.org/abs/1806.07421>, section 4.2).
//!
//! The area under the class's softmax probability (`score: logit`: its logit) while a blurred image gets its pixels back,
//! the most salient first. Ours: the exact blur of the authors' evaluation code, equal values in row-major order, both end
//! points in the area.

use std::ops::RangeInclusive;

use cam_core::{About, Better, Explained, FeatureShape, Fill, Metric, Order, Output, Probe, Score};
use serde::{Deserialize, Serialize};

use crate::perturbation::{Area, Direction, Perturbation, Sampling, Unit};

/// Insertion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Insertion {
    /// Intervals of the curve: 224 on a 224×224 image restores 224 pixels at a time.
    #[serde(deserialize_with = "cam_core::options::at_least_one")]
    pub steps: u32,
    /// What comes back at a time; there are no more steps than there are of it.
    pub unit: Unit,
    /// What the curve starts from.
    pub start: Fill,
    /// Which pixels come back first: the most salient ones, or the least salient ones as a control, where less is better.
    pub order: Order,
    /// Which points of the curve go through the network.
    pub sampling: Sampling,
    /// What is measured.
    pub score: Output,
    /// How the area under the curve is computed.
    pub area: Area,
}

impl Default for Insertion {
    fn default() -> Self {
        Self {
            steps: 224,
            unit: Unit::Pixels,
            start: Fill::Blur,
            order: Order::MostSalient,
            sampling: Sampling::EveryStep,
            score: Output::Softmax,
            area: Area::Trapezoid,
        }
    }
}

impl Metric for Insertion {
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
            title: "Insertion",
            summary: "area under the confidence while pixels are restored, the most salient first",
            source: "Petsiuk et al. 2018, arXiv 1806.07421",
        }
    }

    fn forwards(&self, _: u64, features: FeatureShape) -> u64 {
        self.perturbation().forwards(features)
    }
}

impl Insertion {
    /// The score that a curve over so many pixels or cells makes; `None` where these options make curves of another length.
    pub fn area_under(&self, curve: &[f64], n_units: i64) -> Option<f64> {
        self.perturbation().area_under(curve, n_units)
    }

    fn perturbation(&self) -> Perturbation {
        let Self { steps, unit, start: fill, order, sampling, score, area } = *self;
        Perturbation {
            direction: Direction::Insert,
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
