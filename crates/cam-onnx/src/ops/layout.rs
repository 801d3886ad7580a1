//! Operators that move numbers: shapes, slices, joins, look-ups.

use tch::{Device, Kind, Tensor};

use super::{Inputs, Op, axis_of, broadcast_shape, check_size, text};
use crate::attributes::{Source, Wrong, required};

/// Bounds of a slice as old files keep them: in attributes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bounds {
    pub(crate) starts: Vec<i64>,
    pub(crate) ends: Vec<i64>,
    pub(crate) axes: Option<Vec<i64>>,
}

/// What is laid around a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PadMode {
    Constant,
    Reflect,
    Edge,
    Wrap,
}

pub(super) fn read(source: &Source<'_>) -> Result<Option<Op>, Wrong> {
    Ok(Some(match source.operator() {
        "Concat" => Op::Concat { axis: required("axis", source.int("axis")?)? },
        "Split" => {
            let _ = source.int("num_outputs")?;
            Op::Split {
                axis: source.int_or("axis", 0)?,
                sizes: source.ints("split")?,
                n: source.n_outputs(),
            }
        }
        "Slice" => Op::Slice(match source.ints("starts")? {
            None => None,
            Some(starts) => Some(Bounds {
                starts,
                ends: required("ends", source.ints("ends")?)?,
                axes: source.ints("axes")?,
            }),
        }),
        "Pad" => {
            let mode = match source.string_or("mode", "constant")?.as_str() {
                "constant" => PadMode::Constant,
                "reflect" => PadMode::Reflect,
                "edge" => PadMode::Edge,
                "wrap" => PadMode::Wrap,
                other => return Err(format!("mode `{other}` is not supported")),
            };
            let value = source.float_or("value", 0.0)?;
            Op::Pad { mode, fixed: source.ints("pads")?.map(|pads| (pads, value)) }
        }
        "Reshape" => Op::Reshape { allow_zero: source.flag("allowzero", false)? },
        "Flatten" => Op::Flatten { axis: source.int_or("axis", 1)? },
        "Transpose" => Op::Transpose(source.ints("perm")?),
        "Squeeze" => Op::Squeeze(source.ints("axes")?),
        "Unsqueeze" => Op::Unsqueeze(source.ints("axes")?),
        "Gather" => Op::Gather { axis: source.int_or("axis", 0)? },
        "GatherElements" => Op::GatherElements { axis: source.int_or("axis", 0)? },
        "GatherND" => {
            if source.int_or("batch_dims", 0)? != 0 {
                return Err("batch_dims is not supported".into());
            }
            Op::GatherNd
        }
        "ScatterND" => {
            if source.string_or("reduction", "none")? != "none" {
                return Err("a reduction is not supported".into());
            }
            Op::ScatterNd
        }
        "Shape" => Op::Shape { start: source.int_or("start", 0)?, end: source.int("end")? },
        "Size" => Op::Size,
        "ConstantOfShape" => {
            let value = source.tensor("value")?.unwrap_or_else(|| Tensor::from_slice(&[0.0_f32]));
            if value.numel() != 1 {
                return Err("its value is no single number".into());
            }
            Op::ConstantOfShape(value.reshape([0_i64; 0]))
        }
        "Expand" => Op::Expand,
        "Tile" => Op::Tile,
        "Range" => Op::Range,
        "DepthToSpace" => Op::DepthToSpace {
            side: block(source)?,
            depth_first: source.string_or("mode", "DCR")? == "DCR",
        },
        "SpaceToDepth" => Op::SpaceToDepth { side: block(source)? },
        "Trilu" => Op::Triangle { upper: source.flag("upper", true)? },
        _ => return Ok(None),
    }))
}

fn block(source: &Source<'_>) -> Result<i64, Wrong> {
    let side = required("blocksize", source.int("blocksize")?)?;
    if (1..=1 << 16).contains(&side) {
        Ok(side)
    } else {
        Err(format!("attribute `blocksize` is {side}"))
    }
}

