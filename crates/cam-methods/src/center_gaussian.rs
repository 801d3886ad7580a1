//! A control: the middle of the image, where photographers put things.
//!
//! `M(i,j) = exp(−r² / 2(σ s)²)` with `r` the distance from the image's center and `s` its shorter side.

use cam_core::{About, Cost, FeatureShape, Method, Subject};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// A Gaussian in the middle of the image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CenterGaussian {
    /// Standard deviation, as a share of the image's shorter side.
    #[serde(deserialize_with = "cam_core::options::positive")]
    pub sigma: f64,
}

impl Default for CenterGaussian {
    fn default() -> Self {
        Self { sigma: 0.25 }
    }
}

impl Method for CenterGaussian {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let [height, width] = subject.size();
        let sigma = self.sigma * height.min(width) as f64;
        let line = |side: i64| {
            let image = subject.image();
            let offset =
                Tensor::arange(side, (Kind::Double, image.device())) - (side - 1) as f64 / 2.0;
            (offset.square() / (-2.0 * sigma * sigma)).exp().to_kind(image.kind())
        };
        line(height).outer(&line(width))
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost::default()
    }

    fn about(&self) -> About {
        About {
            title: "Center Gaussian",
            summary: "a control: a Gaussian in the middle of the image",
            source: "a control of ours",
        }
    }
}
