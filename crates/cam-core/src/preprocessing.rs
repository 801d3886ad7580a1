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

/// What is said of a network's preprocessing; the rest is its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreprocessingChoice {
    /// See [`Preprocessing::resize`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some_resize")]
    pub resize: Option<Resize>,
    /// See [`Preprocessing::crop`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some_side")]
    pub crop: Option<u32>,
    /// See [`Preprocessing::interpolation`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interpolation: Option<Interpolation>,
    /// See [`Preprocessing::mean`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some_mean")]
    pub mean: Option<[f64; 3]>,
    /// See [`Preprocessing::std`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some_std")]
    pub std: Option<[f64; 3]>,
}

impl PreprocessingChoice {
    /// The network's own preprocessing with what is said here in its place.
    pub fn over(&self, own: &Preprocessing) -> Preprocessing {
        Preprocessing {
            resize: self.resize.unwrap_or(own.resize),
            crop: self.crop.unwrap_or(own.crop),
            interpolation: self.interpolation.unwrap_or(own.interpolation),
            mean: self.mean.unwrap_or(own.mean),
            std: self.std.unwrap_or(own.std),
        }
    }
}

impl Preprocessing {
    /// torchvision's for ImageNet, its proportions kept for images of another side.
    pub fn imagenet(side: u32) -> Self {
        Self {
            resize: Resize::Shorter((side * 256).div_ceil(224)),
            crop: side,
            interpolation: Interpolation::Bilinear,
            mean: IMAGENET_MEAN,
            std: IMAGENET_STD,
        }
    }

    /// Whether there is a center to be cut out.
    ///
    /// # Errors
    /// Where the photograph is made smaller than that.
    pub fn check(&self) -> Result<(), CropError> {
        let crop = self.crop;
        let least = match self.resize {
            Resize::Shorter(side) => side,
            Resize::Exact([height, width]) => height.min(width),
        };
        if crop > least { Err(CropError { crop, least }) } else { Ok(()) }
    }
}

/// A center that is larger than the photograph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a center of {crop} x {crop} pixels cannot be cut out of a photograph that is made {least} long; \
     `resize` is at least `crop`"
)]
pub struct CropError {
    /// Side of the center, in pixels.
    pub crop: u32,
    /// The photograph's shortest side, in pixels.
    pub least: u32,
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
        side => Err(D::Error::custom(format!("expected 1 to {MAX_SIDE} pixels, got `{side}`"))),
    }
}

/// Photographs that become too large are refused one by one, for they have all proportions.
fn resize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Resize, D::Error> {
    let resize = Resize::deserialize(deserializer)?;
    match resize {
        Resize::Shorter(0) | Resize::Exact([0, _] | [_, 0]) => {
            Err(D::Error::custom("expected at least 1 pixel, got `0`"))
        }
        _ => Ok(resize),
    }
}

fn finite<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[f64; 3], D::Error> {
    let values = <[f64; 3]>::deserialize(deserializer)?;
    match values.iter().find(|value| !value.is_finite()) {
        None => Ok(values),
        Some(value) => Err(D::Error::custom(format!("expected a finite number, got `{value}`"))),
    }
}

fn above_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[f64; 3], D::Error> {
    let values = <[f64; 3]>::deserialize(deserializer)?;
    match values.iter().find(|value| !(value.is_finite() && **value > 0.0)) {
        None => Ok(values),
        Some(value) => Err(D::Error::custom(format!("expected more than 0, got `{value}`"))),
    }
}

fn some_resize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Resize>, D::Error> {
    resize(deserializer).map(Some)
}

fn some_side<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    side(deserializer).map(Some)
}

/// The commonest slip is a mean of pixels from 0 to 255.
fn some_mean<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<[f64; 3]>, D::Error> {
    let values = finite(deserializer)?;
    match values.iter().find(|value| !(0.0..=1.0).contains(*value)) {
        None => Ok(Some(values)),
        Some(value) => Err(D::Error::custom(format!(
            "mean: expected a mean of pixels in [0, 1], got `{value}`; divide by 255 what is of pixels up to 255"
        ))),
    }
}

/// As for the mean: pixels in [0, 1] deviate by half of that at most, and 1 leaves them as they are.
fn some_std<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<[f64; 3]>, D::Error> {
    let values = above_zero(deserializer)?;
    match values.iter().find(|value| **value > 1.0) {
        None => Ok(Some(values)),
        Some(value) => Err(D::Error::custom(format!(
            "std: `{value}` where pixels are in [0, 1]; divide by 255 what is of pixels up to 255"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(text: &str) -> PreprocessingChoice {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_is_not_said_is_the_networks_own() {
        let own = Preprocessing {
            interpolation: Interpolation::Bicubic,
            mean: [0.5; 3],
            ..Preprocessing::imagenet(224)
        };
        let larger = choice(r#"{ "resize": 512, "crop": 448 }"#).over(&own);
        let expected = Preprocessing { resize: Resize::Shorter(512), crop: 448, ..own.clone() };
        assert_eq!(larger, expected);
        assert_eq!(choice("{}").over(&own), own);
    }

    #[test]
    fn a_mean_or_deviation_of_pixels_up_to_255_is_an_error() {
        for text in [r#"{ "mean": [123.7, 116.3, 103.5] }"#, r#"{ "std": [58.4, 57.1, 57.4] }"#] {
            let error = serde_json::from_str::<PreprocessingChoice>(text).unwrap_err();
            assert!(error.to_string().contains("divide by 255"), "{error}");
        }
        assert_eq!(choice(r#"{ "std": [1, 1, 1] }"#).std, Some([1.0; 3]));
    }

    #[test]
    fn a_center_larger_than_the_photograph_is_an_error() {
        let own = Preprocessing::imagenet(224);
        assert_eq!(own.check(), Ok(()));
        assert_eq!(choice(r#"{ "resize": [256, 300], "crop": 256 }"#).over(&own).check(), Ok(()));
        for text in [r#"{ "crop": 448 }"#, r#"{ "resize": [256, 200] }"#] {
            let error = choice(text).over(&own).check().unwrap_err().to_string();
            assert!(error.ends_with("`resize` is at least `crop`"), "{error}");
        }
    }
}
