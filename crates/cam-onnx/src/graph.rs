//! A graph as it is read from a file: values by number, nodes in an order in which they can be run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use cam_core::Biases;
use prost::Message as _;
use prost::bytes::Bytes;
use tch::{Kind, Tensor};

use crate::OPSETS;
use crate::attributes::Source;
use crate::budget;
use crate::error::{OnnxError, Problem};
use crate::ops::{Inputs, Op};
use crate::proto::{ModelProto, NodeProto, tensor_shape_proto::dimension, type_proto};
use crate::tensors::{self, ExternalData};

/// A tensor of the graph by its number.
pub(crate) type Value = usize;

/// A graph.
#[derive(Debug)]
pub(crate) struct Graph {
    /// Every value's name.
    pub(crate) names: Vec<String>,
    /// Values that are the same for every input.
    pub(crate) constants: BTreeMap<Value, Tensor>,
    /// Values that depend on the number of images alone.
    pub(crate) by_batch: BTreeMap<Value, ByBatch>,
    /// Each after those whose results it needs.
    pub(crate) nodes: Vec<Node>,
    /// What has to be given.
    pub(crate) inputs: Vec<Input>,
    /// What is asked for.
    pub(crate) outputs: Vec<Value>,
    /// The version of the operators.
    pub(crate) opset: i64,
    /// Files that it was read from, the model first.
    pub(crate) files: Vec<PathBuf>,
    /// The output whose maps a hook added.
    pub(crate) hooked: Option<String>,
}

/// Whole numbers `per_image · N + fixed`: shapes of a batch of N.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ByBatch {
    pub(crate) per_image: Vec<i64>,
    pub(crate) fixed: Vec<i64>,
    /// A list, or a single number.
    pub(crate) is_list: bool,
}

/// A node with its operator.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// As in the file, or the first output's name.
    pub(crate) name: String,
    /// As in the file.
    pub(crate) operator: String,
    pub(crate) op: Rc<Op>,
    /// A left-out input is `None`.
    pub(crate) inputs: Vec<Option<Value>>,
    /// An output that nobody named, or uses, is `None`.
    pub(crate) outputs: Vec<Option<Value>>,
}

/// What has to be given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Input {
    pub(crate) value: Value,
    pub(crate) kind: Kind,
    /// `None` for a size that is not fixed; `None` altogether where the file does not say.
    pub(crate) shape: Option<Vec<Option<i64>>>,
}

/// The largest file that is read, in bytes: twice what the format's own limit is.
pub(crate) const MAX_BYTES: u64 = 4 << 30;

/// How many nodes a graph may have; the largest networks have some thousands.
const MAX_NODES: usize = 1 << 15;

/// How many messages a model may consist of, which have up to two kilobytes each when they are decoded.
const MAX_MESSAGES: usize = 1 << 18;

/// The messages that count, by their numbers in the schema: the graph; in it nodes, weights, inputs, outputs and notes on other
/// values; in nodes their attributes.
const LEVELS: [&[usize]; 3] = [&[7], &[1, 5, 11, 12, 13], &[5]];

/// The key under which a hook writes down which output its maps are of.
pub(crate) const HOOKED: &str = "cambench.saliency_map.of";

/// The output whose maps a hook added, as the file says.
pub(crate) fn hooked_output(model: &ModelProto) -> Option<String> {
    let entry = model.metadata_props.iter().find(|entry| entry.key() == HOOKED)?;
    Some(entry.value().to_owned())
}

/// The model in a file's bytes, which are counted through before anything is made of them: an empty node has two bytes there.
pub(crate) fn decode(bytes: Vec<u8>) -> Result<ModelProto, Problem> {
    let check = |n: usize, what: &str, most: usize| {
        let why = || Problem::Graph(format!("it has {n} {what}, and no more than {most} are read"));
        if n > most { Err(why()) } else { Ok(()) }
    };
    check(n_messages(&bytes, &LEVELS), "parts", MAX_MESSAGES)?;
    let model = ModelProto::decode(Bytes::from(bytes))
        .map_err(|error| Problem::Damaged(error.to_string()))?;
    check(model.graph.as_ref().map_or(0, |graph| graph.node.len()), "nodes", MAX_NODES)?;
    Ok(model)
}

