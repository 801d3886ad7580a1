//! A network read from an ONNX file, and the same cut in two.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use cam_core::{
    Biases, Classifier, INPUT, ImageInput, LogitsOutput, PooledLinear, Port, USUAL_MEMORY,
    filled_up, filled_up_to, usual_batch,
};
use tch::{Device, Kind, Tensor};

use crate::analysis::{self, Batches};
use crate::budget::Careful;
use crate::cuts;
use crate::error::{OnnxError, Problem, UnknownTensor};
use crate::forms::Form;
use crate::graph::{Graph, Input, Node, Value};
use crate::ops::{Op, Reduction, Unary};
use crate::passes;
use crate::program::Program;

/// How a network is loaded and laid out for computing.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Where it computes.
    pub device: Device,
    /// How much memory a batch may take, in bytes.
    pub memory_bytes: u64,
    /// Side of the images, in pixels; `None`: the file's, or 224 where any size is possible.
    pub input_side: Option<i64>,
    /// The output that logits are read from; `None`: by [`LogitsOutput::new`].
    pub logits: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { device: Device::Cpu, memory_bytes: USUAL_MEMORY, input_side: None, logits: None }
    }
}

/// An ONNX classifier, ready to be cut.
///
/// Short floats in the file are computed in `f32`. A softmax over the classes at the end is cut away: scores are logits.
/// The size of the images is fixed when it is loaded.
#[derive(Debug)]
pub struct Network {
    graph: Graph,
    input: Value,
    output: LogitsOutput,
    /// An image's, without the batch: `[3, H, W]`, or `[H, W, 3]`.
    image: Vec<i64>,
    /// Whether the file wants `[N, H, W, 3]`.
    is_channels_last: bool,
    batches: Batches,
    /// Of every value, for the smallest batch.
    shapes: Vec<Option<Vec<i64>>>,
    smallest: i64,
    points: Vec<CutPoint>,
    default: Option<DefaultLayer>,
    /// Names in the file of values that stand for others.
    aliases: BTreeMap<String, Value>,
    softmax: Option<String>,
    sigmoid: Option<String>,
    n_classes: i64,
    options: Options,
}

/// A tensor at which a network can be cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutPoint {
    /// Its name in the file.
    pub name: String,
    /// For one image, without the batch.
    pub shape: Vec<i64>,
    /// The operator that makes it.
    pub operator: String,
    /// Where in it the activations are; `None` where it holds none.
    pub form: Option<Form>,
    value: Value,
}

/// The layer that is explained unless another one is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultLayer {
    /// The tensor's name in the file.
    pub layer: String,
    /// Whether it is the input of a transformer's last block. Behind the block's attention the places of the image have met,
    /// and of a network with a class token nothing else leads to the logits.
    pub is_last_blocks_input: bool,
}

impl CutPoint {
    /// Whether it is a map of features with more channels than rows and columns, and more than one of each: what a layer
    /// under explanation usually is.
    pub(crate) fn is_feature_map(&self) -> bool {
        matches!(self.map_shape(), Some([channels, height, width])
            if height > 1 && width > 1 && height < channels && width < channels)
    }

    /// Whether there are activations `[K, h, w]` in it, which methods need.
    pub fn is_map(&self) -> bool {
        self.form.is_some()
    }

    /// `[K, h, w]` of the activations in it.
    pub fn map_shape(&self) -> Option<[i64; 3]> {
        self.form?.map_shape(&self.shape)
    }
}

impl Network {
    /// Reads a file, finds out how it takes batches and where it can be cut.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is damaged, uses what is not supported here, or is no classifier of photographs. Nothing
    /// that a file claims makes this panic, or allocate much more than the file holds.
    pub fn open(path: &Path, options: &Options) -> Result<Self, OnnxError> {
        cam_core::keep_memory();
        let graph = Graph::open(path)?;
        Self::new(graph, options).map_err(|problem| OnnxError { path: path.to_path_buf(), problem })
    }

