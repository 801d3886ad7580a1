//! How a photograph becomes a network's input.

use serde::{Deserialize, Deserializer, Serialize, de::Error};

/// Resize, cut out the center, scale to `[0, 1]`, subtract the mean, divide by the standard deviation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// How large the photograph is made.
    #[serde(deserialize_with = "resize")]
    pub resize: Resize,
    /// Side of the square cut out of the center, in pixels: the network's input size; [`MAX_SIDE`] at most.
    #[serde(deserialize_with = "side")]
    pub crop: u32,
    /// How pixels are interpolated while resizing.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// Per channel, in `[0, 1]`.
    #[serde(default = "imagenet_mean", deserialize_with = "finite")]
    pub mean: [f64; 3],
    /// Per channel, more than 0.
    #[serde(default = "imagenet_std", deserialize_with = "above_zero")]
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

/// The longest side of an image that is made, in pixels.
pub const MAX_SIDE: u32 = 4096;

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

fn side<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        side @ 1..=MAX_SIDE => Ok(side),
        side => Err(D::Error::custom(format!("`{side}` where 1 to {MAX_SIDE} pixels are needed"))),
    }
}

/// Photographs that become too large are refused one by one, for they have all proportions.
fn resize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Resize, D::Error> {
    let resize = Resize::deserialize(deserializer)?;
    match resize {
        Resize::Shorter(0) | Resize::Exact([0, _] | [_, 0]) => {
            Err(D::Error::custom("`0` where at least 1 pixel is needed"))
        }
        _ => Ok(resize),
    }
}

fn finite<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[f64; 3], D::Error> {
    let values = <[f64; 3]>::deserialize(deserializer)?;
    match values.iter().find(|value| !value.is_finite()) {
        None => Ok(values),
        Some(value) => Err(D::Error::custom(format!("`{value}` where a finite number is needed"))),
    }
}

fn above_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[f64; 3], D::Error> {
    let values = <[f64; 3]>::deserialize(deserializer)?;
    match values.iter().find(|value| !(value.is_finite() && **value > 0.0)) {
        None => Ok(values),
        Some(value) => {
            Err(D::Error::custom(format!("`{value}` where a number is needed that is more than 0")))
        }
    }
}
