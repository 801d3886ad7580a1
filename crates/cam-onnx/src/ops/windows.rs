//! Convolutions and pooling.

use cam_core::{Activation, Biases, Geometry, Packed, Shortcut, fused_convolution};
use tch::{Kind, Tensor};

use super::{Inputs, Op, check_size, text};
use crate::attributes::{Source, Wrong, required};

/// How windows lie on their input; one number a spatial axis in each list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Window {
    /// `None` for a convolution that takes it from its weights.
    pub(crate) kernel: Option<Vec<i64>>,
    pub(crate) strides: Option<Vec<i64>>,
    pub(crate) dilations: Option<Vec<i64>>,
    pub(crate) padding: Padding,
    pub(crate) groups: i64,
    pub(crate) ceil: bool,
}

/// What is added around the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Padding {
    /// Before every axis, then after every axis.
    Fixed(Vec<i64>),
    /// As many as give `ceil(size / stride)` outputs, an odd one after.
    SameUpper,
    /// The same, an odd one before.
    SameLower,
    None,
}

/// Windows on an input of known size.
pub(crate) struct Placed {
    pub(crate) kernel: Vec<i64>,
    pub(crate) strides: Vec<i64>,
    pub(crate) dilations: Vec<i64>,
    pub(crate) before: Vec<i64>,
    pub(crate) after: Vec<i64>,
    /// Zeros beyond `after` that the last window of `ceil` reaches into.
    extra: Vec<i64>,
    outputs: Vec<i64>,
}

pub(super) fn read(source: &Source<'_>) -> Result<Option<Op>, Wrong> {
    Ok(Some(match source.operator() {
        "Conv" => Op::Conv(window(source)?),
        "MaxPool" => {
            // It says how the indices are counted.
            let _ = source.int("storage_order")?;
            if source.wants(1) {
                return Err("indices of maxima are not supported".into());
            }
            let window = window(source)?;
            required("kernel_shape", window.kernel.as_ref())?;
            Op::MaxPool(window)
        }
        "AveragePool" => {
            let window = window(source)?;
            required("kernel_shape", window.kernel.as_ref())?;
            Op::AveragePool { window, count_padding: source.flag("count_include_pad", false)? }
        }
        "GlobalAveragePool" => Op::GlobalAveragePool,
        "GlobalMaxPool" => Op::GlobalMaxPool,
        _ => return Ok(None),
    }))
}

fn window(source: &Source<'_>) -> Result<Window, Wrong> {
    let pads = source.pads("pads")?;
    let padding = match source.string_or("auto_pad", "NOTSET")?.as_str() {
        "NOTSET" => pads.map_or(Padding::None, Padding::Fixed),
        "SAME_UPPER" => Padding::SameUpper,
        "SAME_LOWER" => Padding::SameLower,
        "VALID" => Padding::None,
        other => return Err(format!("auto_pad `{other}` is not supported")),
    };
    let groups = if source.operator() == "Conv" { source.int_or("group", 1)? } else { 1 };
    if groups < 1 {
        return Err(format!("attribute `group` is {groups}"));
    }
    Ok(Window {
        kernel: source.sizes("kernel_shape")?,
        strides: source.sizes("strides")?,
        dilations: source.sizes("dilations")?,
        padding,
        groups,
        ceil: source.operator() != "Conv" && source.flag("ceil_mode", false)?,
    })
}

