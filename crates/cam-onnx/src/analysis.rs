//! What a graph does with a batch: which values are fixed, which follow the number of images, and whether it can take
//! several images at all.
//!
//! Exported graphs compute shapes from shapes (`Shape`, `Gather`, `Concat`, `Reshape`), or hold the shapes of the one
//! image that they were exported with. Both would tie the half behind a cut to the half before it. So the graph is run
//! with one, two and three images of the planned size. Whatever depends on shapes alone is then a constant, or a list
//! of numbers that grow with the batch ([`ByBatch`]).

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use tch::{Device, Kind, Tensor};

use crate::error::Problem;
use crate::graph::{ByBatch, Graph, Node, Trace, Value};
use crate::ops::{Op, Unary};
use crate::tensors::n_elements;

/// Numbers that folded constants may have together.
const MAX_FOLDED: i64 = 1 << 28;

/// Evaluates nodes all of whose inputs are constants.
pub(crate) fn fold_constants(graph: &mut Graph) -> Result<(), Problem> {
    let _no_grad = tch::no_grad_guard();
    let mut n_folded = 0;
    let mut kept = vec![];
    for node in std::mem::take(&mut graph.nodes) {
        if !node.inputs.iter().flatten().all(|value| graph.constants.contains_key(value)) {
            kept.push(node);
            continue;
        }
        let results = graph.run_node(&node, |value| graph.known(value, 1), None)?;
        for (output, result) in node.outputs.iter().zip(results) {
            n_folded += result.numel() as i64;
            if n_folded > MAX_FOLDED {
                return Err(graph.problem(&node, "the graph's constants are too large".into()));
            }
            if let Some(output) = output {
                graph.constants.insert(*output, result);
            }
        }
    }
    graph.nodes = kept;
    Ok(())
}

/// Takes out nodes that hand on what they are given; the values that stand for others by then.
pub(crate) fn remove_identities(graph: &mut Graph) -> BTreeMap<Value, Value> {
    let mut stands_for: BTreeMap<Value, Value> = BTreeMap::new();
    let mut kept = vec![];
    for mut node in std::mem::take(&mut graph.nodes) {
        for input in node.inputs.iter_mut().flatten() {
            *input = *stands_for.get(input).unwrap_or(input);
        }
        match (&*node.op, &node.inputs[..], &node.outputs[..]) {
            (Op::Unary(Unary::Identity), [Some(input), ..], [Some(output), ..]) => {
                stands_for.insert(*output, *input);
            }
            _ => kept.push(node),
        }
    }
    graph.nodes = kept;
    for output in &mut graph.outputs {
        *output = *stands_for.get(output).unwrap_or(output);
    }
    stands_for
}

/// Images that differ from each other, in the shape of the input but for their number.
pub(crate) fn images(shape: &[i64], n: i64) -> Tensor {
    let n_numbers: i64 = shape.iter().product();
    let image = |index: i64| {
        let phase =
            Tensor::arange(n_numbers, (Kind::Float, Device::Cpu)) * (0.37 + 0.11 * index as f64);
        (phase.sin() * 1.3).reshape(shape)
    };
    Tensor::stack(&(0..n).map(image).collect::<Vec<_>>(), 0)
}

/// How a graph takes batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Batches {
    /// Any number of images.
    Any,
    /// This many, always.
    Only(i64),
}

