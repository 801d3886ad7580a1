//! Integrated gradients (Sundararajan et al. 2017, <https://arxiv.org/abs/1703.01365>, eq. 1 and 3).
//!
//! `M(i,j) = Σ over colors of x(i,j) ∫₀¹ ∂y_c(a x)/∂x(i,j) da`: what each pixel adds to the logit while the image fades in; the
//! parts sum to `y_c(x) − y_c(0)`. Ours: the baseline is the zero of the normalized image (the ImageNet mean for
//! torchvision's networks, neutral gray for EfficientNet-Lite), and the integral is approximated at the middles of `n`
//! steps, which is closer than at their ends (`rule: right`, eq. 3).

use cam_core::{About, Cost, FeatureShape, Method, Requirement, Subject};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::{
    Colors, Output,
    ops::{image_gradient, like, mean_in_chunks},
};

/// Integrated gradients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IntegratedGradients {
    /// Steps of the integral.
    #[serde(deserialize_with = "cam_core::options::at_least_one")]
    pub n: u32,
    /// Where in each step the gradient is taken.
    pub rule: Rule,
    /// How three colors become one number.
    pub colors: Colors,
    /// What is differentiated.
    pub score: Output,
}

/// Where in each step of an integral its value is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// In the middle.
    Midpoint,
    /// At the end, where the last one is the image itself.
    Right,
}

impl Default for IntegratedGradients {
    fn default() -> Self {
        Self { n: 50, rule: Rule::Midpoint, colors: Colors::Sum, score: Output::Logit }
    }
}

impl Method for IntegratedGradients {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let image = subject.image();
        let offset = match self.rule {
            Rule::Midpoint => 0.5,
            Rule::Right => 1.0,
        };
        let gradient = mean_in_chunks(subject, i64::from(self.n), |steps| {
            let shares: Vec<f64> =
                steps.map(|step| (step as f64 + offset) / f64::from(self.n)).collect();
            image_gradient(subject, self.score, &(image * like(&shares, image).view([-1, 1, 1, 1])))
        });
        self.colors.merge(&(image * gradient))
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost { forwards: u64::from(self.n), backwards: u64::from(self.n), ..Cost::default() }
    }

    fn requirement(&self) -> Requirement {
        Requirement::Gradients
    }

    fn about(&self) -> About {
        About {
            title: "Integrated gradients",
            summary: "each pixel times the logit's mean gradient while the image fades in",
            source: "Sundararajan et al. 2017, arXiv 1703.01365",
        }
    }
}
