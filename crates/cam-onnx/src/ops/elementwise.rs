//! Operators that work number by number.

use tch::{Kind, Tensor};

use super::{Inputs, Op, check_size, text};
use crate::attributes::{Source, Wrong, required};
use crate::tensors;

/// One tensor in, one of the same shape out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Unary {
    Identity,
    Relu,
    LeakyRelu(f64),
    ThresholdedRelu(f64),
    Elu(f64),
    Celu(f64),
    Selu(f64, f64),
    Sigmoid,
    HardSigmoid(f64, f64),
    HardSwish,
    /// `x · sigmoid(x)`, which files spell out.
    Silu,
    Gelu {
        tanh: bool,
    },
    Mish,
    Tanh,
    Softplus,
    Softsign,
    Erf,
    Exp,
    Log,
    Sqrt,
    Reciprocal,
    Neg,
    Abs,
    Floor,
    Ceil,
    Round,
    Sign,
    Sin,
    Cos,
    Not,
}

/// Two tensors in, broadcast to a common shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Mod { as_in_c: bool },
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    And,
    Or,
    Xor,
}

/// Any number of tensors in, broadcast to a common shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variadic {
    Sum,
    Mean,
    Max,
    Min,
}

pub(super) fn read(source: &Source<'_>) -> Result<Option<Op>, Wrong> {
    let unary = |unary| Ok(Some(Op::Unary(unary)));
    let binary = |binary| Ok(Some(Op::Binary(binary)));
    let variadic = |variadic| Ok(Some(Op::Variadic(variadic)));
    match source.operator() {
        "Identity" => unary(Unary::Identity),
        "Dropout" => {
            let _ = (source.float("ratio")?, source.int("seed")?);
            if source.wants(1) {
                return Err("its mask is wanted, which is not supported".into());
            }
            // The third input says whether it is to drop anything.
            if source.n_inputs() > 2 { Ok(Some(Op::Dropout)) } else { unary(Unary::Identity) }
        }
        "Relu" => unary(Unary::Relu),
        "LeakyRelu" => unary(Unary::LeakyRelu(source.float_or("alpha", 0.01)?)),
        "ThresholdedRelu" => unary(Unary::ThresholdedRelu(source.float_or("alpha", 1.0)?)),
        "Elu" => unary(Unary::Elu(source.float_or("alpha", 1.0)?)),
        "Celu" => unary(Unary::Celu(source.float_or("alpha", 1.0)?)),
        "Selu" => unary(Unary::Selu(
            source.float_or("alpha", 1.673_263_192_176_818_8)?,
            source.float_or("gamma", 1.050_701_022_148_132_3)?,
        )),
        "Sigmoid" => unary(Unary::Sigmoid),
        "HardSigmoid" => unary(Unary::HardSigmoid(
            source.float_or("alpha", f64::from(0.2_f32))?,
            source.float_or("beta", 0.5)?,
        )),
        "HardSwish" => unary(Unary::HardSwish),
        "Gelu" => match source.string_or("approximate", "none")?.as_str() {
            "none" => unary(Unary::Gelu { tanh: false }),
            "tanh" => unary(Unary::Gelu { tanh: true }),
            other => Err(format!("approximate `{other}` is not supported")),
        },
        "Mish" => unary(Unary::Mish),
        "Tanh" => unary(Unary::Tanh),
        "Softplus" => unary(Unary::Softplus),
        "Softsign" => unary(Unary::Softsign),
        "Erf" => unary(Unary::Erf),
        "Exp" => unary(Unary::Exp),
        "Log" => unary(Unary::Log),
        "Sqrt" => unary(Unary::Sqrt),
        "Reciprocal" => unary(Unary::Reciprocal),
        "Neg" => unary(Unary::Neg),
        "Abs" => unary(Unary::Abs),
        "Floor" => unary(Unary::Floor),
        "Ceil" => unary(Unary::Ceil),
        "Round" => unary(Unary::Round),
        "Sign" => unary(Unary::Sign),
        "Sin" => unary(Unary::Sin),
        "Cos" => unary(Unary::Cos),
        "Not" => unary(Unary::Not),
        "Clip" => Ok(Some(match (source.float("min")?, source.float("max")?) {
            (None, None) => Op::Clip,
            (low, high) => {
                Op::Clamp(low.unwrap_or(f64::NEG_INFINITY), high.unwrap_or(f64::INFINITY))
            }
        })),
        "Add" => binary(Binary::Add),
        "Sub" => binary(Binary::Sub),
        "Mul" => binary(Binary::Mul),
        "Div" => binary(Binary::Div),
        "Pow" => binary(Binary::Pow),
        "Mod" => binary(Binary::Mod { as_in_c: source.flag("fmod", false)? }),
        "Equal" => binary(Binary::Equal),
        "Greater" => binary(Binary::Greater),
        "GreaterOrEqual" => binary(Binary::GreaterOrEqual),
        "Less" => binary(Binary::Less),
        "LessOrEqual" => binary(Binary::LessOrEqual),
        "And" => binary(Binary::And),
        "Or" => binary(Binary::Or),
        "Xor" => binary(Binary::Xor),
        "Sum" => variadic(Variadic::Sum),
        "Mean" => variadic(Variadic::Mean),
        "Max" => variadic(Variadic::Max),
        "Min" => variadic(Variadic::Min),
        "Where" => Ok(Some(Op::Where)),
        "PRelu" => Ok(Some(Op::PRelu)),
        "Cast" => {
            let _ = (source.int("saturate")?, source.string("round_mode")?);
            let to = required("to", source.int("to")?)?;
            let to = i32::try_from(to).map_err(|_error| format!("element type {to} is unknown"))?;
            Ok(Some(Op::Cast(tensors::kind(to)?)))
        }
        "CastLike" => {
            let _ = (source.int("saturate")?, source.string("round_mode")?);
            Ok(Some(Op::CastLike))
        }
        _ => Ok(None),
    }
}