    fn new(mut graph: Graph, options: &Options) -> Result<Self, Problem> {
        let _careful = Careful::new();
        let port = |input: &Input| Port {
            name: graph.names[input.value].clone(),
            shape: input.shape.clone(),
            is_float: input.kind == Kind::Float,
        };
        let ports: Vec<Port> = graph.inputs.iter().map(port).collect();
        let images = ImageInput::new(&ports, options.input_side).map_err(Problem::Interface)?;
        let ImageInput { is_channels_last, batch: fixed, .. } = images;
        let image = images.shape(1)[1..].to_vec();
        let input = graph.inputs[0].value;
        let outputs: Vec<&str> = graph.outputs.iter().map(|&value| &*graph.names[value]).collect();
        let (wanted, hooked) = (options.logits.as_deref(), graph.hooked.as_deref());
        let read = LogitsOutput::new(&outputs, wanted, hooked).map_err(Problem::Interface)?;
        graph.outputs = vec![graph.outputs[read.place]];
        graph.prune();
        let stands_for = analysis::remove_identities(&mut graph);
        analysis::fold_constants(&mut graph)?;
        let smallest = fixed.unwrap_or(1);
        let sigmoid = last_sigmoid(&graph);
        let softmax = cut_softmax(&mut graph, input, &image, smallest)?;
        graph.prune();
        let (batches, first, second) = analysis::open_batch(&mut graph, input, &image, fixed)?;
        graph.prune();
        let output = graph.outputs[0];
        // One axis of classes, and others of one entry.
        let is_row = |sides: &[i64]| {
            let n_long = sides.iter().filter(|&&side| side != 1).count();
            !sides.is_empty() && !sides.contains(&0) && n_long < 2
        };
        let n_classes = match first.shapes[output].as_deref() {
            Some([n, sides @ ..]) if *n == smallest && is_row(sides) => sides.iter().product(),
            shape => {
                let shape = shape.unwrap_or_default();
                return Err(Problem::Interface(read.wrong_shape(shape)));
            }
        };
        if n_classes < 2 {
            return Err(Problem::Interface(format!(
                "its output `{}` has one number an image; a classifier has a logit for each of two classes or more (one \
                 logit x says what the two logits 0 and x do)",
                read.name
            )));
        }
        let doubled = second.as_ref().map(|second| &second.shapes);
        let points = points(&graph, input, smallest, &first.shapes, doubled);
        if points.len() < 2 {
            return Err(Problem::Interface("its output does not depend on the image".into()));
        }
        let default = default_layer(&graph, &points);
        let mut shapes = first.shapes;
        shapes.resize(graph.names.len(), None);
        let aliases = stands_for
            .into_iter()
            .map(|(name, value)| (graph.names[name].clone(), value))
            .collect();
        Ok(Self {
            input,
            output: read,
            image,
            is_channels_last,
            batches,
            shapes,
            smallest,
            points,
            default,
            aliases,
            softmax,
            sigmoid,
            n_classes,
            options: options.clone(),
            graph,
        })
    }

    /// Tensors at which it can be cut, from the image to the logits.
    pub fn points(&self) -> &[CutPoint] {
        &self.points
    }

    /// The layer that is explained unless another one is named: the last activations with `1 < h, w < K` that every path
    /// from the image to the logits goes through, and of a transformer the last ones before its last attention.
    pub fn default_layer(&self) -> Option<&str> {
        self.default().map(|default| default.layer.as_str())
    }

    /// [`Network::default_layer`], and why it is that one.
    pub fn default(&self) -> Option<&DefaultLayer> {
        self.default.as_ref()
    }

    /// The sigmoid that the output comes from, by its node's name: the network gives every class a probability of its own,
    /// and a softmax of those is no probability.
    pub fn sigmoid(&self) -> Option<&str> {
        self.sigmoid.as_deref()
    }

    /// The softmax over the classes that stood behind the logits and was cut away, by its node's name. One over anything else
    /// is left, and scores are what it gives.
    pub fn softmax(&self) -> Option<&str> {
        self.softmax.as_deref()
    }

