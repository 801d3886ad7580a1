//! A plan with its weights, arranged for inference, and the network cut in two.
//!
//! Where the speed comes from, in order of gain: malloc keeps its memory ([`cam_core::keep_memory`]); weights and activations
//! lie channels-last; batch normalizations are folded into the convolutions; `SAME` padding's odd zero is in the kernel;
//! early stages, whose activations do not fit the cache, run two images at a time; where no gradient is asked for,
//! convolution, sum and activation are one pass over memory. None of it changes a result by more than rounding, and
//! everything is differentiable in the activations.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use cam_core::{
    Activation, Biases, Classifier, Geometry, Packed, PooledLinear, Shortcut, filled_up,
    fused_convolution, usual_batch,
};
use tch::{Device, Kind, Tensor};

use crate::plan::{self, Layer, Padding, Plan, UnknownLayer};
use crate::weights::seeded;

/// Parameters by name, `f32` on the processor.
pub type Parameters = BTreeMap<String, Tensor>;

/// How a network is loaded and laid out for computing.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Where it computes.
    pub device: Device,
    /// In what it computes; images, activations at the cut and logits are `f32` all the same.
    pub precision: Precision,
    /// How much memory a batch may take, in bytes.
    pub memory_bytes: u64,
    /// Side of the images that a batch's size is planned for, in pixels; other sizes work as well.
    /// `None`: the crop that belongs to the weights, or 224.
    pub input_side: Option<i64>,
    /// How many classes the weights must have; `None`: as many as they have, or 1000 where they are made up.
    pub classes: Option<i64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            device: Device::Cpu,
            precision: Precision::F32,
            memory_bytes: 2 << 30,
            input_side: None,
            classes: None,
        }
    }
}

/// The number format of convolutions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// Eight bits of mantissa: up to twice as fast where the processor has it, and off by about a percent.
    Bf16,
    /// Single precision whose products are of ten bits of mantissa, on NVIDIA's tensor cores; see
    /// [`crate::device`]. Elsewhere it is single precision.
    Tf32,
}

/// A backbone with weights, ready to be cut at any stage.
#[derive(Debug)]
pub struct Network {
    plan: Plan,
    stages: Vec<Vec<Step>>,
    head: Vec<Step>,
    /// The last layer's parameters where the head is pooled and linear.
    pooled: Option<PooledLinear>,
    device: Device,
    precision: Precision,
    element_bytes: i64,
    memory_bytes: i64,
    input_side: i64,
    /// The same network with other weights, by their seeds; made when they are first asked for.
    randomized: RefCell<BTreeMap<u64, Rc<Network>>>,
}

/// Images that go through the early stages together.
const MICRO_BATCH: i64 = 2;

/// Bytes beyond which a batch's activations count as too large for the cache. A constant, not this machine's cache size:
/// equal runs are cut into equal pieces everywhere.
const CACHE_BYTES: i64 = 32 << 20;

impl Network {
    /// Arranges a plan's parameters for computing.
    ///
    /// `parameters` holds every one of [`Plan::parameters`] in its shape; a missing one is a bug of the caller, and
    /// [`crate::load`] reports it as an error before it comes here.
    pub fn build(plan: Plan, parameters: &Parameters, options: &Options) -> Self {
        cam_core::keep_memory();
        let _no_grad = tch::no_grad_guard();
        let kind = match options.precision {
            Precision::F32 | Precision::Tf32 => Kind::Float,
            Precision::Bf16 => Kind::BFloat16,
        };
        let builder =
            Builder { parameters, device: options.device, kind, layout: Layout::of(options) };
        let stages = plan.stages.iter().map(|stage| builder.steps(&stage.layers)).collect();
        let pooled =
            plan.has_pooled_linear_head().then(|| builder.pooled_linear(plan.classifier()));
        // A pooled head is next to nothing: it stays in f32, so that closed forms agree with it in every precision.
        let head_builder =
            if pooled.is_some() { Builder { kind: Kind::Float, ..builder } } else { builder };
        let head = head_builder.steps(&plan.head);
        Self {
            plan,
            stages,
            head,
            pooled,
            device: options.device,
            precision: options.precision,
            element_bytes: kind.elt_size_in_bytes() as i64,
            memory_bytes: options.memory_bytes as i64,
            input_side: options.input_side.unwrap_or(224),
            randomized: RefCell::default(),
        }
    }

