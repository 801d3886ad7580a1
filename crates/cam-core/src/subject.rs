//! One image in one classifier, and the class to explain.

use std::{
    cell::{OnceCell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};

use tch::{Kind, Tensor};

use crate::{Classifier, Fill, Squares};

/// Which class is explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The class with the largest logit.
    Predicted,
    /// A class by its index, which is one of the classifier's.
    Class(i64),
}

/// One image in one classifier, and the class to explain.
///
/// The clean activations and logits are computed once, on first use, and shared by every method and metric; the answers to
/// the image's fills and squares are shared by every metric.
pub struct Subject<'a> {
    classifier: &'a dyn Classifier,
    clean: Rc<Clean>,
}

/// What does not depend on how the classifier is wrapped.
struct Clean {
    image: Tensor,
    class: OnceCell<i64>,
    seed: u64,
    /// With the tokens beside them.
    features: OnceCell<(Tensor, Option<Tensor>)>,
    logits: OnceCell<Tensor>,
    fills: RefCell<BTreeMap<Fill, Tensor>>,
    filled: RefCell<BTreeMap<Fill, Answer>>,
    covered: RefCell<BTreeMap<Squares, Rc<[Answer]>>>,
    region: OnceCell<Tensor>,
}

impl Clean {
    fn new(image: Tensor, class: OnceCell<i64>, seed: u64) -> Self {
        Self {
            image,
            class,
            seed,
            features: OnceCell::new(),
            logits: OnceCell::new(),
            fills: RefCell::default(),
            filled: RefCell::default(),
            covered: RefCell::default(),
            region: OnceCell::new(),
        }
    }
}