/// Makes of a graph one that takes any number of images, where that can be had. `shape` is an image's.
///
/// The traces are of the smallest batch and, where others are possible, of the next larger one.
pub(crate) fn open_batch(
    graph: &mut Graph,
    input: Value,
    shape: &[i64],
    fixed: Option<i64>,
) -> Result<(Batches, Trace, Option<Trace>), Problem> {
    // Of `n` images from one on.
    let trace = |graph: &Graph, start: i64, n: i64, keep: &dyn Fn(Value) -> bool| {
        let images = images(shape, start + n).narrow(0, start, n);
        graph.trace(&[(input, images)], n, keep)
    };
    let output = graph.outputs[0];
    let statics = static_values(graph, input);
    let keep = |value: Value| value == output || statics.contains(&value);
    let keep_output = |value: Value| value == output;
    let smallest = fixed.unwrap_or(1);
    let first = trace(graph, 0, smallest, &keep)?;
    // What the first trace says of its images, this one says of the next ones, before anything is changed.
    let next = trace(graph, smallest, smallest, &keep_output)?;
    if fixed.is_none() && statics.is_empty() {
        // Nothing depends on shapes, so one look at two images is enough.
        if let Ok(second) = trace(graph, 0, 2, &keep)
            && agree(&second, 2, &[&first, &next], output)
        {
            return Ok((Batches::Any, first, Some(second)));
        }
    } else if fixed.is_none() {
        let more: Result<Vec<Trace>, Problem> =
            [2, 3].into_iter().map(|n| trace(graph, 0, n, &keep)).collect();
        if let Ok(more) = more
            && let [second, third] = &more[..]
            && agree(second, 2, &[&first, &next], output)
            && agree(third, 3, &[second], output)
        {
            resolve(graph, &statics, &first, Some((second, third)));
            let second = more.into_iter().next();
            return Ok((Batches::Any, first, second));
        }
    }
    resolve(graph, &statics, &first, None);
    loosen(graph, input, smallest, &first.shapes);
    let n = 2 * smallest;
    if let Ok(second) = trace(graph, 0, n, &keep_output)
        && agree(&second, n, &[&first, &next], output)
    {
        return Ok((
            if smallest == 1 { Batches::Any } else { Batches::Only(smallest) },
            first,
            Some(second),
        ));
    }
    Ok((Batches::Only(smallest), first, None))
}

/// Whether the first of `n` images have the results together that they have apart, up to rounding.
fn agree(together: &Trace, n: i64, apart: &[&Trace], output: Value) -> bool {
    let result =
        |trace: &Trace| trace.tensors.get(&output).map(|tensor| tensor.to_kind(Kind::Double));
    let difference = || -> Option<f64> {
        let apart: Option<Vec<Tensor>> = apart.iter().map(|trace| result(trace)).collect();
        let (apart, together) = (Tensor::f_cat(&apart?, 0).ok()?, result(together)?);
        let n_compared = *apart.size().first()?;
        let compared = together.f_narrow(0, 0, n_compared).ok()?;
        let fits = together.size()[0] == n && compared.size() == apart.size() && apart.numel() > 0;
        let largest = |tensor: &Tensor| tensor.abs().max().double_value(&[]);
        fits.then(|| largest(&(compared - &apart)) / largest(&apart).max(1e-6))
    };
    difference().is_some_and(|difference| difference <= 1e-4)
}

/// Values that are computed, and do not depend on the images' numbers.
fn static_values(graph: &Graph, input: Value) -> BTreeSet<Value> {
    let mut depends = BTreeSet::from([input]);
    let mut statics = BTreeSet::new();
    for node in &graph.nodes {
        let looks_at_shape = matches!(*node.op, Op::Shape { .. } | Op::Size);
        let is_image =
            !looks_at_shape && node.inputs.iter().flatten().any(|value| depends.contains(value));
        let set = if is_image { &mut depends } else { &mut statics };
        set.extend(node.outputs.iter().flatten());
    }
    statics
}

/// Makes constants and [`ByBatch`] of static values, from runs of one batch or of one, two and three images.
fn resolve(
    graph: &mut Graph,
    statics: &BTreeSet<Value>,
    first: &Trace,
    more: Option<(&Trace, &Trace)>,
) {
    for value in statics {
        let Some(one) = first.tensors.get(value) else { continue };
        let Some((second, third)) = more else {
            graph.constants.insert(*value, one.copy());
            continue;
        };
        let (Some(two), Some(three)) = (second.tensors.get(value), third.tensors.get(value)) else {
            continue;
        };
        if is_same(one, two) && is_same(one, three) {
            graph.constants.insert(*value, one.copy());
        } else if let Some(by_batch) = by_batch(one, two, three) {
            graph.by_batch.insert(*value, by_batch);
        }
    }
    let Graph { nodes, constants, by_batch, .. } = graph;
    nodes.retain(|node| {
        let is_known =
            |value: &Value| constants.contains_key(value) || by_batch.contains_key(value);
        !node.outputs.iter().flatten().all(is_known)
    });
}

