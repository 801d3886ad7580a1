//! Steps made of a plan's layers: batch normalizations folded in, kernels padded, everything where and as it is needed.

use cam_core::{Activation, Packed, PooledLinear};
use tch::{Device, Kind, Tensor};

use super::{
    Parameters,
    step::{Convolution, Layout, Step},
};
use crate::plan::{self, Layer, Padding};

/// Makes steps of layers.
#[derive(Clone, Copy)]
pub(super) struct Builder<'a> {
    pub(super) parameters: &'a Parameters,
    pub(super) device: Device,
    pub(super) kind: Kind,
    pub(super) layout: Layout,
}

impl Builder<'_> {
    pub(super) fn steps(&self, layers: &[Layer]) -> Vec<Step> {
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

    pub(super) fn pooled_linear(&self, linear: &plan::Linear) -> PooledLinear {
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
}
