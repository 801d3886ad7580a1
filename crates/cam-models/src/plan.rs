//! A backbone as data: named stages of layers, without a single weight.
//!
//! Names, shapes, sizes and costs are read off the plan; [`crate::Network`] adds the weights.

pub use cam_core::Activation;
use cam_core::{INPUT, did_you_mean_aside};

/// A backbone: stages that map `[N, 3, H, W]` to the last activations, then the head that maps those to logits.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// In order of evaluation; a network can be cut after any of them, and before the first.
    pub stages: Vec<Stage>,
    /// What follows the last stage; ends in the linear layer that makes the logits.
    pub head: Vec<Layer>,
}

/// Layers between two places where a network may be cut.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// The module whose output the stage ends with, as the original library names it.
    pub name: String,
    /// In order of evaluation.
    pub layers: Vec<Layer>,
}

impl Stage {
    /// What it makes of one input.
    pub fn extent(&self, input: Shape) -> Extent {
        extent(&self.layers, input)
    }
}

/// One step of a network.
#[derive(Clone, Debug, PartialEq)]
pub enum Layer {
    /// Convolution, batch normalization and activation.
    Convolution(Convolution),
    /// Maximum over square windows.
    MaxPool {
        /// Side of the window.
        kernel: i64,
        /// Step between windows.
        stride: i64,
        /// Cells added at each border.
        padding: i64,
    },
    /// Averages down (or up) to `side` × `side` cells, whatever comes in.
    AveragePool {
        /// Side of the output.
        side: i64,
    },
    /// `activation(main(x) + shortcut(x))`; an empty shortcut is the identity.
    Residual {
        /// Ends in a convolution without activation.
        main: Vec<Layer>,
        /// Empty, or a projection to the main branch's shape.
        shortcut: Vec<Layer>,
        /// Applied to the sum.
        activation: Activation,
    },
    /// `[N, K, h, w]` to its mean over the cells, `[N, K]`.
    GlobalPool,
    /// `[N, K, h, w]` to `[N, K·h·w]`.
    Flatten,
    /// `[N, inputs]` to `[N, outputs]`, with bias.
    Linear(Linear),
}

/// A convolution with what belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Convolution {
    /// Name of the module that holds `weight` and `bias`.
    pub name: String,
    /// Channels in.
    pub inputs: i64,
    /// Channels out.
    pub outputs: i64,
    /// Side of the square kernel.
    pub kernel: i64,
    /// Step between windows.
    pub stride: i64,
    /// What is added at the borders.
    pub padding: Padding,
    /// Groups of channels that do not see each other.
    pub groups: i64,
    /// Whether the convolution itself has a bias.
    pub bias: bool,
    /// The batch normalization that follows.
    pub norm: Option<Norm>,
    /// Applied last.
    pub activation: Activation,
}

/// Zeros around the input of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// As many at each border.
    Fixed(i64),
    /// TensorFlow's `SAME`: as many as give `ceil(size / stride)` outputs, an odd one at the bottom and the right.
    Same,
}

/// A batch normalization with frozen statistics.
#[derive(Clone, Debug, PartialEq)]
pub struct Norm {
    /// Name of the module that holds scale, shift and statistics.
    pub name: String,
    /// Added to the variance.
    pub epsilon: f64,
}

/// A fully connected layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// Name of the module that holds `weight` and `bias`.
    pub name: String,
    /// Features in.
    pub inputs: i64,
    /// Features out.
    pub outputs: i64,
    /// Applied last.
    pub activation: Activation,
}

/// One tensor of a state dict.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name in the state dict.
    pub name: String,
    /// Its shape.
    pub shape: Vec<i64>,
    /// What it is for.
    pub role: Role,
}

/// What a parameter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Weights that sum over `fan_in` inputs.
    Weight {
        /// Inputs of one output.
        fan_in: i64,
    },
    /// Added to a convolution or linear layer.
    Bias,
    /// Factor of a batch normalization; `last` in a residual branch.
    Scale {
        /// Whether its output is added to a shortcut.
        last: bool,
    },
    /// Offset of a batch normalization.
    Shift,
    /// Running mean of a batch normalization; not trained.
    Mean,
    /// Running variance of a batch normalization; not trained.
    Variance,
}

impl Parameter {
    /// Whether training changes it by gradient: statistics are buffers.
    pub fn is_trained(&self) -> bool {
        !matches!(self.role, Role::Mean | Role::Variance)
    }

    /// How many numbers it holds.
    pub fn n_elements(&self) -> i64 {
        self.shape.iter().product()
    }
}

/// Activations of one image: channels, height, width.
pub type Shape = [i64; 3];

