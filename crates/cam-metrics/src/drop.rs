//! Average Drop (Chattopadhay et al. 2018, <https://arxiv.org/abs/1710.11063>, section 4.1).
//!
//! `max(0, y - o) / y` with `y` the class's softmax probability on the image and `o` on the explanation image `x ⊙ M`.
//! Ours: both are of the class under explanation (the code of the ADCC paper takes the largest probability for `y`:
//! `reference: largest`), and of a probability of exactly 0 there is no share, and so no score.

use cam_core::{About, Better, Explained, FeatureShape, Metric, Probe, Score};
use serde::{Deserialize, Serialize};
use tch::Kind;

/// Average Drop, of one image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Drop {
    /// What the probability falls from.
    pub reference: Reference,
}

impl Default for Drop {
    fn default() -> Self {
        Self { reference: Reference::Class }
    }
}

/// The probability on the image that another one is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    /// That of the class under explanation.
    Class,
    /// The largest one, whichever class is explained.
    Largest,
}

impl Metric for Drop {
    fn score(&self, explained: &Explained<'_>) -> Option<Score> {
        let subject = explained.subject();
        let y = match self.reference {
            Reference::Class => subject.confidence(),
            Reference::Largest => {
                subject.logits().softmax(-1, None::<Kind>).max().double_value(&[])
            }
        };
        let o = explained.masked().confidence();
        if y == 0.0 {
            return None;
        }
        let drop = (y - o) / y;
        // Not `max`, which would make a perfect score of NaN.
        Some(if drop < 0.0 { 0.0 } else { drop }.into())
    }

    fn probes(&self, _: [i64; 2]) -> Vec<Probe> {
        vec![Probe::Masked]
    }

    fn better(&self) -> Better {
        Better::Lower
    }

    fn about(&self) -> About {
        About {
            title: "Drop",
            summary: "share of the confidence that is lost on the explanation image",
            source: "Chattopadhay et al. 2018, arXiv 1710.11063",
        }
    }

    fn forwards(&self, _: u64, _: FeatureShape) -> u64 {
        1
    }
}