/// What a network says of one image about the class under explanation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// The class's logit.
    pub logit: f64,
    /// The class's softmax probability.
    pub probability: f64,
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
        let class = match target {
            Target::Predicted => OnceCell::new(),
            Target::Class(class) => OnceCell::from(class),
        };
        let clean = Clean::new(image, class, seed);
        Self { classifier, clean: Rc::new(clean) }
    }

    /// The same subject, where the image says which pixels the class's object takes: a boolean mask `[H, W]`, true
    /// somewhere.
    #[must_use]
    pub fn with_region(self, region: Tensor) -> Self {
        assert_eq!(region.size(), self.size(), "a region has the image's size");
        let _ = self.clean.region.get_or_init(|| region);
        self
    }

    /// Another image for the same class, classifier and seed.
    #[must_use]
    pub fn with_image(&self, image: Tensor) -> Subject<'a> {
        assert_eq!(image.size(), self.image().size(), "the other image has another shape");
        let clean = Clean::new(image, OnceCell::from(self.class()), self.seed());
        Subject { classifier: self.classifier, clean: Rc::new(clean) }
    }

    /// As [`Subject::with_image`], where the network has seen the image already: its activations `[1, K, h, w]` with their
    /// tokens, and logits `[1, C]`.
    #[must_use]
    pub(crate) fn with_seen(
        &self,
        image: Tensor,
        features: (Tensor, Option<Tensor>),
        logits: Tensor,
    ) -> Subject<'a> {
        let seen = self.with_image(image);
        let _ = seen.clean.features.get_or_init(|| features);
        let _ = seen.clean.logits.get_or_init(|| logits);
        seen
    }

    /// The same subject seen through a wrapper of its classifier, sharing what is computed already.
    pub fn through<'b>(&self, classifier: &'b dyn Classifier) -> Subject<'b> {
        // The clean pass is not the wrapper's.
        let _ = self.logits();
        Subject { classifier, clean: Rc::clone(&self.clean) }
    }

    /// The classifier, cut at the layer under explanation.
    pub fn classifier(&self) -> &'a dyn Classifier {
        self.classifier
    }

    /// The image, `[1, 3, H, W]`.
    pub fn image(&self) -> &Tensor {
        &self.clean.image
    }

    /// The image's `[H, W]`.
    pub fn size(&self) -> [i64; 2] {
        let size = self.image().size();
        [size[2], size[3]]
    }

    /// The class to explain.
    pub fn class(&self) -> i64 {
        let predicted = || self.logits().argmax(1, false).int64_value(&[0]);
        *self.clean.class.get_or_init(predicted)
    }

    /// Which pixels the class's object takes, a boolean mask `[H, W]`, where that is known.
    pub fn region(&self) -> Option<&Tensor> {
        self.clean.region.get()
    }

    /// The seed of everything random about this image.
    pub fn seed(&self) -> u64 {
        self.clean.seed
    }

    /// Activations at the cut, `[1, K, h, w]`, without gradient.
    pub fn features(&self) -> &Tensor {
        &self.features_and_tokens().0
    }

    /// The tokens `[1, P, K]` beside the activations, where the classifier has any.
    pub fn tokens(&self) -> Option<&Tensor> {
        self.features_and_tokens().1.as_ref()
    }

    fn features_and_tokens(&self) -> &(Tensor, Option<Tensor>) {
        self.clean.features.get_or_init(|| {
            let _no_grad = tch::no_grad_guard();
            self.classifier.features_and_tokens(self.image())
        })
    }

    /// Logits, `[1, C]`, without gradient.
    pub fn logits(&self) -> &Tensor {
        self.clean.logits.get_or_init(|| {
            let _no_grad = tch::no_grad_guard();
            self.classifier.head_with(self.features(), self.tokens())
        })
    }

    /// Softmax probability of the class.
    pub fn confidence(&self) -> f64 {
        self.probability(self.logits()).double_value(&[0])
    }

    /// The class's column of logits `[N, C]`: `[N]`.
    pub fn logit(&self, logits: &Tensor) -> Tensor {
        logits.select(1, self.class())
    }

    /// The class's softmax probability of logits `[N, C]`: `[N]`.
    pub fn probability(&self, logits: &Tensor) -> Tensor {
        self.logit(&logits.softmax(-1, None::<Kind>))
    }

    /// The answers of logits `[N, C]`, copied from the device at once.
    pub fn answers(&self, logits: &Tensor) -> Vec<Answer> {
        let columns = [self.logit(logits), self.probability(logits)];
        let columns = Tensor::stack(&columns, 1).to_kind(Kind::Double);
        let numbers = Vec::<f64>::try_from(columns.flatten(0, -1)).expect("two numbers an image");
        let answer = |pair: &[f64]| Answer { logit: pair[0], probability: pair[1] };
        numbers.chunks_exact(2).map(answer).collect()
    }

    /// The network's answer to the image.
    pub fn answer(&self) -> Answer {
        self.answers(self.logits())[0]
    }

    /// A fill of the whole image, `[1, 3, H, W]`; made once for all metrics and batches.
    pub fn fill(&self, fill: Fill) -> Tensor {
        let mut fills = self.clean.fills.borrow_mut();
        fills.entry(fill).or_insert_with(|| fill.image(self.image())).shallow_clone()
    }

    /// The network's answer to a fill of the whole image; asked once for all metrics. A method asks for itself, through
    /// [`Subject::with_image`], so that what it runs does not depend on what was scored before.
    pub fn filled(&self, fill: Fill) -> Answer {
        if let Some(answer) = self.clean.filled.borrow().get(&fill) {
            return *answer;
        }
        let _no_grad = tch::no_grad_guard();
        let answer = self.answers(&self.classifier.logits(&self.fill(fill)))[0];
        self.clean.filled.borrow_mut().insert(fill, answer);
        answer
    }

    /// The network's answers with each of the squares put over the image, in the color 0 of normalized space; asked once
    /// for all metrics.
    pub fn covered(&self, squares: Squares) -> Rc<[Answer]> {
        if let Some(answers) = self.clean.covered.borrow().get(&squares) {
            return Rc::clone(answers);
        }
        let answers: Rc<[Answer]> = self.answers(&squares.logits(self)).into();
        self.clean.covered.borrow_mut().insert(squares, Rc::clone(&answers));
        answers
    }
}
