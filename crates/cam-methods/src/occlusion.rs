//! Occlusion (Zeiler and Fergus 2014, <https://arxiv.org/abs/1311.2901>).
//!
//! `M(i,j)`: how far the class's probability drops when a square is put over the image, averaged over the squares that
//! cover the pixel. Squares have a side of `window` pixels and are placed at `n × n` positions, evenly from edge to edge.
//! Ours: the square has the color that normalization maps to 0, which is the ImageNet mean for torchvision's networks and
//! neutral gray for EfficientNet-Lite.

use cam_core::{About, Cost, FeatureShape, Method, Squares, Subject};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::Output;

/// Occlusion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Occlusion {
    /// Side of the square, in pixels.
    #[serde(deserialize_with = "cam_core::options::at_least_one")]
    pub window: u32,
    /// Places along each side of the image; a window of 32 at 13 places moves 16 pixels at a time over 224.
    #[serde(deserialize_with = "cam_core::options::at_least_one")]
    pub n: u32,
    /// Whose fall is measured.
    pub score: Output,
}

impl Default for Occlusion {
    fn default() -> Self {
        Self { window: 32, n: 13, score: Output::Softmax }
    }
}

impl Method for Occlusion {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let _no_grad = tch::no_grad_guard();
        let squares = Squares { window: self.window, n: self.n };
        let logits = squares.logits(subject);
        let clean = self.score.of(subject, subject.logits());
        let falls = Vec::<f64>::try_from(
            (clean - self.score.of(subject, &logits)).to_kind(Kind::Double).to_device(Device::Cpu),
        )
        .expect("a vector of numbers");
        let image = subject.image();
        let sum = Tensor::zeros(subject.size(), (image.kind(), image.device()));
        let covered = sum.zeros_like();
        for (square, fall) in squares.over(subject.size()).into_iter().zip(falls) {
            let _ = square.of(&sum).g_add_scalar_(fall);
            let _ = square.of(&covered).g_add_scalar_(1.0);
        }
        sum / covered.clamp_min(1.0)
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost { forwards: 1 + u64::from(self.n).pow(2), ..Cost::default() }
    }

    fn about(&self) -> About {
        About {
            title: "Occlusion",
            summary: "drop of the class's probability under a square, averaged over squares",
            source: "Zeiler and Fergus 2014, arXiv 1311.2901",
        }
    }
}