    /// The name of the tensor that the logits are.
    pub fn logits_name(&self) -> &str {
        &self.graph.names[self.graph.outputs[0]]
    }

    /// The output that logits are read from.
    pub fn output(&self) -> &LogitsOutput {
        &self.output
    }

    /// Number of classes.
    pub fn n_classes(&self) -> i64 {
        self.n_classes
    }

    /// Height and width of the images.
    pub fn input_size(&self) -> [i64; 2] {
        let place = usize::from(!self.is_channels_last);
        [self.image[place], self.image[place + 1]]
    }

    /// Whether images are `[N, H, W, 3]` in the file.
    pub(crate) fn is_channels_last(&self) -> bool {
        self.is_channels_last
    }

    /// An image's shape in the file, without the batch.
    pub(crate) fn image(&self) -> &[i64] {
        &self.image
    }

    /// Whether the file is written for one image at a time.
    pub(crate) fn takes_one(&self) -> bool {
        self.graph.inputs[0].shape.as_ref().is_some_and(|shape| shape[0] == Some(1))
    }

    /// How many numbers the largest tensor at a point and behind it has, for one image.
    pub(crate) fn largest_from(&self, point: &CutPoint) -> i64 {
        let mut behind = BTreeSet::from([point.value]);
        let mut largest = point.shape.iter().product::<i64>();
        for node in &self.graph.nodes {
            if node.inputs.iter().flatten().any(|input| behind.contains(input)) {
                behind.extend(node.outputs.iter().flatten());
                let shapes = node.outputs.iter().flatten().filter_map(|o| self.shapes[*o].as_ref());
                let most = shapes.map(|sides| sides.iter().product::<i64>()).max();
                largest = largest.max(most.unwrap_or(0) / self.smallest);
            }
        }
        largest
    }

    /// What a `Reshape` has to be told for any number of images, by its output's name: -1 on the axis that grows.
    pub(crate) fn shape_for_any(&self, output: &str) -> Option<Vec<i64>> {
        let value = self.graph.names.iter().position(|own| own == output)?;
        let node = self.graph.nodes.iter().find(|node| node.outputs.contains(&Some(value)))?;
        let told = self.graph.by_batch.get(&node.inputs.get(1).copied().flatten()?)?;
        let mut sides = self.shapes[value].clone()?;
        let growing: Vec<usize> =
            (0..told.per_image.len()).filter(|&axis| told.per_image[axis] != 0).collect();
        let &[axis] = &growing[..] else { return None };
        *sides.get_mut(axis)? = -1;
        Some(sides)
    }

    /// The version of the operators in the file.
    pub fn opset(&self) -> i64 {
        self.graph.opset
    }

    /// The files that it was read from: the model, then those that it keeps weights in.
    pub fn files(&self) -> &[PathBuf] {
        &self.graph.files
    }

    /// How many images it insists on at a time; `None` where any number goes.
    pub fn fixed_batch(&self) -> Option<i64> {
        match self.batches {
            Batches::Any => None,
            Batches::Only(n) => Some(n),
        }
    }

