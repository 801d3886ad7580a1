//! Squares that cover an image, one at a time.

use tch::Tensor;

use crate::{Subject, logits_in_chunks};

/// Squares of `window` pixels at `n × n` places, evenly from edge to edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Squares {
    /// Side of a square, in pixels; no longer than the image's.
    pub window: u32,
    /// Places along each side of the image.
    pub n: u32,
}

/// First pixel and length of a square along each axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Square([(i64, i64); 2]);

impl Square {
    /// The part of `[.., H, W]` below it, as a view.
    pub fn of(self, tensor: &Tensor) -> Tensor {
        let [(top, height), (left, width)] = self.0;
        tensor.narrow(-2, top, height).narrow(-1, left, width)
    }
}

impl Squares {
    /// Every square over an image of `[H, W]`, row by row.
    pub fn over(self, size: [i64; 2]) -> Vec<Square> {
        let [rows, columns] = size.map(|side| {
            let (window, n) = (i64::from(self.window).min(side), i64::from(self.n));
            let place = |i: i64| match n {
                1 => (side - window) / 2,
                _ => ((side - window) as f64 * i as f64 / (n - 1) as f64).round() as i64,
            };
            (0..n).map(|i| (place(i), window)).collect::<Vec<_>>()
        });
        rows.iter()
            .flat_map(|row| columns.iter().map(move |column| Square([*row, *column])))
            .collect()
    }

    /// Logits `[n·n, C]` of a subject's image behind each square, in the color 0 of normalized space.
    pub fn logits(self, subject: &Subject<'_>) -> Tensor {
        let _no_grad = tch::no_grad_guard();
        let (image, squares) = (subject.image(), self.over(subject.size()));
        logits_in_chunks(subject.classifier(), squares.len() as i64, |range| {
            let images = image.repeat([range.end - range.start, 1, 1, 1]);
            for (row, square) in range.clone().enumerate() {
                let _ = squares[square as usize].of(&images.get(row as i64)).zero_();
            }
            images
        })
    }
}
