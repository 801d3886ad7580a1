//! VGG (Simonyan and Zisserman 2015), with and without batch normalization. Parameter names are torchvision's.

use crate::plan::{Activation, Convolution, Layer, Linear, Norm, Padding, Plan, Stage};

/// What distinguishes one variant from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// 3×3 convolutions before each of the five poolings.
    pub convolutions: [usize; 5],
    /// Whether a batch normalization follows each convolution.
    pub norm: bool,
}

const CHANNELS: [i64; 5] = [64, 128, 256, 512, 512];
const HIDDEN: i64 = 4096;

impl Spec {
    /// The plan for `classes` classes.
    ///
    /// A stage is a convolution with its ReLU, or a pooling, under the number of its last module in torchvision's
    /// `features`; `avgpool` follows.
    pub fn plan(&self, classes: i64) -> Plan {
        let mut stages = Vec::new();
        let mut inputs = 3;
        let mut module = 0;
        for (n_convolutions, outputs) in self.convolutions.into_iter().zip(CHANNELS) {
            for _ in 0..n_convolutions {
                let norm = self
                    .norm
                    .then(|| Norm { name: format!("features.{}", module + 1), epsilon: 1e-5 });
                let convolution = Convolution {
                    name: format!("features.{module}"),
                    inputs,
                    outputs,
                    kernel: 3,
                    stride: 1,
                    padding: Padding::Fixed(1),
                    groups: 1,
                    bias: true,
                    norm,
                    activation: Activation::Relu,
                };
                let relu = module + if self.norm { 2 } else { 1 };
                stages.push(Stage {
                    name: format!("features.{relu}"),
                    layers: vec![Layer::Convolution(convolution)],
                });
                inputs = outputs;
                module = relu + 1;
            }
            stages.push(Stage {
                name: format!("features.{module}"),
                layers: vec![Layer::MaxPool { kernel: 2, stride: 2, padding: 0 }],
            });
            module += 1;
        }
        stages.push(Stage { name: "avgpool".into(), layers: vec![Layer::AveragePool { side: 7 }] });
        let linear = |index: usize, inputs, outputs, activation| {
            Layer::Linear(Linear {
                name: format!("classifier.{index}"),
                inputs,
                outputs,
                activation,
            })
        };
        let head = vec![
            Layer::Flatten,
            linear(0, inputs * 7 * 7, HIDDEN, Activation::Relu),
            linear(3, HIDDEN, HIDDEN, Activation::Relu),
            linear(6, HIDDEN, classes, Activation::None),
        ];
        Plan { stages, head }
    }
}
