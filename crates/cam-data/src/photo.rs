//! A photograph as a network sees it, with Pillow's and torchvision's numbers.

use std::{fs, io::Cursor, path::Path};

use cam_core::{Interpolation, Preprocessing};
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer, images::Image, images::ImageRef, PixelType};
use image::{
    ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage,
};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::DataError;

/// Whether a photograph is turned upright by its EXIF tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Orientation {
    /// As the pixels lie in the file: what torchvision's `ImageFolder` and so every published accuracy does.
    #[default]
    Ignore,
    /// As a viewer shows it.
    Apply,
}

/// A photograph, decoded, resized and cropped to a network's input size.
#[derive(Clone, PartialEq, Eq)]
pub struct Photo {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// `[height, width, 3]`, row-major.
    pub rgb: Vec<u8>,
}

/// The largest image that is decoded, in pixels.
const MAX_PIXELS: u64 = 100_000_000;

impl Photo {
    /// Decodes, resizes and crops a file.
    ///
    /// # Errors
    /// [`DataError`] where the file cannot be read, is no JPEG or PNG, is damaged, or is larger than 100 million pixels.
    pub fn open(path: &Path, preprocessing: &Preprocessing, orientation: Orientation) -> Result<Self, DataError> {
        let bytes = fs::read(path).map_err(DataError::read(path))?;
        Self::from_bytes(&bytes, path, preprocessing, orientation)
    }

    /// Decodes, resizes and crops the bytes of a file; `path` is for messages.
    ///
    /// # Errors
    /// As [`Photo::open`].
    pub fn from_bytes(
        bytes: &[u8],
        path: &Path,
        preprocessing: &Preprocessing,
        orientation: Orientation,
    ) -> Result<Self, DataError> {
        let image = decode(bytes, path, orientation)?;
        let resized = resize_shorter_side(&image, preprocessing.resize, preprocessing.interpolation);
        Ok(center_crop(&resized, preprocessing.crop))
    }

    /// The network's input, `[1, 3, height, width]` in `f32`: pixels in `[0, 1]`, mean subtracted, divided by the
    /// standard deviation.
    pub fn tensor(&self, preprocessing: &Preprocessing) -> Tensor {
        let channels = |values: [f64; 3]| Tensor::from_slice(&values.map(|value| value as f32)).view([1, 3, 1, 1]);
        let pixels = Tensor::from_slice(&self.rgb).view([1, i64::from(self.height), i64::from(self.width), 3]);
        let scaled = pixels.permute([0, 3, 1, 2]).to_kind(Kind::Float) / 255.0;
        ((scaled - channels(preprocessing.mean)) / channels(preprocessing.std)).contiguous()
    }
}

/// Pixels of a JPEG or PNG file as Pillow's `convert("RGB")` gives them, but for 16-bit samples, which are scaled where
/// Pillow cuts them off; transparency is dropped.
fn decode(bytes: &[u8], path: &Path, orientation: Orientation) -> Result<RgbImage, DataError> {
    let failed = |error: ImageError| DataError::Decode { path: path.to_path_buf(), message: error.to_string() };
    if bytes.is_empty() {
        return Err(DataError::EmptyFile { path: path.to_path_buf() });
    }
    // The content decides, not the name.
    let format = match image::guess_format(bytes) {
        Ok(format @ (ImageFormat::Jpeg | ImageFormat::Png)) => format,
        _ => return Err(DataError::NotAnImage { path: path.to_path_buf() }),
    };
    if format == ImageFormat::Jpeg && is_cut_off(bytes) {
        return Err(DataError::Decode { path: path.to_path_buf(), message: "the JPEG data is cut off".into() });
    }
    let mut decoder = ImageReader::with_format(Cursor::new(bytes), format).into_decoder().map_err(failed)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(DataError::TooLarge { path: path.to_path_buf(), width, height, limit: MAX_PIXELS });
    }
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_PIXELS * 8);
    decoder.set_limits(limits).map_err(failed)?;
    let turn = match orientation {
        Orientation::Apply => Some(decoder.orientation().map_err(failed)?),
        Orientation::Ignore => None,
    };
    let mut image = DynamicImage::from_decoder(decoder).map_err(failed)?;
    if let Some(turn) = turn {
        image.apply_orientation(turn);
    }
    Ok(match image.color() {
        ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => high_bytes(&image),
        _ => image.into_rgb8(),
    })
}