#[expect(clippy::too_many_lines, reason = "one arm an operator")]
pub(super) fn run(op: &Op, inputs: &Inputs<'_>) -> Result<Vec<Tensor>, Wrong> {
    let x = inputs.need(0)?;
    let size = x.size();
    let one = match op {
        Op::Concat { axis } => concat(&inputs.all()?, *axis)?,
        Op::Split { axis, sizes, n } => {
            let sizes = inputs.ints(1)?.or_else(|| sizes.clone());
            return split(x, axis_of(*axis, size.len())?, sizes, *n);
        }
        Op::Slice(bounds) => slice(x, bounds.as_ref(), inputs)?,
        Op::Pad { mode, fixed } => pad(x, *mode, fixed.as_ref(), inputs)?,
        Op::Reshape { allow_zero } => {
            let shape = inputs.need_ints(1)?;
            let shape: Vec<i64> = shape
                .iter()
                .enumerate()
                .map(|(axis, &side)| match size.get(axis) {
                    Some(&own) if side == 0 && !allow_zero => own,
                    _ => side,
                })
                .collect();
            x.f_reshape(shape).map_err(text)?
        }
        Op::Flatten { axis } => {
            let axis = if *axis == size.len() as i64 { *axis } else { axis_of(*axis, size.len())? };
            let (rows, columns) = size.split_at(axis as usize);
            x.f_reshape([rows.iter().product::<i64>(), columns.iter().product()]).map_err(text)?
        }
        Op::Transpose(permutation) => {
            let reversed = || (0..size.len() as i64).rev().collect();
            x.f_permute(permutation.clone().unwrap_or_else(reversed)).map_err(text)?
        }
        Op::Squeeze(axes) => {
            let axes = match inputs.ints(1)?.or_else(|| axes.clone()) {
                Some(axes) => axes,
                None => (0..size.len() as i64).filter(|&axis| size[axis as usize] == 1).collect(),
            };
            let axes: Vec<i64> =
                axes.into_iter().map(|axis| axis_of(axis, size.len())).collect::<Result<_, _>>()?;
            if let Some(axis) = axes.iter().find(|&&axis| size[axis as usize] != 1) {
                return Err(format!("axis {axis} of {size:?} is not of size 1"));
            }
            let kept = (0..size.len()).filter(|&axis| !axes.contains(&(axis as i64)));
            x.f_reshape(kept.map(|axis| size[axis]).collect::<Vec<_>>()).map_err(text)?
        }
        Op::Unsqueeze(axes) => {
            let axes = inputs.ints(1)?.or_else(|| axes.clone()).ok_or("its axes are missing")?;
            let rank = size.len() + axes.len();
            let axes: Vec<i64> =
                axes.into_iter().map(|axis| axis_of(axis, rank)).collect::<Result<_, _>>()?;
            let mut own = size.iter().copied();
            let shape = (0..rank as i64)
                .map(|axis| if axes.contains(&axis) { Some(1) } else { own.next() })
                .collect::<Option<Vec<_>>>()
                .ok_or("an axis is named twice")?;
            x.f_reshape(shape).map_err(text)?
        }
        Op::Gather { axis } => gather(x, inputs.need(1)?, axis_of(*axis, size.len())?)?,
        Op::GatherElements { axis } => {
            let axis = axis_of(*axis, size.len())?;
            let index = wrapped(inputs.need(1)?, size[axis as usize])?;
            x.f_gather(axis, &index.to_device(x.device()), false).map_err(text)?
        }
        Op::GatherNd => {
            let index = inputs.need(1)?;
            let coordinates = coordinates(index, &size)?;
            let places = index.size();
            check_size(&[&places[..places.len() - 1], &size[coordinates.len()..]].concat())?;
            x.f_index(&coordinates).map_err(text)?
        }
        Op::ScatterNd => {
            let (index, updates) = (inputs.need(1)?, inputs.need(2)?);
            x.f_index_put(&coordinates(index, &size)?, updates, false).map_err(text)?
        }
        Op::Shape { start, end } => {
            let rank = size.len() as i64;
            let bound =
                |bound: i64| (if bound < 0 { bound + rank } else { bound }).clamp(0, rank) as usize;
            let (start, end) = (bound(*start), bound(end.unwrap_or(rank)));
            Tensor::from_slice(&size[start..end.max(start)])
        }
        Op::Size => Tensor::from(x.numel() as i64),
        Op::ConstantOfShape(value) => {
            let shape = inputs.need_ints(0)?;
            check_size(&shape)?;
            value.f_expand(shape, false).and_then(|x| x.f_contiguous()).map_err(text)?
        }
        Op::Expand => {
            let shape = broadcast_shape(&size, &inputs.need_ints(1)?)?;
            check_size(&shape)?;
            x.f_expand(shape, false).map_err(text)?
        }
        Op::Tile => {
            let repeats = inputs.need_ints(1)?;
            if repeats.len() != size.len() {
                return Err(format!("repeats {repeats:?} are not for the shape {size:?}"));
            }
            let shape: Option<Vec<i64>> =
                size.iter().zip(&repeats).map(|(side, n)| side.checked_mul(*n)).collect();
            check_size(&shape.ok_or("its result is too large")?)?;
            x.f_repeat(repeats).map_err(text)?
        }
        Op::Range => range(inputs)?,
        Op::DepthToSpace { side, depth_first } => depth_to_space(x, *side, *depth_first)?,
        Op::SpaceToDepth { side } => space_to_depth(x, *side)?,
        Op::Triangle { upper } => {
            let diagonal = inputs.ints(1)?.and_then(|k| k.first().copied()).unwrap_or(0);
            if *upper { x.f_triu(diagonal) } else { x.f_tril(diagonal) }.map_err(text)?
        }
        _ => unreachable!("dispatched by Op::run"),
    };
    Ok(vec![one])
}

