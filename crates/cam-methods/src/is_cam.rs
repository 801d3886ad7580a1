//! IS-CAM (Naidu et al. 2020, <https://arxiv.org/abs/2010.03023>).
//!
//! `M = ReLU(Σ_k w_k F_k)`, `w = softmax_k(1/n Σ_i y_c(a_i x ⊙ mm(U(F_k))))`, `i = 1..n`: Score-CAM with the score integrated
//! while the masked image fades in, `a_i = i/n`. torch-cam 0.5.0 lets the steps add up, `a_i = Σ_{j≤i} j/n`, which reaches
//! `(n+1)/2` times the image (`accumulate: true`). Ours: a channel that is zero everywhere adds nothing to the sum, so it
//! is not run, and is left out of the softmax; the map differs by a factor.

use cam_core::{About, Cost, FeatureShape, Method, Subject, upsample};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::ops::{like, min_max_each, softmax_weighted};

/// IS-CAM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IsCam {
    /// Steps of the integral.
    #[serde(deserialize_with = "cam_core::options::at_least_one")]
    pub n: u32,
    /// Whether the steps add up (as torch-cam).
    pub accumulate: bool,
}

impl Default for IsCam {
    fn default() -> Self {
        Self { n: 10, accumulate: false }
    }
}

impl Method for IsCam {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let _no_grad = tch::no_grad_guard();
        softmax_weighted(subject, i64::from(self.n), |channels, steps| {
            let masks = min_max_each(&upsample(channels, subject.size()));
            let factors: Vec<f64> = steps.iter().map(|step| self.factor(*step)).collect();
            subject.image() * masks * like(&factors, subject.image()).view([-1, 1, 1, 1])
        })
    }

    fn cost(&self, features: FeatureShape) -> Cost {
        Cost { forwards: 1 + u64::from(self.n) * features.channels as u64, ..Cost::default() }
    }

    fn about(&self) -> About {
        About {
            title: "IS-CAM",
            summary: "Score-CAM with scores integrated while each masked image fades in",
            source: "Naidu et al. 2020, arXiv 2010.03023",
        }
    }
}

impl IsCam {
    /// What the masked image is multiplied by at a step, counted from 0.
    fn factor(&self, step: i64) -> f64 {
        let (i, n) = ((step + 1) as f64, f64::from(self.n));
        if self.accumulate { i * (i + 1.0) / (2.0 * n) } else { i / n }
    }
}
