//! A photograph as a network sees it, with Pillow's and torchvision's numbers.

use std::{io::Cursor, path::Path};

use cam_core::{Interpolation, Preprocessing, Resize};
use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer, images::Image, images::ImageRef,
};
use image::{
    ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage,
};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::{DataError, bounds::Frame};

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

/// The largest image that is decoded or made, in pixels.
const MAX_PIXELS: u64 = 100_000_000;

/// The longest side of an image that is decoded, in pixels: for each of them a filter that shrinks it takes up to 32 bytes.
const MAX_SIDE: u32 = 1_000_000;

/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 256 << 20;

/// The bytes of a file of an image.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    cam_core::read_file(path, MAX_BYTES).map_err(DataError::read(path))
}

impl Photo {
    /// Decodes, resizes and crops a file.
    ///
    /// # Errors
    /// [`DataError`] where the file cannot be read, is no JPEG or PNG, is damaged, or has more than 256 MiB, 100 million
    /// pixels, as it is or while it is resized, or a million along a side.
    pub fn open(
        path: &Path,
        preprocessing: &Preprocessing,
        orientation: Orientation,
    ) -> Result<Self, DataError> {
        let bytes = read(path)?;
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
        Self::framed(bytes, path, preprocessing, orientation).map(|(photo, _)| photo)
    }

    /// As [`Photo::from_bytes`], with how it was cut out of the file.
    pub(crate) fn framed(
        bytes: &[u8],
        path: &Path,
        preprocessing: &Preprocessing,
        orientation: Orientation,
    ) -> Result<(Self, Frame), DataError> {
        let image = decode(bytes, path, orientation)?;
        let (width, height) = resized_size(image.dimensions(), preprocessing.resize);
        // Width comes before height, so the image on the way may be the largest of the three.
        let largest = (width, height.max(image.height().into()));
        if largest.0.saturating_mul(largest.1) > MAX_PIXELS {
            return Err(DataError::TooLong {
                path: path.to_path_buf(),
                width: image.width(),
                height: image.height(),
                largest,
                limit: MAX_PIXELS,
            });
        }
        let resized = resize(&image, (width as u32, height as u32), preprocessing.interpolation);
        let [left, top] =
            [width, height].map(|length| offset(length as i64, i64::from(preprocessing.crop)));
        let frame = Frame {
            scale: [
                width as f64 / f64::from(image.width()),
                height as f64 / f64::from(image.height()),
            ],
            offset: [left, top],
            side: preprocessing.crop,
        };
        Ok((center_crop(&resized, preprocessing.crop), frame))
    }

    /// The network's input, `[1, 3, height, width]` in `f32`: pixels in `[0, 1]`, mean subtracted, divided by the
    /// standard deviation. It lies channels-last in memory, as pixels do in a file and as networks want it.
    pub fn tensor(&self, preprocessing: &Preprocessing) -> Tensor {
        let channels = |values: [f64; 3]| {
            Tensor::from_slice(&values.map(|value| value as f32)).view([1, 3, 1, 1])
        };
        let pixels = Tensor::from_slice(&self.rgb).view([
            1,
            i64::from(self.height),
            i64::from(self.width),
            3,
        ]);
        let scaled = pixels.permute([0, 3, 1, 2]).to_kind(Kind::Float) / 255.0;
        (scaled - channels(preprocessing.mean)) / channels(preprocessing.std)
    }
}

/// Pixels of a JPEG or PNG file as Pillow's `convert("RGB")` gives them, but for 16-bit samples, which are scaled where
/// Pillow cuts them off; transparency is dropped.
fn decode(bytes: &[u8], path: &Path, orientation: Orientation) -> Result<RgbImage, DataError> {
    let failed = undecodable(path);
    let mut decoder = decoder(bytes, path)?;
    let turn = match orientation {
        Orientation::Apply => Some(decoder.orientation().map_err(&failed)?),
        Orientation::Ignore => None,
    };
    let mut image = DynamicImage::from_decoder(decoder).map_err(&failed)?;
    if let Some(turn) = turn {
        image.apply_orientation(turn);
    }
    Ok(match image.color() {
        ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => {
            high_bytes(&image)
        }
        _ => image.into_rgb8(),
    })
}

/// What a file of an image says of its pixels.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Header {
    /// Whether its EXIF tag says that they are to be turned or mirrored; not, where it cannot be read.
    pub(crate) is_turned: bool,
    /// Width and height.
    pub(crate) size: Option<[u32; 2]>,
}

/// What the bytes of a file say before its pixels are decoded.
pub(crate) fn header(bytes: &[u8], path: &Path) -> Result<Header, DataError> {
    let mut decoder = decoder(bytes, path)?;
    let (width, height) = decoder.dimensions();
    let turn = decoder.orientation();
    let is_turned = matches!(turn, Ok(turn) if turn != image::metadata::Orientation::NoTransforms);
    Ok(Header { is_turned, size: Some([width, height]) })
}

fn undecodable(path: &Path) -> impl Fn(ImageError) -> DataError {
    |error| DataError::Decode { path: path.to_path_buf(), message: error.to_string() }
}

