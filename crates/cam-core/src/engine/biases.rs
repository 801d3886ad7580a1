//! The biases of a network's layers, as something that logits can be differentiated in.

use std::cell::RefCell;

use tch::Tensor;

/// Collects the biases of layers while an image passes through them.
#[derive(Debug, Default)]
pub struct Biases(RefCell<Vec<Tensor>>);

impl Biases {
    /// What a layer made, `[N, K, ...]`, as it is; and what comes of it can be differentiated in the layer's bias `[K]`, or a
    /// part of it, at every position.
    ///
    /// The bias is spread over the positions, `[1, K, h, w]` for what is `[N, K, h, w]`, and its difference from itself is
    /// added: nothing, whose gradient is not.
    pub fn attach(&self, made: &Tensor, bias: &Tensor) -> Tensor {
        let mut shape = made.size();
        let mut along = vec![1; shape.len()];
        (shape[0], along[1]) = (1, -1);
        let fixed = bias.detach().to_kind(made.kind()).view(&along[..]).expand(shape, false);
        let spread = fixed.detach().set_requires_grad(true);
        let same = made + (&spread - fixed);
        self.0.borrow_mut().push(spread);
        same
    }

    /// The biases that were attached, in the order of the layers.
    pub fn into_vec(self) -> Vec<Tensor> {
        self.0.into_inner()
    }
}

#[cfg(test)]
mod tests {
    use tch::Kind;

    use super::*;

    #[test]
    fn an_attached_bias_changes_nothing_and_has_the_gradient_of_what_it_was_added_to() {
        let x = Tensor::from_slice(&[1.0_f64, -2.0, 3.0, 0.5]).view([1, 2, 1, 2]);
        let biases = Biases::default();
        let y = biases.attach(&x, &Tensor::from_slice(&[0.25_f64, -4.0]));
        assert_eq!(y, x);
        let total = y.square().sum(Kind::Double);
        let biases = biases.into_vec();
        let gradients = Tensor::run_backward(&[total], &biases, false, false);
        assert_eq!(biases[0].size(), [1, 2, 1, 2]);
        assert_eq!(
            Vec::<f64>::try_from(biases[0].flatten(0, -1)).unwrap(),
            [0.25, 0.25, -4.0, -4.0]
        );
        assert_eq!(
            Vec::<f64>::try_from(gradients[0].flatten(0, -1)).unwrap(),
            [2.0, -4.0, 6.0, 1.0]
        );
    }
}
