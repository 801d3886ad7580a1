//! The further methods and metrics, beside the packages that have them. Smaller than anyone would explain with, so that the
//! slowest turn takes seconds; the ratios are those of more samples.

use super::jobs::{BOTH, Group, Job, Peer, STOCK, Target, other, peer, target};

/// Measured by its name.
pub(super) const GROUP: Group = Group {
    name: "methods",
    file: "methods",
    title: "Further methods and metrics beside the packages that have them",
    minutes: 20,
    jobs: &JOBS,
    targets: &TARGETS,
};

/// A job that takes less than a second, with a map that is ours in each of its packages.
const fn short(name: &'static str, title: &'static str, peers: &'static [Peer]) -> Job {
    Job { name, title, peers, bf16_within: Some(0.1), is_long: false, note: "" }
}

/// A job that takes seconds, where bf16 may be further off.
const fn long(
    name: &'static str,
    title: &'static str,
    peers: &'static [Peer],
    note: &'static str,
) -> Job {
    Job { name, title, peers, bf16_within: Some(0.2), is_long: true, note }
}

const JOBS: [Job; 19] = [
    short("layer_cam", "LayerCAM", &[peer("torch-cam", BOTH, 2e-3), peer("grad-cam", BOTH, 2e-3)]),
    short(
        "x_grad_cam",
        "XGrad-CAM",
        &[peer("torch-cam", BOTH, 2e-3), peer("grad-cam", BOTH, 2e-3)],
    ),
    short("hi_res_cam", "HiResCAM", &[peer("grad-cam", BOTH, 2e-3)]),
    short("grad_cam_elementwise", "element-wise Grad-CAM", &[peer("grad-cam", BOTH, 2e-3)]),
    Job {
        note: "columns centered, as pytorch-grad-cam has them; compared with our sign, before it cuts off what is negative",
        ..short("eigen_cam", "Eigen-CAM", &[peer("grad-cam", BOTH, 2e-3)])
    },
    Job {
        bf16_within: Some(0.2),
        note: "as Eigen-CAM",
        ..short("eigen_grad_cam", "Eigen-Grad-CAM", &[peer("grad-cam", BOTH, 2e-3)])
    },
    Job {
        note: "pytorch-grad-cam runs the head without each channel in turn; where the head is pooled and linear, what each \
               adds is known, which is what we do",
        ..short("ablation_cam", "Ablation-CAM", &[peer("grad-cam", BOTH, 2e-3)])
    },
    Job {
        note: "pytorch-grad-cam upsamples every channel of every layer; it looks for modules itself, and is not tuned",
        ..short("full_grad", "FullGrad", &[peer("grad-cam", STOCK, 2e-3)])
    },
    long(
        "ss_cam",
        "SS-CAM, 2 samples",
        &[other("torch-cam", BOTH)],
        "at a layer of few channels (blocks.7 of EfficientNet-Lite0, conv1 of ResNet-50), for at the last one it would take \
         minutes; torch-cam adds noise of its own, behind the normalization",
    ),
    long(
        "is_cam",
        "IS-CAM, 2 steps",
        &[peer("torch-cam", BOTH, 0.1)],
        "at the layer of SS-CAM; with the steps added up, as torch-cam has them, which normalizes channels before it \
         upsamples them",
    ),
    long(
        "lime",
        "LIME, 128 samples",
        &[peer("lime", BOTH, 1e-2)],
        "the package gets our superpixels and our samples; we make both within the time. It runs 10 images at once, and 16 \
         where it is tuned",
    ),
    long(
        "kernel_shap",
        "Kernel SHAP, 128 samples",
        &[peer("captum", BOTH, 2e-2), other("shap", BOTH)],
        "the packages get our superpixels, and captum our coalitions; shap draws its own and keeps ten superpixels, as it \
         comes. captum runs one image at once, and 16 where it is tuned; shap always 16",
    ),
    long(
        "occlusion",
        "occlusion, 13 × 13 squares",
        &[peer("captum", BOTH, 1e-2)],
        "captum runs one image at once, as it comes, and 16 where it is tuned",
    ),
    Job {
        bf16_within: Some(0.2),
        note: "ours begins with the clean forward, which a run needs anyway and all its methods share",
        ..short("saliency", "saliency", &[peer("captum", BOTH, 0.05)])
    },
    Job {
        bf16_within: Some(0.2),
        note: "as saliency",
        ..short("input_x_gradient", "input × gradient", &[peer("captum", BOTH, 0.05)])
    },
    long(
        "integrated_gradients",
        "integrated gradients, 16 steps",
        &[peer("captum", BOTH, 0.05)],
        "at the middles of the steps (`riemann_middle`); captum runs all steps at once",
    ),
    Job {
        bf16_within: None,
        ..long(
            "smooth_grad",
            "SmoothGrad, 16 copies",
            &[other("captum", BOTH)],
            "signed gradients, with noise of its own; captum runs all copies at once",
        )
    },
    long(
        "pixel_flipping",
        "pixel flipping, 96 steps",
        &[peer("quantus", STOCK, 1e-2)],
        "of one map, without equal values; Quantus flips the colors of a pixel one after the other and begins behind the \
         first step: the clean probability is put before its curve",
    ),
    long(
        "road",
        "ROAD, 9 shares",
        &[peer("grad-cam", STOCK, 2e-2), other("quantus", STOCK)],
        "the most and the least salient pixels, combined; noise is everyone's own. Quantus judges by the predicted class, \
         and counts the numbers of all colors as pixels, so that it fails on images with more than one: it gets the number \
         of pixels, and the map and its negative one after the other",
    ),
];