fn concat(inputs: &[&Tensor], axis: i64) -> Result<Tensor, Wrong> {
    let first = inputs.first().ok_or("it has no input")?;
    let axis = axis_of(axis, first.dim())?;
    let device =
        inputs.iter().map(|x| x.device()).find(|device| device.is_cuda()).unwrap_or(Device::Cpu);
    let mut shape = first.size();
    let sides = inputs.iter().filter_map(|x| x.size().get(axis as usize).copied());
    shape[axis as usize] = sides.sum();
    check_size(&shape)?;
    let inputs: Vec<Tensor> = inputs.iter().map(|x| x.to_device(device)).collect();
    Tensor::f_cat(&inputs, axis).map_err(text)
}

fn split(x: &Tensor, axis: i64, sizes: Option<Vec<i64>>, n: usize) -> Result<Vec<Tensor>, Wrong> {
    let side = x.size()[axis as usize];
    let sizes = match sizes {
        Some(sizes) => sizes,
        None if n == 0 => return Err("it has no output".into()),
        None => {
            let part = (side + n as i64 - 1) / n as i64;
            (0..n as i64).map(|i| part.min(side - i * part).max(0)).collect()
        }
    };
    if sizes.len() != n
        || sizes.iter().any(|&size| size < 0)
        || sizes.iter().try_fold(0_i64, |sum, &size| sum.checked_add(size)) != Some(side)
    {
        return Err(format!("parts of {sizes:?} are not {n} parts of {side}"));
    }
    let mut start = 0;
    sizes
        .iter()
        .map(|&size| {
            let part = x.f_narrow(axis, start, size).map_err(text);
            start += size;
            part
        })
        .collect()
}

