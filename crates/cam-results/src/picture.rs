//! Photographs with a map laid over them.

use image::{
    ExtendedColorType, ImageEncoder,
    codecs::{
        jpeg::JpegEncoder,
        png::{CompressionType, FilterType, PngEncoder},
    },
};
use plotters::style::colors::colormaps::ViridisRGB;

/// The share of the map's color in an overlay; the rest is the photograph's.
const OPACITY: f32 = 0.55;

/// An RGB image, 8 bits a channel, rows from the top.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// `[height, width, 3]`, row-major.
    pub rgb: Vec<u8>,
}

impl Picture {
    /// From `[height, width, 3]` samples, row-major.
    pub fn new(width: u32, height: u32, rgb: Vec<u8>) -> Self {
        assert_eq!(rgb.len(), width as usize * height as usize * 3, "three samples a pixel");
        Self { width, height, rgb }
    }

    /// A map `[height, width]` in `[0, 1]` alone, as colors of [`color`].
    pub(crate) fn of_map([height, width]: [u32; 2], map: &[f32]) -> Self {
        Self::new(width, height, map.iter().flat_map(|value| color(*value)).collect())
    }

    /// This photograph under a map `[height, width]` in `[0, 1]`, as colors of [`color`].
    #[must_use]
    pub fn overlay(&self, map: &[f32]) -> Self {
        assert_eq!(map.len() * 3, self.rgb.len(), "one value a pixel");
        let mut overlay = self.clone();
        for (pixel, &value) in overlay.rgb.chunks_exact_mut(3).zip(map) {
            for (sample, color) in pixel.iter_mut().zip(color(value)) {
                let mixed = OPACITY * f32::from(color) + (1.0 - OPACITY) * f32::from(*sample);
                *sample = mixed.round() as u8;
            }
        }
        overlay
    }

    /// The whole picture in `side` × `side` pixels.
    pub(crate) fn thumbnail(&self, side: u32) -> Self {
        let image = image::RgbImage::from_raw(self.width, self.height, self.rgb.clone())
            .expect("three samples a pixel");
        let small =
            image::imageops::resize(&image, side, side, image::imageops::FilterType::Triangle);
        Self::new(side, side, small.into_raw())
    }

    /// The bytes of a PNG file.
    pub fn png(&self) -> Vec<u8> {
        let mut bytes = vec![];
        // Slow and small: pictures are written once and kept.
        let best = CompressionType::Best;
        self.encode(PngEncoder::new_with_quality(&mut bytes, best, FilterType::Adaptive));
        bytes
    }

    /// The bytes of a JPEG file.
    pub(crate) fn jpeg(&self) -> Vec<u8> {
        let mut bytes = vec![];
        self.encode(JpegEncoder::new_with_quality(&mut bytes, 88));
        bytes
    }

    fn encode(&self, encoder: impl ImageEncoder) {
        encoder
            .write_image(&self.rgb, self.width, self.height, ExtendedColorType::Rgb8)
            .expect("memory takes every picture");
    }
}

/// The color of a map's value in `[0, 1]`: viridis, whose lightness rises evenly and which color-blind people can read.
pub fn color(value: f32) -> [u8; 3] {
    let color = ViridisRGB::get_color(value.clamp(0.0, 1.0));
    [color.0, color.1, color.2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_mixes_the_photograph_and_the_maps_color() {
        let gray = Picture::new(2, 1, vec![100; 6]);
        let overlay = gray.overlay(&[0.0, 1.0]);
        let mixed = |color: [u8; 3]| color.map(|c| (0.55 * f32::from(c) + 45.0).round() as u8);
        assert_eq!(overlay.rgb, [mixed(color(0.0)), mixed(color(1.0))].concat());
        assert_eq!(color(0.0), [68, 1, 84]);
        assert_eq!(color(1.0), [254, 232, 37]);
    }

    #[test]
    fn a_png_gives_back_every_sample() {
        let rgb: Vec<u8> = (0..5 * 3 * 3).map(|i| i as u8 * 5).collect();
        let picture = Picture::new(5, 3, rgb);
        let read = image::load_from_memory(&picture.png()).unwrap().into_rgb8();
        assert_eq!((read.width(), read.height(), read.into_raw()), (5, 3, picture.rgb));
    }

    #[test]
    fn values_outside_of_the_range_have_the_color_of_its_ends() {
        assert_eq!((color(-1.0), color(2.0)), (color(0.0), color(1.0)));
    }
}