/// No slower than any peer as it comes; and where an explanation is many forwards, five times as fast on the network whose
/// depthwise convolutions are slow in torch.
const TARGETS: [Target; 23] = [
    no_slower("layer_cam", "torch-cam", &[("torch-cam", "stock")]),
    no_slower("layer_cam", "pytorch-grad-cam", &[("grad-cam", "stock")]),
    no_slower("x_grad_cam", "torch-cam", &[("torch-cam", "stock")]),
    no_slower("x_grad_cam", "pytorch-grad-cam", &[("grad-cam", "stock")]),
    no_slower("hi_res_cam", "pytorch-grad-cam", &[("grad-cam", "stock")]),
    no_slower("grad_cam_elementwise", "pytorch-grad-cam", &[("grad-cam", "stock")]),
    no_slower("eigen_cam", "pytorch-grad-cam", &[("grad-cam", "stock")]),
    no_slower("eigen_grad_cam", "pytorch-grad-cam", &[("grad-cam", "stock")]),
    target("ablation_cam", "pytorch-grad-cam", &[("grad-cam", "stock")], 5.0, 1.0),
    no_slower("full_grad", "pytorch-grad-cam", &[("grad-cam", "stock")]),
    target("ss_cam", "torch-cam", &[("torch-cam", "stock")], 5.0, 1.0),
    target("is_cam", "torch-cam", &[("torch-cam", "stock")], 5.0, 1.0),
    target("lime", "the package lime", &[("lime", "stock")], 5.0, 1.0),
    target("kernel_shap", "captum", &[("captum", "stock")], 5.0, 1.0),
    target("kernel_shap", "shap", &[("shap", "stock")], 5.0, 1.0),
    target("occlusion", "captum", &[("captum", "stock")], 5.0, 1.0),
    no_slower("saliency", "captum", &[("captum", "stock")]),
    no_slower("input_x_gradient", "captum", &[("captum", "stock")]),
    no_slower("integrated_gradients", "captum", &[("captum", "stock")]),
    no_slower("smooth_grad", "captum", &[("captum", "stock")]),
    no_slower("pixel_flipping", "Quantus", &[("quantus", "stock")]),
    no_slower("road", "pytorch-grad-cam", &[("grad-cam", "stock")]),
    no_slower("road", "Quantus", &[("quantus", "stock")]),
];

/// No slower than the peer on either model.
const fn no_slower(
    job: &'static str,
    against: &'static str,
    peers: &'static [(&'static str, &'static str)],
) -> Target {
    target(job, against, peers, 1.0, 1.0)
}