    /// The same network with [`seeded`] weights.
    fn randomized(&self, seed: u64) -> Rc<Self> {
        let make = || {
            let options = Options {
                device: self.device,
                precision: self.precision,
                memory_bytes: self.memory_bytes as u64,
                input_side: Some(self.input_side),
                classes: None,
            };
            // Turned around, because a network with `weights: seeded` may have this very seed.
            let parameters = seeded(&self.plan, !seed);
            Rc::new(Self::build(self.plan.clone(), &parameters, &options))
        };
        Rc::clone(self.randomized.borrow_mut().entry(seed).or_insert_with(make))
    }

    /// The network cut at a layer; see [`Plan::resolve`] for its names.
    ///
    /// # Errors
    ///
    /// No layer of that name.
    pub fn cut(&self, layer: &str) -> Result<Cut<'_>, UnknownLayer> {
        let stage = self.plan.resolve(layer)?;
        let extents = self.plan.extents(self.input_side, self.input_side);
        // A backward pass keeps every activation, the first included, and makes a gradient for each.
        let fitting = |start: usize, cap: i64| {
            let first = start
                .checked_sub(1)
                .map_or([3, self.input_side, self.input_side], |before| extents[before].output);
            let n_numbers = first.iter().product::<i64>()
                + extents[start..].iter().map(|extent| extent.total).sum::<i64>();
            usual_batch(self.memory_bytes / (2 * n_numbers * self.element_bytes), cap, self.device)
        };
        let (cap, head_cap) = if self.device.is_cuda() { (128, 1024) } else { (16, 256) };
        Ok(Cut {
            network: self,
            stage,
            batch: fitting(0, cap),
            head_batch: fitting(stage, if stage == 0 { cap } else { head_cap }),
        })
    }

    /// A cut, and before it at most `n - 1` of the last cuts at each finer resolution, the finest first; see
    /// [`Classifier::logits_and_levels`].
    fn levels(&self, stage: usize, n: usize, image: &Tensor) -> Vec<usize> {
        let size = image.size();
        let extents = self.plan.extents(size[2], size[3]);
        let rows = |stage: usize| extents[stage - 1].output[1];
        let mut levels = vec![stage];
        for finer in (1..stage).rev() {
            if levels.len() < n && 2 * rows(finer) >= 3 * rows(levels[levels.len() - 1]) {
                levels.push(finer);
            }
        }
        levels.reverse();
        levels
    }

    /// The plan that it was built from.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Where it computes.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Number of classes.
    pub fn n_classes(&self) -> i64 {
        self.plan.classifier().outputs
    }

    /// Activations after some stages.
    fn run_stages(&self, stages: Range<usize>, input: &Tensor) -> Tensor {
        if stages.is_empty() {
            return input.shallow_clone();
        }
        if self.device.is_cuda() {
            return filled_up(input, |input| self.run(stages, input));
        }
        let n = input.size()[0];
        let split = stages.start + self.n_large(&stages, input);
        let large = stages.start..split;
        let rest = split..stages.end;
        if large.is_empty() || n <= MICRO_BATCH {
            return self.run(stages, input);
        }
        let parts: Vec<Tensor> = (0..n)
            .step_by(MICRO_BATCH as usize)
            .map(|start| {
                let length = MICRO_BATCH.min(n - start);
                self.run(large.clone(), &input.narrow(0, start, length))
            })
            .collect();
        self.run(rest, &Tensor::cat(&parts, 0))
    }

    fn run(&self, stages: Range<usize>, input: &Tensor) -> Tensor {
        run(self.stages[stages].iter().flatten(), input, None)
    }

    /// How many of the stages, from the first on, are too large for the cache with the whole batch.
    fn n_large(&self, stages: &Range<usize>, input: &Tensor) -> usize {
        let size = input.size();
        let mut shape = [size[1], size[2], size[3]];
        let is_large = |stage: &plan::Stage| {
            let extent = stage.extent(shape);
            shape = extent.output;
            size[0] * extent.peak * self.element_bytes > CACHE_BYTES
        };
        self.plan.stages[stages.clone()]
            .iter()
            .map(is_large)
            .take_while(|is_large| *is_large)
            .count()
    }
}

