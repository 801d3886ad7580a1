//! What stands where a pixel of the image does not.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// What stands where a pixel of the image does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    /// The color that normalization maps to 0: the ImageNet mean for torchvision's networks, neutral gray for
    /// EfficientNet-Lite.
    Zero,
    /// The image blurred with the exact kernel of RISE's evaluation code.
    Blur,
    /// The smallest value of the whole image, in every channel: nearly black.
    Minimum,
    /// The image's own mean color.
    Mean,
}

impl Fill {
    /// The fill of every pixel of images `[N, 3, H, W]`, in their shape.
    pub fn image(self, images: &Tensor) -> Tensor {
        match self {
            Self::Zero => images.zeros_like(),
            Self::Blur => blur(images),
            Self::Minimum => images.amin([1, 2, 3], true).expand_as(images),
            Self::Mean => images.mean_dim(&[2_i64, 3][..], true, None::<Kind>).expand_as(images),
        }
    }
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
    fn the_mean_color_is_that_of_each_image_and_channel() {
        let images = Tensor::from_slice(&[1.0_f64, 3.0, 0.0, 8.0, -1.0, 1.0, 2.0, 2.0]);
        let filled = Fill::Mean.image(&images.view([2, 2, 1, 2]));
        let values: Vec<f64> = Vec::try_from(filled.flatten(0, -1)).unwrap();
        assert_eq!(values, [2.0, 2.0, 4.0, 4.0, 0.0, 0.0, 2.0, 2.0]);
    }

    #[test]
    fn the_blur_keeps_a_flat_interior_and_darkens_the_border() {
        let image = Tensor::ones([1, 3, 15, 15], (Kind::Double, tch::Device::Cpu));
        let blurred = blur(&image);
        assert!((blurred.double_value(&[0, 1, 7, 7]) - 1.0).abs() < 1e-12);
        let corner: f64 = blur_line()[..6].iter().sum::<f64>().powi(2);
        assert!((blurred.double_value(&[0, 2, 0, 0]) - corner).abs() < 1e-12);
    }
}
