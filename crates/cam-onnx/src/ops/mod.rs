//! The operators: how one is read from the file, and how it is run, by one or a few calls of libtorch each.

mod elementwise;
mod layout;
mod linear;
mod norms;
mod reduce;
mod resize;
mod windows;

use cam_core::Biases;
use tch::{Kind, Tensor};

use crate::attributes::{Source, Wrong};
use crate::error::Problem;
use crate::tensors;

pub(crate) use elementwise::{Binary, Unary, Variadic, broadcast_shape};
pub(crate) use layout::{Bounds, PadMode};
pub(crate) use linear::{Gemm, Linear};
pub(crate) use reduce::{Reduce, Reduction};
pub(crate) use resize::Resize;
pub(crate) use windows::{Kernel, Padding, Window};

/// An operator with its attributes.
#[derive(Debug)]
pub(crate) enum Op {
    /// One tensor in, number by number.
    Unary(Unary),
    /// `min(max(x, low), high)`, the bounds as inputs.
    Clip,
    /// The same with fixed bounds, where they are known.
    Clamp(f64, f64),
    Binary(Binary),
    Variadic(Variadic),
    Where,
    Cast(Kind),
    CastLike,
    PRelu,
    Dropout,
    Conv(Window),
    /// A convolution whose kernel is known, with all that was folded into it.
    Kernel(Box<Kernel>),
    MaxPool(Window),
    AveragePool {
        window: Window,
        count_padding: bool,
    },
    GlobalAveragePool,
    GlobalMaxPool,
    BatchNorm {
        epsilon: f64,
    },
    InstanceNorm {
        epsilon: f64,
    },
    GroupNorm {
        groups: i64,
        epsilon: f64,
        by_group: bool,
    },
    LayerNorm {
        axis: i64,
        epsilon: f64,
    },
    LocalResponseNorm {
        size: i64,
        alpha: f64,
        beta: f64,
        bias: f64,
    },
    LpNorm {
        p: i64,
        axis: i64,
    },
    Softmax {
        axis: i64,
        log: bool,
        flat: bool,
    },
    Gemm(Gemm),
    /// A linear layer whose weights are known.
    Linear(Box<Linear>),
    MatMul,
    Einsum(String),
    Concat {
        axis: i64,
    },
    Split {
        axis: i64,
        sizes: Option<Vec<i64>>,
        n: usize,
    },
    Slice(Option<Bounds>),
    Pad {
        mode: PadMode,
        fixed: Option<(Vec<i64>, f64)>,
    },
    Reshape {
        allow_zero: bool,
    },
    Flatten {
        axis: i64,
    },
    Transpose(Option<Vec<i64>>),
    Squeeze(Option<Vec<i64>>),
    Unsqueeze(Option<Vec<i64>>),
    Gather {
        axis: i64,
    },
    GatherElements {
        axis: i64,
    },
    GatherNd,
    ScatterNd,
    Shape {
        start: i64,
        end: Option<i64>,
    },
    Size,
    ConstantOfShape(Tensor),
    Expand,
    Tile,
    Range,
    Reduce(Reduce),
    ArgMax {
        axis: i64,
        keep: bool,
        least: bool,
        last: bool,
    },
    Resize(Resize),
    DepthToSpace {
        side: i64,
        depth_first: bool,
    },
    SpaceToDepth {
        side: i64,
    },
    Triangle {
        upper: bool,
    },
    CumSum {
        exclusive: bool,
        reverse: bool,
    },
}