/// A network cut in two: a classifier whose activations at one layer can be read, changed and differentiated.
///
/// Images and activations may have any strides and any size that the network can take; they must be `f32` on the
/// network's device.
#[derive(Clone, Copy, Debug)]
pub struct Cut<'a> {
    network: &'a Network,
    stage: usize,
    batch: i64,
    head_batch: i64,
}

impl Cut<'_> {
    /// The stage that ends at the cut, or `input`: what a module's name was resolved to.
    pub fn layer(&self) -> &str {
        self.stage.checked_sub(1).map_or(Plan::INPUT, |stage| &self.network.plan.stages[stage].name)
    }

    /// With other batch sizes than those planned from the memory.
    #[must_use]
    pub fn with_batch(self, batch: i64, head_batch: i64) -> Self {
        Self { batch: batch.max(1), head_batch: head_batch.max(1), ..self }
    }
}

impl Classifier for Cut<'_> {
    fn features(&self, images: &Tensor) -> Tensor {
        self.network.run_stages(0..self.stage, images).to_kind(Kind::Float)
    }

    fn head(&self, features: &Tensor) -> Tensor {
        let last = self.network.run_stages(self.stage..self.network.stages.len(), features);
        run(&self.network.head, &last, None).to_kind(Kind::Float)
    }

    fn logits_and_biases(&self, image: &Tensor) -> (Tensor, Vec<Tensor>) {
        let network = self.network;
        logits_and_biases(network.stages.iter().flatten().chain(&network.head), image)
    }

    fn logits_and_levels(&self, image: &Tensor, n: usize) -> (Tensor, Vec<Tensor>) {
        let network = self.network;
        let levels = network.levels(self.stage, n, image);
        logits_and_levels(&levels, image, |stages, x| network.run_stages(stages, x), network)
    }

    fn batch(&self) -> i64 {
        self.batch
    }

    fn head_batch(&self) -> i64 {
        self.head_batch
    }

    fn pooled_linear_head(&self) -> Option<&PooledLinear> {
        self.network.pooled.as_ref().filter(|_| self.stage == self.network.stages.len())
    }

    fn randomized(&self, share: f64, seed: u64) -> Option<Box<dyn Classifier + '_>> {
        let n_stages = self.network.stages.len();
        // The head counts as one stage more, and is always among them.
        let n_random = (share * (n_stages + 1) as f64).ceil() as usize;
        Some(Box::new(Randomized {
            cut: *self,
            random: self.network.randomized(seed),
            n_trained: (n_stages + 1).saturating_sub(n_random.max(1)),
        }))
    }
}

/// A cut network whose last stages and head are another one's, with random weights.
struct Randomized<'a> {
    cut: Cut<'a>,
    random: Rc<Network>,
    /// How many stages are the network's own.
    n_trained: usize,
}

impl Randomized<'_> {
    fn run_stages(&self, stages: Range<usize>, input: &Tensor) -> Tensor {
        let border = self.n_trained.clamp(stages.start, stages.end);
        let trained = self.cut.network.run_stages(stages.start..border, input);
        self.random.run_stages(border..stages.end, &trained)
    }
}

