//! Infidelity (Yeh et al. 2019, <https://arxiv.org/abs/1901.09392>, square removal).
//!
//! `min_β mean_I (β Σ_{p in I} M_p - (f(x) - f(x without I)))²`, `f` the class's softmax probability, over squares `I` at
//! `n × n` places, evenly from edge to edge. A map is the share that a pixel has in the score, so what a square takes is
//! the sum of the map below it. Ours: a map has no scale, so the best factor β is part of the definition, as the authors'
//! code and Captum's `normalize` have it; all squares of a grid instead of random ones; no sampling error is left.

use cam_core::{About, Better, Explained, FeatureShape, Metric, Score, Squares};
use serde::{Deserialize, Serialize};
use tch::Kind;

use crate::mean;

/// Infidelity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Infidelity {
    /// Side of the square, in pixels.
    #[serde(deserialize_with = "cam_core::options::at_least_one")]
    pub window: u32,
    /// Places along each side of the image.
    #[serde(deserialize_with = "cam_core::options::at_least_one")]
    pub n: u32,
}

impl Default for Infidelity {
    fn default() -> Self {
        Self { window: 32, n: 13 }
    }
}

impl Metric for Infidelity {
    fn score(&self, explained: &Explained<'_>) -> Option<Score> {
        let subject = explained.subject();
        let squares = Squares { window: self.window, n: self.n };
        let clean = subject.confidence();
        let falls: Vec<f64> =
            subject.covered(squares).iter().map(|answer| clean - answer.probability).collect();
        let map = explained.map().unit().to_device(tch::Device::Cpu);
        let below: Vec<f64> = squares
            .over(subject.size())
            .into_iter()
            .map(|square| square.of(&map).sum(Kind::Double).double_value(&[]))
            .collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        // A map that squares see nothing of has no scale.
        let square = dot(&below, &below);
        let factor = if square == 0.0 { 0.0 } else { dot(&below, &falls) / square };
        let error = |(below, fall): (&f64, &f64)| (factor * below - fall).powi(2);
        Some(mean(below.iter().zip(&falls).map(error)).into())
    }

    fn better(&self) -> Better {
        Better::Lower
    }

    fn about(&self) -> About {
        About {
            title: "Infidelity",
            summary: "squared difference between the sum of the map over a square and the confidence lost there, at the best scale",
            source: "Yeh et al. 2019, arXiv 1901.09392",
        }
    }

    fn forwards(&self, _: u64, _: FeatureShape) -> u64 {
        u64::from(self.n).pow(2)
    }
}
