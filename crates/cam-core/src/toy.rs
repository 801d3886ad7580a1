//! Networks small enough to check by hand.

use tch::{Device, Kind, Tensor};

use crate::{Biases, Classifier, PooledLinear};

/// A one-channel network in double precision: 1×1 convolution, ReLU (the cut), then a head.
pub struct Toy {
    /// `[K, 1, 1, 1]`.
    convolution: Tensor,
    /// `[K]`.
    convolution_bias: Tensor,
    head: Head,
    batch: i64,
    shortcut: bool,
    deployed: bool,
}

enum Head {
    /// Average pooling, then linear.
    Pooled(PooledLinear),
    /// 1×1 convolution `[C, K, 1, 1]` with bias, ReLU, average pooling: SqueezeNet's head, not linear in F.
    Squeeze { weight: Tensor, bias: Tensor },
}

impl Toy {
    /// Toy network A: three channels, two classes; on [`Toy::image`] its logits are (4, -1.375).
    pub fn network_a() -> Self {
        let head = PooledLinear {
            weight: Tensor::from_slice(&[2.0_f64, -1.0, 1.0, -1.0, 1.0, 0.5]).view([2, 3]),
            bias: Tensor::from_slice(&[0.5_f64, -0.5]),
        };
        Self {
            convolution: Tensor::from_slice(&[1.0_f64, -1.0, 1.0]).view([3, 1, 1, 1]),
            convolution_bias: Tensor::from_slice(&[0.0_f64, 0.0, -1.0]),
            head: Head::Pooled(head),
            batch: 4,
            shortcut: true,
            deployed: false,
        }
    }

    /// Toy network A with a head of 1×1 convolution, ReLU and average pooling.
    pub fn squeeze() -> Self {
        let weight = Tensor::from_slice(&[2.0_f64, -1.0, 1.0, -1.0, 1.0, 0.5]).view([2, 3, 1, 1]);
        let bias = Tensor::from_slice(&[0.5_f64, -0.25]);
        Self { head: Head::Squeeze { weight, bias }, ..Self::network_a() }
    }

    /// With another batch size.
    #[must_use]
    pub fn with_batch(self, batch: i64) -> Self {
        Self { batch, ..self }
    }

    /// The same network that does not say that its head is pooled and linear, so no method may take a shortcut.
    #[must_use]
    pub fn without_shortcut(self) -> Self {
        Self { shortcut: false, ..self }
    }

    /// The same network as a runtime gives it: without gradients, and with a hook, whose maps are class activation maps.
    #[must_use]
    pub fn deployed(self) -> Self {
        Self { deployed: true, ..self.without_shortcut() }
    }

    fn convolved(&self, images: &Tensor) -> Tensor {
        images.conv2d(&self.convolution, Some(&self.convolution_bias), 1, 0, 1, 1)
    }

    /// `[[1, 2], [-1, 3]]` as `[1, 1, 2, 2]`.
    pub fn image() -> Tensor {
        Tensor::from_slice(&[1.0_f64, 2.0, -1.0, 3.0]).view([1, 1, 2, 2])
    }

    /// A one-channel image `[1, 1, h, w]` of smooth values of both signs.
    pub fn waves(height: i64, width: i64) -> Tensor {
        let line = Tensor::arange(height * width, (Kind::Double, Device::Cpu));
        (line * 0.7 + 0.3).sin().view([1, 1, height, width]) * 2.0
    }
}

impl Classifier for Toy {
    fn features(&self, images: &Tensor) -> Tensor {
        let images = if self.deployed { images.detach() } else { images.shallow_clone() };
        self.convolved(&images).relu()
    }

    fn head(&self, features: &Tensor) -> Tensor {
        let pool = [-2_i64, -1];
        let features = if self.deployed { &features.detach() } else { features };
        match &self.head {
            Head::Pooled(head) => features
                .mean_dim(&pool[..], false, None::<Kind>)
                .linear(&head.weight, Some(&head.bias)),
            Head::Squeeze { weight, bias } => features
                .conv2d(weight, Some(bias), 1, 0, 1, 1)
                .relu()
                .mean_dim(&pool[..], false, None::<Kind>),
        }
    }

    fn logits_and_biases(&self, image: &Tensor) -> (Tensor, Vec<Tensor>) {
        let biases = Biases::default();
        let features = biases.attach(&self.convolved(image), &self.convolution_bias).relu();
        let pool = [-2_i64, -1];
        let logits = match &self.head {
            Head::Pooled(head) => biases.attach(&self.head(&features), &head.bias),
            Head::Squeeze { weight, bias } => {
                let scores = features.conv2d(weight, Some(bias), 1, 0, 1, 1);
                biases.attach(&scores, bias).relu().mean_dim(&pool[..], false, None::<Kind>)
            }
        };
        (logits, biases.into_vec())
    }

    fn batch(&self) -> i64 {
        self.batch
    }

    fn randomized(&self, share: f64, seed: u64) -> Option<Box<dyn Classifier + '_>> {
        // Waves with the seed in their phase: numbers of both signs that differ from all others.
        let random = |like: &Tensor, phase: f64| {
            let line = Tensor::arange(like.numel() as i64, (Kind::Double, Device::Cpu));
            (line * 1.7 + phase + seed as f64).sin().view_as(like)
        };
        let head = match &self.head {
            Head::Pooled(PooledLinear { weight, bias }) => {
                Head::Pooled(PooledLinear { weight: random(weight, 1.0), bias: random(bias, 2.0) })
            }
            Head::Squeeze { weight, bias } => {
                Head::Squeeze { weight: random(weight, 1.0), bias: random(bias, 2.0) }
            }
        };
        let is_whole = share > 0.5;
        let kept_or_random = |tensor: &Tensor, phase| {
            if is_whole { random(tensor, phase) } else { tensor.shallow_clone() }
        };
        Some(Box::new(Self {
            convolution: kept_or_random(&self.convolution, 3.0),
            convolution_bias: kept_or_random(&self.convolution_bias, 4.0),
            head,
            batch: self.batch,
            shortcut: self.shortcut,
            deployed: self.deployed,
        }))
    }

    fn pooled_linear_head(&self) -> Option<&PooledLinear> {
        match &self.head {
            Head::Pooled(head) if self.shortcut => Some(head),
            _ => None,
        }
    }

    fn has_gradients(&self) -> bool {
        !self.deployed
    }

    fn is_hooked(&self) -> bool {
        self.deployed
    }

    fn hooked_map(&self, image: &Tensor, class: i64) -> Option<Tensor> {
        let (Head::Pooled(PooledLinear { weight, .. }) | Head::Squeeze { weight, .. }) = &self.head;
        let weights = weight.get(class).view([-1, 1, 1]);
        self.deployed.then(|| {
            (self.features(image).squeeze_dim(0) * weights).sum_dim_intlist(0, false, None::<Kind>)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Subject, Target};

    #[test]
    fn network_a_has_the_logits_and_probabilities_computed_by_hand() {
        let toy = Toy::network_a();
        let subject = Subject::new(&toy, Toy::image(), Target::Predicted, 0);
        let logits: Vec<f64> = Vec::try_from(subject.logits().flatten(0, -1)).unwrap();
        assert_eq!(logits, [4.0, -1.375]);
        assert_eq!(subject.class(), 0);
        assert!((subject.confidence() - 0.995_390_427_8).abs() < 1e-9);
        let other = Subject::new(&toy, Toy::image(), Target::Class(1), 0);
        assert!((other.confidence() - 0.004_609_572_2).abs() < 1e-9);
    }
}
