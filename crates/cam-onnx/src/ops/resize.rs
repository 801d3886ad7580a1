//! Interpolation, by one small matrix an axis: every mode of the definition is one way to fill it.

use tch::{Kind, Tensor};

use super::{Inputs, Op, check_size, text};
use crate::attributes::{Source, Wrong};

/// How a tensor is resized.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Resize {
    mode: Mode,
    place: Place,
    exclude_outside: bool,
    axes: Option<Vec<i64>>,
    policy: Policy,
    /// Opset 10 has no region of interest among its inputs.
    is_old: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Nearest(Nearest),
    Linear,
    Cubic(f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nearest {
    RoundPreferFloor,
    RoundPreferCeil,
    Floor,
    Ceil,
}

/// Where an output's place is in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    AlignCorners,
    Asymmetric,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    Stretch,
    NotLarger,
    NotSmaller,
}

pub(super) fn read(source: &Source<'_>) -> Result<Option<Op>, Wrong> {
    if source.operator() != "Resize" {
        return Ok(None);
    }
    let is_old = source.opset < 11;
    let nearest = match source
        .string_or("nearest_mode", if is_old { "floor" } else { "round_prefer_floor" })?
        .as_str()
    {
        "round_prefer_floor" => Nearest::RoundPreferFloor,
        "round_prefer_ceil" => Nearest::RoundPreferCeil,
        "floor" => Nearest::Floor,
        "ceil" => Nearest::Ceil,
        other => return Err(format!("nearest_mode `{other}` is not supported")),
    };
    let a = source.float_or("cubic_coeff_a", -0.75)?;
    let mode = match source.string_or("mode", "nearest")?.as_str() {
        "nearest" => Mode::Nearest(nearest),
        "linear" => Mode::Linear,
        "cubic" => Mode::Cubic(a),
        other => return Err(format!("mode `{other}` is not supported")),
    };
    let default = if is_old { "asymmetric" } else { "half_pixel" };
    let place = match source.string_or("coordinate_transformation_mode", default)?.as_str() {
        "half_pixel" => Place::HalfPixel,
        "half_pixel_symmetric" => Place::HalfPixelSymmetric,
        "pytorch_half_pixel" => Place::PytorchHalfPixel,
        "align_corners" => Place::AlignCorners,
        "asymmetric" => Place::Asymmetric,
        other => return Err(format!("coordinate_transformation_mode `{other}` is not supported")),
    };
    let policy = match source.string_or("keep_aspect_ratio_policy", "stretch")?.as_str() {
        "stretch" => Policy::Stretch,
        "not_larger" => Policy::NotLarger,
        "not_smaller" => Policy::NotSmaller,
        other => return Err(format!("keep_aspect_ratio_policy `{other}` is not supported")),
    };
    if source.flag("antialias", false)? {
        return Err("antialias is not supported".into());
    }
    let _ = source.float("extrapolation_value")?;
    Ok(Some(Op::Resize(Resize {
        mode,
        place,
        exclude_outside: source.flag("exclude_outside", false)?,
        axes: source.ints("axes")?,
        policy,
        is_old,
    })))
}