fn slice(x: &Tensor, bounds: Option<&Bounds>, inputs: &Inputs<'_>) -> Result<Tensor, Wrong> {
    let (starts, ends, axes, steps) = match bounds {
        Some(Bounds { starts, ends, axes }) => (starts.clone(), ends.clone(), axes.clone(), None),
        None => (inputs.need_ints(1)?, inputs.need_ints(2)?, inputs.ints(3)?, inputs.ints(4)?),
    };
    let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
    if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
        return Err("starts, ends, axes and steps are not of one length".into());
    }
    let mut y = x.shallow_clone();
    for (((start, end), axis), step) in starts.iter().zip(ends).zip(axes).zip(steps) {
        let axis = axis_of(axis, y.dim())?;
        let side = y.size()[axis as usize];
        let from_front = |bound: i64| if bound < 0 { bound.saturating_add(side) } else { bound };
        y = match step {
            0 => return Err("a step is 0".into()),
            1.. => {
                let (start, end) =
                    (from_front(*start).clamp(0, side), from_front(end).clamp(0, side));
                y.f_slice(axis, start, end.max(start), step).map_err(text)?
            }
            _ => {
                // Backwards: what is kept, in reverse.
                let (start, end) =
                    (from_front(*start).min(side - 1).max(0), from_front(end).clamp(-1, side - 1));
                let flipped = y.f_flip([axis]).map_err(text)?;
                let (start, end) = (side - 1 - start, side - 1 - end);
                let step = step.checked_neg().ok_or("a step is too large")?;
                flipped.f_slice(axis, start, end.max(start), step).map_err(text)?
            }
        };
    }
    Ok(y)
}

fn pad(
    x: &Tensor,
    mode: PadMode,
    fixed: Option<&(Vec<i64>, f64)>,
    inputs: &Inputs<'_>,
) -> Result<Tensor, Wrong> {
    let rank = x.dim();
    let (pads, value) = if let Some((pads, value)) = fixed {
        (pads.clone(), *value)
    } else {
        let value = inputs.get(2).filter(|value| value.numel() == 1).map_or(Ok(0.0), |value| {
            value.f_reshape([1]).and_then(|v| v.f_double_value(&[0])).map_err(text)
        });
        (inputs.need_ints(1)?, value?)
    };
    let axes = match inputs.ints(3)? {
        Some(axes) => {
            axes.into_iter().map(|axis| axis_of(axis, rank)).collect::<Result<Vec<_>, _>>()?
        }
        None => (0..rank as i64).collect(),
    };
    if pads.len() != 2 * axes.len() || pads.iter().any(|zeros| zeros.abs() > 1 << 24) {
        return Err(format!("pads {pads:?} are not for {} axes", axes.len()));
    }
    let mut around = vec![[0; 2]; rank];
    for (index, axis) in axes.iter().enumerate() {
        around[*axis as usize] = [pads[index], pads[index + axes.len()]];
    }
    let shape: Vec<i64> =
        x.size().iter().zip(&around).map(|(side, [before, after])| side + before + after).collect();
    check_size(&shape)?;
    if mode == PadMode::Constant {
        let list: Vec<i64> = around.iter().rev().flatten().copied().collect();
        return x.f_pad(list, "constant", value).map_err(text);
    }
    // Every other mode is a look-up along each axis.
    let mut y = x.shallow_clone();
    for (axis, [before, after]) in around.into_iter().enumerate() {
        let side = y.size()[axis];
        if before == 0 && after == 0 {
            continue;
        }
        if side == 0 {
            return Err("there is nothing to repeat".into());
        }
        let index: Vec<i64> = (-before..side + after)
            .map(|place| match mode {
                PadMode::Edge => place.clamp(0, side - 1),
                PadMode::Wrap => place.rem_euclid(side),
                _ if side == 1 => 0,
                _ => {
                    let place = place.rem_euclid(2 * (side - 1));
                    if place < side { place } else { 2 * (side - 1) - place }
                }
            })
            .collect();
        let index = Tensor::from_slice(&index).to_device(y.device());
        y = y.f_index_select(axis as i64, &index).map_err(text)?;
    }
    Ok(y)
}

fn gather(x: &Tensor, index: &Tensor, axis: i64) -> Result<Tensor, Wrong> {
    let mut size = x.size();
    let side = size[axis as usize];
    if index.dim() == 0 {
        // A view, and no look-up.
        let place = index.f_int64_value(&[]).map_err(text)?;
        return x.f_select(axis, place).map_err(text);
    }
    let shape = index.size();
    size.splice(axis as usize..=axis as usize, shape);
    check_size(&size)?;
    let index = wrapped(index, side)?.to_device(x.device());
    let flat = index.f_reshape([-1]).and_then(|index| x.f_index_select(axis, &index));
    flat.and_then(|y| y.f_reshape(&size)).map_err(text)
}