impl Window {
    /// On an input `[N, K, ...]` of this size, with a kernel of these sides where the file does not say.
    pub(crate) fn placed(&self, size: &[i64], weights: Option<&[i64]>) -> Result<Placed, Wrong> {
        let sides = size.get(2..).filter(|sides| !sides.is_empty() && sides.len() <= 3);
        let sides = sides.ok_or_else(|| format!("an input of shape {size:?} has no windows"))?;
        let rank = sides.len();
        let list = |list: &Option<Vec<i64>>, default: &[i64]| {
            let list = list.clone().unwrap_or_else(|| default.to_vec());
            if list.len() == rank {
                Ok(list)
            } else {
                Err(format!("{list:?} is not for {rank} axes"))
            }
        };
        let kernel = list(&self.kernel, weights.unwrap_or(&[]))?;
        if weights.is_some_and(|weights| weights != kernel) {
            return Err(format!("a kernel of {kernel:?} has weights of {weights:?}"));
        }
        let strides = list(&self.strides, &vec![1; rank])?;
        let dilations = list(&self.dilations, &vec![1; rank])?;
        let reach: Vec<i64> = kernel
            .iter()
            .zip(&dilations)
            .map(|(kernel, dilation)| (kernel - 1) * dilation + 1)
            .collect();
        let (mut before, mut after) = (vec![0; rank], vec![0; rank]);
        match &self.padding {
            Padding::None => {}
            Padding::Fixed(pads) if pads.len() == 2 * rank => {
                before.copy_from_slice(&pads[..rank]);
                after.copy_from_slice(&pads[rank..]);
            }
            Padding::Fixed(pads) => return Err(format!("pads {pads:?} are not for {rank} axes")),
            Padding::SameUpper | Padding::SameLower => {
                for axis in 0..rank {
                    let outputs = (sides[axis] + strides[axis] - 1) / strides[axis];
                    let zeros = ((outputs - 1) * strides[axis] + reach[axis] - sides[axis]).max(0);
                    let (less, more) = (zeros / 2, zeros - zeros / 2);
                    let is_upper = self.padding == Padding::SameUpper;
                    (before[axis], after[axis]) =
                        if is_upper { (less, more) } else { (more, less) };
                }
            }
        }
        let mut outputs = vec![0; rank];
        let mut extra = vec![0; rank];
        for axis in 0..rank {
            let room = sides[axis] + before[axis] + after[axis] - reach[axis];
            if room < 0 {
                return Err(format!(
                    "a window of {} does not fit into {}",
                    reach[axis], sides[axis]
                ));
            }
            let stride = strides[axis];
            outputs[axis] = room / stride + 1;
            // One window more where it begins inside the input or the zeros before it.
            if self.ceil
                && room % stride != 0
                && outputs[axis] * stride < sides[axis] + before[axis]
            {
                outputs[axis] += 1;
                extra[axis] = stride - room % stride;
            }
        }
        check_size(&[&size[..2], &outputs[..]].concat())?;
        check_size(&[
            size[0],
            size[1],
            before.iter().zip(&after).zip(sides).map(|((b, a), s)| a + b + s).product(),
        ])?;
        Ok(Placed { kernel, strides, dilations, before, after, extra, outputs })
    }
}

impl Placed {
    fn is_even(&self) -> bool {
        self.before == self.after && self.extra.iter().all(|&zeros| zeros == 0)
    }

    /// The input with what is around it, `extra` included.
    fn padded(&self, x: &Tensor, value: f64) -> Result<Tensor, Wrong> {
        let pads: Vec<i64> = (0..self.before.len())
            .rev()
            .flat_map(|axis| [self.before[axis], self.after[axis] + self.extra[axis]])
            .collect();
        if pads.iter().all(|&zeros| zeros == 0) {
            return Ok(x.shallow_clone());
        }
        x.f_pad(&pads, "constant", value).map_err(text)
    }
}

pub(super) fn run(op: &Op, inputs: &Inputs<'_>) -> Result<Tensor, Wrong> {
    let x = inputs.need(0)?;
    match op {
        Op::Conv(window) => {
            let weight = inputs.need(1)?;
            let sides = weight.size();
            if sides.len() < 3 || x.dim() != sides.len() || sides[0] % window.groups != 0 {
                return Err(format!("weights of shape {sides:?} do not fit {:?}", x.size()));
            }
            let placed = window.placed(&x.size(), Some(&sides[2..]))?;
            check_size(&[&[x.size()[0], sides[0]], &placed.outputs[..]].concat())?;
            let (x, before) = if placed.is_even() {
                (x.shallow_clone(), placed.before.clone())
            } else {
                (placed.padded(x, 0.0)?, vec![0; placed.before.len()])
            };
            x.f_convolution(
                weight,
                inputs.get(2),
                &placed.strides,
                &before,
                &placed.dilations,
                false,
                vec![0; before.len()],
                window.groups,
            )
            .map_err(text)
        }
        Op::Kernel(kernel) => run_kernel(kernel, inputs, None),
        Op::MaxPool(window) => max_pool(x, &window.placed(&x.size(), None)?),
        Op::AveragePool { window, count_padding } => {
            average_pool(x, &window.placed(&x.size(), None)?, *count_padding)
        }
        Op::GlobalAveragePool => x.f_mean_dim(&spatial(x)?[..], true, None::<Kind>).map_err(text),
        Op::GlobalMaxPool => x.f_amax(&spatial(x)?[..], true).map_err(text),
        _ => unreachable!("dispatched by Op::run"),
    }
}

