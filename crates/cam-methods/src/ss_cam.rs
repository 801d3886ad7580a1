//! SS-CAM (Wang et al. 2020, <https://arxiv.org/abs/2006.14255>).
//!
//! `M = ReLU(Σ_k w_k F_k)`, `w = softmax_k(1/n Σ_i y_c(x ⊙ mm(U(F_k) + δ_i)))`, `δ_i ~ N(0, σ²)` at every pixel: Score-CAM
//! with noise on the upsampled channel, averaged over `n` samples. torch-cam 0.5.0 adds the noise to `U(mm(F_k))` and does not
//! normalize after that; the baseline's score that it subtracts cancels in the softmax. Ours: a channel that is zero
//! everywhere adds nothing to the sum, so it is not run, and is left out of the softmax; the map differs by a factor.

use cam_core::{About, Cost, FeatureShape, Method, Subject, method_rng, upsample};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::ops::{min_max_each, normal, softmax_weighted};

/// SS-CAM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SsCam {
    /// Noisy masks a channel.
    #[serde(deserialize_with = "cam_core::options::at_least_one")]
    pub n: u32,
    /// Standard deviation of the noise, in units of the activations.
    #[serde(deserialize_with = "cam_core::options::not_negative")]
    pub sigma: f64,
}

impl Default for SsCam {
    fn default() -> Self {
        Self { n: 35, sigma: 2.0 }
    }
}

impl Method for SsCam {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let _no_grad = tch::no_grad_guard();
        let mut rng = method_rng(subject.seed());
        softmax_weighted(subject, i64::from(self.n), |channels, _| {
            let masks = upsample(channels, subject.size());
            let noise = normal(&masks, &mut rng) * self.sigma;
            subject.image() * min_max_each(&(masks + noise))
        })
    }

    fn cost(&self, features: FeatureShape) -> Cost {
        Cost { forwards: 1 + u64::from(self.n) * features.channels as u64, ..Cost::default() }
    }

    fn about(&self) -> About {
        About {
            title: "SS-CAM",
            summary: "Score-CAM with scores averaged over noisy masks",
            source: "Wang et al. 2020, arXiv 2006.14255",
        }
    }
}
