//! Many inputs of one image through a network, a batch at a time.

use std::ops::Range;

use tch::{Device, Tensor};

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

/// Runs a batch as it is on the processor, and filled up to a power of two on a card: cuDNN plans every convolution anew
/// for every size of batch that it meets, which takes longer than to run it.
pub fn filled_up(batch: &Tensor, run: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
    let n = batch.size()[0];
    let usual = (n as u64).next_power_of_two() as i64;
    filled_up_to(if batch.device().is_cuda() { usual } else { n }, batch, run)
}

/// Runs a batch filled up to so many images with copies of its first, and gives what belongs to the batch.
pub fn filled_up_to(to: i64, batch: &Tensor, run: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
    let mut shape = batch.size();
    let n = shape[0];
    if to == n {
        return run(batch);
    }
    shape[0] = to - n;
    let copies = batch.narrow(0, 0, 1).expand(shape, false);
    run(&Tensor::cat(&[batch, &copies], 0)).narrow(0, 0, n)
}

/// How much memory a batch may take on the processor where nothing else is said, in bytes.
pub const USUAL_MEMORY: u64 = 2 << 30;

/// The number of images in a batch of which `fitting` would fit into memory, at least one and at most `cap`: a power of
/// two on a card, as [`filled_up`] runs no other.
pub fn usual_batch(fitting: i64, cap: i64, device: Device) -> i64 {
    let batch = fitting.clamp(1, cap);
    if device.is_cuda() { 1 << batch.ilog2() } else { batch }
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

#[cfg(test)]
mod tests {
    use tch::Kind;

    use super::*;

    #[test]
    fn a_batch_that_is_filled_up_gives_what_it_gives_alone_and_its_gradient() {
        let double = (Kind::Double, Device::Cpu);
        let batch = Tensor::arange(6, double).view([3, 2]).set_requires_grad(true);
        let mut seen = vec![];
        let made = filled_up_to(4, &batch, |x| {
            seen = x.size();
            x.square().sum_dim_intlist(&[1_i64][..], false, Kind::Double)
        });
        assert_eq!(seen, [4, 2]);
        assert_eq!(Vec::<f64>::try_from(&made).unwrap(), [1.0, 13.0, 41.0]);
        made.sum(Kind::Double).backward();
        assert_eq!(batch.grad(), batch.detach() * 2.0);
    }

    #[test]
    fn on_the_processor_a_batch_is_run_as_it_is() {
        let batch = Tensor::zeros([3, 2], (Kind::Float, Device::Cpu));
        let _ = filled_up(&batch, |x| {
            assert_eq!(x.data_ptr(), batch.data_ptr());
            x.shallow_clone()
        });
    }

    #[test]
    fn batches_of_a_card_are_powers_of_two_that_fit_into_memory() {
        let batches = |device| [0, 1, 3, 38, 128, 500].map(|n| usual_batch(n, 128, device));
        assert_eq!(batches(Device::Cuda(0)), [1, 1, 2, 32, 128, 128]);
        assert_eq!(batches(Device::Cpu), [1, 1, 3, 38, 128, 128]);
    }
}