impl Classifier for Randomized<'_> {
    fn features(&self, images: &Tensor) -> Tensor {
        self.run_stages(0..self.cut.stage, images).to_kind(Kind::Float)
    }

    fn head(&self, features: &Tensor) -> Tensor {
        let last = self.run_stages(self.cut.stage..self.random.stages.len(), features);
        run(&self.random.head, &last, None).to_kind(Kind::Float)
    }

    fn logits_and_biases(&self, image: &Tensor) -> (Tensor, Vec<Tensor>) {
        let trained = self.cut.network.stages.iter().take(self.n_trained);
        let random = self.random.stages.iter().skip(self.n_trained);
        logits_and_biases(trained.chain(random).flatten().chain(&self.random.head), image)
    }

    fn logits_and_levels(&self, image: &Tensor, n: usize) -> (Tensor, Vec<Tensor>) {
        let levels = self.random.levels(self.cut.stage, n, image);
        logits_and_levels(&levels, image, |stages, x| self.run_stages(stages, x), &self.random)
    }

    fn batch(&self) -> i64 {
        self.cut.batch
    }

    fn head_batch(&self) -> i64 {
        self.cut.head_batch
    }

    fn pooled_linear_head(&self) -> Option<&PooledLinear> {
        self.random.pooled.as_ref().filter(|_| self.cut.stage == self.random.stages.len())
    }

    fn randomized(&self, share: f64, seed: u64) -> Option<Box<dyn Classifier + '_>> {
        self.cut.randomized(share, seed)
    }
}

/// A layer with its weights.
#[derive(Debug)]
enum Step {
    Convolution(Box<Convolution>),
    MaxPool {
        kernel: i64,
        stride: i64,
        padding: i64,
    },
    AveragePool {
        side: i64,
    },
    Residual {
        main: Vec<Step>,
        /// The main branch's last convolution, to which the shortcut is added.
        last: Box<Convolution>,
        shortcut: Vec<Step>,
        activation: Activation,
        kind: Kind,
        layout: Layout,
    },
    GlobalPool,
    Flatten,
    Linear {
        weight: Tensor,
        bias: Tensor,
        activation: Activation,
    },
}

/// Runs steps in order, and collects their biases. The input stays as it is; what one step made, the next one may write into.
fn run<'a>(
    steps: impl IntoIterator<Item = &'a Step>,
    input: &Tensor,
    biases: Option<&Biases>,
) -> Tensor {
    let mut x = input.shallow_clone();
    for (i, step) in steps.into_iter().enumerate() {
        x = step.run(&x, i > 0, biases);
    }
    x
}

/// See [`Classifier::logits_and_biases`].
fn logits_and_biases<'a>(
    steps: impl IntoIterator<Item = &'a Step>,
    image: &Tensor,
) -> (Tensor, Vec<Tensor>) {
    let biases = Biases::default();
    let logits = run(steps, image, Some(&biases)).to_kind(Kind::Float);
    (logits, biases.into_vec())
}

impl Step {
    /// `is_spare`: nobody else needs `x`.
    fn run(&self, x: &Tensor, is_spare: bool, biases: Option<&Biases>) -> Tensor {
        match self {
            Self::Convolution(convolution) => convolution.run(x, biases),
            Self::MaxPool { kernel, stride, padding } => {
                x.max_pool2d([*kernel; 2], [*stride; 2], [*padding; 2], [1; 2], false)
            }
            Self::AveragePool { side } => x.adaptive_avg_pool2d([*side; 2]),
            Self::Residual { main, last, shortcut, activation, kind, layout } => {
                let x = layout.arranged(x, *kind);
                let main = run(main, &x, biases);
                let shortcut = Shortcut {
                    is_spare: is_spare || !shortcut.is_empty(),
                    value: run(shortcut, &x, biases),
                };
                let fused = || last.fused(&main, Some(&shortcut), *activation);
                biases.map_or_else(fused, |_| None).unwrap_or_else(|| {
                    // This sum is made in what the convolution made, which nobody else has.
                    activation.apply(last.run(&main, biases).g_add_(&shortcut.value))
                })
            }
            Self::GlobalPool => x.mean_dim(&[-2_i64, -1][..], false, Kind::Float),
            Self::Flatten => x.flatten(1, -1),
            Self::Linear { weight, bias, activation } => {
                let y = x.to_kind(weight.kind()).linear(weight, Some(bias));
                activation.apply(attached(y, [bias], biases))
            }
        }
    }
}