/// A convolution, plus the second input if there is one; with its bias collected if biases are.
pub(super) fn run_kernel(
    kernel: &Kernel,
    inputs: &Inputs<'_>,
    biases: Option<&Biases>,
) -> Result<Tensor, Wrong> {
    let sum = inputs.get(1).map(Tensor::shallow_clone);
    let shortcut = sum.map(|value| Shortcut { value, is_spare: false });
    kernel.run(inputs.need(0)?, shortcut, biases)
}

fn spatial(x: &Tensor) -> Result<Vec<i64>, Wrong> {
    match x.dim() {
        rank @ 3.. => Ok((2..rank as i64).collect()),
        rank => Err(format!("an input of {rank} dimensions has none to pool over")),
    }
}

fn max_pool(x: &Tensor, placed: &Placed) -> Result<Tensor, Wrong> {
    let fits =
        placed.before.iter().zip(&placed.kernel).all(|(before, kernel)| 2 * before <= *kernel);
    let lowest = if x.is_floating_point() { f64::NEG_INFINITY } else { f64::from(i8::MIN) };
    let (x, before) = if placed.is_even() && fits {
        (x.shallow_clone(), placed.before.clone())
    } else {
        (
            placed.padded(x, if x.kind() == Kind::Uint8 { 0.0 } else { lowest })?,
            vec![0; placed.before.len()],
        )
    };
    let Placed { kernel, strides, dilations, .. } = placed;
    match kernel.len() {
        1 => x.f_max_pool1d(kernel, strides, &before, dilations, false),
        2 => x.f_max_pool2d(kernel, strides, &before, dilations, false),
        _ => x.f_max_pool3d(kernel, strides, &before, dilations, false),
    }
    .map_err(text)
}

fn average_pool(x: &Tensor, placed: &Placed, count_padding: bool) -> Result<Tensor, Wrong> {
    let fits =
        placed.before.iter().zip(&placed.kernel).all(|(before, kernel)| 2 * before <= *kernel);
    let has_holes = placed.dilations.iter().any(|&dilation| dilation != 1);
    if placed.is_even() && fits && !has_holes {
        return pool_mean(x, placed, &placed.before, count_padding);
    }
    // The mean over what counts is a mean over everything, divided by the share that counts.
    let none = vec![0; placed.before.len()];
    let mean = pool_mean(&placed.padded(x, 0.0)?, placed, &none, true)?;
    let ones = x.f_narrow(0, 0, 1).and_then(|x| x.f_narrow(1, 0, 1)).and_then(|x| x.f_ones_like());
    let mut ones = ones.map_err(text)?;
    if count_padding {
        let pads: Vec<i64> = (0..none.len())
            .rev()
            .flat_map(|axis| [placed.before[axis], placed.after[axis]])
            .collect();
        ones = ones.f_pad(&pads, "constant", 1.0).map_err(text)?;
        let pads: Vec<i64> =
            (0..none.len()).rev().flat_map(|axis| [0, placed.extra[axis]]).collect();
        ones = ones.f_pad(&pads, "constant", 0.0).map_err(text)?;
    } else {
        ones = placed.padded(&ones, 0.0)?;
    }
    let share = pool_mean(&ones, placed, &none, true)?;
    mean.f_div(&share).map_err(text)
}

fn pool_mean(x: &Tensor, placed: &Placed, before: &[i64], count: bool) -> Result<Tensor, Wrong> {
    let Placed { kernel, strides, dilations, .. } = placed;
    if dilations.iter().any(|&dilation| dilation != 1) {
        // The mean over a window with holes is a convolution of each channel.
        let channels = x.size()[1];
        let share = 1.0 / kernel.iter().product::<i64>() as f64;
        let weight =
            Tensor::f_full([&[channels, 1], &kernel[..]].concat(), share, (x.kind(), x.device()));
        let none = vec![0; kernel.len()];
        return weight
            .and_then(|w| {
                x.f_convolution(
                    &w,
                    None::<Tensor>,
                    strides,
                    &none,
                    dilations,
                    false,
                    &none,
                    channels,
                )
            })
            .map_err(text);
    }
    match kernel.len() {
        1 => x.f_avg_pool1d(kernel, strides, before, false, count),
        2 => x.f_avg_pool2d(kernel, strides, before, false, count, None),
        _ => x.f_avg_pool3d(kernel, strides, before, false, count, None),
    }
    .map_err(text)
}

/// A convolution over two axes whose weights are known, laid out for computing; with what is added to it, its second input,
/// if there is one, and an activation.
#[derive(Debug)]
pub(crate) struct Kernel {
    weight: Tensor,
    bias: Tensor,
    /// With zeros before and after alike.
    geometry: Geometry,
    dilations: Vec<i64>,
    /// Zeros that have to be laid around the input first; empty where there are none.
    uneven: Vec<i64>,
    activation: Activation,
    packed: Packed,
}

