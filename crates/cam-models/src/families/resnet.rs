//! ResNet (He et al. 2016), ResNeXt (Xie et al. 2017) and wide ResNet (Zagoruyko and Komodakis 2016).
//!
//! Parameter names are torchvision's, and so is the place of the stride: on the 3×3 convolution of a bottleneck.

use crate::plan::{Activation, Convolution, Layer, Linear, Norm, Padding, Plan, Stage};

/// What distinguishes one variant from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// What a block consists of.
    pub block: Block,
    /// Blocks in each of the four layers.
    pub blocks: [usize; 4],
    /// Groups of the 3×3 convolutions: more than one in ResNeXt.
    pub groups: i64,
    /// Channels of one group of the first layer's 3×3 convolutions: 64, or 128 in wide ResNets.
    pub width: i64,
}

/// The residual branch of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// Two 3×3 convolutions.
    Basic,
    /// 1×1, 3×3, then 1×1 to four times the channels.
    Bottleneck,
}

impl Spec {
    /// The original of that many blocks.
    pub const fn new(block: Block, blocks: [usize; 4]) -> Self {
        Self { block, blocks, groups: 1, width: 64 }
    }

    /// With bottlenecks of that many groups of that many channels.
    pub const fn bottleneck(blocks: [usize; 4], groups: i64, width: i64) -> Self {
        Self { block: Block::Bottleneck, blocks, groups, width }
    }

    /// The plan for `classes` classes.
    pub fn plan(&self, classes: i64) -> Plan {
        let stem = Convolution {
            padding: Padding::Fixed(3),
            ..convolution("", "conv1", "bn1", [3, 64], 7, 2, 1, Activation::Relu)
        };
        let mut stages = vec![
            Stage { name: "conv1".into(), layers: vec![Layer::Convolution(stem)] },
            Stage {
                name: "maxpool".into(),
                layers: vec![Layer::MaxPool { kernel: 3, stride: 2, padding: 1 }],
            },
        ];
        let mut channels = 64;
        for (layer, n_blocks) in self.blocks.into_iter().enumerate() {
            let planes = 64 << layer;
            for block in 0..n_blocks {
                let name = format!("layer{}.{block}", layer + 1);
                let stride = if layer > 0 && block == 0 { 2 } else { 1 };
                let residual = self.residual(&name, channels, planes, stride);
                stages.push(Stage { name, layers: vec![residual] });
                channels = planes * self.expansion();
            }
        }
        let classifier = Linear {
            name: "fc".into(),
            inputs: channels,
            outputs: classes,
            activation: Activation::None,
        };
        Plan { stages, head: vec![Layer::GlobalPool, Layer::Linear(classifier)] }
    }

    const fn expansion(&self) -> i64 {
        match self.block {
            Block::Basic => 1,
            Block::Bottleneck => 4,
        }
    }

    fn residual(&self, block: &str, inputs: i64, planes: i64, stride: i64) -> Layer {
        let outputs = planes * self.expansion();
        let conv = |index: usize,
                    channels: [i64; 2],
                    kernel: i64,
                    stride: i64,
                    groups: i64,
                    activation| {
            let (name, norm) = (format!("conv{index}"), format!("bn{index}"));
            Layer::Convolution(convolution(
                block, &name, &norm, channels, kernel, stride, groups, activation,
            ))
        };
        let main = match self.block {
            Block::Basic => vec![
                conv(1, [inputs, planes], 3, stride, 1, Activation::Relu),
                conv(2, [planes, outputs], 3, 1, 1, Activation::None),
            ],
            Block::Bottleneck => {
                let width = planes * self.width / 64 * self.groups;
                vec![
                    conv(1, [inputs, width], 1, 1, 1, Activation::Relu),
                    conv(2, [width, width], 3, stride, self.groups, Activation::Relu),
                    conv(3, [width, outputs], 1, 1, 1, Activation::None),
                ]
            }
        };
        let shortcut = if stride == 1 && inputs == outputs {
            vec![]
        } else {
            vec![Layer::Convolution(convolution(
                block,
                "downsample.0",
                "downsample.1",
                [inputs, outputs],
                1,
                stride,
                1,
                Activation::None,
            ))]
        };
        Layer::Residual { main, shortcut, activation: Activation::Relu }
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "what differs between this family's convolutions, once"
)]
fn convolution(
    block: &str,
    name: &str,
    norm: &str,
    [inputs, outputs]: [i64; 2],
    kernel: i64,
    stride: i64,
    groups: i64,
    activation: Activation,
) -> Convolution {
    let inside =
        |name: &str| if block.is_empty() { name.to_owned() } else { format!("{block}.{name}") };
    Convolution {
        name: inside(name),
        inputs,
        outputs,
        kernel,
        stride,
        padding: Padding::Fixed(kernel / 2),
        groups,
        bias: false,
        norm: Some(Norm { name: inside(norm), epsilon: 1e-5 }),
        activation,
    }
}
