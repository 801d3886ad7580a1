//! Average Drop (Chattopadhay et al. 2018, <https://arxiv.org/abs/1710.11063>, section 4.1).
//!
//! `max(0, y - o) / y` with `y` the class's softmax probability on the image and `o` on the explanation image `x ⊙ M`.
//! Ours: both are of the class under explanation (the code of the ADCC paper takes the largest probability for `y`), and a
//! probability of exactly 0 cannot drop.

use cam_core::{About, Better, Explained, Metric, Probe, Score};
use serde::{Deserialize, Serialize};

/// Average Drop, of one image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Drop {}

impl Metric for Drop {
    fn score(&self, explained: &Explained<'_>) -> Option<Score> {
        let (y, o) = (explained.subject().confidence(), explained.masked().confidence());
        let drop = if y == 0.0 { 0.0 } else { (y - o) / y };
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

    fn forwards(&self, _: u64) -> u64 {
        1
    }
}
