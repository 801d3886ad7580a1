//! Recipro-CAM (Byun and Lee 2022, <https://arxiv.org/abs/2209.14074>).
//!
//! `M(i, j) = g_c(m_ij ⊙ F)`: the head's output when it sees one position of the activations and zeros elsewhere, for every
//! position. With `gaussian`, the position's column is spread over its 3×3 neighborhood by `[1 2 1]ᵀ[1 2 1] / 16`, cut off
//! at the border and not renormalized (the authors' convolutional version). Ours: `score: logit` is the default as the
//! paper's text has it (its code takes `softmax`), and a pooled linear head needs one matrix product for all positions.

use cam_core::{About, Cost, FeatureShape, Method, Subject, head_in_chunks};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::Output;
use crate::ops::position_masks;

/// Recipro-CAM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReciproCam {
    /// What the map is made of: the logit, or the softmax probability as in the authors' code.
    pub score: Output,
    /// Whether a position is spread over its neighborhood.
    pub gaussian: bool,
}

impl Default for ReciproCam {
    fn default() -> Self {
        Self { score: Output::Logit, gaussian: false }
    }
}

impl Method for ReciproCam {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let _no_grad = tch::no_grad_guard();
        let shape = FeatureShape::of(subject.features());
        let masks = position_masks(shape, self.gaussian, subject.features());
        // `[h·w, K]`: the column of activations at every position.
        let columns = subject.features().squeeze_dim(0).flatten(1, 2).transpose(0, 1);
        let logits = if let Some(head) = subject.classifier().pooled_linear_head() {
            let mass = masks.mean_dim(&[1_i64, 2, 3][..], false, None::<Kind>);
            (columns * mass.unsqueeze(1)).linear(&head.weight, Some(&head.bias))
        } else {
            head_in_chunks(subject.classifier(), subject.tokens(), shape.positions(), |range| {
                let len = range.end - range.start;
                columns.narrow(0, range.start, len).unsqueeze(-1).unsqueeze(-1)
                    * masks.narrow(0, range.start, len)
            })
        };
        self.score.of(subject, &logits).view([shape.height, shape.width])
    }

    fn cost(&self, features: FeatureShape) -> Cost {
        Cost { forwards: 1, head_forwards: features.positions() as u64, ..Cost::default() }
    }

    fn about(&self) -> About {
        About {
            title: "Recipro-CAM",
            summary: "the head's output for each position of the activations alone",
            source: "Byun and Lee 2022, arXiv 2209.14074",
        }
    }
}