pub(super) fn run(op: &Op, inputs: &Inputs<'_>) -> Result<Tensor, Wrong> {
    let x = inputs.need(0)?;
    match op {
        Op::Unary(unary) => unary.run(x).map_err(text),
        Op::Clamp(low, high) => clamp(x, *low, *high),
        Op::Clip => {
            let bound = |index: usize| -> Result<Option<f64>, Wrong> {
                let Some(bound) = inputs.get(index) else { return Ok(None) };
                if bound.numel() != 1 {
                    return Err("a bound is no single number".into());
                }
                bound.f_reshape([1]).and_then(|b| b.f_double_value(&[0])).map(Some).map_err(text)
            };
            let low = bound(1)?.unwrap_or(f64::NEG_INFINITY);
            clamp(x, low, bound(2)?.unwrap_or(f64::INFINITY))
        }
        Op::Dropout => {
            match inputs.get(2).map(|flag| flag.numel() == 1 && flag.int64_value(&[]) != 0) {
                Some(true) => {
                    Err("training mode is not supported; export the model for inference".into())
                }
                _ => Ok(x.shallow_clone()),
            }
        }
        Op::Binary(binary) => binary.run(x, inputs.need(1)?),
        Op::Variadic(variadic) => variadic.run(&inputs.all()?),
        Op::Where => {
            let (yes, no) = (inputs.need(1)?, inputs.need(2)?);
            let shape = broadcast_shape(&x.size(), &broadcast_shape(&yes.size(), &no.size())?)?;
            check_size(&shape)?;
            let device = common_device(&[x, yes, no]);
            let [x, yes, no] = [x, yes, no].map(|t| t.to_device(device));
            yes.f_where_self(&x.f_to_kind(Kind::Bool).map_err(text)?, &no).map_err(text)
        }
        Op::Cast(kind) => x.f_to_kind(*kind).map_err(text),
        Op::CastLike => x.f_to_kind(inputs.need(1)?.kind()).map_err(text),
        Op::PRelu => {
            let slope = inputs.need(1)?;
            check_size(&broadcast_shape(&x.size(), &slope.size())?)?;
            let negative = x.f_clamp_max(0.0).and_then(|low| low.f_mul(slope));
            x.f_relu().and_then(|y| y.f_add(&negative?)).map_err(text)
        }
        _ => unreachable!("dispatched by Op::run"),
    }
}