/// How many messages of these levels a message holds.
fn n_messages(mut message: &[u8], levels: &[&[usize]]) -> usize {
    let Some((numbers, deeper)) = levels.split_first() else { return 0 };
    let mut n = 0;
    while let Some((number, field)) = next_field(&mut message) {
        if numbers.contains(&number) {
            n += 1 + n_messages(field, deeper);
        }
    }
    n
}

/// Takes the next field from a message: its number and its bytes. `None` at the end, and where nothing more can be decoded.
fn next_field<'a>(message: &mut &'a [u8]) -> Option<(usize, &'a [u8])> {
    let key = prost::decode_length_delimiter(&mut *message).ok()?;
    let length = match key % 8 {
        0 => prost::decode_length_delimiter(&mut *message).map(|_number| 0).ok()?,
        1 => 8,
        2 => prost::decode_length_delimiter(&mut *message).ok()?,
        // Where a group of fields begins and ends.
        3 | 4 => 0,
        5 => 4,
        _ => return None,
    };
    let (field, rest) = message.split_at_checked(length)?;
    *message = rest;
    Some((key / 8, field))
}

impl Graph {
    /// Reads a file, and the files beside it that it keeps weights in.
    pub(crate) fn open(path: &Path) -> Result<Self, OnnxError> {
        let external = ExternalData::beside(path);
        let mut graph = cam_core::read_file(path, MAX_BYTES)
            .map_err(Problem::Io)
            .and_then(|bytes| Self::read(bytes, &external))
            .map_err(|problem| OnnxError { path: path.to_path_buf(), problem })?;
        graph.files = std::iter::once(path.to_path_buf()).chain(external.files.take()).collect();
        Ok(graph)
    }

