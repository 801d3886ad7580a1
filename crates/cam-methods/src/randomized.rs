//! A control: a method on a randomized copy of the network (Adebayo et al. 2018, <https://arxiv.org/abs/1810.03292>).
//!
//! The method's map of the same image and class, for the network with random weights in all its stages. What such a map
//! scores, the architecture and the image achieve alone, without anything learned.

use cam_core::{About, Cost, FeatureShape, Method, Requirement, Subject, Target};
use tch::Tensor;

use crate::AnyMethod;

/// A method on a randomized copy of the network, which is the same for all images.
#[derive(Clone, Debug, PartialEq)]
pub struct Randomized {
    /// The method.
    pub method: AnyMethod,
    /// Of the random weights.
    pub seed: u64,
}

impl Method for Randomized {
    /// Panics where the classifier cannot be randomized.
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let classifier = subject.classifier().randomized(1.0, self.seed);
        let classifier = classifier.expect("the classifier can be randomized");
        let (image, class) = (subject.image().shallow_clone(), Target::Class(subject.class()));
        self.method.explain(&Subject::new(&*classifier, image, class, subject.seed()))
    }

    fn cost(&self, features: FeatureShape) -> Cost {
        self.method.cost(features)
    }

    fn about(&self) -> About {
        self.method.about()
    }

    fn is_unit(&self) -> bool {
        self.method.is_unit()
    }

    fn requirement(&self) -> Requirement {
        self.method.requirement()
    }
}
