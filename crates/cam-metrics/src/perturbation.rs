//! Images whose pixels are replaced in order of saliency, the curve of the confidence, and its area.

use cam_core::{Explained, Score, Subject, logits_in_chunks};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// What stands where a pixel of the image does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    /// 0 in normalized space: the mean color of the training images.
    Zero,
    /// The image blurred with the exact kernel of RISE's evaluation code.
    Blur,
}

impl Fill {
    fn image(self, image: &Tensor) -> Tensor {
        match self {
            Self::Zero => image.zeros_like(),
            Self::Blur => blur(image),
        }
    }
}

/// Which way pixels go, the most salient first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the image to the fill.
    Delete,
    /// From the fill to the image.
    Insert,
}

/// Confidence while pixels go `direction` in `steps` intervals, and the area under it by the trapezoid rule.
///
/// Equal values keep their row-major order. Both end points are part of the curve, whose abscissa is the share of pixels.
pub(crate) fn perturb(
    explained: &Explained<'_>,
    steps: u32,
    fill: Fill,
    direction: Direction,
) -> Score {
    let subject = explained.subject();
    let [height, width] = subject.size();
    let n_pixels = height * width;
    let steps = i64::from(steps).clamp(1, n_pixels);
    let replaced = |step: i64| step * n_pixels / steps;

    let ranks = ranks(explained.map().unit())
        .to_device(subject.image().device())
        .view([1, 1, height, width]);
    let fill = fill.image(subject.image());
    let (gone, left) = match direction {
        Direction::Delete => (&fill, subject.image()),
        Direction::Insert => (subject.image(), &fill),
    };
    // The clean image is one end of every curve and known already: the first step of a deletion, the last of an insertion.
    let first = i64::from(direction == Direction::Delete);
    let perturbed = logits_in_chunks(subject.classifier(), steps, |range| {
        let counts: Vec<i64> = range.map(|index| replaced(first + index)).collect();
        let counts = Tensor::from_slice(&counts).to_device(ranks.device()).view([-1, 1, 1, 1]);
        gone.where_self(&ranks.less_tensor(&counts), left)
    });
    let curve = join_clean(subject, &perturbed, direction);
    let area = curve
        .windows(2)
        .zip(0..)
        .map(|(pair, step)| {
            f64::midpoint(pair[0], pair[1]) * (replaced(step + 1) - replaced(step)) as f64
        })
        .sum::<f64>()
        / n_pixels as f64;
    Score { value: area, curve: Some(curve) }
}

fn join_clean(subject: &Subject<'_>, logits: &Tensor, direction: Direction) -> Vec<f64> {
    let probabilities = subject.probability(logits).to_kind(Kind::Double);
    let mut curve = Vec::try_from(probabilities).expect("a vector of probabilities");
    match direction {
        Direction::Delete => curve.insert(0, subject.confidence()),
        Direction::Insert => curve.push(subject.confidence()),
    }
    curve
}

/// The place of every pixel of `[H, W]` in decreasing order, equal values in row-major order: `[H·W]`.
fn ranks(map: &Tensor) -> Tensor {
    let values: Vec<f64> =
        Vec::try_from(map.to_kind(Kind::Double).flatten(0, -1)).expect("a map of numbers");
    let mut order: Vec<usize> = (0..values.len()).collect();
    // Adding 0 makes one zero of both, which the total order would tell apart.
    order.sort_by(|&a, &b| (values[b] + 0.0).total_cmp(&(values[a] + 0.0)));
    let mut ranks = vec![0_i64; values.len()];
    for (rank, pixel) in order.into_iter().enumerate() {
        ranks[pixel] = rank as i64;
    }
    Tensor::from_slice(&ranks)
}

/// Convolution with RISE's 11×11 kernel, each channel by itself, zeros beyond the border.
fn blur(image: &Tensor) -> Tensor {
    let line = Tensor::from_slice(&blur_line()).to_kind(image.kind()).to_device(image.device());
    let channels = image.size()[1];
    let kernel = line.outer(&line).expand([channels, 1, 11, 11], false).contiguous();
    let _no_grad = tch::no_grad_guard();
    image.conv2d(&kernel, None::<Tensor>, 1, 5, 1, channels)
}

/// One line of the separable kernel: a unit impulse in the middle of 11 pixels under a Gaussian of σ = 5, radius 20, whose
/// tails are folded back at the borders (each reflection repeats the border pixel). Sums to 1.
fn blur_line() -> [f64; 11] {
    const SIGMA: f64 = 5.0;
    const RADIUS: i32 = 20;
    const LEN: i32 = 11;
    let weight = |distance: i32| (-0.5 * (f64::from(distance) / SIGMA).powi(2)).exp();
    let total: f64 = (-RADIUS..=RADIUS).map(weight).sum();
    let mut line = [0.0; LEN as usize];
    for (at, value) in (0..LEN).zip(&mut line) {
        for distance in -RADIUS..=RADIUS {
            let folded = (at + distance).rem_euclid(2 * LEN);
            if folded.min(2 * LEN - 1 - folded) == LEN / 2 {
                *value += weight(distance) / total;
            }
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_blur_kernel_is_the_folded_gaussian_of_rise_and_not_a_truncated_one() {
        let line = blur_line();
        let expected = [0.087_958, 0.088_896, 0.090_474, 0.092_191, 0.093_489, 0.093_982];
        for (at, want) in expected.iter().enumerate() {
            assert!((line[at] - want).abs() < 1e-6, "{at}: {}", line[at]);
            assert!((line[10 - at] - line[at]).abs() < 1e-12, "symmetric");
        }
        assert!((line.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!((line[5] * line[5] - 0.008_832_6).abs() < 1e-7);
        assert!((line[0] * line[0] - 0.007_736_6).abs() < 1e-7);
    }

    #[test]
    fn the_blur_keeps_a_flat_interior_and_darkens_the_border() {
        let image = Tensor::ones([1, 3, 15, 15], (Kind::Double, tch::Device::Cpu));
        let blurred = blur(&image);
        assert!((blurred.double_value(&[0, 1, 7, 7]) - 1.0).abs() < 1e-12);
        let corner: f64 = blur_line()[..6].iter().sum::<f64>().powi(2);
        assert!((blurred.double_value(&[0, 2, 0, 0]) - corner).abs() < 1e-12);
    }

    #[test]
    fn ties_are_broken_in_row_major_order() {
        let map = Tensor::from_slice(&[0.5_f64, 1.0, 0.5, 0.0, 1.0, 0.5]).view([2, 3]);
        assert_eq!(Vec::<i64>::try_from(ranks(&map)).unwrap(), [2, 0, 3, 5, 1, 4]);
        let zeros = Tensor::from_slice(&[-0.0_f64, 0.0, -0.0, 1.0]).view([2, 2]);
        assert_eq!(Vec::<i64>::try_from(ranks(&zeros)).unwrap(), [1, 2, 3, 0]);
    }
}
