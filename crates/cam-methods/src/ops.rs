//! What several methods share: gradients at the cut and at the image, sums over channels, masks and noise.

use std::ops::Range;

use cam_core::{FeatureShape, Output, Subject, logits_in_chunks};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// How the numbers of a pixel's three colors become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Colors {
    /// Their sum, with its sign.
    Sum,
    /// The sum of their absolute values.
    SumAbs,
    /// The largest absolute value.
    MaxAbs,
}

impl Colors {
    /// `[1, 3, H, W]` to `[H, W]`.
    pub(crate) fn merge(self, pixels: &Tensor) -> Tensor {
        match self {
            Self::Sum => sum_channels(pixels),
            Self::SumAbs => sum_channels(&pixels.abs()),
            Self::MaxAbs => pixels.squeeze_dim(0).abs().amax(0_i64, false),
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
    gradient_at(subject, subject.features(), subject.tokens())
}

/// The gradient of the class's logit at other activations `[N, K, h, w]` beside their tokens, one row a sample.
///
/// On a pooled linear head it is `w_ck / (h·w)` everywhere, which needs no network.
pub(crate) fn gradient_at(
    subject: &Subject<'_>,
    features: &Tensor,
    tokens: Option<&Tensor>,
) -> Tensor {
    if let Some(head) = subject.classifier().pooled_linear_head() {
        let (_, _, height, width) = features.size4().expect("activations have four dimensions");
        let weights = head.weight.get(subject.class()) / (height * width) as f64;
        return weights.view([1, -1, 1, 1]).expand(features.size(), false);
    }
    let features = features.detach().set_requires_grad(true);
    let logits = subject.classifier().head_with(&features, tokens);
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

/// The gradient of the class's score in images `[N, 3, H, W]`, one row a sample; `N` is at most one batch.
pub(crate) fn image_gradient(subject: &Subject<'_>, score: Output, images: &Tensor) -> Tensor {
    let images = images.detach().set_requires_grad(true);
    let logits = subject.classifier().logits(&images);
    let total = score.of(subject, &logits).sum(None::<Kind>);
    Tensor::run_backward(&[total], &[&images], false, false).remove(0)
}

/// The mean of `n` tensors `[1, ...]`, of which `make` gives a batch at a time: a range of indices to `[len, ...]`.
pub(crate) fn mean_in_chunks(
    subject: &Subject<'_>,
    n: i64,
    mut make: impl FnMut(Range<i64>) -> Tensor,
) -> Tensor {
    let batch = subject.classifier().batch();
    let sum = (0..n)
        .step_by(batch as usize)
        .map(|start| make(start..(start + batch).min(n)).sum_dim_intlist(0_i64, true, None::<Kind>))
        .reduce(|sum, chunk| sum + chunk);
    sum.expect("at least one") / n as f64
}

/// `ReLU(Σ_k w_k F_k)` with `w` the softmax over the channels of the class's mean logit on `n` images made from each:
/// `[h, w]`.
///
/// `make` turns some channels `[len, 1, h, w]` into images `[len, 3, H, W]`, of which each has a number below `n` among
/// those of its channel. Channels that are zero everywhere are left out.
pub(crate) fn softmax_weighted(
    subject: &Subject<'_>,
    n: i64,
    mut make: impl FnMut(&Tensor, &[i64]) -> Tensor,
) -> Tensor {
    let features = subject.features();
    let live = features.index_select(1, &live_channels(features));
    let n_live = live.size()[1];
    if n_live == 0 {
        return sum_channels(features);
    }
    let channels = live.transpose(0, 1);
    let logits = logits_in_chunks(subject.classifier(), n_live * n, |range| {
        let (indices, numbers): (Vec<i64>, Vec<i64>) =
            range.map(|index| (index / n, index % n)).unzip();
        let indices = Tensor::from_slice(&indices).to_device(features.device());
        make(&channels.index_select(0, &indices), &numbers)
    });
    let scores = subject.logit(&logits).view([n_live, n]).mean_dim(1_i64, false, None::<Kind>);
    weighted_sum(&live, &scores.softmax(0, None::<Kind>)).relu()
}

/// The smallest and the largest value of each of `[N, 1, H, W]`: two of `[N, 1, 1, 1]`.
fn extremes(masks: &Tensor) -> (Tensor, Tensor) {
    let spatial = [-2_i64, -1];
    (masks.amin(&spatial[..], true), masks.amax(&spatial[..], true))
}

/// Each of `[N, 1, H, W]` min-max normalized; none is constant.
pub(crate) fn min_max_varying(masks: &Tensor) -> Tensor {
    let (low, high) = extremes(masks);
    (masks - &low) / (high - &low)
}

/// Each of `[N, 1, H, W]` min-max normalized, and 0 where it is constant.
pub(crate) fn min_max_each(masks: &Tensor) -> Tensor {
    let (low, high) = extremes(masks);
    let range = &high - &low;
    // Upsampling a constant may round.
    let is_constant = range.le_tensor(&(high.abs().maximum(&low.abs()) * 1e-6));
    ((masks - low) / range).where_self(&is_constant.logical_not(), &masks.zeros_like())
}

/// A mask for every position, `[h·w, 1, h, w]`: one there, or `[1 2 1]ᵀ[1 2 1] / 16` around it, cut off at the border.
pub(crate) fn position_masks(shape: FeatureShape, gaussian: bool, features: &Tensor) -> Tensor {
    let n = shape.positions();
    let one_hot = Tensor::eye(n, (features.kind(), features.device())).view([
        n,
        1,
        shape.height,
        shape.width,
    ]);
    if !gaussian {
        return one_hot;
    }
    let line = like(&[0.25, 0.5, 0.25], features);
    one_hot.conv2d(&line.outer(&line).view([1, 1, 3, 3]), None::<Tensor>, 1, 1, 1, 1)
}

/// Independent standard normal values in a tensor's shape; the same for the same stream, however it is cut into batches.
pub(crate) fn normal(shaped: &Tensor, rng: &mut impl Rng) -> Tensor {
    let values: Vec<f32> = StandardNormal.sample_iter(rng).take(shaped.numel()).collect();
    Tensor::from_slice(&values)
        .to_kind(shaped.kind())
        .to_device(shaped.device())
        .view(&shaped.size()[..])
}

/// Numbers as a vector of a tensor's kind, on its device.
pub(crate) fn like(values: &[f64], tensor: &Tensor) -> Tensor {
    Tensor::from_slice(values).to_kind(tensor.kind()).to_device(tensor.device())
}
