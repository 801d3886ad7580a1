//! What an explanation method is.

use tch::Tensor;

use crate::{Classifier, Cost, Subject};

/// An explanation method: one image and one class in, a raw map out.
///
/// A method does no input or output and holds no state between images; what it varies is in its own fields. It cannot
/// fail except by a bug, which panics and becomes a failed row of the sweep.
pub trait Method {
    /// The raw map `[h, w]`: any scale, any resolution, larger where the pixel speaks more for the class.
    fn explain(&self, subject: &Subject<'_>) -> Tensor;

    /// What the definition needs for one image, whatever this implementation shares or shortens; the most that it may need,
    /// where the image decides.
    fn cost(&self, features: FeatureShape) -> Cost;

    /// Name and source for people.
    fn about(&self) -> About;

    /// Whether its maps lie in `[0, 1]` by construction and are scored as they are, constant ones too: for controls.
    fn is_unit(&self) -> bool {
        false
    }

    /// What the method asks of the classifier.
    fn requirement(&self) -> Requirement {
        Requirement::Any
    }
}

/// `[K, h, w]` of the activations at the cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureShape {
    /// Channels, K.
    pub channels: i64,
    /// Rows, h.
    pub height: i64,
    /// Columns, w.
    pub width: i64,
}

impl FeatureShape {
    /// Of activations `[N, K, h, w]`.
    pub fn of(features: &Tensor) -> Self {
        let (_, channels, height, width) =
            features.size4().expect("activations have four dimensions");
        Self { channels, height, width }
    }

    /// How many positions there are: h·w.
    pub fn positions(self) -> i64 {
        self.height * self.width
    }
}

/// Name and source of a method or metric, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// As it is printed, e.g. `Grad-CAM++`.
    pub title: &'static str,
    /// The formula or idea in one line.
    pub summary: &'static str,
    /// Authors, year, and where to read it.
    pub source: &'static str,
}

/// What a method asks of the classifier it explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Nothing: it runs at any cut of any network.
    Any,
    /// That the head is average pooling and one linear layer.
    PooledLinearHead,
    /// Gradients.
    Gradients,
    /// Maps that the network gives itself.
    Hook,
}

impl Requirement {
    /// What it asks for, after `needs` in an error.
    pub fn needed(self) -> &'static str {
        match self {
            Self::Any => "nothing",
            Self::PooledLinearHead => "a head of average pooling and one linear layer",
            Self::Gradients => "gradients",
            Self::Hook => "maps that the network gives itself",
        }
    }

    /// What can be done about a classifier that has none.
    pub fn remedy(self, classifier: &dyn Classifier) -> &'static str {
        match self {
            Self::Any | Self::PooledLinearHead if classifier.has_gradients() => {
                "name another layer"
            }
            Self::Any | Self::PooledLinearHead | Self::Gradients => "leave out its `runtime`",
            Self::Hook => "hook its graph (`cambench hook`) and give it a `runtime`",
        }
    }

    /// Whether the classifier, cut where it is, can be explained.
    pub fn met_by(self, classifier: &dyn Classifier) -> bool {
        match self {
            Self::Any => true,
            Self::PooledLinearHead => classifier.pooled_linear_head().is_some(),
            Self::Gradients => classifier.has_gradients(),
            Self::Hook => classifier.is_hooked(),
        }
    }
}
