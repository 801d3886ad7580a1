//! FullGrad (Srinivas and Fleuret 2019, <https://arxiv.org/abs/1905.00780>, eq. 3 and 4).
//!
//! `M = ψ(x ∂y_c/∂x) + Σ_l Σ_k ψ(b_lk ∂y_c/∂b_lk(u,v))` over the layers `l` and their channels `k`, with `ψ` the absolute
//! value, min-max normalized and upsampled; `∂/∂b_lk(u,v)` is the gradient in a bias that each position has for itself. In a
//! network of ReLUs all these products add up to the logit. The layers are convolutions and batch normalizations, as in the
//! authors' code, and a batch normalization's bias is what it adds to a multiple of its input, so that both may be folded
//! into one. The target layer does not matter. Ours: channels of one size are added before they are upsampled, which is
//! linear; a constant channel counts as 0.

use std::collections::BTreeMap;

use cam_core::{About, Cost, FeatureShape, Method, Requirement, Subject, upsample};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::{
    Output,
    ops::{min_max_each, sum_channels},
};

/// FullGrad.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FullGrad {
    /// What is normalized together.
    pub rescale: Rescale,
    /// What is differentiated.
    pub score: Output,
}

impl Default for FullGrad {
    fn default() -> Self {
        Self { rescale: Rescale::Channel, score: Output::Logit }
    }
}

/// What is normalized together, before all is added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rescale {
    /// Each channel by itself: the paper's formula, and pytorch-grad-cam.
    Channel,
    /// All channels of a layer: the authors' code.
    Layer,
}

impl Rescale {
    /// `[1, K, h, w]` to sums over the channels `[h, w]`, each channel at least 0.
    fn sum(self, part: &Tensor) -> Tensor {
        let size = part.abs();
        let unit = match self {
            Self::Channel => min_max_each(&size.transpose(0, 1)).transpose(0, 1),
            // Rows of channels one below the other are one image.
            Self::Layer => min_max_each(&size.reshape([1, 1, -1, size.size()[3]])).view_as(&size),
        };
        sum_channels(&unit)
    }
}

impl Method for FullGrad {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let image = subject.image().detach().set_requires_grad(true);
        let (logits, biases) = subject.classifier().logits_and_biases(&image);
        let inputs: Vec<&Tensor> = [&image].into_iter().chain(&biases).collect();
        let total = self.score.of(subject, &logits).sum(None::<tch::Kind>);
        let gradients = Tensor::run_backward(&[total], &inputs, false, false);
        let _no_grad = tch::no_grad_guard();
        let mut sums: BTreeMap<[i64; 2], Tensor> = BTreeMap::new();
        for (input, gradient) in inputs.iter().zip(gradients) {
            let &[_, _, height, width] = &input.size()[..] else { continue };
            let [input, gradient] = [*input, &gradient].map(|tensor| tensor.to_kind(image.kind()));
            let sum = self.rescale.sum(&(input * gradient));
            let sum = match sums.remove(&[height, width]) {
                Some(other) => other + sum,
                None => sum,
            };
            sums.insert([height, width], sum);
        }
        let parts = sums.into_values().map(|sum| upsample(&sum, subject.size()));
        parts.reduce(|all, part| all + part).expect("the image is one of them")
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost { forwards: 1, backwards: 1, ..Cost::default() }
    }

    fn requirement(&self) -> Requirement {
        Requirement::Gradients
    }

    fn about(&self) -> About {
        About {
            title: "FullGrad",
            summary: "each pixel and each convolution's bias times the logit's gradient in it, summed over all layers",
            source: "Srinivas and Fleuret 2019, arXiv 1905.00780",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_normalized_each_by_itself_or_all_together() {
        let part = Tensor::from_slice(&[0.0_f64, -1.0, 2.0, -4.0]).view([1, 2, 1, 2]);
        for (rescale, expected) in [(Rescale::Channel, [0.0, 2.0]), (Rescale::Layer, [0.5, 1.25])] {
            let sum = rescale.sum(&part);
            assert_eq!(sum.size(), [1, 2]);
            assert_eq!(Vec::<f64>::try_from(sum.flatten(0, -1)).unwrap(), expected);
        }
    }
}