fn is_same(a: &Tensor, b: &Tensor) -> bool {
    a.size() == b.size() && a.kind() == b.kind() && a.f_equal(b).unwrap_or(false)
}

fn by_batch(one: &Tensor, two: &Tensor, three: &Tensor) -> Option<ByBatch> {
    let [one_, two_, three_] = [one, two, three].map(|tensor| crate::ops::ints(tensor).ok());
    let (one_, two_, three_) = (one_?, two_?, three_?);
    if one_.len() != two_.len() || one_.len() != three_.len() {
        return None;
    }
    let per_image: Vec<i64> =
        one_.iter().zip(&two_).map(|(one, two)| two.wrapping_sub(*one)).collect();
    let fixed: Vec<i64> =
        one_.iter().zip(&per_image).map(|(one, step)| one.wrapping_sub(*step)).collect();
    let by_batch = ByBatch { per_image, fixed, is_list: one.dim() == 1 };
    let is_line = three_.iter().enumerate().all(|(i, three)| {
        by_batch.per_image[i].checked_mul(3).and_then(|step| step.checked_add(by_batch.fixed[i]))
            == Some(*three)
    });
    is_line.then_some(by_batch)
}

/// Where the images are in a value: along one axis, `blocks` entries for each of them in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Along {
    axis: usize,
    blocks: i64,
}

/// Lets shapes that were written down for `batch` images grow with their number.
///
/// The images' axis is followed through the graph. A reshape keeps it where the product of the sizes before it is the
/// same, for then every image's numbers stay together. Where this cannot be followed nothing is changed; the caller
/// compares results before he believes in it.
fn loosen(graph: &mut Graph, input: Value, batch: i64, shapes: &[Option<Vec<i64>>]) {
    let mut along = BTreeMap::from([(input, Along { axis: 0, blocks: 1 })]);
    let mut nodes = std::mem::take(&mut graph.nodes);
    let mut added: Vec<(usize, Node)> = vec![];
    for (index, node) in nodes.iter_mut().enumerate() {
        let shape = |value: Option<Value>| value.and_then(|value| shapes.get(value)?.as_deref());
        let Some(output) = node.outputs.first().copied().flatten() else { continue };
        let Some(out_shape) = shape(Some(output)) else { continue };
        let images = node.inputs.iter().flatten().copied().find(|value| along.contains_key(value));
        let Some(from) = images else { continue };
        let (at, in_shape) = (along[&from], shape(Some(from)).unwrap_or_default());
        let to = follow(&node.op, node, at, in_shape, out_shape, batch, graph);
        let Some(to) = to.filter(|to| to.axis < out_shape.len()) else { continue };
        for output in node.outputs.iter().flatten() {
            along.insert(*output, to);
        }
        let grown = |shape: &[i64]| {
            let mut per_image = vec![0; shape.len()];
            let mut fixed = shape.to_vec();
            (per_image[to.axis], fixed[to.axis]) = (to.blocks, 0);
            ByBatch { per_image, fixed, is_list: true }
        };
        match &*node.op {
            Op::Reshape { .. } | Op::Expand if node.inputs.len() == 2 => {
                let is_constant =
                    node.inputs[1].is_some_and(|shape| graph.constants.contains_key(&shape));
                if is_constant {
                    let value = graph.add(&format!("{} for any batch", node.name));
                    graph.by_batch.insert(value, grown(out_shape));
                    node.inputs[1] = Some(value);
                }
            }
            Op::Concat { axis }
                if crate::ops::axis_of(*axis, out_shape.len()) != Ok(to.axis as i64) =>
            {
                // A token that belongs to every image is a constant of one image by now.
                for input in &mut node.inputs {
                    let Some(value) = *input else { continue };
                    let Some(own) = shape(Some(value)) else { continue };
                    if !graph.constants.contains_key(&value) {
                        continue;
                    }
                    let size = graph.add(&format!("{} for any batch", node.name));
                    graph.by_batch.insert(size, grown(own));
                    let repeated = graph.add(&format!("{} of every image", graph.names[value]));
                    let one = if own[to.axis] == to.blocks * batch && batch > 1 {
                        graph.constants[&value].narrow(to.axis as i64, 0, to.blocks)
                    } else {
                        graph.constants[&value].shallow_clone()
                    };
                    let token = graph.add(&format!("{} of one image", graph.names[value]));
                    graph.constants.insert(token, one);
                    added.push((
                        index,
                        Node {
                            name: graph.names[repeated].clone(),
                            operator: "Expand".into(),
                            op: Rc::new(Op::Expand),
                            inputs: vec![Some(token), Some(size)],
                            outputs: vec![Some(repeated)],
                        },
                    ));
                    *input = Some(repeated);
                }
            }
            _ => {}
        }
    }
    for (index, node) in added.into_iter().rev() {
        nodes.insert(index, node);
    }
    graph.nodes = nodes;
}

