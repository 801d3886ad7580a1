//! A saliency map, normalized and at the image's size.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::Method;

/// What a method says about one image: the raw map, and the same normalized to `[0, 1]` at the image's size.
///
/// The raw map is min-max normalized at its own resolution and then upsampled bilinearly (half-pixel centers), so an
/// isolated peak of a small map stays below 1 after upsampling, and the mean survives integer factors exactly.
#[derive(Debug)]
pub struct Map {
    raw: Tensor,
    small: Tensor,
    unit: Tensor,
    upsampling: Upsampling,
    /// Whether the method's maps are taken as they are.
    is_unit: bool,
}

/// How a small map is brought to the image's size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Upsampling {
    /// Bilinear with half-pixel centers, which stays in `[0, 1]`.
    #[default]
    Bilinear,
    /// Bicubic as Pillow's (a = -0.5, weights renormalized at the border) and not clamped, so it leaves `[0, 1]` by up to
    /// about a tenth.
    Bicubic,
}

impl Upsampling {
    /// A normalized map `[h, w]` at the image's size `[H, W]`.
    fn of(self, small: &Tensor, size: [i64; 2]) -> Tensor {
        match self {
            // Interpolating between two ones may round to a hair above one.
            Self::Bilinear => upsample(small, size).clamp(0.0, 1.0),
            Self::Bicubic => bicubic(small, size),
        }
    }
}

/// Why a raw map says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Degenerate {
    /// All values are equal (or differ by no more than rounding).
    #[error("the map is constant")]
    Constant,
    /// Some value is NaN or infinite.
    #[error("the map holds values that are not finite")]
    NotFinite,
}

impl Map {
    /// From a raw map `[h, w]` of any scale, for an image of `size` `[H, W]`.
    ///
    /// # Errors
    /// [`Degenerate`] where the raw map is constant or not finite.
    pub fn new(raw: &Tensor, size: [i64; 2]) -> Result<Self, Degenerate> {
        Self::of(raw, size, Upsampling::Bilinear, false)
    }

    /// From a raw map `[h, w]` of a method: as [`Map::new`], or only upsampled where [`Method::is_unit`].
    ///
    /// # Errors
    /// [`Degenerate`] where the raw map is not finite, or constant and to be normalized.
    pub fn made_by(method: &dyn Method, raw: &Tensor, size: [i64; 2]) -> Result<Self, Degenerate> {
        Self::of(raw, size, Upsampling::Bilinear, method.is_unit())
    }

    fn of(
        raw: &Tensor,
        size: [i64; 2],
        upsampling: Upsampling,
        is_unit: bool,
    ) -> Result<Self, Degenerate> {
        let small = match min_max(raw) {
            Ok(_) | Err(Degenerate::Constant) if is_unit => raw.shallow_clone(),
            small => small?,
        };
        let unit = upsampling.of(&small, size);
        Ok(Self { raw: raw.shallow_clone(), small, unit, upsampling, is_unit })
    }

    /// The same map, brought to the image's size in another way.
    #[must_use]
    pub fn upsampled(&self, upsampling: Upsampling) -> Self {
        Self {
            raw: self.raw.shallow_clone(),
            small: self.small.shallow_clone(),
            unit: upsampling.of(&self.small, self.size()),
            upsampling,
            is_unit: self.is_unit,
        }
    }

    /// Another raw map of the same method for an image of the same size, normalized and upsampled like this one.
    ///
    /// # Errors
    /// As [`Map::made_by`].
    pub fn again(&self, raw: &Tensor) -> Result<Self, Degenerate> {
        Self::of(raw, self.size(), self.upsampling, self.is_unit)
    }

    /// The image's `[H, W]`.
    fn size(&self) -> [i64; 2] {
        let size = self.unit.size();
        [size[0], size[1]]
    }

    /// As the method made it, `[h, w]`.
    pub fn raw(&self) -> &Tensor {
        &self.raw
    }

    /// Normalized to `[0, 1]` at its own size, `[h, w]`.
    pub fn small(&self) -> &Tensor {
        &self.small
    }

    /// At the image's size, `[H, W]`; in `[0, 1]`, but for [`Upsampling::Bicubic`].
    pub fn unit(&self) -> &Tensor {
        &self.unit
    }
}

