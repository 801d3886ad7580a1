//! Layers with their weights, as they are run.

use cam_core::{Activation, Biases, Geometry, Packed, Shortcut, fused_convolution};
use tch::{Kind, Tensor};

use super::{Options, Precision};
use crate::plan::{Padding, same_padding};

/// A layer with its weights.
#[derive(Debug)]
pub(super) enum Step {
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
pub(super) fn run<'a>(
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

/// See [`cam_core::Classifier::logits_and_biases`].
pub(super) fn logits_and_biases<'a>(
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
                if biases.is_none()
                    && let Some(y) = last.fused(&main, Some(&shortcut), *activation)
                {
                    return y;
                }
                // This sum is made in what the convolution made, which nobody else has.
                activation.apply(last.run(&main, biases).g_add_(&shortcut.value))
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
pub(super) struct Convolution {
    /// By whether rows, then columns, need a zero more after than before.
    pub(super) kernels: [[Tensor; 2]; 2],
    pub(super) bias: Tensor,
    /// What it is the sum of: the convolution's own and the batch normalization's, as far as there are such.
    pub(super) biases: Vec<Tensor>,
    pub(super) side: i64,
    pub(super) stride: i64,
    pub(super) padding: Padding,
    pub(super) groups: i64,
    pub(super) activation: Activation,
    pub(super) layout: Layout,
    pub(super) packed: Packed,
}

impl Convolution {
    pub(super) fn run(&self, x: &Tensor, biases: Option<&Biases>) -> Tensor {
        if biases.is_none()
            && let Some(y) = self.fused(x, None, self.activation)
        {
            return y;
        }
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
                let (before, after) = same_padding(size, self.side, self.stride);
                (after, (after - before) as usize)
            }
        };
        let ((rows, odd_rows), (columns, odd_columns)) = (zeros(size[2]), zeros(size[3]));
        (&self.kernels[odd_rows][odd_columns], [rows, columns])
    }
}

/// The order of weights and activations in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// A channel after the other.
    ChannelsFirst,
    /// All channels of a pixel, then the next pixel.
    ChannelsLast,
}

impl Layout {
    /// What is fastest: on a card without its tensor cores, cuDNN's kernels for channels-first.
    pub(super) fn of(options: &Options) -> Self {
        if options.device.is_cuda() && options.precision == Precision::F32 {
            Self::ChannelsFirst
        } else {
            Self::ChannelsLast
        }
    }

    /// The same values in this order and in a number format; no copy where they are so already.
    pub(super) fn arranged(self, x: &Tensor, kind: Kind) -> Tensor {
        match self {
            Self::ChannelsFirst => x.to_kind(kind).contiguous(),
            Self::ChannelsLast => {
                x.permute([0, 2, 3, 1]).to_kind(kind).contiguous().permute([0, 3, 1, 2])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    fn waves(shape: &[i64]) -> Tensor {
        let n: i64 = shape.iter().product();
        (Tensor::arange(n, (Kind::Float, Device::Cpu)) * 0.7).sin().view(shape)
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
}