/// Indices counted from the front, `int64`; one out of range is an error wherever the look-up is made.
fn wrapped(index: &Tensor, side: i64) -> Result<Tensor, Wrong> {
    if index.is_floating_point() {
        return Err("its indices are no whole numbers".into());
    }
    let index = index.f_to_kind(Kind::Int64).map_err(text)?;
    if index.numel() == 0 {
        return Ok(index);
    }
    let (least, most) = (index.min().int64_value(&[]), index.max().int64_value(&[]));
    if least < -side || most >= side {
        return Err(format!("index {} of {side}", if most >= side { most } else { least }));
    }
    if least >= 0 {
        return Ok(index);
    }
    index
        .f_lt(0)
        .and_then(|is| is.f_to_kind(Kind::Int64)?.f_mul_scalar(side)?.f_add(&index))
        .map_err(text)
}

/// The last axis of indices, an index list for each leading axis of the data.
fn coordinates(index: &Tensor, size: &[i64]) -> Result<Vec<Option<Tensor>>, Wrong> {
    let depth = index.size().last().copied().unwrap_or(0);
    if depth < 1 || depth > size.len() as i64 {
        return Err(format!("indices of shape {:?} are not for {size:?}", index.size()));
    }
    (0..depth)
        .map(|axis| {
            let along = index.f_select(-1, axis).map_err(text)?;
            wrapped(&along, size[axis as usize]).map(Some)
        })
        .collect()
}

fn range(inputs: &Inputs<'_>) -> Result<Tensor, Wrong> {
    let number = |index: usize| -> Result<f64, Wrong> {
        let x = inputs.need(index)?;
        if x.numel() != 1 {
            return Err("a bound is no single number".into());
        }
        x.f_reshape([1]).and_then(|x| x.f_double_value(&[0])).map_err(text)
    };
    let (start, end, step) = (number(0)?, number(1)?, number(2)?);
    let n = ((end - start) / step).ceil().max(0.0);
    if !n.is_finite() || n > 1e9 {
        return Err(format!("from {start} to {end} by {step} is no range"));
    }
    check_size(&[n as i64])?;
    let kind = inputs.need(0)?.kind();
    // As many as the definition says, whatever rounding would make of the last one.
    Tensor::f_arange(n as i64, (Kind::Double, Device::Cpu))
        .and_then(|i| i.f_mul_scalar(step)?.f_add_scalar(start)?.f_to_kind(kind))
        .map_err(text)
}

fn depth_to_space(x: &Tensor, side: i64, depth_first: bool) -> Result<Tensor, Wrong> {
    let [n, depth, height, width] = four(x)?;
    if depth % (side * side) != 0 {
        return Err(format!("{depth} channels are no blocks of {side} by {side}"));
    }
    let channels = depth / (side * side);
    let (shape, order) = if depth_first {
        ([n, side, side, channels, height, width], [0, 3, 4, 1, 5, 2])
    } else {
        ([n, channels, side, side, height, width], [0, 1, 4, 2, 5, 3])
    };
    x.f_reshape(shape)
        .and_then(|x| x.f_permute(order)?.f_reshape([n, channels, height * side, width * side]))
        .map_err(text)
}

fn space_to_depth(x: &Tensor, side: i64) -> Result<Tensor, Wrong> {
    let [n, channels, height, width] = four(x)?;
    if height % side != 0 || width % side != 0 {
        return Err(format!("{height} by {width} are no blocks of {side} by {side}"));
    }
    x.f_reshape([n, channels, height / side, side, width / side, side])
        .and_then(|x| {
            x.f_permute([0, 3, 5, 1, 2, 4])?.f_reshape([
                n,
                channels * side * side,
                height / side,
                width / side,
            ])
        })
        .map_err(text)
}

fn four(x: &Tensor) -> Result<[i64; 4], Wrong> {
    <[i64; 4]>::try_from(x.size()).map_err(|size| format!("shape {size:?} is not [N, K, h, w]"))
}
