//! A classifier cut in two, and a wrapper that counts its calls.

use std::{cell::Cell, ops::Deref, rc::Rc};

use tch::Tensor;

/// The place before the first layer, as a layer's name: the image itself is explained.
pub const INPUT: &str = "input";

/// A classifier cut at the layer under explanation: `logits(x) == head(features(x))`, or with tokens
/// `head_with(features_and_tokens(x))`.
///
/// Inference only: batch normalization is frozen, dropout is off, weights carry no gradient. Both halves are
/// differentiable in their input, so a gradient method back-propagates from the logits to the cut and no further.
pub trait Classifier {
    /// Images `[N, 3, H, W]` to activations at the cut `[N, K, h, w]`.
    fn features(&self, images: &Tensor) -> Tensor;

    /// Activations at the cut `[N, K, h, w]` to logits `[N, C]`. Panics where the head needs tokens beside them.
    fn head(&self, features: &Tensor) -> Tensor;

    /// [`Classifier::features`], and beside them the tokens `[N, P, K]` that have no place in the image: a vision
    /// transformer's class and register tokens. `None` where the activations are all that the head needs.
    fn features_and_tokens(&self, images: &Tensor) -> (Tensor, Option<Tensor>) {
        (self.features(images), None)
    }

    /// [`Classifier::head`], with tokens `[N, P, K]`, or `[1, P, K]` for all, from
    /// [`Classifier::features_and_tokens`].
    fn head_with(&self, features: &Tensor, _tokens: Option<&Tensor>) -> Tensor {
        self.head(features)
    }

    /// Images `[N, 3, H, W]` to logits `[N, C]`.
    fn logits(&self, images: &Tensor) -> Tensor {
        let (features, tokens) = self.features_and_tokens(images);
        self.head_with(&features, tokens.as_ref())
    }

    /// How many images one call of [`Classifier::features`] takes; fixed when a run is planned.
    fn batch(&self) -> i64;

    /// How many activations one call of [`Classifier::head`] takes.
    fn head_batch(&self) -> i64 {
        self.batch()
    }

    /// The head's parameters where the head is nothing but average pooling and one linear layer.
    fn pooled_linear_head(&self) -> Option<&PooledLinear> {
        None
    }

    /// Whether logits can be differentiated in the activations: not in a deployed runtime.
    fn has_gradients(&self) -> bool {
        true
    }

    /// Whether the network gives maps beside its logits: a deployed graph with an explanatory hook.
    fn is_hooked(&self) -> bool {
        false
    }

    /// The map `[h, w]` of a class that a hooked network gives for one image `[1, 3, H, W]`; `None` of any other network.
    fn hooked_map(&self, _image: &Tensor, _class: i64) -> Option<Tensor> {
        None
    }

    /// Logits `[1, C]` of one image `[1, 3, H, W]`, and the biases of the layers on the way, in which they can be
    /// differentiated: each spread over the positions of what its layer makes. Only those of convolutions and batch
    /// normalizations have four dimensions, `[1, K, h, w]`. A batch normalization's bias is what it adds to a multiple of its
    /// input. None where there are no layers to speak of.
    fn logits_and_biases(&self, image: &Tensor) -> (Tensor, Vec<Tensor>) {
        (self.logits(image), vec![])
    }

    /// Logits `[1, C]` of one image `[1, 3, H, W]`, and activations `[1, K, h, w]` in which they can be differentiated: at
    /// the cut, then at the last layer of each finer resolution before it, by half of its rows or more; at most `n` of them,
    /// and as many as there are. The image itself is none of the finer ones.
    fn logits_and_levels(&self, image: &Tensor, _n: usize) -> (Tensor, Vec<Tensor>) {
        let (features, tokens) = self.features_and_tokens(image);
        let features = features.detach().set_requires_grad(true);
        (self.head_with(&features, tokens.as_ref()), vec![features])
    }

    /// The same network with the last `share` of its stages, in `(0, 1]`, initialized anew from a seed: at least the layer
    /// that makes the logits, and everything for 1. A larger share with the same seed re-initializes more, and what both
    /// re-initialize alike. `None` where the network cannot.
    fn randomized(&self, _share: f64, _seed: u64) -> Option<Box<dyn Classifier + '_>> {
        None
    }
}