    /// The network cut at a tensor, by its name or that of the node that makes it; at `input` for the image itself.
    ///
    /// # Errors
    ///
    /// There is no such tensor, or it is no cut, or there are no activations `[N, K, h, w]` in it.
    pub fn cut(&self, layer: &str) -> Result<Cut<'_>, UnknownTensor> {
        let point = self.resolve(layer)?;
        let halves = self.pieces(&[point.value]);
        let [prefix, suffix] = &halves.programs[..] else {
            unreachable!("one cut makes two pieces")
        };
        let is_map = point.form == Some(Form::Map);
        let pooled = is_map.then(|| self.pooled_linear(suffix, point.value)).flatten();
        // A backward pass keeps every activation, the first included, and makes a gradient for each.
        let fitting = |n_numbers: i64, cap: i64| {
            let fitting = self.options.memory_bytes as i64 / (2 * n_numbers.max(1) * 4);
            usual_batch(fitting, cap, self.options.device)
        };
        let (cap, head_cap) = if self.options.device.is_cuda() { (128, 1024) } else { (16, 256) };
        let behind = suffix.n_numbers(&self.shapes, self.smallest);
        let before = prefix.n_numbers(&self.shapes, self.smallest);
        Ok(Cut {
            network: self,
            batch: fitting(before + behind, cap),
            head_batch: fitting(behind, if point.value == self.input { cap } else { head_cap }),
            pooled: pooled.map(Rc::new),
            halves: Rc::new(halves),
            layer: point.name.clone(),
            form: point.form.unwrap_or(Form::Map),
            levels: Rc::default(),
        })
    }

    /// Itself, optimized between some of its values, from the image to the logits.
    fn pieces(&self, cuts: &[Value]) -> Pieces {
        let mut graph = self.graph.shared();
        passes::optimize(&mut graph, &self.shapes, cuts, self.options.device);
        // At a joint a batch can be parted, but not one that the file insists on.
        let points = self.points.iter().filter(|_| self.batches == Batches::Any);
        let joints: BTreeSet<Value> = points.map(|point| point.value).collect();
        let ends = [&[self.input], cuts, &graph.outputs[..1]].concat();
        let piece = |ends: &[Value]| {
            Program::new(&graph, ends[0], ends[1], &self.shapes, self.smallest, &joints)
        };
        let programs = ends.windows(2).map(piece).collect();
        Pieces { graph, programs }
    }

    /// The network cut at the last point of each resolution up to a layer, and the form of each.
    fn levels(&self, layer: &str) -> Levels {
        let rows = |point: &CutPoint| point.map_shape().map(|[_, height, _]| height);
        // Three channels are still the image, and early maps whose channels may come last cannot be told from others.
        let is_map = |point: &&CutPoint| {
            let is_plain = point.form == Some(Form::Map) && point.value != self.input;
            let has_channels = point.map_shape().is_some_and(|[channels, ..]| channels > 3);
            point.operator != "Pad" && has_channels && (is_plain || point.is_feature_map())
        };
        let at = self.points.iter().position(|point| point.name == layer).unwrap_or_default();
        let mut points: Vec<&CutPoint> = vec![&self.points[at]];
        for finer in self.points[..at].iter().rev().filter(is_map) {
            let last = rows(points[points.len() - 1]);
            if rows(finer).map(|rows| 2 * rows) >= last.map(|rows| 3 * rows) {
                points.push(finer);
            }
        }
        points.reverse();
        let values: Vec<Value> = points.iter().map(|point| point.value).collect();
        Levels {
            forms: points.iter().map(|point| point.form.unwrap_or(Form::Map)).collect(),
            pieces: self.pieces(&values),
        }
    }

    fn resolve(&self, layer: &str) -> Result<&CutPoint, UnknownTensor> {
        let unknown = |reason: String| {
            let maps = self.points.iter().filter(|point| point.is_map());
            let nearest = cam_core::nearest(layer, maps.map(|point| point.name.as_str()));
            UnknownTensor { reason, nearest: nearest.map(str::to_owned) }
        };
        if layer == INPUT {
            return Ok(&self.points[0]);
        }
        let named = |value: Value| self.points.iter().find(|point| point.value == value);
        let value = self.graph.names.iter().position(|name| name == layer);
        let value = value.filter(|value| !self.aliases.contains_key(&self.graph.names[*value]));
        let value = value.or_else(|| self.aliases.get(layer).copied()).or_else(|| {
            let node = self.graph.nodes.iter().find(|node| node.name == layer)?;
            node.outputs.first().copied().flatten()
        });
        match value.map(|value| (value, named(value))) {
            Some((_, Some(point))) if point.is_map() => Ok(point),
            Some((_, Some(point))) => Err(unknown(format!(
                "tensor `{layer}` has the shape {:?} for one image, and methods need [K, h, w], [h, w, K] or tokens of a grid",
                point.shape
            ))),
            Some((_, None)) => Err(unknown(format!(
                "the network cannot be cut at `{layer}`: there are ways around it from the image to the logits"
            ))),
            None => Err(unknown(format!("there is no tensor `{layer}`"))),
        }
    }

    /// The head's parameters where it is nothing but pooling and one linear layer.
    fn pooled_linear(&self, suffix: &Program, cut: Value) -> Option<PooledLinear> {
        let shape = self.shapes[cut].as_deref()?;
        let &[_, channels, height, width] = shape else { return None };
        // Activations are floats already: the casts of files in half precision change nothing here.
        let mut nodes = suffix.nodes().filter(|node| !matches!(*node.op, Op::Cast(Kind::Float)));
        let pool = nodes.next()?;
        let pools_all = match &*pool.op {
            Op::GlobalAveragePool => true,
            Op::Reduce(reduce) => {
                let given = pool.inputs.get(1).copied().flatten();
                let given = given
                    .and_then(|value| crate::ops::ints(self.graph.constants.get(&value)?).ok());
                reduce.reduction == Reduction::Mean && reduce.axes(4, given).ok()? == [2, 3]
            }
            Op::AveragePool { window, .. } => {
                let placed = window.placed(&[1, channels, height, width], None).ok()?;
                placed.kernel == [height, width]
                    && placed.before == [0, 0]
                    && placed.after == [0, 0]
            }
            _ => false,
        };
        let linear = nodes.find(|node| !is_reshaping(&node.op))?;
        let Op::Linear(linear) = &*linear.op else { return None };
        let fits = pools_all && linear.weight.size()[1] == channels;
        // Whatever may still come must not change the logits.
        let is_last = nodes.all(|node| is_reshaping(&node.op));
        (fits && is_last).then(|| PooledLinear {
            weight: linear.weight.shallow_clone(),
            bias: linear.bias.shallow_clone(),
        })
    }
}

