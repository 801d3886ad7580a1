//! Operators that make one number of many.

use tch::{Kind, Tensor};

use super::{Inputs, Op, axis_of, text};
use crate::attributes::{Source, Wrong};

/// A reduction over axes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reduce {
    pub(crate) reduction: Reduction,
    /// As an attribute; `None` where they are the second input, or all axes are meant.
    pub(crate) axes: Option<Vec<i64>>,
    pub(crate) keep: bool,
    /// Without axes nothing is reduced.
    pub(crate) none_is_none: bool,
}

/// What is made of the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reduction {
    Sum,
    Mean,
    Max,
    Min,
    Product,
    L1,
    L2,
    SumSquare,
    LogSum,
    LogSumExp,
}

pub(super) fn read(source: &Source<'_>) -> Result<Option<Op>, Wrong> {
    let reduction = match source.operator() {
        "ReduceSum" => Reduction::Sum,
        "ReduceMean" => Reduction::Mean,
        "ReduceMax" => Reduction::Max,
        "ReduceMin" => Reduction::Min,
        "ReduceProd" => Reduction::Product,
        "ReduceL1" => Reduction::L1,
        "ReduceL2" => Reduction::L2,
        "ReduceSumSquare" => Reduction::SumSquare,
        "ReduceLogSum" => Reduction::LogSum,
        "ReduceLogSumExp" => Reduction::LogSumExp,
        operator @ ("ArgMax" | "ArgMin") => {
            let (axis, keep) = (source.int_or("axis", 0)?, source.flag("keepdims", true)?);
            let last = source.flag("select_last_index", false)?;
            return Ok(Some(Op::ArgMax { axis, keep, least: operator == "ArgMin", last }));
        }
        "CumSum" => {
            let (exclusive, reverse) =
                (source.flag("exclusive", false)?, source.flag("reverse", false)?);
            return Ok(Some(Op::CumSum { exclusive, reverse }));
        }
        _ => return Ok(None),
    };
    Ok(Some(Op::Reduce(Reduce {
        reduction,
        axes: source.ints("axes")?,
        keep: source.flag("keepdims", true)?,
        none_is_none: source.flag("noop_with_empty_axes", false)?,
    })))
}

pub(super) fn run(op: &Op, inputs: &Inputs<'_>) -> Result<Tensor, Wrong> {
    let x = inputs.need(0)?;
    match op {
        Op::Reduce(reduce) => reduce.run(x, inputs.ints(1)?),
        Op::ArgMax { axis, keep, least, last } => {
            let axis = axis_of(*axis, x.dim())?;
            let place =
                |x: &Tensor| if *least { x.f_argmin(axis, *keep) } else { x.f_argmax(axis, *keep) };
            if !*last {
                return place(x).map_err(text);
            }
            // The last of equal numbers is the first from behind.
            let from_behind = x.f_flip([axis]).and_then(|x| place(&x)).map_err(text)?;
            from_behind
                .f_neg()
                .and_then(|p| p.f_add_scalar(x.size()[axis as usize] - 1))
                .map_err(text)
        }
        Op::CumSum { exclusive, reverse } => {
            let axis = match inputs.need_ints(1)?[..] {
                [axis] => axis_of(axis, x.dim())?,
                _ => return Err("its axis is no single number".into()),
            };
            let flipped =
                |x: &Tensor| if *reverse { x.f_flip([axis]) } else { Ok(x.shallow_clone()) };
            let x = flipped(x).map_err(text)?;
            let sums = x.f_cumsum(axis, x.kind()).map_err(text)?;
            let sums = if *exclusive { sums.f_sub(&x).map_err(text)? } else { sums };
            flipped(&sums).map_err(text)
        }
        _ => unreachable!("dispatched by Op::run"),
    }
}

impl Reduce {
    /// The axes that are reduced in an input of this rank, given the second input.
    pub(crate) fn axes(&self, rank: usize, given: Option<Vec<i64>>) -> Result<Vec<i64>, Wrong> {
        let axes = given.or_else(|| self.axes.clone()).unwrap_or_default();
        if axes.is_empty() {
            return Ok(if self.none_is_none { vec![] } else { (0..rank as i64).collect() });
        }
        let mut axes: Vec<i64> =
            axes.into_iter().map(|axis| axis_of(axis, rank)).collect::<Result<_, _>>()?;
        axes.sort_unstable();
        axes.dedup();
        Ok(axes)
    }

    fn run(&self, x: &Tensor, given: Option<Vec<i64>>) -> Result<Tensor, Wrong> {
        let (kind, keep) = (x.kind(), self.keep);
        let axes = self.axes(x.dim(), given)?;
        let sum = |x: &Tensor| {
            if axes.is_empty() {
                Ok(x.shallow_clone())
            } else {
                x.f_sum_dim_intlist(&axes[..], keep, kind)
            }
        };
        let result = match self.reduction {
            Reduction::Sum => sum(x),
            Reduction::L1 => x.f_abs().and_then(|x| sum(&x)),
            Reduction::SumSquare => x.f_square().and_then(|x| sum(&x)),
            // libtorch has roots and logarithms of floats alone.
            Reduction::L2 => x.f_square().and_then(|x| root(&sum(&x)?)?.f_to_kind(kind)),
            Reduction::LogSum => sum(x).and_then(|x| x.f_log()?.f_to_kind(kind)),
            _ if axes.is_empty() => Ok(x.shallow_clone()),
            Reduction::Mean if x.is_floating_point() => x.f_mean_dim(&axes[..], keep, None::<Kind>),
            Reduction::Mean => {
                x.f_mean_dim(&axes[..], keep, Kind::Double).and_then(|mean| mean.f_to_kind(kind))
            }
            Reduction::Max | Reduction::Min
                if axes.iter().any(|&axis| x.size()[axis as usize] == 0) =>
            {
                return Err("the largest or least of no numbers is not supported".into());
            }
            Reduction::Max => x.f_amax(&axes, keep),
            Reduction::Min => x.f_amin(&axes, keep),
            Reduction::LogSumExp if x.is_floating_point() => x.f_logsumexp(&axes, keep),
            Reduction::LogSumExp => {
                x.f_to_kind(Kind::Double).and_then(|x| x.f_logsumexp(&axes, keep)?.f_to_kind(kind))
            }
            Reduction::Product => {
                let mut y = x.shallow_clone();
                for axis in axes.iter().rev() {
                    y = y.f_prod_dim_int(*axis, keep, kind).map_err(text)?;
                }
                Ok(y)
            }
        };
        result.map_err(text)
    }
}

/// The square root. Its gradient at zero, where it has none, is zero, as that of a norm is.
fn root(x: &Tensor) -> Result<Tensor, tch::TchError> {
    let is_zero = x.f_eq(0)?;
    x.f_masked_fill(&is_zero, 1)?.f_sqrt()?.f_masked_fill(&is_zero, 0)
}