/// What reads the pixels of a whole JPEG or PNG file that is not too large.
fn decoder<'a>(bytes: &'a [u8], path: &Path) -> Result<impl ImageDecoder + use<'a>, DataError> {
    let failed = undecodable(path);
    if bytes.is_empty() {
        return Err(DataError::EmptyFile { path: path.to_path_buf() });
    }
    // The content decides, not the name.
    let Ok(format @ (ImageFormat::Jpeg | ImageFormat::Png)) = image::guess_format(bytes) else {
        return Err(DataError::NotAnImage { path: path.to_path_buf() });
    };
    if format == ImageFormat::Jpeg && !is_complete(bytes) {
        return Err(DataError::Decode {
            path: path.to_path_buf(),
            message: "the JPEG data is cut off".into(),
        });
    }
    let mut decoder =
        ImageReader::with_format(Cursor::new(bytes), format).into_decoder().map_err(&failed)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(DataError::TooLarge {
            path: path.to_path_buf(),
            width,
            height,
            limit: MAX_PIXELS,
        });
    }
    if width.max(height) > MAX_SIDE {
        let path = path.to_path_buf();
        return Err(DataError::LongSide { path, width, height, limit: MAX_SIDE });
    }
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_PIXELS * 8);
    decoder.set_limits(limits).map_err(failed)?;
    Ok(decoder)
}

/// The high byte of every 16-bit sample, transparency dropped.
fn high_bytes(image: &DynamicImage) -> RgbImage {
    let wide = image.to_rgb16();
    let bytes = wide.as_raw().iter().map(|sample| (sample >> 8) as u8).collect();
    RgbImage::from_raw(wide.width(), wide.height(), bytes).expect("as many samples as before")
}

/// Whether a JPEG file goes on to its end-of-image marker, walked to from segment to segment: thumbnails inside and
/// films behind the photograph have markers of their own.
///
/// The decoder fills what is missing with gray; Pillow refuses such a file, and so do we.
fn is_complete(jpeg: &[u8]) -> bool {
    const END_OF_IMAGE: u8 = 0xd9;
    let mut rest = jpeg.get(2..).unwrap_or_default();
    loop {
        // In a scan's data, 0xff is followed by 0 or is a restart marker.
        let is_marker = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7 | 0xff);
        let Some(marker) = rest.windows(2).position(is_marker) else { return false };
        if rest[marker + 1] == END_OF_IMAGE {
            return true;
        }
        // Any other marker is followed by a segment, which begins with its length.
        let segment = &rest[marker + 2..];
        let Some(length) = segment.first_chunk().map(|bytes| u16::from_be_bytes(*bytes)) else {
            return false;
        };
        let Some(behind) = segment.get(usize::from(length)..) else { return false };
        rest = behind;
    }
}

/// Width and height after resizing; the longer side is rounded down where the aspect ratio is kept, as torchvision does.
fn resized_size((width, height): (u32, u32), resize: Resize) -> (u64, u64) {
    let side = match resize {
        Resize::Exact([height, width]) => return (u64::from(width), u64::from(height)),
        Resize::Shorter(side) => u64::from(side),
    };
    let (width, height) = (u64::from(width), u64::from(height));
    if width <= height { (side, side * height / width) } else { (side * width / height, side) }
}

/// Resizes with Pillow's filters, which widen with the reduction.
fn resize(image: &RgbImage, (width, height): (u32, u32), interpolation: Interpolation) -> RgbImage {
    let filter = match interpolation {
        Interpolation::Bilinear => FilterType::Bilinear,
        Interpolation::Bicubic => FilterType::CatmullRom,
    };
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter));
    let to = |image: &RgbImage, width, height| {
        let source = ImageRef::new(image.width(), image.height(), image.as_raw(), PixelType::U8x3)
            .expect("three bytes a pixel");
        let mut target = Image::new(width, height, PixelType::U8x3);
        Resizer::new().resize(&source, &mut target, &options).expect("both images are RGB");
        RgbImage::from_raw(width, height, target.into_vec()).expect("three bytes a pixel")
    };
    // Width before height, as Pillow: values are rounded and clipped in between, so the order shows.
    to(&to(image, width, image.height()), width, height)
}

/// Cuts out the center, `side` × `side`; what lies beyond the image is black, as torchvision does.
fn center_crop(image: &RgbImage, side: u32) -> Photo {
    let (width, height) = (i64::from(image.width()), i64::from(image.height()));
    let (left, top) = (offset(width, i64::from(side)), offset(height, i64::from(side)));
    let mut rgb = Vec::with_capacity(3 * side as usize * side as usize);
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
        assert_eq!(
            [offset(225, 224), offset(227, 224), offset(229, 224), offset(256, 224)],
            [0, 2, 2, 16]
        );
        // Padding of (224 - 221) / 2 = 1.5 on the left is 1.
        assert_eq!([offset(221, 224), offset(222, 224)], [-1, -1]);
    }

    #[test]
    fn the_longer_side_is_rounded_down() {
        let of = |size, side| resized_size(size, Resize::Shorter(side));
        assert_eq!(of((500, 333), 256), (384, 256)); // 256 * 500 / 333 = 384.38
        assert_eq!(of((100, 101), 64), (64, 64));
        assert_eq!(of((1, u32::MAX), 256), (256, 256 * u64::from(u32::MAX)));
    }

    #[test]
    fn two_sides_squash_a_photograph() {
        assert_eq!(resized_size((500, 333), Resize::Exact([256, 224])), (224, 256));
    }

    #[test]
    fn normalization_subtracts_the_mean_and_divides_by_the_standard_deviation() {
        let photo = Photo { width: 1, height: 1, rgb: vec![255, 0, 51] };
        let preprocessing = Preprocessing {
            resize: Resize::Shorter(1),
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
