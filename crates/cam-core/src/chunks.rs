//! Many inputs of one image through a network, a batch at a time.

use std::ops::Range;

use tch::Tensor;

use crate::Classifier;

/// Logits `[n, C]` of `n` images, made and evaluated [`Classifier::batch`] at a time.
///
/// `make` turns a range of indices into images `[len, 3, H, W]`; `n` must not be zero.
pub fn logits_in_chunks(
    classifier: &dyn Classifier,
    n: i64,
    make: impl FnMut(Range<i64>) -> Tensor,
) -> Tensor {
    in_chunks(n, classifier.batch(), make, |images| classifier.logits(images))
}

/// Logits `[n, C]` of `n` activations at the cut, made and evaluated [`Classifier::head_batch`] at a time, beside the
/// same tokens `[1, P, K]`, which are usually the [`Subject`](crate::Subject)'s own.
///
/// `make` turns a range of indices into activations `[len, K, h, w]`; `n` must not be zero.
pub fn head_in_chunks(
    classifier: &dyn Classifier,
    tokens: Option<&Tensor>,
    n: i64,
    make: impl FnMut(Range<i64>) -> Tensor,
) -> Tensor {
    in_chunks(n, classifier.head_batch(), make, |features| classifier.head_with(features, tokens))
}

fn in_chunks(
    n: i64,
    batch: i64,
    mut make: impl FnMut(Range<i64>) -> Tensor,
    evaluate: impl Fn(&Tensor) -> Tensor,
) -> Tensor {
    assert!(n > 0, "nothing to evaluate");
    assert!(batch > 0, "a batch holds at least one input");
    let _no_grad = tch::no_grad_guard();
    let logits: Vec<Tensor> = (0..n)
        .step_by(batch as usize)
        .map(|start| {
            let range = start..(start + batch).min(n);
            let inputs = make(range.clone());
            assert_eq!(inputs.size()[0], range.end - range.start, "one input per index");
            evaluate(&inputs)
        })
        .collect();
    Tensor::cat(&logits, 0)
}
