//! Normalizations and softmax.

use tch::{Kind, Tensor};

use super::{Inputs, Op, axis_of, check_size, text};
use crate::attributes::{Source, Wrong, required};

pub(super) fn read(source: &Source<'_>) -> Result<Option<Op>, Wrong> {
    let epsilon = || source.float_or("epsilon", 1e-5);
    Ok(Some(match source.operator() {
        "BatchNormalization" => {
            let _ = (source.float("momentum")?, source.int("spatial")?);
            // Old files say so by naming more outputs, whether or not anything uses them.
            if source.flag("training_mode", false)?
                || (1..source.n_outputs()).any(|i| source.names(i))
            {
                return Err("training mode is not supported; export the model for inference".into());
            }
            Op::BatchNorm { epsilon: epsilon()? }
        }
        "InstanceNormalization" => Op::InstanceNorm { epsilon: epsilon()? },
        "GroupNormalization" => {
            let _ = source.int("stash_type")?;
            let groups = required("num_groups", source.int("num_groups")?)?;
            if groups < 1 {
                return Err(format!("attribute `num_groups` is {groups}"));
            }
            // Until opset 20 there is one scale a group, since then one a channel.
            Op::GroupNorm { groups, epsilon: epsilon()?, by_group: source.opset < 21 }
        }
        "LayerNormalization" => {
            let _ = source.int("stash_type")?;
            Op::LayerNorm { axis: source.int_or("axis", -1)?, epsilon: epsilon()? }
        }
        "LRN" => {
            let size = required("size", source.int("size")?)?;
            if !(1..=1 << 16).contains(&size) {
                return Err(format!("attribute `size` is {size}"));
            }
            Op::LocalResponseNorm {
                size,
                alpha: source.float_or("alpha", f64::from(1e-4_f32))?,
                beta: source.float_or("beta", 0.75)?,
                bias: source.float_or("bias", 1.0)?,
            }
        }
        "LpNormalization" => {
            let p = source.int_or("p", 2)?;
            if p != 1 && p != 2 {
                return Err(format!("attribute `p` is {p}"));
            }
            Op::LpNorm { p, axis: source.int_or("axis", -1)? }
        }
        operator @ ("Softmax" | "LogSoftmax") => {
            // Until opset 12 everything from the axis on is one axis.
            let flat = source.opset < 13;
            let axis = source.int_or("axis", if flat { 1 } else { -1 })?;
            Op::Softmax { axis, log: operator == "LogSoftmax", flat }
        }
        _ => return Ok(None),
    }))
}

/// What a batch normalization adds to a multiple of its input: `[K]`.
pub(super) fn added(inputs: &Inputs<'_>, epsilon: f64) -> Result<Tensor, Wrong> {
    let [scale, shift, mean, variance] = [1, 2, 3, 4].map(|index| inputs.need(index));
    Ok(shift? - mean? * scale? / (variance? + epsilon).sqrt())
}