/// Zeros by which one side of an input may exceed the other and still be laid into the kernel, which grows by as many.
const MAX_UNEVEN: i64 = 2;

impl Kernel {
    /// `weight` and `bias` in double precision; on inputs of this size, which is fixed.
    pub(crate) fn new(
        window: &Window,
        weight: &Tensor,
        bias: &Tensor,
        size: &[i64],
        device: tch::Device,
    ) -> Result<Self, Wrong> {
        let placed = window.placed(size, Some(&weight.size()[2..]))?;
        let differences: Vec<i64> =
            placed.before.iter().zip(&placed.after).map(|(before, after)| after - before).collect();
        let fits = differences.iter().all(|difference| difference.abs() <= MAX_UNEVEN)
            && placed.dilations == [1, 1];
        let even: Vec<i64> =
            placed.before.iter().zip(&placed.after).map(|(a, b)| *a.max(b)).collect();
        let (weight, padding, uneven) = if differences.iter().all(|&difference| difference == 0) {
            (weight.shallow_clone(), even, vec![])
        } else if fits {
            // A zero more after than before is a row of zeros more in front of the kernel, between equal paddings.
            let pads = [1, 0].map(|axis| [differences[axis].max(0), (-differences[axis]).max(0)]);
            (weight.f_constant_pad_nd(pads.concat()).map_err(text)?, even, vec![])
        } else {
            let pads = [1, 0].map(|axis| [placed.before[axis], placed.after[axis]]);
            (weight.shallow_clone(), vec![0, 0], pads.concat())
        };
        let float = |tensor: &Tensor| tensor.to_kind(Kind::Float).to_device(device);
        Ok(Self {
            weight: arranged(&float(&weight)),
            bias: float(bias),
            geometry: Geometry {
                stride: placed.strides[..].try_into().map_err(text)?,
                padding: padding[..].try_into().map_err(text)?,
                groups: window.groups,
            },
            dilations: placed.dilations,
            uneven,
            activation: Activation::None,
            packed: Packed::default(),
        })
    }

    /// The same one, followed by an activation.
    pub(crate) fn followed_by(&self, activation: Activation) -> Self {
        Self {
            weight: self.weight.shallow_clone(),
            bias: self.bias.shallow_clone(),
            dilations: self.dilations.clone(),
            uneven: self.uneven.clone(),
            packed: Packed::default(),
            activation,
            ..*self
        }
    }

    /// Whether something may still be done to what it makes.
    pub(crate) fn is_bare(&self) -> bool {
        self.activation == Activation::None
    }

    /// In one pass over memory where no gradient is asked for, and no bias.
    pub(crate) fn run(
        &self,
        x: &Tensor,
        shortcut: Option<Shortcut>,
        biases: Option<&Biases>,
    ) -> Result<Tensor, Wrong> {
        let mut x = arranged(x);
        if !self.uneven.is_empty() {
            x = x.f_constant_pad_nd(&self.uneven).map_err(text)?;
        }
        let shortcut = shortcut.map(|sum| Shortcut { value: arranged(&sum.value), ..sum });
        if self.dilations == [1, 1] && biases.is_none() {
            let weight = self.packed.of(&self.weight, &x, self.geometry);
            let (bias, geometry) = (&self.bias, self.geometry);
            let fused =
                fused_convolution(&x, weight, bias, geometry, shortcut.as_ref(), self.activation);
            if let Some(fused) = fused {
                return Ok(fused);
            }
        }
        let Geometry { stride, padding, groups } = self.geometry;
        let bias = Some(&self.bias);
        let y = x.f_convolution(
            &self.weight,
            bias,
            stride,
            padding,
            &self.dilations,
            false,
            [0, 0],
            groups,
        );
        let mut y = y.map_err(text)?;
        if let Some(biases) = biases {
            y = biases.attach(&y, &self.bias);
        }
        if let Some(Shortcut { value, .. }) = shortcut {
            y = y.f_add_(&value).map_err(text)?;
        }
        Ok(self.activation.apply(y))
    }
}

/// The same values in the order of memory in which convolutions are fastest, channels-last on the processor and
/// channels-first on a card; no copy where they are so already.
pub(crate) fn arranged(x: &Tensor) -> Tensor {
    if x.device().is_cuda() {
        return x.contiguous();
    }
    x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}