/// A head of average pooling and one linear layer: `logits = weight · mean(F) + bias`.
#[derive(Debug)]
pub struct PooledLinear {
    /// `[C, K]`.
    pub weight: Tensor,
    /// `[C]`.
    pub bias: Tensor,
}

/// Any classifier, counting what passes through it.
pub struct Counted<'a> {
    inner: Inner<'a>,
    /// Shared with randomized copies, whose calls count as its own.
    counts: Rc<Counts>,
}

enum Inner<'a> {
    Borrowed(&'a dyn Classifier),
    Owned(Box<dyn Classifier + 'a>),
}

impl<'a> Deref for Inner<'a> {
    type Target = dyn Classifier + 'a;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Borrowed(classifier) => *classifier,
            Self::Owned(classifier) => &**classifier,
        }
    }
}

#[derive(Default)]
struct Counts {
    forwards: Cell<u64>,
    head_forwards: Cell<u64>,
}

impl Counts {
    fn add_forwards(&self, images: &Tensor) {
        self.forwards.set(self.forwards.get() + images.size()[0] as u64);
    }

    fn add_head_forwards(&self, features: &Tensor) {
        self.head_forwards.set(self.head_forwards.get() + features.size()[0] as u64);
    }
}

impl<'a> Counted<'a> {
    /// Counts from zero.
    pub fn new(inner: &'a dyn Classifier) -> Self {
        Self { inner: Inner::Borrowed(inner), counts: Rc::default() }
    }

    /// How many images went through [`Classifier::features`].
    pub fn forwards(&self) -> u64 {
        self.counts.forwards.get()
    }

    /// How many activations went through [`Classifier::head`].
    pub fn head_forwards(&self) -> u64 {
        self.counts.head_forwards.get()
    }
}

impl Classifier for Counted<'_> {
    fn features(&self, images: &Tensor) -> Tensor {
        self.counts.add_forwards(images);
        self.inner.features(images)
    }

    fn head(&self, features: &Tensor) -> Tensor {
        self.counts.add_head_forwards(features);
        self.inner.head(features)
    }

    fn features_and_tokens(&self, images: &Tensor) -> (Tensor, Option<Tensor>) {
        self.counts.add_forwards(images);
        self.inner.features_and_tokens(images)
    }

    fn head_with(&self, features: &Tensor, tokens: Option<&Tensor>) -> Tensor {
        self.counts.add_head_forwards(features);
        self.inner.head_with(features, tokens)
    }

    fn batch(&self) -> i64 {
        self.inner.batch()
    }

    fn head_batch(&self) -> i64 {
        self.inner.head_batch()
    }

    fn pooled_linear_head(&self) -> Option<&PooledLinear> {
        self.inner.pooled_linear_head()
    }

    fn has_gradients(&self) -> bool {
        self.inner.has_gradients()
    }

    fn is_hooked(&self) -> bool {
        self.inner.is_hooked()
    }

    fn hooked_map(&self, image: &Tensor, class: i64) -> Option<Tensor> {
        self.counts.add_forwards(image);
        self.inner.hooked_map(image, class)
    }

    fn logits_and_biases(&self, image: &Tensor) -> (Tensor, Vec<Tensor>) {
        self.counts.add_forwards(image);
        self.counts.add_head_forwards(image);
        self.inner.logits_and_biases(image)
    }

    fn logits_and_levels(&self, image: &Tensor, n: usize) -> (Tensor, Vec<Tensor>) {
        self.counts.add_forwards(image);
        self.counts.add_head_forwards(image);
        self.inner.logits_and_levels(image, n)
    }

    fn randomized(&self, share: f64, seed: u64) -> Option<Box<dyn Classifier + '_>> {
        let inner = self.inner.randomized(share, seed)?;
        Some(Box::new(Counted { inner: Inner::Owned(inner), counts: Rc::clone(&self.counts) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy::Toy;

    #[test]
    fn every_image_is_counted_in_both_halves() {
        let toy = Toy::network_a();
        let counted = Counted::new(&toy);
        let images = Toy::image().repeat([5, 1, 1, 1]);
        let _ = counted.logits(&images);
        let _ = counted.head(&counted.features(&Toy::image()));
        assert_eq!((counted.forwards(), counted.head_forwards()), (6, 6));
        let _ = counted.randomized(1.0, 0).unwrap().logits(&images);
        assert_eq!((counted.forwards(), counted.head_forwards()), (11, 11));
    }
}