pub(super) fn run(op: &Op, inputs: &Inputs<'_>) -> Result<Tensor, Wrong> {
    let x = inputs.need(0)?;
    let channels = || x.size().get(1).copied().ok_or("it has no channels");
    // One number a channel, laid along axis 1.
    let by_channel = |tensor: &Tensor| {
        let mut shape = vec![1; x.dim()];
        shape[1] = -1;
        tensor.f_reshape(shape).map_err(text)
    };
    match op {
        Op::BatchNorm { epsilon } => {
            let n = channels()?;
            let parameters = [1, 2, 3, 4].map(|index| inputs.need(index));
            for parameter in &parameters {
                if parameter.as_ref().map_err(Clone::clone)?.size() != [n] {
                    return Err(format!("its parameters are not for {n} channels"));
                }
            }
            let [scale, shift, mean, variance] = parameters;
            x.f_batch_norm(
                Some(scale?),
                Some(shift?),
                Some(mean?),
                Some(variance?),
                false,
                0.0,
                *epsilon,
                false,
            )
            .map_err(text)
        }
        Op::InstanceNorm { epsilon } => {
            let _ = channels()?;
            let axes: Vec<i64> = (2..x.dim() as i64).collect();
            let y = standardized(x, &axes, *epsilon)?;
            let (scale, shift) = (by_channel(inputs.need(1)?)?, by_channel(inputs.need(2)?)?);
            y.f_mul(&scale).and_then(|y| y.f_add(&shift)).map_err(text)
        }
        Op::GroupNorm { groups, epsilon, by_group } => {
            let n = channels()?;
            if n % groups != 0 {
                return Err(format!("{n} channels are not {groups} groups"));
            }
            let parameter = |index| -> Result<Tensor, Wrong> {
                let tensor = inputs.need(index)?;
                if *by_group {
                    tensor.f_repeat_interleave_self_int(n / groups, 0, None).map_err(text)
                } else {
                    Ok(tensor.shallow_clone())
                }
            };
            let (scale, shift) = (parameter(1)?, parameter(2)?);
            x.f_group_norm(*groups, Some(&scale), Some(&shift), *epsilon, false).map_err(text)
        }
        Op::LocalResponseNorm { size, alpha, beta, bias } => {
            let n = channels()?;
            let shape = x.size();
            let (before, after) = ((size - 1) / 2, size / 2);
            check_size(&[&[shape[0], n + size - 1], &shape[2..]].concat())?;
            let squares =
                x.f_square().and_then(|x| x.f_reshape([shape[0], 1, n, -1])).map_err(text)?;
            let padded = squares.f_constant_pad_nd([0, 0, before, after]).map_err(text)?;
            let mean = padded.f_avg_pool2d([*size, 1], [1, 1], [0, 0], false, true, None);
            let mean = mean.and_then(|mean| mean.f_reshape(&shape)).map_err(text)?;
            mean.f_mul_scalar(*alpha)
                .and_then(|m| m.f_add_scalar(*bias))
                .and_then(|m| m.f_pow_tensor_scalar(*beta))
                .and_then(|divisor| x.f_div(&divisor))
                .map_err(text)
        }
        Op::LpNorm { p, axis } => {
            let axis = axis_of(*axis, x.dim())?;
            let norm = x.f_norm_scalaropt_dim(*p, [axis], true).map_err(text)?;
            // Nothing but zeros stays so.
            let is_zero = norm.f_eq(0.0).and_then(|is| is.f_to_kind(norm.kind())).map_err(text)?;
            norm.f_add(&is_zero).and_then(|norm| x.f_div(&norm)).map_err(text)
        }
        Op::Softmax { axis, log, flat } => {
            let shape = x.size();
            let softmax = |x: &Tensor, axis: i64| {
                if *log {
                    x.f_log_softmax(axis, None::<Kind>)
                } else {
                    x.f_softmax(axis, None::<Kind>)
                }
            };
            let is_end = *axis == shape.len() as i64;
            let axis = if *flat && is_end { *axis } else { axis_of(*axis, shape.len())? };
            if !*flat {
                return softmax(x, axis).map_err(text);
            }
            let rows: i64 = shape[..axis as usize].iter().product();
            x.f_reshape([rows, -1])
                .and_then(|x| softmax(&x, 1))
                .and_then(|y| y.f_reshape(&shape))
                .map_err(text)
        }
        _ => unreachable!("dispatched by Op::run"),
    }
}

/// The normalized input, its mean, and one over its deviation.
pub(super) fn layer_norm(
    axis: i64,
    epsilon: f64,
    inputs: &Inputs<'_>,
) -> Result<Vec<Tensor>, Wrong> {
    let x = inputs.need(0)?;
    let size = x.size();
    let normalized = &size[axis_of(axis, size.len())? as usize..];
    let (scale, shift) = (inputs.need(1)?, inputs.get(2));
    let fits = scale.size() == normalized && shift.is_none_or(|shift| shift.size() == normalized);
    if fits {
        let (y, mean, deviation) =
            x.f_native_layer_norm(normalized, Some(scale), shift, epsilon).map_err(text)?;
        return Ok(vec![y, mean, deviation]);
    }
    // Scale and shift may also be broadcast.
    let (y, mean, deviation) =
        x.f_native_layer_norm(normalized, None::<&Tensor>, None, epsilon).map_err(text)?;
    let y = y.f_mul(scale).map_err(text)?;
    let y = shift.map_or(Ok(y.shallow_clone()), |shift| y.f_add(shift)).map_err(text)?;
    Ok(vec![y, mean, deviation])
}

fn standardized(x: &Tensor, axes: &[i64], epsilon: f64) -> Result<Tensor, Wrong> {
    let centered = x.f_sub(&x.f_mean_dim(axes, true, None::<Kind>).map_err(text)?).map_err(text)?;
    let variance = centered.f_square().and_then(|c| c.f_mean_dim(axes, true, None::<Kind>));
    variance
        .and_then(|v| v.f_add_scalar(epsilon))
        .and_then(|v| v.f_rsqrt())
        .and_then(|factor| centered.f_mul(&factor))
        .map_err(text)
}