    /// Reads the bytes of a file.
    #[expect(clippy::too_many_lines, reason = "one pass over the file, in its order")]
    pub(crate) fn read(bytes: Vec<u8>, external: &ExternalData) -> Result<Self, Problem> {
        let model = decode(bytes)?;
        let graph =
            model.graph.as_ref().ok_or_else(|| Problem::Damaged("it holds no graph".into()))?;
        if !graph.sparse_initializer.is_empty() {
            return Err(Problem::Graph("sparse weights are not supported".into()));
        }
        let opset = model
            .opset_import
            .iter()
            .filter(|import| is_standard(import.domain()))
            .map(super::proto::OperatorSetIdProto::version)
            .max()
            .ok_or_else(|| Problem::Damaged("it does not say which operators it uses".into()))?;
        if !OPSETS.contains(&opset) {
            return Err(Problem::Opset(opset));
        }

        let mut maker = BTreeMap::new();
        for (index, node) in graph.node.iter().enumerate() {
            for output in node.output.iter().filter(|name| !name.is_empty()) {
                if maker.insert(output.as_str(), index).is_some() {
                    return Err(Problem::Graph(format!("two nodes make `{output}`")));
                }
            }
        }
        let weights: BTreeMap<&str, _> =
            graph.initializer.iter().map(|tensor| (tensor.name(), tensor)).collect();
        let given: BTreeMap<&str, _> = graph
            .input
            .iter()
            .filter(|input| !weights.contains_key(input.name()))
            .map(|input| (input.name(), input))
            .collect();

        let taken = graph.node.iter().flat_map(|node| &node.input).map(String::as_str);
        let used: BTreeSet<&str> = taken
            .chain(graph.output.iter().map(super::proto::ValueInfoProto::name))
            .filter(|name| !name.is_empty())
            .collect();
        let order = in_order(
            graph.output.iter().map(super::proto::ValueInfoProto::name),
            &maker,
            &graph.node,
        )?;
        let mut read = Self {
            names: vec![],
            constants: BTreeMap::new(),
            by_batch: BTreeMap::new(),
            nodes: vec![],
            inputs: vec![],
            outputs: vec![],
            opset,
            files: vec![],
            hooked: hooked_output(&model),
        };
        let mut values: BTreeMap<&str, Value> = BTreeMap::new();
        for (name, input) in &given {
            let value = read.add(name);
            values.insert(name, value);
            if let Some((kind, shape)) = tensor_type(input)? {
                read.inputs.push(Input { value, kind, shape });
            }
        }
        // In the file's order.
        let place = |value: Value| {
            let name = read.names[value].as_str();
            graph.input.iter().position(|input| input.name() == name)
        };
        let mut inputs = std::mem::take(&mut read.inputs);
        inputs.sort_by_key(|input| place(input.value));
        read.inputs = inputs;

        for index in order {
            let proto = &graph.node[index];
            let source = Source::new(proto, opset, external, &used);
            if !is_standard(proto.domain()) {
                let what = format!("operators of `{}` are not supported", proto.domain());
                return Err(source.problem(what));
            }
            let mut inputs = vec![];
            for name in &proto.input {
                if name.is_empty() {
                    inputs.push(None);
                    continue;
                }
                let value = if let Some(value) = values.get(name.as_str()) {
                    *value
                } else {
                    let tensor = weights.get(name.as_str()).ok_or_else(|| {
                        source.problem(format!("nothing makes its input `{name}`"))
                    })?;
                    let value = read.add(name);
                    read.constants.insert(value, tensors::tensor(tensor, external)?);
                    value
                };
                values.insert(name, value);
                inputs.push(Some(value));
            }
            let mut outputs = vec![];
            for name in &proto.output {
                let value = used.contains(name.as_str()).then(|| read.add(name));
                if let Some(value) = value {
                    values.insert(name, value);
                }
                outputs.push(value);
            }
            let Some(first) = outputs.iter().flatten().next().copied() else {
                return Err(source.problem("it has no output"));
            };
            if proto.op_type() == "Constant" {
                read.constants.insert(first, constant(&source)?);
                continue;
            }
            let op = Op::read(&source)?;
            let name = if proto.name().is_empty() { &read.names[first] } else { proto.name() };
            read.nodes.push(Node {
                name: name.to_owned(),
                operator: proto.op_type().to_owned(),
                op: Rc::new(op),
                inputs,
                outputs,
            });
        }
        for output in &graph.output {
            let name = output.name();
            let value = match (values.get(name), weights.get(name)) {
                (Some(value), _) => *value,
                (None, Some(tensor)) => {
                    let value = read.add(name);
                    read.constants.insert(value, tensors::tensor(tensor, external)?);
                    value
                }
                (None, None) => {
                    return Err(Problem::Graph(format!("nothing makes the output `{name}`")));
                }
            };
            read.outputs.push(value);
        }
        Ok(read)
    }

    /// A new value.
    pub(crate) fn add(&mut self, name: &str) -> Value {
        self.names.push(name.to_owned());
        self.names.len() - 1
    }

    /// An error about a node.
    pub(crate) fn problem(&self, node: &Node, what: String) -> Problem {
        Problem::Unsupported {
            node: node.name.clone(),
            operator: node.operator.clone(),
            opset: self.opset,
            what,
        }
    }

    /// A constant, or what depends on the number of images alone.
    pub(crate) fn known(&self, value: Value, n: i64) -> Option<Tensor> {
        self.constants
            .get(&value)
            .map(Tensor::shallow_clone)
            .or_else(|| self.by_batch.get(&value).map(|by_batch| by_batch.of(n)))
    }

    /// Runs a node, and collects its bias if biases are.
    pub(crate) fn run_node(
        &self,
        node: &Node,
        get: impl Fn(Value) -> Option<Tensor>,
        biases: Option<&Biases>,
    ) -> Result<Vec<Tensor>, Problem> {
        let inputs: Vec<Option<Tensor>> =
            node.inputs.iter().map(|input| input.and_then(&get)).collect();
        let inputs = Inputs(&inputs);
        let results = match biases {
            Some(biases) => node.op.run_collecting(&inputs, biases),
            None => node.op.run(&inputs),
        };
        results.map_err(|what| self.problem(node, what))
    }

