//! What a metric is.

use std::ops::RangeInclusive;

use crate::{About, Explained, FeatureShape, Probe};

/// A measure of one explanation.
///
/// A metric does no input or output and holds no state between images; it sees one image at a time.
pub trait Metric {
    /// The score of one explained image, or `None` where it is not defined (coherency of a map that cannot be made
    /// again).
    fn score(&self, explained: &Explained<'_>) -> Option<Score>;

    /// The images that the score is sure to need for an image of `[H, W]`; those of all metrics go through the network
    /// together, each once.
    fn probes(&self, _size: [i64; 2]) -> Vec<Probe> {
        vec![]
    }

    /// Whether it is defined only for images of which a list says where the object is.
    fn needs_region(&self) -> bool {
        false
    }

    /// Which direction is good.
    fn better(&self) -> Better;

    /// Between which values its scores lie.
    fn range(&self) -> RangeInclusive<f64> {
        0.0..=1.0
    }

    /// The bad end of the range, which a degenerate map has under the policy of that name; `None` where scores have no end.
    fn worst(&self) -> Option<f64> {
        let worst = match self.better() {
            Better::Higher => *self.range().start(),
            Better::Lower => *self.range().end(),
        };
        worst.is_finite().then_some(worst)
    }

    /// Name and source for people.
    fn about(&self) -> About;

    /// How many images pass through the network for one score, where an explanation takes `method_forwards` of them and
    /// activations have this shape.
    fn forwards(&self, method_forwards: u64, features: FeatureShape) -> u64;
}

/// Which direction of a metric is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
}

/// A number, and the curve that it is the area of, where it is one.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// A fraction, not percent.
    pub value: f64,
    /// Confidence after 0, 1, .., n steps.
    pub curve: Option<Vec<f64>>,
}

impl From<f64> for Score {
    fn from(value: f64) -> Self {
        Self { value, curve: None }
    }
}
