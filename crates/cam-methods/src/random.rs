//! A control: noise, which knows neither image nor class.
//!
//! `M(i,j) ~ U(0, 1)`, independently at every pixel, from the image's seed. A method that is not significantly
//! better than this by a metric has not been shown to explain anything by it.

use cam_core::{About, Cost, FeatureShape, Method, Subject, method_rng};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// Uniform noise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Random {}

impl Method for Random {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let mut rng = method_rng(subject.seed());
        let [height, width] = subject.size();
        let values: Vec<f32> = (0..height * width).map(|_| rng.random()).collect();
        Tensor::from_slice(&values).to_device(subject.image().device()).view([height, width])
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost::default()
    }

    fn about(&self) -> About {
        About {
            title: "Random",
            summary: "a control: uniform noise, which knows neither image nor class",
            source: "a control of ours",
        }
    }
}