/// Every operator that [`Op::read`] knows, apart from `Constant`, which is no operation.
pub(crate) const OPERATORS: &[&str] = &[
    "Abs",
    "Add",
    "And",
    "ArgMax",
    "ArgMin",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "CastLike",
    "Ceil",
    "Celu",
    "Clip",
    "Concat",
    "ConstantOfShape",
    "Conv",
    "Cos",
    "CumSum",
    "DepthToSpace",
    "Div",
    "Dropout",
    "Einsum",
    "Elu",
    "Equal",
    "Erf",
    "Exp",
    "Expand",
    "Flatten",
    "Floor",
    "Gather",
    "GatherElements",
    "GatherND",
    "Gelu",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Greater",
    "GreaterOrEqual",
    "GroupNormalization",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "InstanceNormalization",
    "LRN",
    "LayerNormalization",
    "LeakyRelu",
    "Less",
    "LessOrEqual",
    "Log",
    "LogSoftmax",
    "LpNormalization",
    "MatMul",
    "Max",
    "MaxPool",
    "Mean",
    "Min",
    "Mish",
    "Mod",
    "Mul",
    "Neg",
    "Not",
    "Or",
    "PRelu",
    "Pad",
    "Pow",
    "Range",
    "Reciprocal",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
    "Relu",
    "Reshape",
    "Resize",
    "Round",
    "ScatterND",
    "Selu",
    "Shape",
    "Sigmoid",
    "Sign",
    "Sin",
    "Size",
    "Slice",
    "Softmax",
    "Softplus",
    "Softsign",
    "SpaceToDepth",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Sum",
    "Tanh",
    "ThresholdedRelu",
    "Tile",
    "Transpose",
    "Trilu",
    "Unsqueeze",
    "Where",
    "Xor",
];

/// What an operator is given; a left-out input is `None`.
pub(crate) struct Inputs<'a>(pub(crate) &'a [Option<Tensor>]);

impl Inputs<'_> {
    pub(crate) fn get(&self, index: usize) -> Option<&Tensor> {
        self.0.get(index).and_then(Option::as_ref)
    }

    pub(crate) fn need(&self, index: usize) -> Result<&Tensor, Wrong> {
        self.get(index).ok_or_else(|| format!("input {index} is missing"))
    }

    pub(crate) fn all(&self) -> Result<Vec<&Tensor>, Wrong> {
        (0..self.0.len()).map(|index| self.need(index)).collect()
    }

    /// Whole numbers that say how, not what: shapes, axes, bounds.
    pub(crate) fn ints(&self, index: usize) -> Result<Option<Vec<i64>>, Wrong> {
        self.get(index).map(ints).transpose()
    }

    pub(crate) fn need_ints(&self, index: usize) -> Result<Vec<i64>, Wrong> {
        ints(self.need(index)?)
    }
}

/// A tensor of up to one dimension as whole numbers.
pub(crate) fn ints(tensor: &Tensor) -> Result<Vec<i64>, Wrong> {
    let shape = tensor.size();
    if shape.len() > 1 || tensor.numel() > 1 << 16 || tensor.is_floating_point() {
        return Err(format!("a list of whole numbers is needed, and shape {shape:?} came"));
    }
    let list = tensor.f_to_kind(Kind::Int64).and_then(|t| t.f_reshape([-1])).map_err(text)?;
    Vec::<i64>::try_from(list).map_err(text)
}

/// libtorch's message without its C++ trace.
#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
pub(crate) fn text(error: impl ToString) -> Wrong {
    let text = error.to_string();
    let text = text.strip_prefix("Internal torch error: ").unwrap_or(&text);
    text.lines().next().unwrap_or_default().to_owned()
}

/// An axis counted from the end is one counted from the front.
pub(crate) fn axis_of(axis: i64, rank: usize) -> Result<i64, Wrong> {
    let rank = rank as i64;
    if (-rank..rank).contains(&axis) {
        Ok(if axis < 0 { axis + rank } else { axis })
    } else {
        Err(format!("there is no axis {axis} in {rank} dimensions"))
    }
}

/// Refuses a result that no classifier has, before it is allocated.
pub(crate) fn check_size(shape: &[i64]) -> Result<(), Wrong> {
    match tensors::n_elements(shape) {
        Some(n) if n <= crate::budget::largest() => Ok(()),
        _ => Err(format!("its result would have the shape {shape:?}, which is too large")),
    }
}