/// A network cut in two: a classifier whose activations at one tensor can be read, changed and differentiated.
#[derive(Clone, Debug)]
pub struct Cut<'a> {
    network: &'a Network,
    halves: Rc<Pieces>,
    /// The head's parameters where it is nothing but pooling and one linear layer.
    pooled: Option<Rc<PooledLinear>>,
    layer: String,
    form: Form,
    batch: i64,
    head_batch: i64,
    /// Made when they are first asked for.
    levels: Rc<OnceCell<Levels>>,
}

/// A network in pieces, each of which makes what the next one begins with.
#[derive(Debug)]
struct Pieces {
    graph: Graph,
    programs: Vec<Program>,
}

/// A network cut at several resolutions.
#[derive(Debug)]
struct Levels {
    /// One more than there are resolutions: the first from the image, the last to the logits.
    pieces: Pieces,
    /// Where the activations are in what each piece but the last makes, the finest first.
    forms: Vec<Form>,
}

impl Cut<'_> {
    /// The tensor at which it is cut, by its name in the file.
    pub fn layer(&self) -> &str {
        &self.layer
    }

    /// With other batch sizes than those planned from the memory.
    #[must_use]
    pub fn with_batch(self, batch: i64, head_batch: i64) -> Self {
        Self { batch: batch.max(1), head_batch: head_batch.max(1), ..self }
    }

    /// Whether it is cut at the image itself.
    fn is_input(&self) -> bool {
        self.layer == self.network.graph.names[self.network.input]
    }

    /// Images `[N, 3, H, W]` as the file wants them.
    fn laid_out(&self, images: &Tensor) -> Tensor {
        let channels_last = self.network.is_channels_last;
        if channels_last { images.permute([0, 2, 3, 1]) } else { images.shallow_clone() }
    }

    /// The file's last tensor as logits `[N, C]`.
    fn logits_of(&self, last: &Tensor) -> Tensor {
        last.reshape([-1, self.network.n_classes]).to_kind(Kind::Float)
    }

    /// Runs a piece over as many as it takes at a time, and collects its layers' biases if biases are.
    fn run(&self, pieces: &Pieces, index: usize, x: &Tensor, biases: Option<&Biases>) -> Tensor {
        let Pieces { graph, programs } = pieces;
        let n = x.size()[0];
        let run = |x: &Tensor, n: i64| {
            programs[index].run(graph, x, n, biases).unwrap_or_else(|problem| panic!("{problem}"))
        };
        let Batches::Only(size) = self.network.batches else {
            return match biases {
                None => filled_up(x, |x| run(x, x.size()[0])),
                Some(_) => run(x, n),
            };
        };
        let parts: Vec<Tensor> = (0..n)
            .step_by(size as usize)
            .map(|start| {
                let part = x.narrow(0, start, size.min(n - start));
                filled_up_to(size, &part, |part| run(part, size))
            })
            .collect();
        Tensor::cat(&parts, 0)
    }
}

