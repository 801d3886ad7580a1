//! One half of a cut graph, in the order in which it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use cam_core::{Biases, Shortcut};
use tch::{Device, Kind, Tensor};

use crate::error::Problem;
use crate::graph::{Graph, Node, Value};
use crate::ops::{Binary, Op, Unary, broadcast_shape, is_relu6};

/// Nodes that make one value of another.
#[derive(Debug)]
pub(crate) struct Program {
    steps: Vec<Step>,
    from: Value,
    to: Value,
    /// Places at which one value alone is alive; each with how many steps come before it.
    segments: Vec<Segment>,
}

#[derive(Debug)]
struct Step {
    node: Node,
    /// Values that nobody needs afterwards.
    frees: Vec<Value>,
    /// Whether it may write into its first input; a convolution into what it adds.
    in_place: bool,
}

#[derive(Debug)]
struct Segment {
    end: usize,
    value: Value,
    /// Numbers of one image that a step in here reads and writes, at most.
    peak: i64,
}

/// Images that go through the early steps together, and bytes beyond which a batch's activations count as too large for
/// the cache: as for the networks of the zoo.
const MICRO_BATCH: i64 = 2;
const CACHE_BYTES: i64 = 32 << 20;

impl Program {
    /// The nodes of a graph that make `to` of `from`. `shapes` are of `batch` images, `joints` the values at which a
    /// batch may be parted.
    pub(crate) fn new(
        graph: &Graph,
        from: Value,
        to: Value,
        shapes: &[Option<Vec<i64>>],
        batch: i64,
        joints: &BTreeSet<Value>,
    ) -> Self {
        let mut needed = BTreeSet::from([to]);
        let mut nodes = vec![];
        for node in graph.nodes.iter().rev() {
            let makes =
                node.outputs.iter().flatten().any(|value| needed.contains(value) && *value != from);
            if makes && from != to {
                needed.extend(node.inputs.iter().flatten());
                nodes.push(node);
            }
        }
        nodes.reverse();
        let mut last_use = BTreeMap::new();
        let mut n_uses: BTreeMap<Value, usize> = BTreeMap::new();
        for (index, node) in nodes.iter().enumerate() {
            for value in node.inputs.iter().flatten() {
                last_use.insert(*value, index);
                *n_uses.entry(*value).or_default() += 1;
            }
        }
        let makers = graph.makers();
        let maker = |value: Value| makers.get(&value);
        let numbers = |value: Value| {
            shapes
                .get(value)
                .and_then(Option::as_ref)
                .map_or(0, |shape| shape.iter().product::<i64>() / batch)
        };
        let mut steps = vec![];
        let mut segments = vec![];
        let mut peak = 0;
        for (index, node) in nodes.iter().enumerate() {
            let computed = |value: &Value| {
                !graph.constants.contains_key(value) && !graph.by_batch.contains_key(value)
            };
            let frees = node.inputs.iter().flatten().copied();
            let frees = frees.filter(|value| computed(value) && last_use[value] == index).collect();
            let is_own = node.inputs.first().copied().flatten().is_some_and(|value| {
                value != from
                    && n_uses[&value] == 1
                    && maker(value).is_some_and(|maker| keeps_nothing(&maker.op))
            });
            // What a convolution adds, where no gradient is asked for: nothing else may see that memory any more.
            let is_spare = node.inputs.get(1).copied().flatten().is_some_and(|value| {
                value != from
                    && node.inputs[0] != Some(value)
                    && last_use[&value] == index
                    && maker(value).is_some_and(|maker| makes_its_own(&maker.op))
                    && nodes
                        .iter()
                        .filter(|node| node.inputs.contains(&Some(value)))
                        .all(|node| makes_its_own(&node.op))
            });
            let used =
                node.inputs.iter().chain(&node.outputs).flatten().filter(|value| computed(value));
            peak = peak.max(used.map(|value| numbers(*value)).sum());
            if let Some(value) =
                node.outputs.first().copied().flatten().filter(|value| joints.contains(value))
            {
                segments.push(Segment { end: index + 1, value, peak: std::mem::take(&mut peak) });
            }
            steps.push(Step {
                node: (*node).clone(),
                frees,
                in_place: match *node.op {
                    Op::Kernel(_) => is_spare,
                    _ => is_own && is_in_place(&node.op),
                },
            });
        }
        Self { steps, from, to, segments }
    }

    /// Runs it over `n` images' values, and collects its layers' biases if biases are.
    pub(crate) fn run(
        &self,
        graph: &Graph,
        x: &Tensor,
        n: i64,
        biases: Option<&Biases>,
    ) -> Result<Tensor, Problem> {
        let run = |steps, from: (Value, &Tensor), to, n| {
            self.run_steps(graph, steps, from, to, n, biases)
        };
        let is_large = |segment: &&Segment| n * segment.peak * 4 > CACHE_BYTES;
        let n_large = self.segments.iter().take_while(is_large).count();
        let split = match n_large.checked_sub(1).map(|last| &self.segments[last]) {
            Some(segment)
                if x.device() == Device::Cpu
                    && n > MICRO_BATCH
                    && x.size()[0] == n
                    && biases.is_none() =>
            {
                segment
            }
            _ => return run(0..self.steps.len(), (self.from, x), self.to, n),
        };
        let parts: Vec<Tensor> = (0..n)
            .step_by(MICRO_BATCH as usize)
            .map(|start| {
                let length = MICRO_BATCH.min(n - start);
                let part = x.narrow(0, start, length);
                run(0..split.end, (self.from, &part), split.value, length)
            })
            .collect::<Result<_, _>>()?;
        let joined = Tensor::cat(&parts, 0);
        run(split.end..self.steps.len(), (split.value, &joined), self.to, n)
    }

