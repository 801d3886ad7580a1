//! ViT-Recipro-CAM (Byun and Lee 2023, <https://arxiv.org/abs/2310.02588>).
//!
//! `M(i, j) = g_c(class token, m_ij ⊙ F)`: the head's output when it sees the tokens of one neighborhood and zeros
//! elsewhere, for every position. The mask `m_ij` is `[1 2 1]ᵀ[1 2 1] / 16` around the position, cut off at the border, or
//! one position alone; every token keeps its own features, while Recipro-CAM's Gaussian spreads those of the middle.
//! Ours: F is masked at the cut, in the shortcut around the next block too (the authors' code leaves that intact);
//! `score: logit` is the default, their code takes `softmax`; without class tokens it runs on any network.

use cam_core::{About, Cost, FeatureShape, Method, Subject, head_in_chunks};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::Output;
use crate::ops::position_masks;

/// ViT-Recipro-CAM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VitReciproCam {
    /// What the map is made of: the logit, or the softmax probability as in the authors' code.
    pub score: Output,
    /// Whether a position's neighbors are seen with it, dimmed; or it alone.
    pub gaussian: bool,
    /// Whether the class and register tokens are kept; or zeros.
    pub class_token: bool,
}

impl Default for VitReciproCam {
    fn default() -> Self {
        Self { score: Output::Logit, gaussian: true, class_token: true }
    }
}

impl Method for VitReciproCam {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let _no_grad = tch::no_grad_guard();
        let features = subject.features();
        let shape = FeatureShape::of(features);
        let masks = position_masks(shape, self.gaussian, features);
        let logits = if let Some(head) = subject.classifier().pooled_linear_head() {
            let columns = features.squeeze_dim(0).flatten(1, 2).transpose(0, 1);
            let means = masks.flatten(1, 3).matmul(&columns) / shape.positions() as f64;
            means.linear(&head.weight, Some(&head.bias))
        } else {
            let tokens = subject.tokens().map(|tokens| {
                if self.class_token { tokens.shallow_clone() } else { tokens.zeros_like() }
            });
            head_in_chunks(subject.classifier(), tokens.as_ref(), shape.positions(), |range| {
                features * masks.narrow(0, range.start, range.end - range.start)
            })
        };
        self.score.of(subject, &logits).view([shape.height, shape.width])
    }

    fn cost(&self, features: FeatureShape) -> Cost {
        Cost { forwards: 1, head_forwards: features.positions() as u64, ..Cost::default() }
    }

    fn about(&self) -> About {
        About {
            title: "ViT-Recipro-CAM",
            summary: "the head's output for the class token and each neighborhood of tokens alone",
            source: "Byun and Lee 2023, arXiv 2310.02588",
        }
    }
}
