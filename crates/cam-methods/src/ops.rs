//! What several methods share: gradients at the cut, sums over channels, and the first principal component.

use cam_core::{FeatureShape, Subject};
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

/// `Σ_k` over the channels of `[1, K, h, w]`: `[h, w]`.
pub(crate) fn sum_channels(tensor: &Tensor) -> Tensor {
    tensor.squeeze_dim(0).sum_dim_intlist(0_i64, false, None::<Kind>)
}

/// The indices of the channels of `[1, K, h, w]` that are not zero everywhere.
pub(crate) fn live_channels(features: &Tensor) -> Tensor {
    let largest = features.squeeze_dim(0).abs().amax(&[-2_i64, -1][..], false);
    largest.gt(0.0).nonzero().squeeze_dim(1)
}

/// The columns of `[1, K, h, w]`, one of length `K` a position, projected onto their first right singular vector: `[h, w]`.
///
/// The sign is that of agreement with the columns' sums. `center` subtracts the mean column first. In double precision.
pub(crate) fn first_component(features: &Tensor, center: bool) -> Tensor {
    let _no_grad = tch::no_grad_guard();
    let FeatureShape { channels, height, width } = FeatureShape::of(features);
    let columns = features.squeeze_dim(0).flatten(1, 2).transpose(0, 1).to_kind(Kind::Double);
    let columns =
        if center { &columns - columns.mean_dim(0_i64, true, None::<Kind>) } else { columns };
    // The smaller of the two Gram matrices has the same first component: `X v = σ u`.
    let component = if height * width <= channels {
        let (values, vectors) = columns.matmul(&columns.transpose(0, 1)).linalg_eigh("L");
        vectors.select(1, -1) * values.select(0, -1).clamp_min(0.0).sqrt()
    } else {
        let (_, vectors) = columns.transpose(0, 1).matmul(&columns).linalg_eigh("L");
        columns.mv(&vectors.select(1, -1))
    };
    let sums = columns.sum_dim_intlist(1_i64, false, None::<Kind>);
    let sign = if component.dot(&sums).double_value(&[]) < 0.0 { -1.0 } else { 1.0 };
    (component * sign).to_kind(features.kind()).view([height, width])
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
