//! The explanatory hook: a network's graph with one more output, the Recipro-CAM maps of its classes.
//!
//! Recipro-CAM asks the head about every position of the activations alone, and needs no gradient, so it can be a part of
//! the graph. A pooled linear head answers all positions by one convolution with its own weights; any other head is
//! repeated over the masked activations, which keep the class and register tokens of a transformer. What was in the graph
//! stays as it is, and so do its results. The new graph needs nothing but ONNX's standard operators.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cam_core::{Classifier, SALIENCY_MAP};
use prost::Message as _;
use prost::bytes::Bytes;
use tch::{Device, Kind, Tensor};

use crate::analysis;
use crate::error::{OnnxError, Problem, UnknownTensor};
use crate::forms::Form;
use crate::graph::{self, Graph, MAX_BYTES};
use crate::network::{Cut, Network, Options};
use crate::proto::attribute_proto::AttributeType;
use crate::proto::tensor_proto::{DataLocation, DataType};
use crate::proto::tensor_shape_proto::{Dimension, dimension};
use crate::proto::{
    AttributeProto, GraphProto, NodeProto, StringStringEntryProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, type_proto,
};
use crate::tensors::ExternalData;

/// How many numbers a tensor of a repeated head may have, for one image: a gigabyte of `f32`.
const MAX_REPEATED: i64 = 1 << 28;

/// What is hooked where.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hook {
    /// The tensor under explanation; the network's default where `None`.
    pub layer: Option<String>,
    /// Whether a position is spread over its neighborhood.
    pub gaussian: bool,
    /// How maps are scaled.
    pub scale: Scale,
    /// One class; all of them where `None`.
    pub class: Option<i64>,
    /// Side of the images in pixels, where the file takes any.
    pub input_side: Option<i64>,
    /// The output that logits are read from; `None`: by [`LogitsOutput::new`](cam_core::LogitsOutput::new).
    pub logits: Option<String>,
}

/// How maps are scaled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Each map to 0 to 255, whole numbers.
    #[default]
    U8,
    /// Each map to 0 to 1.
    F32,
    /// Not at all: logits.
    None,
}

/// A graph with its new output.
#[derive(Debug)]
pub struct Hooked {
    /// The file's bytes.
    pub bytes: Vec<u8>,
    /// The tensor under explanation; `None` where the graph had the output already, and is as it was.
    pub layer: Option<String>,
    /// The output whose classes they are of.
    pub output: String,
    /// For one image: `[classes, h, w]`.
    pub shape: Vec<i64>,
}