impl Classifier for Cut<'_> {
    fn features(&self, images: &Tensor) -> Tensor {
        self.features_and_tokens(images).0
    }

    fn head(&self, features: &Tensor) -> Tensor {
        self.head_with(features, None)
    }

    fn features_and_tokens(&self, images: &Tensor) -> (Tensor, Option<Tensor>) {
        // The graph's own layout; the first tensor of a network is an image `[N, 3, H, W]` to everyone else.
        if self.is_input() {
            return (images.shallow_clone(), None);
        }
        self.form.to_map(&self.run(&self.halves, 0, &self.laid_out(images), None))
    }

    fn head_with(&self, features: &Tensor, tokens: Option<&Tensor>) -> Tensor {
        let laid_out = if self.is_input() {
            self.laid_out(features)
        } else {
            self.form.to_tensor(features, tokens)
        };
        self.logits_of(&self.run(&self.halves, 1, &laid_out, None))
    }

    fn logits_and_biases(&self, image: &Tensor) -> (Tensor, Vec<Tensor>) {
        let biases = Biases::default();
        let cut = self.run(&self.halves, 0, &self.laid_out(image), Some(&biases));
        let logits = self.logits_of(&self.run(&self.halves, 1, &cut, Some(&biases)));
        (logits, biases.into_vec())
    }

    fn logits_and_levels(&self, image: &Tensor, n: usize) -> (Tensor, Vec<Tensor>) {
        if self.is_input() {
            let image = image.detach().set_requires_grad(true);
            return (self.head(&image), vec![image]);
        }
        let Levels { pieces, forms } = self.levels.get_or_init(|| self.network.levels(&self.layer));
        let n_skipped = forms.len() - n.clamp(1, forms.len());
        let mut x = self.laid_out(image).detach();
        let mut activations = vec![];
        for (index, form) in forms.iter().enumerate() {
            x = self.run(pieces, index, &x, None);
            if index < n_skipped {
                continue;
            }
            let (mut features, tokens) = form.to_map(&x);
            if index == n_skipped {
                // Nothing is differentiated in what comes before.
                features = features.detach().set_requires_grad(true);
            }
            x = form.to_tensor(&features, tokens.as_ref());
            activations.push(features);
        }
        activations.reverse();
        (self.logits_of(&self.run(pieces, forms.len(), &x, None)), activations)
    }

    fn batch(&self) -> i64 {
        self.batch
    }

    fn head_batch(&self) -> i64 {
        self.head_batch
    }

    fn pooled_linear_head(&self) -> Option<&PooledLinear> {
        self.pooled.as_deref()
    }
}

/// Makes what goes into a softmax over the classes the output: the softmax's name. Only reshaping may follow it. A softmax
/// over anything else is part of the network.
fn cut_softmax(
    graph: &mut Graph,
    input: Value,
    image: &[i64],
    n: i64,
) -> Result<Option<String>, Problem> {
    let mut value = graph.outputs[0];
    let (logits, name, axis, is_flat) = loop {
        let maker = graph.nodes.iter().find(|node| node.outputs.contains(&Some(value)));
        let made = maker.and_then(|node| Some((node, node.inputs.first().copied().flatten()?)));
        let Some((node, from)) = made else { return Ok(None) };
        match &*node.op {
            Op::Softmax { axis, flat, .. } => break (from, node.name.clone(), *axis, *flat),
            Op::Cast(Kind::Float | Kind::Double) | Op::Unary(Unary::Identity) => value = from,
            op if is_reshaping(op) => value = from,
            _ => return Ok(None),
        }
    };
    let trace = graph.trace(&[(input, analysis::images(image, n))], n, &|_| false)?;
    let shape = trace.shapes[logits].clone().unwrap_or_default();
    let axis = if axis < 0 { axis + shape.len() as i64 } else { axis };
    let (before, behind) = shape.split_at((axis as usize).min(shape.len()));
    let n_along: i64 = if is_flat { behind.iter().product() } else { behind.iter().take(1).sum() };
    // One run of numbers for each image, with all that there are.
    let is_over_classes = before.iter().product::<i64>() == n
        && n_along == behind.iter().product::<i64>()
        && shape.first() == Some(&n);
    if is_over_classes {
        graph.outputs[0] = logits;
    }
    Ok(is_over_classes.then_some(name))
}