fn clamp(x: &Tensor, low: f64, high: f64) -> Result<Tensor, Wrong> {
    if x.is_floating_point() {
        // ReLU6 has a kernel of its own, and a gradient that is safe in place.
        let is_relu6 = low == 0.0 && (high - 6.0).abs() < f64::EPSILON;
        return if is_relu6 { x.f_relu6() } else { x.f_clamp(low, high) }.map_err(text);
    }
    // A bound that no whole number exceeds is none.
    let mut y = x.shallow_clone();
    if low > i64::MIN as f64 {
        y = y.f_clamp_min(low as i64).map_err(text)?;
    }
    if high < i64::MAX as f64 {
        y = y.f_clamp_max(high as i64).map_err(text)?;
    }
    Ok(y)
}

impl Unary {
    fn run(self, x: &Tensor) -> Result<Tensor, tch::TchError> {
        match self {
            Self::Identity => Ok(x.shallow_clone()),
            Self::Relu => x.f_relu(),
            Self::LeakyRelu(alpha) => x.f_relu()?.f_add(&x.f_clamp_max(0.0)?.f_mul_scalar(alpha)?),
            Self::ThresholdedRelu(alpha) => x.f_mul(&x.f_gt(alpha)?.f_to_kind(x.kind())?),
            Self::Elu(alpha) => {
                x.f_relu()?.f_add(&x.f_clamp_max(0.0)?.f_expm1()?.f_mul_scalar(alpha)?)
            }
            Self::Celu(alpha) => {
                let negative = x.f_clamp_max(0.0)?.f_mul_scalar(1.0 / alpha)?.f_expm1()?;
                x.f_relu()?.f_add(&negative.f_mul_scalar(alpha)?)
            }
            Self::Selu(alpha, gamma) => {
                let negative = x.f_clamp_max(0.0)?.f_expm1()?.f_mul_scalar(alpha)?;
                x.f_relu()?.f_add(&negative)?.f_mul_scalar(gamma)
            }
            Self::Sigmoid => x.f_sigmoid(),
            Self::HardSigmoid(alpha, beta) => {
                x.f_mul_scalar(alpha)?.f_add_scalar(beta)?.f_clamp(0.0, 1.0)
            }
            Self::HardSwish => x.f_hardswish(),
            Self::Silu => x.f_silu(),
            Self::Gelu { tanh } => x.f_gelu(if tanh { "tanh" } else { "none" }),
            Self::Mish => x.f_mish(),
            Self::Tanh => x.f_tanh(),
            Self::Softplus => {
                // log(1 + e^x) without overflow.
                let rest = x.f_abs()?.f_neg()?.f_exp()?.f_log1p()?;
                x.f_relu()?.f_add(&rest)
            }
            Self::Softsign => x.f_div(&x.f_abs()?.f_add_scalar(1.0)?),
            Self::Erf => x.f_erf(),
            Self::Exp => x.f_exp(),
            Self::Log => x.f_log(),
            Self::Sqrt => x.f_sqrt(),
            Self::Reciprocal => x.f_reciprocal(),
            Self::Neg => x.f_neg(),
            Self::Abs => x.f_abs(),
            Self::Floor => x.f_floor(),
            Self::Ceil => x.f_ceil(),
            Self::Round => x.f_round(),
            Self::Sign => x.f_sign(),
            Self::Sin => x.f_sin(),
            Self::Cos => x.f_cos(),
            Self::Not => x.f_logical_not(),
        }
    }
}