/// What a run of layers makes of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Shape of the last layer's output.
    pub output: Shape,
    /// Numbers alive at once, at most, in a forward pass.
    pub peak: i64,
    /// Numbers in all layers' outputs together: what a backward pass keeps.
    pub total: i64,
    /// Multiplications and additions in pairs.
    pub macs: i64,
}

/// A layer's name that no plan knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no layer `{layer}`{}; layers are {}", did_you_mean_aside(.nearest.as_deref()), .layers.join(", "))]
pub struct UnknownLayer {
    /// As asked for.
    pub layer: String,
    /// The most similar name.
    pub nearest: Option<String>,
    /// Every name.
    pub layers: Vec<String>,
}

impl Plan {
    /// How many stages come before a cut at `layer`.
    ///
    /// `layer` is `input`, a stage's name, or the name of a module that holds stages, whose last one is taken:
    /// `layer4` is `layer4.2` in ResNet-50.
    ///
    /// # Errors
    ///
    /// No stage of that name.
    pub fn resolve(&self, layer: &str) -> Result<usize, UnknownLayer> {
        if layer == INPUT {
            return Ok(0);
        }
        let is_inside = |name: &str| {
            name.strip_prefix(layer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.stages
            .iter()
            .rposition(|stage| is_inside(&stage.name))
            .map(|index| index + 1)
            .ok_or_else(|| {
                let layers = self.layers();
                let nearest =
                    cam_core::nearest(layer, layers.iter().map(String::as_str)).map(str::to_owned);
                UnknownLayer { layer: layer.to_owned(), nearest, layers }
            })
    }

    /// Every place to cut, from `input` on.
    pub fn layers(&self) -> Vec<String> {
        std::iter::once(INPUT.to_owned())
            .chain(self.stages.iter().map(|stage| stage.name.clone()))
            .collect()
    }

    /// Names and shapes of the state dict, in the original library's order.
    ///
    /// Batch normalizations' counters (`num_batches_tracked`) are left out: nothing is computed from them.
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut parameters = Vec::new();
        let layers = self.stages.iter().flat_map(|stage| &stage.layers).chain(&self.head);
        layers.for_each(|layer| layer.collect(false, &mut parameters));
        parameters
    }

    /// The layer that makes the logits.
    pub fn classifier(&self) -> &Linear {
        match self.head.last() {
            Some(Layer::Linear(linear)) => linear,
            _ => unreachable!("every family's plan ends in a linear layer"),
        }
    }

    /// Whether the head is average pooling and one linear layer.
    pub fn has_pooled_linear_head(&self) -> bool {
        matches!(
            &self.head[..],
            [Layer::GlobalPool, Layer::Linear(Linear { activation: Activation::None, .. })]
        )
    }

    /// One extent a stage, then the head's, for one image `[3, height, width]`.
    pub fn extents(&self, height: i64, width: i64) -> Vec<Extent> {
        let mut input = [3, height, width];
        let lists = self.stages.iter().map(|stage| &stage.layers).chain([&self.head]);
        lists
            .map(|layers| {
                let extent = extent(layers, input);
                input = extent.output;
                extent
            })
            .collect()
    }
}

/// Where the outputs of a convolution with `SAME` padding begin: zeros before and after `size` cells.
pub(crate) fn same_padding(size: i64, kernel: i64, stride: i64) -> (i64, i64) {
    let outputs = same_outputs(size, stride);
    let zeros = ((outputs - 1) * stride + kernel - size).max(0);
    (zeros / 2, zeros - zeros / 2)
}

fn same_outputs(size: i64, stride: i64) -> i64 {
    (size + stride - 1) / stride
}

fn extent(layers: &[Layer], input: Shape) -> Extent {
    let start = Extent { output: input, peak: size(input), total: 0, macs: 0 };
    layers.iter().fold(start, |before, layer| {
        let own = layer.extent(before.output);
        Extent {
            output: own.output,
            peak: before.peak.max(own.peak),
            total: before.total + own.total,
            macs: before.macs + own.macs,
        }
    })
}

fn size(shape: Shape) -> i64 {
    shape.iter().product()
}

impl Layer {
    fn extent(&self, input: Shape) -> Extent {
        let [channels, height, width] = input;
        let simple = |output: Shape, macs: i64| Extent {
            output,
            peak: size(input) + size(output),
            total: size(output),
            macs,
        };
        match self {
            Self::Convolution(c) => {
                let side = |size: i64| match c.padding {
                    Padding::Fixed(zeros) => (size + 2 * zeros - c.kernel) / c.stride + 1,
                    Padding::Same => same_outputs(size, c.stride),
                };
                let output = [c.outputs, side(height), side(width)];
                simple(output, size(output) * c.fan_in())
            }
            Self::MaxPool { kernel, stride, padding } => {
                let side = |size: i64| (size + 2 * padding - kernel) / stride + 1;
                simple([channels, side(height), side(width)], 0)
            }
            Self::AveragePool { side } => simple([channels, *side, *side], 0),
            Self::Residual { main, shortcut, .. } => {
                let (main, shortcut) = (extent(main, input), extent(shortcut, input));
                Extent {
                    output: main.output,
                    // The input stays alive beside the main branch, both beside the shortcut.
                    peak: (size(input) + main.peak).max(size(main.output) + shortcut.peak),
                    total: main.total + shortcut.total,
                    macs: main.macs + shortcut.macs,
                }
            }
            Self::GlobalPool => simple([channels, 1, 1], 0),
            Self::Flatten => simple([size(input), 1, 1], 0),
            Self::Linear(linear) => simple([linear.outputs, 1, 1], linear.inputs * linear.outputs),
        }
    }