/// The sigmoid that the output comes from, by its node's name. Only reshaping may follow it.
fn last_sigmoid(graph: &Graph) -> Option<String> {
    let mut value = graph.outputs[0];
    loop {
        let maker = graph.nodes.iter().find(|node| node.outputs.contains(&Some(value)))?;
        match &*maker.op {
            Op::Unary(Unary::Sigmoid) => return Some(maker.name.clone()),
            Op::Cast(Kind::Float | Kind::Double) | Op::Unary(Unary::Identity) => {}
            op if is_reshaping(op) => {}
            _ => return None,
        }
        value = maker.inputs.first().copied().flatten()?;
    }
}

/// Whether an operator leaves all numbers as they are, in their order.
fn is_reshaping(op: &Op) -> bool {
    matches!(op, Op::Reshape { .. } | Op::Flatten { .. } | Op::Squeeze(_))
}

/// The last activations; of a transformer, the last ones before its last attention, which are a block's input.
fn default_layer(graph: &Graph, points: &[CutPoint]) -> Option<DefaultLayer> {
    let attention = cuts::last_attention(graph);
    let is_before = |point: &CutPoint, index: usize| {
        let makes = |node: &Node| node.outputs.contains(&Some(point.value));
        graph.nodes.iter().position(makes).is_none_or(|maker| maker < index)
    };
    let last = |index: Option<usize>| {
        let point = points.iter().rfind(|point| {
            point.is_feature_map() && index.is_none_or(|index| is_before(point, index))
        })?;
        let is_last_blocks_input = index.is_some();
        Some(DefaultLayer { layer: point.name.clone(), is_last_blocks_input })
    };
    attention.and_then(|index| last(Some(index))).or_else(|| last(None))
}

/// The dominators that hold one entry an image along their first axis.
fn points(
    graph: &Graph,
    input: Value,
    smallest: i64,
    shapes: &[Option<Vec<i64>>],
    doubled: Option<&Vec<Option<Vec<i64>>>>,
) -> Vec<CutPoint> {
    let is_by_image = |value: Value| {
        let first = |shapes: &[Option<Vec<i64>>]| shapes.get(value)?.as_ref()?.first().copied();
        first(shapes) == Some(smallest)
            && doubled.is_none_or(|doubled| first(doubled) == Some(2 * smallest))
    };
    // Rows and columns of the last map so far; the image is none.
    let mut grid = None;
    let makers = graph.makers();
    cuts::dominators(graph, input)
        .into_iter()
        .filter(|&value| is_by_image(value))
        .map(|value| {
            let maker = makers.get(&value);
            let shape = shapes[value].as_ref().map(|shape| shape[1..].to_vec()).unwrap_or_default();
            let form = if value == input { Some(Form::Map) } else { Form::of(&shape, grid) };
            if let Some([_, height, width]) = form.and_then(|form| form.map_shape(&shape))
                && value != input
                && height > 1
                && width > 1
            {
                grid = Some([height, width]);
            }
            CutPoint {
                name: graph.names[value].clone(),
                shape,
                operator: maker.map_or_else(|| "input".to_owned(), |node| node.operator.clone()),
                form,
                value,
            }
        })
        .collect()
}
