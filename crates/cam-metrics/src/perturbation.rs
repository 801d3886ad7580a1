//! The confidence while pixels are replaced in order of saliency, and the area under it.

use cam_core::{Explained, Fill, Order, Probe, Score};

/// Pixels that go, a step at a time, from the image to a fill or the other way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Perturbation {
    /// Whether the image is taken away or given back.
    pub(crate) direction: Direction,
    /// Which pixels go first.
    pub(crate) order: Order,
    /// What stands where the image does not.
    pub(crate) fill: Fill,
    /// Intervals of the curve.
    pub(crate) steps: u32,
}

/// Which way pixels go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the image to the fill.
    Delete,
    /// From the fill to the image.
    Insert,
}

impl Perturbation {
    /// The images of the whole curve, both ends included, for images of `[H, W]`.
    pub(crate) fn probes(self, size: [i64; 2]) -> Vec<Probe> {
        (0..=self.n_steps(size)).map(|step| self.probe(size, step)).collect()
    }

    /// The curve and the area under it by the trapezoid rule, over the share of pixels.
    pub(crate) fn score(self, explained: &Explained<'_>) -> Score {
        let size = explained.subject().size();
        let answers = explained.answers(&self.probes(size));
        let curve: Vec<f64> = answers.into_iter().map(|answer| answer.probability).collect();
        let area = curve
            .windows(2)
            .zip(0..)
            .map(|(pair, step)| {
                let width = self.n_gone(size, step + 1) - self.n_gone(size, step);
                f64::midpoint(pair[0], pair[1]) * width as f64
            })
            .sum::<f64>()
            / n_pixels(size) as f64;
        Score { value: area, curve: Some(curve) }
    }

    /// The image after some steps.
    fn probe(self, size: [i64; 2], step: i64) -> Probe {
        let n_gone = self.n_gone(size, step);
        let Self { order, fill, .. } = self;
        match self.direction {
            // What is left when the first pixels of an order are gone are the first ones of the order read backwards.
            Direction::Delete => {
                Probe::Kept { pixels: n_pixels(size) - n_gone, order: order.reversed(), fill }
            }
            Direction::Insert => Probe::Kept { pixels: n_gone, order, fill },
        }
    }

    fn n_gone(self, size: [i64; 2], step: i64) -> i64 {
        step * n_pixels(size) / self.n_steps(size)
    }

    fn n_steps(self, size: [i64; 2]) -> i64 {
        i64::from(self.steps).clamp(1, n_pixels(size))
    }
}

fn n_pixels([height, width]: [i64; 2]) -> i64 {
    height * width
}
