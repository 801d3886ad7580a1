//! EfficientNet-Lite (Tan and Liu 2020, TensorFlow's model garden): EfficientNet without squeeze-and-excitation, with
//! ReLU6 and `SAME` padding, and with stem and head of the same width in every variant.

use crate::plan::{Activation, Convolution, Layer, Linear, Norm, Padding, Plan, Stage};

/// What distinguishes one variant from another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spec {
    /// Factor of the channels.
    pub width: f64,
    /// Factor of the number of blocks.
    pub depth: f64,
}

/// Whose parameter names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// The package `efficientnet_lite_pytorch`.
    Package,
    /// timm's `tf_efficientnet_lite*`.
    Timm,
}

/// Blocks, kernel, stride, expansion and channels out of each of Lite0's seven groups.
const GROUPS: [(usize, i64, i64, i64, i64); 7] = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
];
const STEM: i64 = 32;
const HEAD: i64 = 1280;
const EPSILON: f64 = 1e-3;

impl Spec {
    /// The plan for `classes` classes, with parameters named as `names` does.
    pub fn plan(&self, classes: i64, names: Names) -> Plan {
        let pick = |package: &str, timm: &str| match names {
            Names::Package => package.to_owned(),
            Names::Timm => timm.to_owned(),
        };
        let stem = convolution(
            pick("_conv_stem", "conv_stem"),
            pick("_bn0", "bn1"),
            [3, STEM],
            3,
            2,
            1,
            Activation::Relu6,
        );
        let mut stages = vec![Stage { name: "conv_stem".into(), layers: vec![stem] }];
        let mut channels = STEM;
        let mut index = 0;
        for (group, (blocks, kernel, stride, expansion, outputs)) in GROUPS.into_iter().enumerate()
        {
            let is_fixed = group == 0 || group == GROUPS.len() - 1;
            let blocks =
                if is_fixed { blocks } else { (self.depth * blocks as f64).ceil() as usize };
            let outputs = self.scaled(outputs);
            for block in 0..blocks {
                let stride = if block == 0 { stride } else { 1 };
                let prefix =
                    pick(&format!("_blocks.{index}."), &format!("blocks.{group}.{block}."));
                let block = inverted_bottleneck(
                    names,
                    &prefix,
                    [channels, outputs],
                    kernel,
                    stride,
                    expansion,
                );
                stages.push(Stage { name: format!("blocks.{index}"), layers: block });
                channels = outputs;
                index += 1;
            }
        }
        let head = convolution(
            pick("_conv_head", "conv_head"),
            pick("_bn1", "bn2"),
            [channels, HEAD],
            1,
            1,
            1,
            Activation::Relu6,
        );
        stages.push(Stage { name: "conv_head".into(), layers: vec![head] });
        let classifier = Linear {
            name: pick("_fc", "classifier"),
            inputs: HEAD,
            outputs: classes,
            activation: Activation::None,
        };
        Plan { stages, head: vec![Layer::GlobalPool, Layer::Linear(classifier)] }
    }

    /// Channels times the width, to a multiple of eight that is not more than a tenth smaller.
    fn scaled(&self, channels: i64) -> i64 {
        let wanted = channels as f64 * self.width;
        let rounded = ((wanted + 4.0) as i64 / 8 * 8).max(8);
        if (rounded as f64) < 0.9 * wanted { rounded + 8 } else { rounded }
    }
}

fn inverted_bottleneck(
    names: Names,
    prefix: &str,
    [inputs, outputs]: [i64; 2],
    kernel: i64,
    stride: i64,
    expansion: i64,
) -> Vec<Layer> {
    let width = inputs * expansion;
    // The package names a convolution after what it does, timm after its place; both number the normalizations, the
    // package by role and timm by place.
    let (expand, depthwise, project) = match (names, expansion) {
        (Names::Package, _) => {
            (["_expand_conv", "_bn0"], ["_depthwise_conv", "_bn1"], ["_project_conv", "_bn2"])
        }
        (Names::Timm, 1) => (["", ""], ["conv_dw", "bn1"], ["conv_pw", "bn2"]),
        (Names::Timm, _) => (["conv_pw", "bn1"], ["conv_dw", "bn2"], ["conv_pwl", "bn3"]),
    };
    let conv = |[name, norm]: [&str; 2], channels, kernel, stride, groups, activation| {
        let (name, norm) = (format!("{prefix}{name}"), format!("{prefix}{norm}"));
        convolution(name, norm, channels, kernel, stride, groups, activation)
    };
    let mut layers = Vec::new();
    if expansion != 1 {
        layers.push(conv(expand, [inputs, width], 1, 1, 1, Activation::Relu6));
    }
    layers.push(conv(depthwise, [width, width], kernel, stride, width, Activation::Relu6));
    layers.push(conv(project, [width, outputs], 1, 1, 1, Activation::None));
    if stride == 1 && inputs == outputs {
        layers =
            vec![Layer::Residual { main: layers, shortcut: vec![], activation: Activation::None }];
    }
    layers
}

fn convolution(
    name: String,
    norm: String,
    [inputs, outputs]: [i64; 2],
    kernel: i64,
    stride: i64,
    groups: i64,
    activation: Activation,
) -> Layer {
    Layer::Convolution(Convolution {
        name,
        inputs,
        outputs,
        kernel,
        stride,
        padding: Padding::Same,
        groups,
        bias: false,
        norm: Some(Norm { name: norm, epsilon: EPSILON }),
        activation,
    })
}
