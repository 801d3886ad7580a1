//! Where objects are: in a file's pixels, and in those of the network's input.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

/// A box in the pixels of a file as it is decoded, from the upper left corner: `[xmin, xmax) × [ymin, ymax)`, where pixel `i`
/// is `[i, i + 1)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// Left.
    pub xmin: f64,
    /// Top.
    pub ymin: f64,
    /// Right.
    pub xmax: f64,
    /// Bottom.
    pub ymax: f64,
}

impl Bounds {
    /// From `xmin`, `ymin`, `xmax` and `ymax`.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let numbers: Option<Vec<f64>> = words.iter().map(|word| word.parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[xmin, ymin, xmax, ymax])
                if xmin < xmax
                    && ymin < ymax
                    && [xmin, ymin, xmax, ymax].iter().all(|x| x.is_finite()) =>
            {
                Ok(Self { xmin, ymin, xmax, ymax })
            }
            _ => Err(format!(
                "`{}` is no box; needed are xmin, ymin, xmax and ymax in pixels, the first two smaller",
                words.join(" ")
            )),
        }
    }
}

/// How a file's pixels became those of a photograph: resized, then cropped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Frame {
    /// Factors of width and height.
    pub(crate) scale: [f64; 2],
    /// The crop's left and top in the resized image.
    pub(crate) offset: [i64; 2],
    /// The crop's side.
    pub(crate) side: u32,
}

/// A box in the pixels of a photograph: columns `left..right` of rows `top..bottom`, at least one pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelBox {
    /// First column.
    pub left: u32,
    /// First row.
    pub top: u32,
    /// Behind the last column.
    pub right: u32,
    /// Behind the last row.
    pub bottom: u32,
}

impl Frame {
    /// The pixels of a photograph whose centers are in a box; `None` where the crop has left none.
    pub(crate) fn place(&self, bounds: &Bounds) -> Option<PixelBox> {
        let place = |axis: usize, edge: f64| {
            let edge = edge * self.scale[axis] - self.offset[axis] as f64;
            (edge - 0.5).ceil().clamp(0.0, f64::from(self.side)) as u32
        };
        let (left, right) = (place(0, bounds.xmin), place(0, bounds.xmax));
        let (top, bottom) = (place(1, bounds.ymin), place(1, bounds.ymax));
        (left < right && top < bottom).then_some(PixelBox { left, top, right, bottom })
    }
}

/// The pixels in any of some boxes, a boolean mask `[H, W]`; `None` without boxes.
pub(crate) fn region(boxes: &[PixelBox], [height, width]: [u32; 2]) -> Option<Tensor> {
    if boxes.is_empty() {
        return None;
    }
    let size = [i64::from(height), i64::from(width)];
    let region = Tensor::zeros(size, (Kind::Bool, Device::Cpu));
    for of in boxes {
        let (rows, columns) = (of.bottom - of.top, of.right - of.left);
        let _ = region
            .narrow(0, of.top.into(), rows.into())
            .narrow(1, of.left.into(), columns.into())
            .fill_(1);
    }
    Some(region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_is_scaled_and_moved_as_the_image_is_and_cut_where_it_is() {
        // 500 × 400 is resized to 320 × 256 and cropped to 224, from (48, 16).
        let frame = Frame { scale: [0.64, 0.64], offset: [48, 16], side: 224 };
        let place = |xmin, ymin, xmax, ymax| frame.place(&Bounds { xmin, ymin, xmax, ymax });
        // 100 · .64 - 48 = 16, 50 · .64 - 16 = 16, 300 · .64 - 48 = 144, 150 · .64 - 16 = 80.
        let inside = PixelBox { left: 16, top: 16, right: 144, bottom: 80 };
        assert_eq!(place(100.0, 50.0, 300.0, 150.0), Some(inside));
        let cut = PixelBox { left: 0, top: 0, right: 224, bottom: 224 };
        assert_eq!(place(0.0, 0.0, 500.0, 400.0), Some(cut));
        assert_eq!(place(0.0, 0.0, 75.0, 400.0), None, "48 pixels are cut off at the left");
    }

    #[test]
    fn a_region_is_all_boxes_together() {
        let boxes = [
            PixelBox { left: 0, top: 0, right: 2, bottom: 1 },
            PixelBox { left: 1, top: 0, right: 2, bottom: 3 },
        ];
        let region = region(&boxes, [3, 4]).unwrap();
        let truths: Vec<bool> = Vec::try_from(region.view(-1)).unwrap();
        let drawn: String = truths.iter().map(|truth| if *truth { '#' } else { '.' }).collect();
        assert_eq!(drawn, "##.. .#.. .#..".replace(' ', ""));
    }
}