/// Why a graph cannot be hooked.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// The file.
    #[error(transparent)]
    File(#[from] OnnxError),
    /// The layer.
    #[error(transparent)]
    Layer(#[from] UnknownTensor),
    /// The graph.
    #[error("{0}")]
    Graph(String),
}

/// Adds the output `saliency_map`, `[N, classes, h, w]`. The result is run, and compared with the network as it is
/// interpreted here, before it is returned. A graph that has such an output is returned as it is.
///
/// # Errors
///
/// The file is no classifier, cannot be cut there, or its head needs more than the activations.
pub fn hook(path: &Path, hook: &Hook) -> Result<Hooked, HookError> {
    let file = |problem: Problem| OnnxError { path: path.to_path_buf(), problem };
    let bytes = cam_core::read_file(path, MAX_BYTES).map_err(|error| file(Problem::Io(error)))?;
    let mut model = graph::decode(bytes.clone()).map_err(file)?;
    let has_output =
        |graph: &GraphProto| graph.output.iter().any(|output| output.name() == SALIENCY_MAP);
    if model.graph.as_ref().is_some_and(has_output) {
        let output = graph::hooked_output(&model).unwrap_or_default();
        return Ok(Hooked { bytes, layer: None, output, shape: vec![] });
    }
    let options =
        Options { input_side: hook.input_side, logits: hook.logits.clone(), ..Options::default() };
    let network = Network::open(path, &options)?;
    let layer = match (&hook.layer, network.default_layer()) {
        (Some(layer), _) => layer.clone(),
        (None, Some(layer)) => layer.to_owned(),
        (None, None) => {
            return Err(HookError::Graph("no layer can be chosen; name one with --layer".into()));
        }
    };
    let cut = network.cut(&layer)?;
    let point = network.points().iter().find(|point| point.name == cut.layer());
    let form = point.and_then(|point| Some((point, point.form?, point.map_shape()?)));
    let Some((point, form, map_shape @ [_, height, width])) = form else {
        return Err(HookError::Graph(format!("there are no activations in `{layer}`")));
    };
    if let Some(class) = hook.class.filter(|class| !(0..network.n_classes()).contains(class)) {
        let n = network.n_classes();
        return Err(HookError::Graph(format!("class {class}: there are {n}, 0 to {}", n - 1)));
    }
    // The masks, and what they make of a head that has to be repeated.
    let places = height * width;
    let is_pooled = cut.pooled_linear_head().is_some();
    let of_each = if is_pooled { places } else { places.max(network.largest_from(point)) };
    let numbers = places.saturating_mul(of_each);
    if numbers > MAX_REPEATED {
        let what = if is_pooled { "masks" } else { "the head behind it, repeated," };
        return Err(HookError::Graph(format!(
            "`{layer}` has {height} x {width} places, and {what} would take {:.1} GB a tensor for one image; name a later \
             layer of fewer places, or export the model for smaller images",
            4.0 * numbers as f64 / 1e9
        )));
    }
    let opset = network.opset();
    let lists_weights = model.ir_version() < 4;
    let graph = model.graph.as_mut().ok_or_else(|| file(Problem::Damaged("no graph".into())))?;
    let mut surgeon = Surgeon { graph, opset };
    let masks = masks(height, width, hook.gaussian);
    let maps = match cut.pooled_linear_head() {
        Some(head) => {
            let mass = masks.mean_dim(&[1_i64, 2, 3][..], false, None::<Kind>);
            surgeon.pooled(cut.layer(), &head.weight, &head.bias, &mass.view([1, 1, height, width]))
        }
        None => surgeon.repeated(&network, cut.layer(), &masks, (form, map_shape))?,
    };
    let maps = match hook.class {
        None => maps,
        Some(class) => {
            let class = surgeon.constant("class", &Tensor::from_slice(&[class]));
            surgeon.node("Gather", &[&maps, &class], &[int("axis", 1)])
        }
    };
    let n_maps = if hook.class.is_some() { 1 } else { network.n_classes() };
    surgeon.output(&maps, hook.scale, [n_maps, height, width], &network.output().name);
    if lists_weights {
        surgeon.list_weights();
    }
    model.metadata_props.retain(|entry| entry.key() != graph::HOOKED);
    model.metadata_props.push(StringStringEntryProto {
        key: Some(graph::HOOKED.to_owned()),
        value: Some(network.output().name.clone()),
    });
    let hooked = model.encode_to_vec();
    check(path, &hooked, &network, hook, &masks, [cut.layer(), &maps])?;
    let layer = Some(cut.layer().to_owned());
    let output = network.output().name.clone();
    Ok(Hooked { bytes: hooked, layer, output, shape: vec![n_maps, height, width] })
}

/// `[h·w, 1, h, w]`: where the column of every position is put.
fn masks(height: i64, width: i64, gaussian: bool) -> Tensor {
    let n = height * width;
    let one_hot = Tensor::eye(n, (Kind::Float, Device::Cpu)).view([n, 1, height, width]);
    if !gaussian {
        return one_hot;
    }
    let line = Tensor::from_slice(&[0.25_f32, 0.5, 0.25]);
    one_hot.conv2d(&line.outer(&line).view([1, 1, 3, 3]), None::<Tensor>, 1, 1, 1, 1)
}

/// A graph that nodes are added to.
struct Surgeon<'a> {
    graph: &'a mut GraphProto,
    opset: i64,
}

