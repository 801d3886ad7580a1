//! SmoothGrad (Smilkov et al. 2017, <https://arxiv.org/abs/1706.03825>).
//!
//! Saliency of a mean gradient: `M(i,j) = max over colors of |1/n Σ_s ∂y_c(x + ε_s)/∂x(i,j)|`, `ε ~ N(0, σ²)`, `σ` a share of the
//! image's range. `squared: true` averages the squares instead (Hooker et al. 2019, <https://arxiv.org/abs/1806.10758>).
//! Ours: noise from a portable generator seeded per image.

use cam_core::{About, Cost, FeatureShape, Method, Requirement, Subject, method_rng};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::{
    Colors, Output,
    ops::{image_gradient, mean_in_chunks, normal},
};

/// SmoothGrad.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SmoothGrad {
    /// Noisy copies.
    #[serde(deserialize_with = "cam_core::options::at_least_one")]
    pub n: u32,
    /// Standard deviation of the noise, as a share of the image's range `max x − min x`.
    #[serde(deserialize_with = "cam_core::options::not_negative")]
    pub noise: f64,
    /// Whether squares of gradients are averaged.
    pub squared: bool,
    /// How three colors become one number.
    pub colors: Colors,
    /// What is differentiated.
    pub score: Output,
}

impl Default for SmoothGrad {
    fn default() -> Self {
        Self { n: 50, noise: 0.15, squared: false, colors: Colors::MaxAbs, score: Output::Logit }
    }
}

impl Method for SmoothGrad {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let image = subject.image();
        let sigma = (image.max() - image.min()) * self.noise;
        let mut rng = method_rng(subject.seed());
        let mean = mean_in_chunks(subject, i64::from(self.n), |copies| {
            let clean = image.repeat([copies.end - copies.start, 1, 1, 1]);
            let noisy = &clean + normal(&clean, &mut rng) * &sigma;
            let gradient = image_gradient(subject, self.score, &noisy);
            if self.squared { gradient.square() } else { gradient }
        });
        self.colors.merge(&mean)
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost { forwards: u64::from(self.n), backwards: u64::from(self.n), ..Cost::default() }
    }

    fn requirement(&self) -> Requirement {
        Requirement::Gradients
    }

    fn about(&self) -> About {
        About {
            title: "SmoothGrad",
            summary: "magnitude of the logit's gradient in each pixel, averaged over noisy copies of the image",
            source: "Smilkov et al. 2017, arXiv 1706.03825",
        }
    }
}
