//! Occlusion (Zeiler and Fergus 2014, <https://arxiv.org/abs/1311.2901>).
//!
//! `M(i,j)`: how far the class's probability falls when a square is put over the image, averaged over the squares that
//! cover the pixel. Squares have a side of `window` pixels and stand at `n × n` places, evenly from edge to edge.
//! Ours: the square has the color 0 of the normalized image, which is the mean of the training images.

use cam_core::{About, Cost, FeatureShape, Method, Subject, logits_in_chunks};
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
        let image = subject.image();
        let squares = self.squares(subject.size());
        let logits = logits_in_chunks(subject.classifier(), squares.len() as i64, |range| {
            let images = image.repeat([range.end - range.start, 1, 1, 1]);
            for (row, square) in range.clone().enumerate() {
                let _ = square_of(&images.get(row as i64), &squares[square as usize]).zero_();
            }
            images
        });
        let clean = self.score.of(subject, subject.logits());
        let falls = Vec::<f64>::try_from(
            (clean - self.score.of(subject, &logits)).to_kind(Kind::Double).to_device(Device::Cpu),
        )
        .expect("a vector of numbers");
        let sum = Tensor::zeros(subject.size(), (image.kind(), image.device()));
        let covered = sum.zeros_like();
        for (square, fall) in squares.iter().zip(falls) {
            let _ = square_of(&sum, square).g_add_scalar_(fall);
            let _ = square_of(&covered, square).g_add_scalar_(1.0);
        }
        sum / covered.clamp_min(1.0)
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost { forwards: 1 + u64::from(self.n).pow(2), ..Cost::default() }
    }

    fn about(&self) -> About {
        About {
            title: "Occlusion",
            summary: "how far the class's probability falls under a square, averaged over squares",
            source: "Zeiler and Fergus 2014, arXiv 1311.2901",
        }
    }
}

/// First pixel and length of a square along each axis.
type Square = [(i64, i64); 2];

/// The part of `[.., H, W]` below a square, as a view.
fn square_of(tensor: &Tensor, [(top, height), (left, width)]: &Square) -> Tensor {
    tensor.narrow(-2, *top, *height).narrow(-1, *left, *width)
}

impl Occlusion {
    /// Every square, row by row.
    fn squares(&self, size: [i64; 2]) -> Vec<Square> {
        let [rows, columns] = size.map(|side| {
            let (window, n) = (i64::from(self.window).min(side), i64::from(self.n));
            let place = |i: i64| match n {
                1 => (side - window) / 2,
                _ => ((side - window) as f64 * i as f64 / (n - 1) as f64).round() as i64,
            };
            (0..n).map(|i| (place(i), window)).collect::<Vec<_>>()
        });
        rows.iter().flat_map(|row| columns.iter().map(move |column| [*row, *column])).collect()
    }
}