impl Binary {
    fn run(self, x: &Tensor, y: &Tensor) -> Result<Tensor, Wrong> {
        check_size(&broadcast_shape(&x.size(), &y.size())?)?;
        let device = common_device(&[x, y]);
        let [x, y] = &[x, y].map(|t| t.to_device(device));
        let is_whole = !x.is_floating_point() && !y.is_floating_point();
        let result = match self {
            Self::Add => x.f_add(y),
            Self::Sub => x.f_sub(y),
            Self::Mul => x.f_mul(y),
            Self::Div if is_whole => quotient(x, y),
            Self::Div => x.f_div(y),
            Self::Pow => return power(x, y),
            Self::Mod { as_in_c: true } => x.f_fmod_tensor(y),
            Self::Mod { as_in_c: false } => x.f_remainder_tensor(y),
            Self::Equal => x.f_eq_tensor(y),
            Self::Greater => x.f_gt_tensor(y),
            Self::GreaterOrEqual => x.f_ge_tensor(y),
            Self::Less => x.f_lt_tensor(y),
            Self::LessOrEqual => x.f_le_tensor(y),
            Self::And => x.f_logical_and(y),
            Self::Or => x.f_logical_or(y),
            Self::Xor => x.f_logical_xor(y),
        };
        result.map_err(text)
    }
}

/// Of whole numbers, rounded towards zero. The processor traps where the least number is divided by -1, so that is a
/// negation.
fn quotient(x: &Tensor, y: &Tensor) -> Result<Tensor, tch::TchError> {
    // As `int64`: to bytes, 255 and -1 are equal.
    let is_minus_one = y.f_to_kind(Kind::Int64)?.f_eq(-1)?;
    let divided = x.f_div_tensor_mode(&y.f_masked_fill(&is_minus_one, 1)?, "trunc")?;
    divided.f_neg()?.f_where_self(&is_minus_one, &divided)
}

/// The result is of the base's type. Squares and roots, which normalizations are spelled with, have kernels of their own.
fn power(x: &Tensor, y: &Tensor) -> Result<Tensor, Wrong> {
    let exponent = (y.numel() == 1 && y.dim() <= x.dim() && x.is_floating_point())
        .then(|| y.f_reshape([1]).and_then(|y| y.f_double_value(&[0])));
    let result = match exponent.transpose().map_err(text)? {
        Some(exponent) => x.f_pow_tensor_scalar(exponent),
        None if x.is_floating_point() => x.f_pow(&y.f_to_kind(x.kind()).map_err(text)?),
        // Whole numbers are raised in double, which also takes negative and broken exponents.
        None => x
            .f_to_kind(Kind::Double)
            .and_then(|x| x.f_pow(&y.f_to_kind(Kind::Double)?))
            .and_then(|power| power.f_to_kind(x.kind())),
    };
    result.map_err(text)
}

impl Variadic {
    fn run(self, inputs: &[&Tensor]) -> Result<Tensor, Wrong> {
        let (first, rest) = inputs.split_first().ok_or("it has no input")?;
        let mut result = first.shallow_clone();
        for next in rest {
            check_size(&broadcast_shape(&result.size(), &next.size())?)?;
            let next = next.to_device(result.device());
            result = match self {
                Self::Sum | Self::Mean => result.f_add(&next),
                Self::Max => result.f_maximum(&next),
                Self::Min => result.f_minimum(&next),
            }
            .map_err(text)?;
        }
        if self == Self::Mean {
            result = result.f_div_scalar(inputs.len() as i64).map_err(text)?;
        }
        Ok(result)
    }
}

/// The shape that two broadcast to.
pub(crate) fn broadcast_shape(a: &[i64], b: &[i64]) -> Result<Vec<i64>, Wrong> {
    let rank = a.len().max(b.len());
    let side = |shape: &[i64], index: usize| {
        (index + shape.len()).checked_sub(rank).map_or(1, |index| shape[index])
    };
    (0..rank)
        .map(|index| match (side(a, index), side(b, index)) {
            (x, y) if x == y => Ok(x),
            (1, y) => Ok(y),
            (x, 1) => Ok(x),
            _ => Err(format!("shapes {a:?} and {b:?} do not fit together")),
        })
        .collect()
}

/// Where the largest tensor is: shapes and other small numbers are kept on the processor.
fn common_device(tensors: &[&Tensor]) -> tch::Device {
    let cuda = tensors.iter().map(|tensor| tensor.device()).find(|device| device.is_cuda());
    cuda.unwrap_or(tch::Device::Cpu)
}