    /// Runs every node; `n` is the number of images. Tensors are dropped after their last use, but for those of `keep`.
    pub(crate) fn trace(
        &self,
        given: &[(Value, Tensor)],
        n: i64,
        keep: &dyn Fn(Value) -> bool,
    ) -> Result<Trace, Problem> {
        let _no_grad = tch::no_grad_guard();
        let mut trace = Trace { shapes: vec![None; self.names.len()], tensors: BTreeMap::new() };
        let known = self.constants.keys().chain(self.by_batch.keys());
        for value in known {
            trace.shapes[*value] = self.known(*value, n).map(|tensor| tensor.size());
        }
        for (value, tensor) in given {
            trace.shapes[*value] = Some(tensor.size());
            trace.tensors.insert(*value, tensor.shallow_clone());
        }
        let last_use = self.last_use();
        let mut n_alive: i64 = given.iter().map(|(_, tensor)| tensor.numel() as i64).sum();
        for (index, node) in self.nodes.iter().enumerate() {
            let get = |value: Value| {
                trace
                    .tensors
                    .get(&value)
                    .map(Tensor::shallow_clone)
                    .or_else(|| self.known(value, n))
            };
            let results = self.run_node(node, get, None)?;
            let n_results = results.len();
            for (output, result) in node.outputs.iter().zip(results) {
                if let Some(output) = *output {
                    trace.shapes[output] = Some(result.size());
                    if keep(output) || last_use.contains_key(&output) {
                        n_alive += result.numel() as i64;
                        trace.tensors.insert(output, result);
                    }
                }
            }
            if let Some(missing) = node.outputs.iter().skip(n_results).flatten().next() {
                let what = format!("its output `{}` is not supported", self.names[*missing]);
                return Err(self.problem(node, what));
            }
            if n_alive > budget::together() {
                let what = "its result, beside others that are still needed, is too large";
                return Err(self.problem(node, what.into()));
            }
            for value in node.inputs.iter().flatten() {
                if last_use.get(value) == Some(&index)
                    && !keep(*value)
                    && let Some(tensor) = trace.tensors.remove(value)
                {
                    n_alive -= tensor.numel() as i64;
                }
            }
        }
        Ok(trace)
    }

    /// Which node is the last to need a value, of those that are needed.
    pub(crate) fn last_use(&self) -> BTreeMap<Value, usize> {
        let uses = self.nodes.iter().enumerate();
        uses.flat_map(|(index, node)| {
            node.inputs.iter().flatten().map(move |value| (*value, index))
        })
        .collect()
    }

    /// Which node makes a value, of those that are made.
    pub(crate) fn makers(&self) -> BTreeMap<Value, &Node> {
        let nodes = self.nodes.iter();
        nodes
            .flat_map(|node| node.outputs.iter().flatten().map(move |value| (*value, node)))
            .collect()
    }

    /// Leaves out nodes whose results nobody needs.
    pub(crate) fn prune(&mut self) {
        let mut needed: BTreeSet<Value> = self.outputs.iter().copied().collect();
        let mut kept = vec![];
        for node in std::mem::take(&mut self.nodes).into_iter().rev() {
            if node.outputs.iter().flatten().any(|value| needed.contains(value)) {
                needed.extend(node.inputs.iter().flatten());
                kept.push(node);
            }
        }
        kept.reverse();
        self.nodes = kept;
        self.constants.retain(|value, _| needed.contains(value));
        self.by_batch.retain(|value, _| needed.contains(value));
    }

    /// A copy that shares the tensors.
    pub(crate) fn shared(&self) -> Self {
        let constants =
            self.constants.iter().map(|(value, tensor)| (*value, tensor.shallow_clone()));
        Self {
            names: self.names.clone(),
            constants: constants.collect(),
            by_batch: self.by_batch.clone(),
            nodes: self.nodes.clone(),
            inputs: self.inputs.clone(),
            outputs: self.outputs.clone(),
            opset: self.opset,
            files: self.files.clone(),
            hooked: self.hooked.clone(),
        }
    }
}