/// `(m - min) / (max - min)` of a map of any shape.
///
/// # Errors
/// [`Degenerate`] where the map is not finite, or its range is within four roundings of its largest value.
pub fn min_max(map: &Tensor) -> Result<Tensor, Degenerate> {
    let (min, max) = (map.min().double_value(&[]), map.max().double_value(&[]));
    if !(min.is_finite() && max.is_finite()) {
        return Err(Degenerate::NotFinite);
    }
    let rounding = if map.kind() == Kind::Double { f64::EPSILON } else { f64::from(f32::EPSILON) };
    if max - min <= 4.0 * rounding * max.abs().max(min.abs()) {
        return Err(Degenerate::Constant);
    }
    Ok((map - min) / (max - min))
}

/// Bilinear interpolation with half-pixel centers and clamped edges, `[h, w]` to `[H, W]` of any trailing dimensions
/// of a `[N, K, h, w]` tensor; a map of the right size comes back as it is.
pub fn upsample(map: &Tensor, size: [i64; 2]) -> Tensor {
    let shape = map.size();
    if shape[shape.len() - 2..] == size {
        return map.shallow_clone();
    }
    match shape.len() {
        2 => upsample(&map.unsqueeze(0).unsqueeze(0), size).squeeze_dim(0).squeeze_dim(0),
        4 => map.upsample_bilinear2d(size, false, None, None),
        n => panic!("a map has 2 or 4 dimensions, not {n}"),
    }
}