impl Resize {
    pub(super) fn run(&self, inputs: &Inputs<'_>) -> Result<Tensor, Wrong> {
        let x = inputs.need(0)?;
        let shape = x.size();
        let (scales, sizes) = if self.is_old { (1, 3) } else { (2, 3) };
        let axes = match &self.axes {
            Some(axes) => axes
                .iter()
                .map(|&axis| super::axis_of(axis, shape.len()))
                .collect::<Result<Vec<_>, _>>()?,
            None => (0..shape.len() as i64).collect(),
        };
        let side = |index: usize| shape[axes[index] as usize];
        let given = inputs.get(scales).filter(|scales| scales.numel() > 0);
        let targets: Vec<(i64, f64)> = if let Some(scales) = given {
            let scales = Vec::<f64>::try_from(scales.f_to_kind(Kind::Double).map_err(text)?)
                .map_err(text)?;
            if scales.len() != axes.len() {
                return Err(format!("scales {scales:?} are not for {} axes", axes.len()));
            }
            (0..axes.len())
                // In 32-bit floats, as scales are: 10 cells by 0.7 are 7, though that number is a little less.
                .map(|i| ((side(i) as f32 * scales[i] as f32).floor() as i64, scales[i]))
                .collect()
        } else {
            let sizes = inputs.need_ints(sizes)?;
            if sizes.len() != axes.len() || (0..axes.len()).any(|i| side(i) < 1) {
                return Err(format!("sizes {sizes:?} are not for the shape {shape:?}"));
            }
            let ratios = (0..axes.len()).map(|i| sizes[i] as f64 / side(i) as f64);
            let scale = match self.policy {
                Policy::Stretch => None,
                Policy::NotLarger => ratios.reduce(f64::min),
                Policy::NotSmaller => ratios.reduce(f64::max),
            };
            (0..axes.len())
                .map(|i| match scale {
                    Some(scale) => ((scale * side(i) as f64).round() as i64, scale),
                    None => (sizes[i], sizes[i] as f64 / side(i) as f64),
                })
                .collect()
        };
        let mut y = x.shallow_clone();
        for (&axis, (target, scale)) in axes.iter().zip(targets) {
            let side = y.size()[axis as usize];
            #[expect(clippy::float_cmp, reason = "a scale of exactly one changes nothing")]
            if target == side && scale == 1.0 {
                continue;
            }
            if side < 1 || target < 1 || !scale.is_finite() || scale <= 0.0 {
                return Err(format!("{side} cells cannot become {target}"));
            }
            let mut size = y.size();
            size[axis as usize] = target;
            check_size(&size)?;
            check_size(&[side, target])?;
            let matrix = self.matrix(side, target, scale);
            let matrix = matrix
                .to_kind(if y.is_floating_point() { y.kind() } else { Kind::Float })
                .to_device(y.device());
            y = y
                .f_movedim_int(axis, -1)
                .and_then(|y| {
                    y.f_to_kind(matrix.kind())?
                        .f_matmul(&matrix)?
                        .f_to_kind(y.kind())?
                        .f_movedim_int(-1, axis)
                })
                .map_err(text)?;
        }
        Ok(y)
    }

    /// `[side, target]`, a column for every output.
    fn matrix(&self, side: i64, target: i64, scale: f64) -> Tensor {
        let mut matrix = vec![0.0; (side * target) as usize];
        for output in 0..target {
            let place = self.place(output as f64, side as f64, target as f64, scale);
            let mut weights = self.weights(place);
            if self.exclude_outside {
                weights.retain(|(cell, _)| (0..side).contains(cell));
                let sum: f64 = weights.iter().map(|(_, weight)| weight).sum();
                for (_, weight) in &mut weights {
                    *weight /= sum;
                }
            }
            for (cell, weight) in weights {
                let cell = cell.clamp(0, side - 1);
                matrix[(cell * target + output) as usize] += weight;
            }
        }
        Tensor::from_slice(&matrix).reshape([side, target])
    }

    fn place(&self, output: f64, side: f64, target: f64, scale: f64) -> f64 {
        // Scales are 32-bit floats: 8 cells by 1.6 are 5, and a hair less would be another nearest cell.
        let scaled = |x: f64| match self.mode {
            Mode::Nearest(_) => f64::from((x / scale) as f32),
            Mode::Linear | Mode::Cubic(_) => x / scale,
        };
        match self.place {
            Place::PytorchHalfPixel | Place::AlignCorners if target <= 1.0 => 0.0,
            Place::HalfPixel | Place::PytorchHalfPixel => scaled(output + 0.5) - 0.5,
            Place::HalfPixelSymmetric => {
                let adjustment = target / (scale * side);
                side / 2.0 * (1.0 - adjustment) + scaled(output + 0.5) - 0.5
            }
            // A scale may ask for a part of a cell, which counts here and is cut off.
            Place::AlignCorners => output * (side - 1.0) / (scale * side - 1.0),
            Place::Asymmetric => scaled(output),
        }
    }

    /// Cells and their shares.
    fn weights(&self, place: f64) -> Vec<(i64, f64)> {
        let below = place.floor();
        let rest = place - below;
        let first = below as i64;
        match self.mode {
            Mode::Nearest(nearest) => {
                let cell = match nearest {
                    Nearest::RoundPreferFloor => (place - 0.5).ceil(),
                    Nearest::RoundPreferCeil => (place + 0.5).floor(),
                    Nearest::Floor => below,
                    Nearest::Ceil => place.ceil(),
                };
                vec![(cell as i64, 1.0)]
            }
            Mode::Linear => vec![(first, 1.0 - rest), (first + 1, rest)],
            Mode::Cubic(a) => {
                let near = |t: f64| ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0;
                let far = |t: f64| ((a * t - 5.0 * a) * t + 8.0 * a) * t - 4.0 * a;
                vec![
                    (first - 1, far(rest + 1.0)),
                    (first, near(rest)),
                    (first + 1, near(1.0 - rest)),
                    (first + 2, far(2.0 - rest)),
                ]
            }
        }
    }
}