impl Surgeon<'_> {
    /// The maps of a pooled linear head: its weights at every position, by what the pooling leaves of a position.
    fn pooled(&mut self, layer: &str, weight: &Tensor, bias: &Tensor, mass: &Tensor) -> String {
        let size = weight.size();
        let layer = self.cast(layer, DataType::Float as i32);
        let weight = self.constant("weight", &weight.view([size[0], size[1], 1, 1]));
        let answers = self.node("Conv", &[&layer, &weight], &[]);
        let mass = self.constant("mass", mass);
        let answers = self.node("Mul", &[&answers, &mass], &[]);
        let bias = self.constant("bias", &bias.view([1, -1, 1, 1]));
        self.node("Add", &[&answers, &bias], &[])
    }

    /// The maps of any head, repeated over the masked activations.
    fn repeated(
        &mut self,
        network: &Network,
        layer: &str,
        masks: &Tensor,
        (form, [channels, height, width]): (Form, [i64; 3]),
    ) -> Result<String, HookError> {
        let n = height * width;
        let list = |numbers: &[i64]| Tensor::from_slice(numbers);
        let kind = self.element_type(layer);
        let values = self.cast(layer, DataType::Float as i32);
        // To `[N·h·w, ...]`: a column for every position, put where it was.
        let (column, masks, whole) = match form {
            Form::Map => {
                let shape = self.constant("columns_shape", &list(&[0, channels, n]));
                let columns = self.node("Reshape", &[&values, &shape], &[]);
                let columns = self.node("Transpose", &[&columns], &[ints("perm", &[0, 2, 1])]);
                let whole = vec![channels, height, width];
                ((columns, vec![channels, 1, 1]), masks.shallow_clone(), whole)
            }
            Form::ChannelsLast => {
                let whole = vec![height, width, channels];
                ((values.clone(), vec![1, 1, channels]), masks.permute([0, 2, 3, 1]), whole)
            }
            Form::Tokens { prefix, .. } => {
                let places = if prefix == 0 {
                    values.clone()
                } else {
                    let places = list(&(prefix..prefix + n).collect::<Vec<_>>());
                    let places = self.constant("places", &places);
                    self.node("Gather", &[&values, &places], &[int("axis", 1)])
                };
                let masks = masks.view([n, n, 1]).constant_pad_nd([0, 0, prefix, 0]);
                ((places, vec![1, channels]), masks, vec![prefix + n, channels])
            }
        };
        let (columns, column) = column;
        let shape = self.constant("column_shape", &list(&[&[0, n], &column[..]].concat()));
        let columns = self.node("Reshape", &[&columns, &shape], &[]);
        let masks = self.constant("masks", &masks.unsqueeze(0));
        let mut masked = self.node("Mul", &[&columns, &masks], &[]);
        if form.prefix() > 0 {
            // The tokens that have no place are in every copy as they are.
            let kept = Tensor::ones([1, 1, form.prefix(), 1], (Kind::Float, Device::Cpu));
            let kept = self.constant("kept", &kept.constant_pad_nd([0, 0, 0, n]));
            let shape = self.constant("kept_shape", &list(&[&[0, 1], &whole[..]].concat()));
            let tokens = self.node("Reshape", &[&values, &shape], &[]);
            let tokens = self.node("Mul", &[&tokens, &kept], &[]);
            masked = self.node("Add", &[&masked, &tokens], &[]);
        }
        let shape = self.constant("masked_shape", &list(&[&[-1], &whole[..]].concat()));
        let masked = self.node("Reshape", &[&masked, &shape], &[]);
        let masked = self.cast(&masked, kind);
        let logits = self.head(network, layer, &masked)?;
        let logits = self.cast(&logits, DataType::Float as i32);
        let n_classes = network.n_classes();
        let shape = self.constant("logits_shape", &list(&[-1, n, n_classes]));
        let logits = self.node("Reshape", &[&logits, &shape], &[]);
        let logits = self.node("Transpose", &[&logits], &[ints("perm", &[0, 2, 1])]);
        let shape = self.constant("maps_shape", &list(&[0, n_classes, height, width]));
        Ok(self.node("Reshape", &[&logits, &shape], &[]))
    }

    /// A second head, from `masked` to logits: their name.
    fn head(&mut self, network: &Network, layer: &str, masked: &str) -> Result<String, HookError> {
        let logits = network.logits_name();
        // What is made of the layer, and what the logits are made of.
        let mut renamed = BTreeMap::from([(layer.to_owned(), masked.to_owned())]);
        let mut needed = BTreeSet::from([logits.to_owned()]);
        let mut images: BTreeSet<String> =
            self.graph.input.iter().map(|input| input.name().to_owned()).collect();
        for weight in &self.graph.initializer {
            images.remove(weight.name());
        }
        for node in self.graph.node.iter().rev() {
            if node.output.iter().any(|output| needed.contains(output)) {
                needed.extend(node.input.iter().cloned());
            }
        }
        let mut added = vec![];
        let mut shapes = vec![];
        for node in &self.graph.node {
            let is_behind = node.input.iter().any(|input| renamed.contains_key(input));
            if node.input.iter().any(|input| images.contains(input)) {
                images.extend(node.output.iter().cloned());
            }
            if !is_behind || !node.output.iter().any(|output| needed.contains(output)) {
                continue;
            }
            let mut copy = node.clone();
            // A shape that was written down for one image, or is made of the images' number, is one for any number.
            if node.op_type() == "Reshape"
                && let (Some(output), Some(shape)) = (node.output.first(), copy.input.get_mut(1))
                && !renamed.contains_key(shape)
                && (network.takes_one() || images.contains(shape))
                && let Some(sides) = network.shape_for_any(output)
            {
                let name = format!("{SALIENCY_MAP}/{output}_shape");
                shapes.push(initializer(&name, &Tensor::from_slice(&sides)));
                *shape = name;
            }
            for input in &mut copy.input {
                match renamed.get(input) {
                    Some(name) => input.clone_from(name),
                    None if images.contains(input) => {
                        return Err(HookError::Graph(format!(
                            "the head behind `{layer}` also needs `{input}`, which is made of the image; export the model \
                             with a fixed size, or name a later layer"
                        )));
                    }
                    None => {}
                }
            }
            for output in copy.output.iter_mut().filter(|output| !output.is_empty()) {
                let name = format!("{SALIENCY_MAP}/{output}");
                renamed.insert(output.clone(), name.clone());
                *output = name;
            }
            // Nodes without names are many.
            copy.name = copy
                .name
                .filter(|name| !name.is_empty())
                .map(|name| format!("{SALIENCY_MAP}/{name}"));
            added.push(copy);
        }
        self.graph.node.extend(added);
        self.graph.initializer.extend(shapes);
        renamed
            .remove(logits)
            .ok_or_else(|| HookError::Graph(format!("`{layer}` does not lead to the logits")))
    }

    /// The new output, scaled.
    fn output(
        &mut self,
        maps: &str,
        scale: Scale,
        [n_maps, height, width]: [i64; 3],
        logits: &str,
    ) {
        let scaled = match scale {
            Scale::None => maps.to_owned(),
            Scale::F32 | Scale::U8 => {
                let (least, most) =
                    (self.extreme("ReduceMin", maps), self.extreme("ReduceMax", maps));
                let shifted = self.node("Sub", &[maps, &least], &[]);
                let range = self.node("Sub", &[&most, &least], &[]);
                let tiny = self.constant("tiny", &Tensor::from_slice(&[1e-12_f32]));
                let range = self.node("Add", &[&range, &tiny], &[]);
                self.node("Div", &[&shifted, &range], &[])
            }
        };
        let (last, kind) = if scale == Scale::U8 {
            let top = self.constant("top", &Tensor::from_slice(&[255.0_f32]));
            let levels = self.node("Mul", &[&scaled, &top], &[]);
            let levels = if self.opset < 11 {
                // There is no `Round` yet, and the cast rounds down.
                let half = self.constant("half", &Tensor::from_slice(&[0.5_f32]));
                self.node("Add", &[&levels, &half], &[])
            } else {
                self.node("Round", &[&levels], &[])
            };
            let kind = DataType::Uint8;
            (self.node("Cast", &[&levels], &[int("to", kind as i64)]), kind)
        } else {
            (scaled, DataType::Float)
        };
        self.graph.node.push(NodeProto {
            input: vec![last],
            output: vec![SALIENCY_MAP.to_owned()],
            name: Some(SALIENCY_MAP.to_owned()),
            op_type: Some("Identity".to_owned()),
            ..NodeProto::default()
        });
        let logits = self.graph.output.iter().find(|output| output.name() == logits);
        let batch = logits.and_then(batch_of).unwrap_or_default();
        let sides = vec![batch, fixed(n_maps), fixed(height), fixed(width)];
        self.graph.output.push(value_info(SALIENCY_MAP, kind as i32, sides));
    }

    /// Names all weights among the inputs, as files had to until IR version 3.
    fn list_weights(&mut self) {
        let GraphProto { input, initializer, .. } = &mut *self.graph;
        let listed: BTreeSet<String> = input.iter().map(|input| input.name().to_owned()).collect();
        let new = initializer.iter().filter(|weight| !listed.contains(weight.name()));
        input.extend(new.map(|weight| {
            let sides = weight.dims.iter().copied().map(fixed).collect();
            value_info(weight.name(), weight.data_type(), sides)
        }));
    }

    /// A tensor's element type: of what it is made of, back to a cast, a constant, a weight or an input.
    fn element_type(&self, tensor: &str) -> i32 {
        let mut name = tensor;
        while let Some(node) =
            self.graph.node.iter().find(|node| node.output.iter().any(|output| output == name))
        {
            let attribute = |name: &str| node.attribute.iter().find(|own| own.name() == name);
            let from = match node.op_type() {
                "Cast" => return attribute("to").map_or(0, AttributeProto::i) as i32,
                "Constant" | "ConstantOfShape" => {
                    let value = attribute("value").and_then(|value| value.t.as_ref());
                    return value.map_or(DataType::Float as i32, TensorProto::data_type);
                }
                "CastLike" | "Where" => 1,
                _ => 0,
            };
            let Some(input) = node.input.get(from) else { break };
            name = input;
        }
        let weight = self.graph.initializer.iter().find(|weight| weight.name() == name);
        let input = self.graph.input.iter().find(|input| input.name() == name);
        let of_input = || match input?.r#type.as_ref()?.value.as_ref()? {
            type_proto::Value::TensorType(tensor) => tensor.elem_type,
            _ => None,
        };
        weight.map(TensorProto::data_type).or_else(of_input).unwrap_or(DataType::Float as i32)
    }

    /// A tensor in another element type: its name, or that of its cast. Maps are computed in 32-bit floats, heads in their own.
    fn cast(&mut self, tensor: &str, kind: i32) -> String {
        if self.element_type(tensor) == kind {
            return tensor.to_owned();
        }
        self.node("Cast", &[tensor], &[int("to", kind.into())])
    }

    /// The least or largest number of every map.
    fn extreme(&mut self, operator: &str, maps: &str) -> String {
        if self.opset < 18 {
            return self.node(operator, &[maps], &[ints("axes", &[2, 3])]);
        }
        let axes = self.constant(&format!("{operator}_axes"), &Tensor::from_slice(&[2_i64, 3]));
        self.node(operator, &[maps, &axes], &[])
    }

    /// A node of one output: the output's name.
    fn node(&mut self, operator: &str, inputs: &[&str], attributes: &[AttributeProto]) -> String {
        let name = format!("{SALIENCY_MAP}/{operator}_{}", self.graph.node.len());
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|input| (*input).to_owned()).collect(),
            output: vec![name.clone()],
            name: Some(name.clone()),
            op_type: Some(operator.to_owned()),
            attribute: attributes.to_vec(),
            ..NodeProto::default()
        });
        name
    }

    /// A constant: its name.
    fn constant(&mut self, name: &str, tensor: &Tensor) -> String {
        let name = format!("{SALIENCY_MAP}/{name}");
        self.graph.initializer.push(initializer(&name, tensor));
        name
    }
}