/// Whether these bounds of `Clip` make ReLU6.
pub(crate) fn is_relu6(low: f64, high: f64) -> bool {
    low == 0.0 && (high - 6.0).abs() < f64::EPSILON
}

impl Op {
    /// Reads a node's operator and attributes.
    pub(crate) fn read(source: &Source<'_>) -> Result<Self, Problem> {
        let op = Self::parse(source)
            .transpose()
            .ok_or_else(|| source.problem("the operator is not supported"))
            .and_then(|op| op.map_err(|what| source.problem(what)))?;
        source.finish().map_err(|what| source.problem(what))?;
        Ok(op)
    }

    fn parse(source: &Source<'_>) -> Result<Option<Self>, Wrong> {
        type Read = fn(&Source<'_>) -> Result<Option<Op>, Wrong>;
        let readers: [Read; 7] = [
            elementwise::read,
            windows::read,
            norms::read,
            linear::read,
            layout::read,
            reduce::read,
            resize::read,
        ];
        for read in readers {
            if let Some(op) = read(source)? {
                return Ok(Some(op));
            }
        }
        Ok(None)
    }

    /// Runs it, and collects its bias if it is a layer with one: a convolution, a normalization of batches or a product with
    /// known weights.
    pub(crate) fn run_collecting(
        &self,
        inputs: &Inputs<'_>,
        biases: &Biases,
    ) -> Result<Vec<Tensor>, Wrong> {
        if let Self::Kernel(kernel) = self {
            let made = windows::run_kernel(kernel, inputs, Some(biases))?;
            return Ok(vec![made]);
        }
        let mut made = self.run(inputs)?;
        match self {
            Self::Conv(_) => {
                if let Some(bias) = inputs.get(2) {
                    made[0] = biases.attach(&made[0], bias);
                }
            }
            Self::BatchNorm { epsilon } => {
                made[0] = biases.attach(&made[0], &norms::added(inputs, *epsilon)?);
            }
            Self::Linear(linear) => {
                // Rows, wherever they are in an image.
                let shape = made[0].size();
                let rows = made[0].f_reshape([-1, linear.bias.size()[0]]).map_err(text)?;
                made[0] = biases.attach(&rows, &linear.bias).f_view(&shape[..]).map_err(text)?;
            }
            _ => {}
        }
        Ok(made)
    }

    /// Runs it; one tensor an output.
    pub(crate) fn run(&self, inputs: &Inputs<'_>) -> Result<Vec<Tensor>, Wrong> {
        match self {
            Self::Unary(_)
            | Self::Clip
            | Self::Clamp(..)
            | Self::Binary(_)
            | Self::Variadic(_)
            | Self::Where
            | Self::Cast(_)
            | Self::CastLike
            | Self::PRelu
            | Self::Dropout => elementwise::run(self, inputs).map(|y| vec![y]),
            Self::Conv(_)
            | Self::Kernel(_)
            | Self::MaxPool(_)
            | Self::AveragePool { .. }
            | Self::GlobalAveragePool
            | Self::GlobalMaxPool => windows::run(self, inputs).map(|y| vec![y]),
            Self::BatchNorm { .. }
            | Self::InstanceNorm { .. }
            | Self::GroupNorm { .. }
            | Self::LocalResponseNorm { .. }
            | Self::LpNorm { .. }
            | Self::Softmax { .. } => norms::run(self, inputs).map(|y| vec![y]),
            Self::LayerNorm { axis, epsilon } => norms::layer_norm(*axis, *epsilon, inputs),
            Self::Gemm(_) | Self::Linear(_) | Self::MatMul | Self::Einsum(_) => {
                linear::run(self, inputs).map(|y| vec![y])
            }
            Self::Reduce(_) | Self::ArgMax { .. } | Self::CumSum { .. } => {
                reduce::run(self, inputs).map(|y| vec![y])
            }
            Self::Resize(resize) => resize.run(inputs).map(|y| vec![y]),
            _ => layout::run(self, inputs),
        }
    }
}
