//! What a metric is, and all that it may look at.

use std::cell::OnceCell;

use tch::Tensor;

use crate::{About, Map, Method, Subject};

/// A measure of one explanation.
///
/// A metric does no input or output and holds no state between images; it sees one image at a time.
pub trait Metric {
    /// The score of one explained image, or `None` where it is not defined (coherency of a map that cannot be made
    /// again).
    fn score(&self, explained: &Explained<'_>) -> Option<Score>;

    /// Which direction is good.
    fn better(&self) -> Better;

    /// Name and source for people.
    fn about(&self) -> About;

    /// How many images pass through the network for one score, `method_forwards` being the cost of one explanation.
    fn forwards(&self, method_forwards: u64) -> u64;
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

/// A subject with its map: all that a metric may look at.
pub struct Explained<'a> {
    subject: &'a Subject<'a>,
    map: &'a Map,
    method: Option<&'a dyn Method>,
    masked: OnceCell<Subject<'a>>,
}

impl<'a> Explained<'a> {
    /// `method` is what made the map, where it can be asked again.
    pub fn new(subject: &'a Subject<'a>, map: &'a Map, method: Option<&'a dyn Method>) -> Self {
        Self { subject, map, method, masked: OnceCell::new() }
    }

    /// The image and the class.
    pub fn subject(&self) -> &Subject<'a> {
        self.subject
    }

    /// The map under test.
    pub fn map(&self) -> &Map {
        self.map
    }

    /// The explanation image `x ⊙ M`, in normalized space, as a subject of its own; made once for all metrics.
    pub fn masked(&self) -> &Subject<'a> {
        self.masked.get_or_init(|| self.subject.with_image(self.subject.image() * self.map.unit()))
    }

    /// The same method on the explanation image: a raw map `[h, w]`, or `None` where the map was imported.
    pub fn explain_masked(&self) -> Option<Tensor> {
        self.method.map(|method| method.explain(self.masked()))
    }
}