/// See [`Classifier::logits_and_levels`]; the levels are stages, the finest first, and `end` has the head.
fn logits_and_levels(
    levels: &[usize],
    image: &Tensor,
    run_stages: impl Fn(Range<usize>, &Tensor) -> Tensor,
    end: &Network,
) -> (Tensor, Vec<Tensor>) {
    let (mut stage, mut x) = (0, image.detach());
    let mut activations = vec![];
    for &level in levels {
        x = run_stages(stage..level, &x).to_kind(Kind::Float);
        if activations.is_empty() {
            // Nothing is differentiated in what comes before.
            x = x.detach().set_requires_grad(true);
        }
        activations.push(x.shallow_clone());
        stage = level;
    }
    let last = run_stages(stage..end.stages.len(), &x);
    activations.reverse();
    (run(&end.head, &last, None).to_kind(Kind::Float), activations)
}

/// What a layer made, and the parts of its bias collected if biases are.
fn attached<'a>(
    made: Tensor,
    parts: impl IntoIterator<Item = &'a Tensor>,
    biases: Option<&Biases>,
) -> Tensor {
    match biases {
        Some(biases) => parts.into_iter().fold(made, |made, part| biases.attach(&made, part)),
        None => made,
    }
}

/// A convolution with its batch normalization folded in.
#[derive(Debug)]
struct Convolution {
    /// By whether rows, then columns, need a zero more after than before.
    kernels: [[Tensor; 2]; 2],
    bias: Tensor,
    /// What it is the sum of: the convolution's own and the batch normalization's, as far as there are such.
    biases: Vec<Tensor>,
    side: i64,
    stride: i64,
    padding: Padding,
    groups: i64,
    activation: Activation,
    layout: Layout,
    packed: Packed,
}

impl Convolution {
    fn run(&self, x: &Tensor, biases: Option<&Biases>) -> Tensor {
        let fused = || self.fused(x, None, self.activation);
        biases.map_or_else(fused, |_| None).unwrap_or_else(|| {
            let (kernel, padding) = self.kernel_and_padding(x);
            let y = self.layout.arranged(x, kernel.kind()).conv2d(
                kernel,
                Some(&self.bias),
                [self.stride; 2],
                padding,
                [1; 2],
                self.groups,
            );
            self.activation.apply(attached(y, &self.biases, biases))
        })
    }

    /// The convolution, plus `shortcut` where there is one, and an activation; `None` where they cannot be one.
    fn fused(
        &self,
        x: &Tensor,
        shortcut: Option<&Shortcut>,
        activation: Activation,
    ) -> Option<Tensor> {
        let (kernel, padding) = self.kernel_and_padding(x);
        let x = self.layout.arranged(x, kernel.kind());
        let geometry = Geometry { stride: [self.stride; 2], padding, groups: self.groups };
        let kernel = self.packed.of(kernel, &x, geometry);
        fused_convolution(&x, kernel, &self.bias, geometry, shortcut, activation)
    }

    /// The kernel for an input of this size, and the zeros on both sides of rows and columns.
    ///
    /// A zero more after than before is a kernel with a row of zeros more in front, between equal paddings: no copy of the
    /// activations. Which one is needed depends on the size that comes in.
    fn kernel_and_padding(&self, x: &Tensor) -> (&Tensor, [i64; 2]) {
        let size = x.size();
        let zeros = |size: i64| match self.padding {
            Padding::Fixed(zeros) => (zeros, 0),
            Padding::Same => {
                let (before, after) = plan::same_padding(size, self.side, self.stride);
                (after, (after - before) as usize)
            }
        };
        let ((rows, odd_rows), (columns, odd_columns)) = (zeros(size[2]), zeros(size[3]));
        (&self.kernels[odd_rows][odd_columns], [rows, columns])
    }
}

/// The order of weights and activations in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// A channel after the other.
    ChannelsFirst,
    /// All channels of a pixel, then the next pixel.
    ChannelsLast,
}

impl Layout {
    /// What is fastest: on a card without its tensor cores, cuDNN's kernels for channels-first.
    fn of(options: &Options) -> Self {
        if options.device.is_cuda() && options.precision == Precision::F32 {
            Self::ChannelsFirst
        } else {
            Self::ChannelsLast
        }
    }

    /// The same values in this order and in a number format; no copy where they are so already.
    fn arranged(self, x: &Tensor, kind: Kind) -> Tensor {
        match self {
            Self::ChannelsFirst => x.to_kind(kind).contiguous(),
            Self::ChannelsLast => {
                x.permute([0, 2, 3, 1]).to_kind(kind).contiguous().permute([0, 3, 1, 2])
            }
        }
    }
}