fn initializer(name: &str, tensor: &Tensor) -> TensorProto {
    let whole = tensor.kind() == Kind::Int64;
    let flat = tensor.contiguous().view([-1]);
    let bytes: Vec<u8> = if whole {
        Vec::<i64>::try_from(flat)
            .unwrap_or_default()
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect()
    } else {
        let numbers = Vec::<f32>::try_from(flat.to_kind(Kind::Float)).unwrap_or_default();
        numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
    };
    TensorProto {
        dims: tensor.size(),
        data_type: Some(if whole { DataType::Int64 } else { DataType::Float } as i32),
        name: Some(name.to_owned()),
        raw_data: Some(Bytes::from(bytes)),
        ..TensorProto::default()
    }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(AttributeType::Int as i32),
        i: Some(value),
        ..AttributeProto::default()
    }
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(AttributeType::Ints as i32),
        ints: values.to_vec(),
        ..AttributeProto::default()
    }
}

fn value_info(name: &str, kind: i32, dim: Vec<Dimension>) -> ValueInfoProto {
    let shape = Some(TensorShapeProto { dim });
    let tensor = type_proto::Tensor { elem_type: Some(kind), shape };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

fn fixed(side: i64) -> Dimension {
    Dimension { value: Some(dimension::Value::DimValue(side)), ..Dimension::default() }
}

/// The first size of an output, as the file has it.
fn batch_of(output: &ValueInfoProto) -> Option<Dimension> {
    let type_proto::Value::TensorType(tensor) = output.r#type.as_ref()?.value.as_ref()? else {
        return None;
    };
    tensor.shape.as_ref()?.dim.first().cloned()
}