    fn collect(&self, last: bool, parameters: &mut Vec<Parameter>) {
        let mut push = |module: &str, name: &str, shape: &[i64], role| {
            parameters.push(Parameter {
                name: format!("{module}.{name}"),
                shape: shape.to_vec(),
                role,
            });
        };
        match self {
            Self::Convolution(c) => {
                let shape = [c.outputs, c.inputs / c.groups, c.kernel, c.kernel];
                push(&c.name, "weight", &shape, Role::Weight { fan_in: c.fan_in() });
                if c.bias {
                    push(&c.name, "bias", &[c.outputs], Role::Bias);
                }
                if let Some(norm) = &c.norm {
                    push(&norm.name, "weight", &[c.outputs], Role::Scale { last });
                    push(&norm.name, "bias", &[c.outputs], Role::Shift);
                    push(&norm.name, "running_mean", &[c.outputs], Role::Mean);
                    push(&norm.name, "running_var", &[c.outputs], Role::Variance);
                }
            }
            Self::Residual { main, shortcut, .. } => {
                for (index, layer) in main.iter().enumerate() {
                    layer.collect(index + 1 == main.len(), parameters);
                }
                for layer in shortcut {
                    layer.collect(false, parameters);
                }
            }
            Self::Linear(l) => {
                push(&l.name, "weight", &[l.outputs, l.inputs], Role::Weight { fan_in: l.inputs });
                push(&l.name, "bias", &[l.outputs], Role::Bias);
            }
            Self::MaxPool { .. } | Self::AveragePool { .. } | Self::GlobalPool | Self::Flatten => {}
        }
    }
}

impl Convolution {
    /// Inputs of one output.
    pub(crate) fn fan_in(&self) -> i64 {
        self.inputs / self.groups * self.kernel * self.kernel
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_puts_the_odd_zero_last() {
        assert_eq!(same_padding(224, 3, 2), (0, 1));
        assert_eq!(same_padding(224, 5, 2), (1, 2));
        assert_eq!(same_padding(65, 3, 2), (1, 1));
        assert_eq!(same_padding(7, 5, 1), (2, 2));
        assert_eq!(same_padding(1, 3, 2), (1, 1));
        assert_eq!(same_padding(8, 1, 1), (0, 0));
    }

    #[test]
    fn extents_of_a_convolution_and_a_shortcut_are_counted_by_hand() {
        let convolution = |name: &str| {
            Layer::Convolution(Convolution {
                name: name.into(),
                inputs: 3,
                outputs: 3,
                kernel: 3,
                stride: 1,
                padding: Padding::Fixed(1),
                groups: 3,
                bias: true,
                norm: None,
                activation: Activation::None,
            })
        };
        let block = Layer::Residual {
            main: vec![convolution("a")],
            shortcut: vec![],
            activation: Activation::Relu,
        };
        let plan = Plan {
            stages: vec![Stage { name: "a".into(), layers: vec![block] }],
            head: vec![
                Layer::GlobalPool,
                Layer::Linear(Linear {
                    name: "b".into(),
                    inputs: 3,
                    outputs: 2,
                    activation: Activation::None,
                }),
            ],
        };
        let extents = plan.extents(4, 2);
        assert_eq!(extents[0], Extent { output: [3, 4, 2], peak: 3 * 24, total: 24, macs: 24 * 9 });
        assert_eq!(extents[1], Extent { output: [2, 1, 1], peak: 27, total: 5, macs: 6 });
        let names: Vec<String> = plan.parameters().into_iter().map(|p| p.name).collect();
        assert_eq!(names, ["a.weight", "a.bias", "b.weight", "b.bias"]);
    }
}