/// Makes steps of layers.
#[derive(Clone, Copy)]
struct Builder<'a> {
    parameters: &'a Parameters,
    device: Device,
    kind: Kind,
    layout: Layout,
}

impl Builder<'_> {
    fn steps(&self, layers: &[Layer]) -> Vec<Step> {
        layers.iter().map(|layer| self.step(layer)).collect()
    }

    fn step(&self, layer: &Layer) -> Step {
        match layer {
            Layer::Convolution(convolution) => {
                Step::Convolution(Box::new(self.convolution(convolution)))
            }
            Layer::MaxPool { kernel, stride, padding } => {
                Step::MaxPool { kernel: *kernel, stride: *stride, padding: *padding }
            }
            Layer::AveragePool { side } => Step::AveragePool { side: *side },
            Layer::Residual { main, shortcut, activation } => {
                let Some((Layer::Convolution(last), main)) = main.split_last() else {
                    panic!("a main branch ends in a convolution");
                };
                debug_assert!(last.activation == Activation::None);
                Step::Residual {
                    main: self.steps(main),
                    last: Box::new(self.convolution(last)),
                    shortcut: self.steps(shortcut),
                    activation: *activation,
                    kind: self.kind,
                    layout: self.layout,
                }
            }
            Layer::GlobalPool => Step::GlobalPool,
            Layer::Flatten => Step::Flatten,
            Layer::Linear(linear) => Step::Linear {
                weight: self.placed(self.parameter(&linear.name, "weight")),
                bias: self.placed(self.parameter(&linear.name, "bias")),
                activation: linear.activation,
            },
        }
    }

    fn convolution(&self, convolution: &plan::Convolution) -> Convolution {
        let double = |module: &str, name: &str| self.parameter(module, name).to_kind(Kind::Double);
        let mut weight = double(&convolution.name, "weight");
        let mut biases = vec![];
        if convolution.bias {
            biases.push(double(&convolution.name, "bias"));
        }
        if let Some(norm) = &convolution.norm {
            let deviation = (double(&norm.name, "running_var") + norm.epsilon).sqrt();
            let factor = double(&norm.name, "weight") / deviation;
            weight *= factor.view([-1, 1, 1, 1]);
            for bias in &mut biases {
                *bias *= &factor;
            }
            biases.push(double(&norm.name, "bias") - double(&norm.name, "running_mean") * factor);
        }
        let none = Tensor::zeros([convolution.outputs], (Kind::Double, Device::Cpu));
        let bias = biases.iter().fold(none, |sum, part| sum + part);
        let is_uneven = convolution.padding == Padding::Same && convolution.stride > 1;
        let even = self.layout.arranged(&self.placed(&weight), self.kind);
        let kernel = |rows: i64, columns: i64| {
            if is_uneven {
                self.layout.arranged(&even.constant_pad_nd([columns, 0, rows, 0]), self.kind)
            } else {
                even.shallow_clone()
            }
        };
        Convolution {
            kernels: [[kernel(0, 0), kernel(0, 1)], [kernel(1, 0), kernel(1, 1)]],
            bias: self.placed(&bias),
            biases: biases.iter().map(|part| self.placed(part)).collect(),
            side: convolution.kernel,
            stride: convolution.stride,
            padding: convolution.padding,
            groups: convolution.groups,
            activation: convolution.activation,
            layout: self.layout,
            packed: Packed::default(),
        }
    }

    fn pooled_linear(&self, linear: &plan::Linear) -> PooledLinear {
        let float = Builder { kind: Kind::Float, ..*self };
        PooledLinear {
            weight: float.placed(self.parameter(&linear.name, "weight")),
            bias: float.placed(self.parameter(&linear.name, "bias")),
        }
    }

    fn parameter(&self, module: &str, name: &str) -> &Tensor {
        let name = format!("{module}.{name}");
        self.parameters.get(&name).unwrap_or_else(|| panic!("no parameter `{name}`"))
    }

    fn placed(&self, tensor: &Tensor) -> Tensor {
        tensor.to_device(self.device).to_kind(self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waves(shape: &[i64]) -> Tensor {
        let n: i64 = shape.iter().product();
        (Tensor::arange(n, (Kind::Float, Device::Cpu)) * 0.7).sin().view(shape)
    }

    fn convolution(kernel: i64, stride: i64) -> plan::Convolution {
        plan::Convolution {
            name: "conv".into(),
            inputs: 4,
            outputs: 4,
            kernel,
            stride,
            padding: Padding::Same,
            groups: 4,
            bias: false,
            norm: Some(plan::Norm { name: "norm".into(), epsilon: 1e-3 }),
            activation: Activation::Relu6,
        }
    }

    fn parameters(kernel: i64) -> Parameters {
        let named = [
            ("conv.weight", waves(&[4, 1, kernel, kernel])),
            ("norm.weight", waves(&[4]) + 1.5),
            ("norm.bias", waves(&[4])),
            ("norm.running_mean", waves(&[4]) * 0.3),
            ("norm.running_var", waves(&[4]).square() + 0.5),
        ];
        named.into_iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect()
    }

    #[test]
    fn folded_convolutions_equal_explicit_padding_and_normalization_for_every_size() {
        for (kernel, stride) in [(3, 2), (5, 2), (3, 1), (5, 1), (1, 1), (3, 3)] {
            let parameters = parameters(kernel);
            let builder = Builder {
                parameters: &parameters,
                device: Device::Cpu,
                kind: Kind::Float,
                layout: Layout::ChannelsLast,
            };
            let folded = builder.convolution(&convolution(kernel, stride));
            for (height, width) in
                [(8, 8), (7, 7), (8, 7), (7, 10), (1, 2), (2, 1), (5, 9), (6, 13)]
            {
                let x = waves(&[2, 4, height, width]);
                let (top, bottom) = plan::same_padding(height, kernel, stride);
                let (left, right) = plan::same_padding(width, kernel, stride);
                let expected = x
                    .constant_pad_nd([left, right, top, bottom])
                    .conv2d(
                        &parameters["conv.weight"],
                        None::<Tensor>,
                        [stride; 2],
                        [0; 2],
                        [1; 2],
                        4,
                    )
                    .batch_norm(
                        Some(&parameters["norm.weight"]),
                        Some(&parameters["norm.bias"]),
                        Some(&parameters["norm.running_mean"]),
                        Some(&parameters["norm.running_var"]),
                        false,
                        0.0,
                        1e-3,
                        false,
                    )
                    .relu6();
                let found = folded.run(&x, None);
                assert_eq!(found.size(), expected.size(), "{kernel}/{stride} of {height}x{width}");
                let difference = (found - expected).abs().max().double_value(&[]);
                assert!(difference < 1e-5, "{kernel}/{stride} of {height}x{width}: {difference}");
            }
        }
    }

    #[test]
    fn arranging_copies_only_what_lies_otherwise() {
        let x = waves(&[2, 4, 3, 3]);
        let arranged = |x: &Tensor| Layout::ChannelsLast.arranged(x, Kind::Float);
        let arranged_x = arranged(&x);
        assert_eq!(arranged_x, x);
        assert_eq!(arranged_x.stride(), [36, 1, 12, 4]);
        assert_eq!(arranged(&arranged_x).data_ptr(), arranged_x.data_ptr());
        assert_ne!(arranged_x.data_ptr(), x.data_ptr());
    }

    #[test]
    fn only_stages_larger_than_the_cache_are_split() {
        let backbone = crate::by_name("tf_efficientnet_lite0").unwrap();
        let plan = backbone.plan(10);
        let network = Network::build(plan.clone(), &crate::seeded(&plan, 0), &Options::default());
        let all = 0..plan.stages.len();
        let large = |n: i64| {
            network.n_large(&all, &Tensor::zeros([n, 3, 224, 224], (Kind::Float, Device::Cpu)))
        };
        assert_eq!(large(1), 0);
        let split = large(16);
        assert!((2..6).contains(&split), "{split} of {} stages", plan.stages.len());
        assert!(large(64) > split);
    }
}
