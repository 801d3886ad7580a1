//! What several methods share: the gradient at the cut, and weighted sums of channels.

use cam_core::Subject;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// Which number of the network's output is explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// The class's logit.
    Logit,
    /// The class's softmax probability.
    Softmax,
}

impl Output {
    /// The explained number of logits `[N, C]`: `[N]`.
    pub(crate) fn of(self, subject: &Subject<'_>, logits: &Tensor) -> Tensor {
        match self {
            Self::Logit => subject.logit(logits),
            Self::Softmax => subject.probability(logits),
        }
    }
}

/// `Σ_k w_k F_k`: activations `[1, K, h, w]` and weights `[K]` to `[h, w]`.
pub(crate) fn weighted_sum(features: &Tensor, weights: &Tensor) -> Tensor {
    (features.squeeze_dim(0) * weights.view([-1, 1, 1])).sum_dim_intlist(0_i64, false, None::<Kind>)
}

/// The gradient of the class's logit in the activations at the cut: `[1, K, h, w]`.
pub(crate) fn gradient(subject: &Subject<'_>) -> Tensor {
    gradient_at(subject, subject.features())
}

/// The gradient of the class's logit at other activations `[N, K, h, w]`, one row a sample.
///
/// On a pooled linear head it is `w_ck / (h·w)` everywhere, which needs no network.
pub(crate) fn gradient_at(subject: &Subject<'_>, features: &Tensor) -> Tensor {
    if let Some(head) = subject.classifier().pooled_linear_head() {
        let (_, _, height, width) = features.size4().expect("activations have four dimensions");
        let weights = head.weight.get(subject.class()) / (height * width) as f64;
        return weights.view([1, -1, 1, 1]).expand(features.size(), false);
    }
    let features = features.detach().set_requires_grad(true);
    let logits = subject.classifier().head(&features);
    // Samples do not see each other in inference mode, so one sum gives the gradient of each.
    let total = subject.logit(&logits).sum(None::<Kind>);
    Tensor::run_backward(&[total], &[&features], false, false).remove(0)
}

/// `Σ_{u,v}` over the positions of `[N, K, h, w]`, kept as `[N, K, 1, 1]`.
pub(crate) fn sum_positions(tensor: &Tensor) -> Tensor {
    tensor.sum_dim_intlist(&[-2_i64, -1][..], true, None::<Kind>)
}

/// Whether gradients at the cut are the same for every image: true of a pooled linear head.
pub(crate) fn gradient_is_constant(subject: &Subject<'_>) -> bool {
    subject.classifier().pooled_linear_head().is_some()
}
