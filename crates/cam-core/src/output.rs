//! Which number of a network's output is meant.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::{Answer, Subject};

/// Which number of the network's output is explained or measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// The class's logit.
    Logit,
    /// The class's softmax probability.
    Softmax,
}

impl Output {
    /// That number of logits `[N, C]`: `[N]`.
    pub fn of(self, subject: &Subject<'_>, logits: &Tensor) -> Tensor {
        match self {
            Self::Logit => subject.logit(logits),
            Self::Softmax => subject.probability(logits),
        }
    }

    /// Between which values it lies.
    pub fn range(self) -> RangeInclusive<f64> {
        match self {
            Self::Logit => f64::NEG_INFINITY..=f64::INFINITY,
            Self::Softmax => 0.0..=1.0,
        }
    }

    /// That number of an answer.
    pub fn of_answer(self, answer: Answer) -> f64 {
        match self {
            Self::Logit => answer.logit,
            Self::Softmax => answer.probability,
        }
    }
}