/// The high byte of every 16-bit sample, transparency dropped.
fn high_bytes(image: &DynamicImage) -> RgbImage {
    let wide = image.to_rgb16();
    let bytes = wide.as_raw().iter().map(|sample| (sample >> 8) as u8).collect();
    RgbImage::from_raw(wide.width(), wide.height(), bytes).expect("as many samples as before")
}

/// Whether a JPEG file ends before its last scan does: no end-of-image marker behind the last start of a scan.
///
/// The decoder fills what is missing with gray; Pillow refuses such a file, and so do we.
fn is_cut_off(bytes: &[u8]) -> bool {
    let marker = |code: u8| bytes.windows(2).rposition(|pair| pair == [0xff, code]);
    match (marker(0xda), marker(0xd9)) {
        (Some(scan), Some(end)) => end < scan,
        _ => true,
    }
}

/// Resizes to a shorter side of `side` pixels; the longer one is rounded down, as torchvision does.
fn resize_shorter_side(image: &RgbImage, side: u32, interpolation: Interpolation) -> RgbImage {
    let (width, height) = image.dimensions();
    let longer = |long: u32, short: u32| (u64::from(side) * u64::from(long) / u64::from(short)) as u32;
    let (new_width, new_height) =
        if width <= height { (side, longer(height, width)) } else { (longer(width, height), side) };
    if (new_width, new_height) == (width, height) {
        return image.clone();
    }
    let filter = match interpolation {
        Interpolation::Bilinear => FilterType::Bilinear,
        Interpolation::Bicubic => FilterType::CatmullRom,
    };
    let source = ImageRef::new(width, height, image.as_raw(), PixelType::U8x3).expect("three bytes a pixel");
    let mut target = Image::new(new_width, new_height, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter));
    Resizer::new().resize(&source, &mut target, &options).expect("both images are RGB");
    RgbImage::from_raw(new_width, new_height, target.into_vec()).expect("three bytes a pixel")
}

/// Cuts out the center, `side` × `side`; what lies beyond the image is black, as torchvision does.
fn center_crop(image: &RgbImage, side: u32) -> Photo {
    let (width, height) = (i64::from(image.width()), i64::from(image.height()));
    let (left, top) = (offset(width, i64::from(side)), offset(height, i64::from(side)));
    let mut rgb = Vec::with_capacity((side * side * 3) as usize);
    for y in top..top + i64::from(side) {
        for x in left..left + i64::from(side) {
            let inside = (0..width).contains(&x) && (0..height).contains(&y);
            rgb.extend(if inside { image.get_pixel(x as u32, y as u32).0 } else { [0; 3] });
        }
    }
    Photo { width: side, height: side, rgb }
}

/// Where the crop starts: half of what is left over, rounded to the nearest, halves to the even one as Python does; a
/// smaller image is first padded by half of what is missing on the left, rounded down.
fn offset(length: i64, side: i64) -> i64 {
    let left_over = length - side;
    if left_over < 0 {
        return left_over / 2;
    }
    (left_over as f64 / 2.0).round_ties_even() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crops_start_where_python_rounds_to() {
        // round(0.5) = 0, round(1.5) = 2, round(2.5) = 2.
        assert_eq!([offset(225, 224), offset(227, 224), offset(229, 224), offset(256, 224)], [0, 2, 2, 16]);
        // Padding of (224 - 221) / 2 = 1.5 on the left is 1.
        assert_eq!([offset(221, 224), offset(222, 224)], [-1, -1]);
    }

    #[test]
    fn the_longer_side_is_rounded_down() {
        let image = RgbImage::new(500, 333);
        let resized = resize_shorter_side(&image, 256, Interpolation::Bilinear);
        assert_eq!(resized.dimensions(), (384, 256)); // 256 * 500 / 333 = 384.38
        let resized = resize_shorter_side(&RgbImage::new(100, 101), 64, Interpolation::Bicubic);
        assert_eq!(resized.dimensions(), (64, 64));
    }

    #[test]
    fn normalization_subtracts_the_mean_and_divides_by_the_standard_deviation() {
        let photo = Photo { width: 1, height: 1, rgb: vec![255, 0, 51] };
        let preprocessing = Preprocessing {
            resize: 1,
            crop: 1,
            interpolation: Interpolation::Bilinear,
            mean: [0.5, 0.25, 0.0],
            std: [0.5, 0.25, 0.1],
        };
        let values = Vec::<f32>::try_from(photo.tensor(&preprocessing).flatten(0, -1)).unwrap();
        for (got, want) in values.iter().zip([1.0, -1.0, 2.0]) {
            assert!((got - want).abs() < 1e-6, "{got} is not {want}");
        }
    }
}