/// What a run of a whole graph has shown.
pub(crate) struct Trace {
    /// Of every value.
    pub(crate) shapes: Vec<Option<Vec<i64>>>,
    /// Of those that were to be kept.
    pub(crate) tensors: BTreeMap<Value, Tensor>,
}

impl ByBatch {
    /// For a batch of `n` images.
    pub(crate) fn of(&self, n: i64) -> Tensor {
        let numbers: Vec<i64> = self
            .per_image
            .iter()
            .zip(&self.fixed)
            .map(|(per_image, fixed)| per_image * n + fixed)
            .collect();
        if self.is_list { Tensor::from_slice(&numbers) } else { Tensor::from(numbers[0]) }
    }
}

fn is_standard(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

/// The nodes that the outputs need, each after those that it needs.
fn in_order<'a>(
    outputs: impl Iterator<Item = &'a str>,
    maker: &BTreeMap<&'a str, usize>,
    nodes: &'a [NodeProto],
) -> Result<Vec<usize>, Problem> {
    let mut order = vec![];
    let mut is_done = BTreeSet::new();
    let mut is_open = BTreeSet::new();
    // Depth first, with a stack of its own: a file must not be able to exhaust the thread's.
    let mut ahead: Vec<(usize, bool)> =
        outputs.filter_map(|name| maker.get(name)).map(|&node| (node, false)).collect();
    ahead.reverse();
    while let Some((node, is_left)) = ahead.pop() {
        if is_left {
            is_open.remove(&node);
            is_done.insert(node);
            order.push(node);
            continue;
        }
        if is_done.contains(&node) {
            continue;
        }
        if !is_open.insert(node) {
            let name = nodes[node].output.first().map_or("", String::as_str);
            return Err(Problem::Graph(format!("`{name}` is needed to make itself")));
        }
        ahead.push((node, true));
        for input in nodes[node].input.iter().rev() {
            match maker.get(input.as_str()) {
                Some(&before) if is_open.contains(&before) => {
                    return Err(Problem::Graph(format!("`{input}` is needed to make itself")));
                }
                Some(&before) if !is_done.contains(&before) => ahead.push((before, false)),
                _ => {}
            }
        }
    }
    Ok(order)
}

/// The element type and shape of an input; `None` for one that is no tensor.
#[expect(
    clippy::type_complexity,
    reason = "a shape whose sizes may be open, if it is there at all"
)]
fn tensor_type(
    input: &crate::proto::ValueInfoProto,
) -> Result<Option<(Kind, Option<Vec<Option<i64>>>)>, Problem> {
    let Some(type_proto::Value::TensorType(tensor)) =
        input.r#type.as_ref().and_then(|kind| kind.value.as_ref())
    else {
        return Ok(None);
    };
    let kind = tensors::kind(tensor.elem_type())
        .map_err(|what| Problem::Graph(format!("input `{}`: {what}", input.name())))?;
    let shape = tensor.shape.as_ref().map(|shape| {
        let side = |value: &Option<dimension::Value>| match value {
            Some(dimension::Value::DimValue(side)) if *side > 0 => Some(*side),
            _ => None,
        };
        shape.dim.iter().map(|dim| side(&dim.value)).collect()
    });
    Ok(Some((kind, shape)))
}

fn constant(source: &Source<'_>) -> Result<Tensor, Problem> {
    let read = || -> Result<Tensor, String> {
        let found = if let Some(tensor) = source.tensor("value")? {
            tensor
        } else if let Some(number) = source.float("value_float")? {
            Tensor::from(number as f32)
        } else if let Some(numbers) = source.floats("value_floats")? {
            Tensor::from_slice(&numbers)
        } else if let Some(number) = source.int("value_int")? {
            Tensor::from(number)
        } else if let Some(numbers) = source.ints("value_ints")? {
            Tensor::from_slice(&numbers)
        } else {
            return Err("its value is missing, or of a type that is not supported".into());
        };
        source.finish()?;
        Ok(found)
    };
    read().map_err(|what| source.problem(what))
}
