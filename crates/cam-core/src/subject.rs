//! One image in one classifier, and the class to explain.

use std::cell::OnceCell;

use tch::{Kind, Tensor};

use crate::Classifier;

/// Which class is explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The class with the largest logit.
    Predicted,
    /// A class by its index.
    Class(i64),
}

/// One image in one classifier, and the class to explain.
///
/// The clean activations and logits are computed once, on first use, and shared by every method and metric.
pub struct Subject<'a> {
    classifier: &'a dyn Classifier,
    image: Tensor,
    class: i64,
    seed: u64,
    features: OnceCell<Tensor>,
    logits: OnceCell<Tensor>,
}

impl<'a> Subject<'a> {
    /// An image `[1, 3, H, W]`, preprocessed for the classifier and on its device.
    ///
    /// `seed` is all the randomness that a method may use: equal seeds give equal maps.
    pub fn new(classifier: &'a dyn Classifier, image: Tensor, target: Target, seed: u64) -> Self {
        assert!(
            matches!(image.size()[..], [1, _, _, _]),
            "one image of shape [1, 3, H, W], not {:?}",
            image.size()
        );
        let mut subject = Self {
            classifier,
            image,
            class: -1,
            seed,
            features: OnceCell::new(),
            logits: OnceCell::new(),
        };
        let n_classes = subject.logits().size()[1];
        subject.class = match target {
            Target::Predicted => subject.logits().argmax(1, false).int64_value(&[0]),
            Target::Class(class) => class,
        };
        assert!((0..n_classes).contains(&subject.class), "class {} of {n_classes}", subject.class);
        subject
    }

    /// Another image for the same class, classifier and seed.
    #[must_use]
    pub fn with_image(&self, image: Tensor) -> Subject<'a> {
        assert_eq!(image.size(), self.image.size(), "the other image has another shape");
        Subject {
            classifier: self.classifier,
            image,
            class: self.class,
            seed: self.seed,
            features: OnceCell::new(),
            logits: OnceCell::new(),
        }
    }

    /// The same subject seen through a wrapper of its classifier, sharing what is computed already.
    pub fn through<'b>(&self, classifier: &'b dyn Classifier) -> Subject<'b> {
        Subject {
            classifier,
            image: self.image.shallow_clone(),
            class: self.class,
            seed: self.seed,
            features: OnceCell::from(self.features().shallow_clone()),
            logits: OnceCell::from(self.logits().shallow_clone()),
        }
    }

    /// The classifier, cut at the layer under explanation.
    pub fn classifier(&self) -> &'a dyn Classifier {
        self.classifier
    }

    /// The image, `[1, 3, H, W]`.
    pub fn image(&self) -> &Tensor {
        &self.image
    }

    /// The image's `[H, W]`.
    pub fn size(&self) -> [i64; 2] {
        let size = self.image.size();
        [size[2], size[3]]
    }

    /// The class to explain.
    pub fn class(&self) -> i64 {
        self.class
    }

    /// The seed of everything random about this image.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Activations at the cut, `[1, K, h, w]`, without gradient.
    pub fn features(&self) -> &Tensor {
        self.features.get_or_init(|| {
            let _no_grad = tch::no_grad_guard();
            self.classifier.features(&self.image)
        })
    }

    /// Logits, `[1, C]`, without gradient.
    pub fn logits(&self) -> &Tensor {
        self.logits.get_or_init(|| {
            let _no_grad = tch::no_grad_guard();
            self.classifier.head(self.features())
        })
    }

    /// Softmax probability of the class.
    pub fn confidence(&self) -> f64 {
        self.probability(self.logits()).double_value(&[0])
    }

    /// The class's column of logits `[N, C]`: `[N]`.
    pub fn logit(&self, logits: &Tensor) -> Tensor {
        logits.select(1, self.class)
    }

    /// The class's softmax probability of logits `[N, C]`: `[N]`.
    pub fn probability(&self, logits: &Tensor) -> Tensor {
        self.logit(&logits.softmax(-1, None::<Kind>))
    }
}