/// Runs the new graph beside the old one. Of the layer's name and that of its maps before they are scaled, the latter are
/// compared too: levels of 0 to 255 would hide much.
fn check(
    path: &Path,
    bytes: &[u8],
    network: &Network,
    hook: &Hook,
    masks: &Tensor,
    [layer, unscaled]: [&str; 2],
) -> Result<(), HookError> {
    let file = |problem: Problem| OnnxError { path: path.to_path_buf(), problem };
    let external = ExternalData::beside(path);
    let hooked = Graph::read(bytes.to_vec(), &external).map_err(file)?;
    let plain = Graph::open(path)?;
    let n = if network.takes_one() { 1 } else { 2 };
    let images = analysis::images(network.image(), n);
    let run = |graph: &Graph, wanted: &[graph::Value]| {
        let input = (graph.inputs[0].value, images.shallow_clone());
        let trace = graph.trace(&[input], n, &|value| wanted.contains(&value))?;
        let found =
            wanted.iter().filter_map(|value| trace.tensors.get(value).map(Tensor::shallow_clone));
        Ok::<Vec<Tensor>, Problem>(found.collect())
    };
    let unscaled = hooked.names.iter().position(|name| name == unscaled);
    let wanted: Vec<graph::Value> = hooked.outputs.iter().copied().chain(unscaled).collect();
    let found = run(&hooked, &wanted).map_err(|problem| {
        if network.takes_one() {
            let why = format!("the model is written for one image, its head behind `{layer}` too ({problem}); export it with a dynamic batch");
            HookError::Graph(why)
        } else {
            file(problem).into()
        }
    })?;
    let expected = run(&plain, &plain.outputs).map_err(file)?;
    let [rest @ .., maps, unscaled] = &found[..] else {
        return Err(HookError::Graph("the new graph has no output".into()));
    };
    if rest.len() != expected.len() || rest.iter().zip(&expected).any(|(a, b)| a != b) {
        return Err(HookError::Graph(
            "the new graph's outputs are not those of the old one".into(),
        ));
    }
    // What the maps should be, image by image, by the network as it is cut here.
    let _no_grad = tch::no_grad_guard();
    let cut = network.cut(layer)?;
    let images = if network.is_channels_last() { images.permute([0, 3, 1, 2]) } else { images };
    let is_right = |index: i64| {
        let logits = right_logits(&cut, &images.narrow(0, index, 1), hook, masks);
        let (expected, tolerance) = scaled(&logits, hook.scale);
        let is_near = |found: &Tensor, expected: &Tensor, tolerance: f64| {
            found.size() == expected.size()
                && (found.to_kind(Kind::Float) - expected).abs().max().double_value(&[])
                    <= tolerance
        };
        is_near(&maps.get(index), &expected, tolerance)
            && is_near(&unscaled.get(index), &logits, scaled(&logits, Scale::None).1)
    };
    if maps.size()[0] == n && (0..n).all(is_right) {
        Ok(())
    } else {
        let why = if network.fixed_batch().is_some() {
            "what the model says of an image depends on the other images of its batch, so masked copies of one cannot go \
             through it together"
        } else {
            "please report this model"
        };
        Err(HookError::Graph(format!("the maps behind `{layer}` do not come out right: {why}")))
    }
}

