//! How a photograph becomes a network's input.

use serde::{Deserialize, Serialize};

/// Resize, cut out the center, scale to `[0, 1]`, subtract the mean, divide by the standard deviation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// How large the photograph is made.
    pub resize: Resize,
    /// Side of the square cut out of the center, in pixels: the network's input size.
    pub crop: u32,
    /// How pixels are interpolated while resizing.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// Per channel, in `[0, 1]`.
    #[serde(default = "imagenet_mean")]
    pub mean: [f64; 3],
    /// Per channel, in `[0, 1]`.
    #[serde(default = "imagenet_std")]
    pub std: [f64; 3],
}

/// How large a photograph is made before its center is cut out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a number of pixels for the shorter side, or [height, width]")]
pub enum Resize {
    /// Length of the shorter side in pixels; the aspect ratio is kept.
    Shorter(u32),
    /// `[height, width]` in pixels; the photograph is squashed.
    Exact([u32; 2]),
}

/// How pixels are interpolated while resizing, with antialiasing, as Pillow does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// Triangle filter.
    #[default]
    Bilinear,
    /// Cubic filter with a = -0.5.
    Bicubic,
}

/// Mean of ImageNet's training pixels, per channel.
pub const IMAGENET_MEAN: [f64; 3] = [0.485, 0.456, 0.406];

/// Standard deviation of ImageNet's training pixels, per channel.
pub const IMAGENET_STD: [f64; 3] = [0.229, 0.224, 0.225];

fn imagenet_mean() -> [f64; 3] {
    IMAGENET_MEAN
}

fn imagenet_std() -> [f64; 3] {
    IMAGENET_STD
}