    fn run_steps(
        &self,
        graph: &Graph,
        steps: Range<usize>,
        (from, x): (Value, &Tensor),
        to: Value,
        n: i64,
        biases: Option<&Biases>,
    ) -> Result<Tensor, Problem> {
        let mut values: BTreeMap<Value, Tensor> = BTreeMap::from([(from, x.shallow_clone())]);
        for step in &self.steps[steps] {
            let get = |value: Value| {
                values.get(&value).map(Tensor::shallow_clone).or_else(|| graph.known(value, n))
            };
            // What was handed in belongs to the caller.
            let is_handed_in = step.node.inputs.contains(&Some(from));
            let in_place = || in_place(&step.node, get);
            let is_in_place = step.in_place && !is_handed_in && biases.is_none();
            let changed = is_in_place.then(in_place).flatten();
            let results = match changed {
                Some(result) => vec![result],
                None => graph.run_node(&step.node, get, biases)?,
            };
            for value in &step.frees {
                values.remove(value);
            }
            for (output, result) in step.node.outputs.iter().zip(results) {
                if let Some(output) = output {
                    // Shapes are worked with on the processor; floats made of them meet those made of the image.
                    let is_float = result.is_floating_point();
                    let result = if is_float { result.to_device(x.device()) } else { result };
                    values.insert(*output, result);
                }
            }
        }
        values
            .remove(&to)
            .ok_or_else(|| Problem::Graph("the cut does not lead to the output".into()))
    }

    /// Numbers in all steps' outputs for one image, and in what comes in.
    pub(crate) fn n_numbers(&self, shapes: &[Option<Vec<i64>>], batch: i64) -> i64 {
        let outputs = self.steps.iter().flat_map(|step| &step.node.outputs).flatten();
        let values = outputs.chain(std::iter::once(&self.from));
        values
            .filter_map(|value| shapes.get(*value)?.as_ref())
            .map(|shape| shape.iter().product::<i64>() / batch)
            .sum()
    }

    /// Its operators, in order.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.steps.iter().map(|step| &step.node)
    }
}

/// Whether an operator makes a tensor of its own and needs it no more, for a backward pass either.
fn keeps_nothing(op: &Op) -> bool {
    match op {
        // A ReLU keeps its result.
        Op::Kernel(kernel) => kernel.is_bare(),
        Op::Conv(_) | Op::Linear(_) | Op::BatchNorm { .. } | Op::Binary(Binary::Add) => true,
        _ => false,
    }
}

/// Whether an operator's result is in memory of its own, and no view of an input.
fn makes_its_own(op: &Op) -> bool {
    matches!(
        op,
        Op::Kernel(_)
            | Op::Conv(_)
            | Op::Linear(_)
            | Op::BatchNorm { .. }
            | Op::Binary(_)
            | Op::Clamp(..)
            | Op::MaxPool(_)
            | Op::AveragePool { .. }
            | Op::GlobalAveragePool
    ) || matches!(op, Op::Unary(unary) if *unary != Unary::Identity)
}

fn is_in_place(op: &Op) -> bool {
    match op {
        Op::Unary(Unary::Relu) | Op::Binary(Binary::Add) => true,
        Op::Clamp(low, high) => is_relu6(*low, *high),
        _ => false,
    }
}

/// Runs an operator in the memory of its first input, or a convolution in that of what it adds; `None` where that does not
/// fit.
fn in_place(node: &Node, get: impl Fn(Value) -> Option<Tensor>) -> Option<Tensor> {
    let mut x = get(node.inputs[0]?)?;
    if x.kind() != Kind::Float {
        return None;
    }
    match &*node.op {
        Op::Kernel(kernel) => {
            let value = get(node.inputs[1]?)?;
            let is_float = value.kind() == Kind::Float;
            is_float.then(|| kernel.run(&x, Some(Shortcut { value, is_spare: true }), None).ok())?
        }
        Op::Unary(Unary::Relu) => x.f_relu_().ok(),
        Op::Clamp(..) => x.f_relu6_().ok(),
        Op::Binary(Binary::Add) => {
            let y = get(node.inputs[1]?)?;
            let fits = y.kind() == Kind::Float
                && x.device() == y.device()
                && broadcast_shape(&x.size(), &y.size()).is_ok_and(|shape| shape == x.size());
            if fits { x.f_add_(&y).ok() } else { None }
        }
        _ => None,
    }
}