/// The maps that one image should get, before they are scaled.
fn right_logits(cut: &Cut<'_>, image: &Tensor, hook: &Hook, masks: &Tensor) -> Tensor {
    let (features, tokens) = cut.features_and_tokens(image);
    let columns = features.squeeze_dim(0).flatten(1, 2).transpose(0, 1).unsqueeze(-1).unsqueeze(-1);
    let size = features.size();
    let logits = cut.head_with(&(columns * masks), tokens.as_ref());
    let logits = logits.transpose(0, 1).reshape([-1, size[2], size[3]]);
    hook.class.map_or_else(|| logits.shallow_clone(), |class| logits.narrow(0, class, 1))
}

/// Maps as a hook scales them, and by how much they may be off.
fn scaled(logits: &Tensor, scale: Scale) -> (Tensor, f64) {
    let least = logits.amin([1, 2], true);
    let range = logits.amax([1, 2], true) - &least + 1e-12;
    let unit = (logits - least) / range;
    match scale {
        Scale::None => {
            let scale = logits.abs().max().double_value(&[]);
            (logits.shallow_clone(), 1e-4 * scale.max(1.0))
        }
        Scale::F32 => (unit, 1e-2),
        Scale::U8 => (unit * 255.0, 2.6),
    }
}

/// What an ONNX file says of itself, without a look at its operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnnxFile {
    /// The other files in which it keeps weights, in the order of their names; they are looked for in its own folder.
    pub weights: Vec<PathBuf>,
    /// The output whose maps a hook added.
    pub hooked: Option<String>,
}

impl OnnxFile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn read(path: &Path) -> Result<Self, OnnxError> {
        let file = |problem: Problem| OnnxError { path: path.to_path_buf(), problem };
        let bytes =
            cam_core::read_file(path, MAX_BYTES).map_err(|error| file(Problem::Io(error)))?;
        let model = graph::decode(bytes).map_err(file)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let location = |tensor: &TensorProto| {
            let is_external = tensor.data_location() == DataLocation::External;
            let pair = tensor.external_data.iter().find(|pair| pair.key() == "location");
            is_external.then(|| folder.join(pair.map_or("", |pair| pair.value())))
        };
        let tensors = model.graph.iter().flat_map(|graph| &graph.initializer);
        let weights: BTreeSet<PathBuf> = tensors.filter_map(location).collect();
        Ok(Self { weights: weights.into_iter().collect(), hooked: graph::hooked_output(&model) })
    }
}