/// Where the images are in a node's result.
fn follow(
    op: &Op,
    node: &Node,
    at: Along,
    input: &[i64],
    output: &[i64],
    batch: i64,
    graph: &Graph,
) -> Option<Along> {
    let constant = |index: usize| {
        let value = node.inputs.get(index).copied().flatten()?;
        crate::ops::ints(graph.constants.get(&value)?).ok()
    };
    let axis = at.axis;
    let moved = |axis: usize| Some(Along { axis, ..at });
    match op {
        Op::Transpose(permutation) => match permutation {
            Some(permutation) => moved(permutation.iter().position(|&from| from == axis as i64)?),
            None => moved(input.len() - 1 - axis),
        },
        Op::Squeeze(axes) => {
            let axes = constant(1).or_else(|| axes.clone())?;
            let before = axes.iter().filter_map(|&a| crate::ops::axis_of(a, input.len()).ok());
            moved(axis - before.filter(|&a| (a as usize) < axis).count())
        }
        Op::Unsqueeze(axes) => {
            let axes = constant(1).or_else(|| axes.clone())?;
            let axes: Vec<i64> =
                axes.iter().filter_map(|&a| crate::ops::axis_of(a, output.len()).ok()).collect();
            let own = (0..output.len()).filter(|&place| !axes.contains(&(place as i64)));
            moved(own.into_iter().nth(axis)?)
        }
        Op::Gather { axis: along } => {
            let along = crate::ops::axis_of(*along, input.len()).ok()? as usize;
            let n_axes = output.len() as i64 - input.len() as i64 + 1;
            match along.cmp(&axis) {
                std::cmp::Ordering::Less => moved((axis as i64 + n_axes - 1) as usize),
                std::cmp::Ordering::Equal => None,
                std::cmp::Ordering::Greater => moved(axis),
            }
        }
        Op::Reduce(reduce) => {
            let axes = reduce.axes(input.len(), constant(1)).ok()?;
            let is_kept = !axes.contains(&(axis as i64));
            let before =
                if reduce.keep { 0 } else { axes.iter().filter(|&&a| (a as usize) < axis).count() };
            is_kept.then(|| moved(axis - before)).flatten()
        }
        Op::Reshape { .. } | Op::Flatten { .. } => {
            let before: i64 = input[..axis].iter().product();
            let mut product = 1;
            for (axis, &side) in output.iter().enumerate() {
                if product == before && side % batch == 0 && n_elements(output).is_some() {
                    return Some(Along { axis, blocks: side / batch });
                }
                product *= side;
            }
            None
        }
        // Aligned at the last axis, as everything that is broadcast.
        _ if output.len() >= input.len() => moved(axis + output.len() - input.len()),
        _ => None,
    }
}