/// [`Upsampling::Bicubic`] of `[h, w]`; a map of the right size comes back as it is.
fn bicubic(map: &Tensor, size: [i64; 2]) -> Tensor {
    if map.size() == size {
        return map.shallow_clone();
    }
    // Of libtorch's two cubic kernels, the one that can widen has Pillow's coefficient; it widens only where a map shrinks.
    map.unsqueeze(0)
        .unsqueeze(0)
        .internal_upsample_bicubic2d_aa(size, false, None, None)
        .squeeze_dim(0)
        .squeeze_dim(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(map: &Tensor) -> Vec<f64> {
        Vec::try_from(map.flatten(0, -1)).unwrap()
    }

    #[test]
    fn a_two_by_two_map_is_normalized_before_it_is_upsampled() {
        // Half-pixel bilinear, factor 2: weights 1, 3/4, 1/4, 0 of the first cell along each axis.
        let raw = Tensor::from_slice(&[2.0_f64, 2.0, 2.0, 6.0]).view([2, 2]);
        let map = Map::new(&raw, [4, 4]).unwrap();
        let f = [0.0, 0.25, 0.75, 1.0];
        let expected: Vec<f64> = f.iter().flat_map(|y| f.iter().map(move |x| y * x)).collect();
        for (got, want) in values(map.unit()).iter().zip(&expected) {
            assert!((got - want).abs() < 1e-12, "{got} is not {want}");
        }
    }

    #[test]
    fn bicubic_upsampling_is_pillows_and_is_not_clamped() {
        // Cubic weights, a = -1/2: 0.8671875 at a distance of 1/4, 0.2265625 at 3/4, -0.0703125 at 5/4; of the two cells
        // that there are, so divided by their sum.
        let near = -0.070_312_5 / (0.867_187_5 - 0.070_312_5);
        let far = 0.226_562_5 / (0.867_187_5 + 0.226_562_5);
        let raw = Tensor::from_slice(&[3.0_f64, 5.0]).view([1, 2]);
        let map = Map::new(&raw, [1, 4]).unwrap().upsampled(Upsampling::Bicubic);
        for (got, want) in values(map.unit()).iter().zip([near, far, 1.0 - far, 1.0 - near]) {
            assert!((got - want).abs() < 1e-12, "{got} is not {want}");
        }
        assert_eq!(values(map.small()), [0.0, 1.0]);
        let again = map.again(&(raw * 2.0)).unwrap();
        assert_eq!(values(again.unit()), values(map.unit()), "another map in the same way");
        let whole = Tensor::from_slice(&[0.0_f64, 0.5, 0.25, 1.0]).view([1, 4]);
        let whole = Map::new(&whole, [1, 4]).unwrap().upsampled(Upsampling::Bicubic);
        assert_eq!(values(whole.unit()), [0.0, 0.5, 0.25, 1.0], "nothing to interpolate");
    }

    #[test]
    fn an_isolated_interior_peak_is_attenuated_by_upsampling() {
        for (factor, peak) in [(32, 0.96899_f64), (16, 0.93848)] {
            let raw = Tensor::zeros([7, 7], (Kind::Double, tch::Device::Cpu));
            let _ = raw.get(3).get(3).fill_(5.0);
            let map = Map::new(&raw, [7 * factor, 7 * factor]).unwrap();
            let expected = (1.0 - 1.0 / (2.0 * factor as f64)).powi(2);
            assert!((map.unit().max().double_value(&[]) - expected).abs() < 1e-12);
            assert!((expected - peak).abs() < 5e-6);
        }
    }

    #[test]
    fn upsampling_by_an_integer_factor_keeps_the_mean() {
        for (small, large) in [(7, 224), (14, 224), (8, 256)] {
            let raw = Tensor::arange(small * small, (Kind::Double, tch::Device::Cpu))
                .view([small, small])
                .sin();
            let up = upsample(&raw, [large, large]);
            let difference =
                (up.mean(Kind::Double) - raw.mean(Kind::Double)).abs().double_value(&[]);
            assert!(difference < 1e-12, "{small} to {large}: {difference}");
        }
    }

    #[test]
    fn a_map_that_is_in_range_by_construction_is_taken_as_it_is() {
        struct Control;
        impl Method for Control {
            fn explain(&self, subject: &crate::Subject<'_>) -> Tensor {
                subject.image().shallow_clone()
            }
            fn cost(&self, _: crate::FeatureShape) -> crate::Cost {
                crate::Cost::default()
            }
            fn about(&self) -> crate::About {
                crate::About { title: "", summary: "", source: "" }
            }
            fn is_unit(&self) -> bool {
                true
            }
        }
        let raw = Tensor::from_slice(&[0.5_f64, 0.5, 0.5, 0.75]).view([2, 2]);
        let map = Map::made_by(&Control, &raw, [2, 2]).unwrap();
        assert_eq!(values(map.unit()), [0.5, 0.5, 0.5, 0.75]);
        let ones = Map::made_by(&Control, &raw.ones_like(), [4, 4]).unwrap();
        assert_eq!(values(ones.unit()), [1.0; 16]);
        let again = ones.again(&raw.zeros_like()).unwrap();
        assert_eq!(values(again.unit()), [0.0; 16], "another map of it, too");
        let broken = Map::made_by(&Control, &(raw * f64::NAN), [2, 2]);
        assert_eq!(broken.unwrap_err(), Degenerate::NotFinite);
    }

    #[test]
    fn constant_and_unfinished_maps_are_degenerate() {
        let ones = Tensor::ones([3, 3], (Kind::Float, tch::Device::Cpu));
        assert_eq!(Map::new(&ones, [6, 6]).unwrap_err(), Degenerate::Constant);
        assert_eq!(Map::new(&(&ones * 0.0), [6, 6]).unwrap_err(), Degenerate::Constant);
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let map = Tensor::from_slice(&[0.0, bad, 1.0, 2.0]).view([2, 2]);
            assert_eq!(Map::new(&map, [4, 4]).unwrap_err(), Degenerate::NotFinite, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_positive_affine_change_of_the_raw_map_changes_nothing(
            cells in prop::collection::vec(-10.0_f64..10.0, 9), scale in 0.1_f64..10.0, shift in -5.0_f64..5.0,
        ) {
            let raw = Tensor::from_slice(&cells).view([3, 3]);
            prop_assume!(min_max(&raw).is_ok());
            let map = Map::new(&raw, [6, 9]).unwrap();
            let changed = Map::new(&(&raw * scale + shift), [6, 9]).unwrap();
            prop_assert!((map.unit() - changed.unit()).abs().max().double_value(&[]) < 1e-9);
            prop_assert!(map.unit().min().double_value(&[]) >= 0.0 && map.unit().max().double_value(&[]) <= 1.0);
        }
    }
}
