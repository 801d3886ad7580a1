//! The jobs that the engine was made for: forwards, the classic methods, deletion and insertion, a whole sweep.

use super::jobs::{BOTH, Group, Job, PEAK, STOCK, TUNED, Target, other, peer, target};

/// Measured unless others are asked for.
pub(super) const GROUP: Group = Group {
    name: "engine",
    file: "peers",
    title: "cambench beside the stacks of today",
    minutes: 35,
    jobs: &JOBS,
    targets: &TARGETS,
};

const JOBS: [Job; 13] = [
    Job {
        name: "forward_1",
        title: "forward, batch 1",
        peers: &[peer("torch", BOTH, 1e-3), peer("torch-frozen", TUNED, 1e-3)],
        bf16_within: Some(0.5),
        is_long: false,
        note: "logits of one image, of sixteen; `torch-frozen` is `torch.jit.freeze` of the traced channels-last module",
    },
    Job {
        name: "forward_16",
        title: "forward, batch 16",
        peers: &[peer("torch", BOTH, 1e-3), peer("torch-frozen", TUNED, 1e-3)],
        bf16_within: Some(0.5),
        is_long: false,
        note: "",
    },
    Job {
        name: "cam",
        title: "CAM",
        peers: &[peer("torch-cam", BOTH, 2e-3)],
        bf16_within: Some(0.1),
        is_long: false,
        note: "without the ReLU, as torch-cam has it; pytorch-grad-cam has no CAM",
    },
    Job {
        name: "grad_cam",
        title: "Grad-CAM",
        peers: &[peer("torch-cam", BOTH, 2e-3), peer("grad-cam", BOTH, 2e-3)],
        bf16_within: Some(0.1),
        is_long: false,
        note: "",
    },
    Job {
        name: "grad_cam_pp",
        title: "Grad-CAM++",
        peers: &[other("torch-cam", BOTH), peer("grad-cam", BOTH, 0.1)],
        bf16_within: Some(0.1),
        is_long: false,
        note: "torch-cam leaves a division without effect; pytorch-grad-cam adds an epsilon that is of the gradients' size",
    },
    Job {
        name: "smooth_grad_cam_pp",
        title: "Smooth Grad-CAM++",
        peers: &[other("torch-cam", BOTH)],
        bf16_within: Some(0.1),
        is_long: false,
        note: "4 noisy copies; torch-cam runs them all, and where the head is pooled and linear their gradients are known \
               without running one, which is what we do",
    },
    Job {
        name: "score_cam",
        title: "Score-CAM",
        peers: &[peer("torch-cam", BOTH, 0.1), other("grad-cam", STOCK)],
        bf16_within: Some(0.2),
        is_long: true,
        note: "weights by a softmax over the channels, as both packages have it; we run the channels that are constant once; \
               pytorch-grad-cam upsamples with aligned corners",
    },
    Job {
        name: "rise",
        title: "RISE, 256 masks",
        peers: &[peer("authors", BOTH, 5e-3)],
        bf16_within: Some(0.1),
        is_long: true,
        note: "the authors' code has its masks ready, and gets ours; we draw them within the time",
    },
    Job {
        name: "recipro_cam",
        title: "Recipro-CAM",
        peers: &[peer("torch", BOTH, 2e-3), peer("openvino-xai", STOCK, 1e-2)],
        bf16_within: Some(0.1),
        is_long: false,
        note: "`torch` runs the head on the mosaic of positions; OpenVINO-XAI makes the maps of all classes in the graph",
    },
    Job {
        name: "deletion_insertion",
        title: "deletion and insertion, 224 steps",
        peers: &[peer("authors", BOTH, 2e-3)],
        bf16_within: Some(0.05),
        is_long: true,
        note: "the authors' `single_run`, which takes one image at a time; of one map, without equal values",
    },
    Job {
        name: "adcc",
        title: "ADCC of Grad-CAM",
        peers: &[peer("torch-cam", BOTH, 2e-3)],
        bf16_within: Some(0.1),
        is_long: false,
        note: "map, drop, coherency, complexity and their harmonic mean",
    },
    Job {
        name: "sweep",
        title: "sweep, 7 methods × 7 metrics",
        peers: &[peer("script", BOTH, 0.06)],
        bf16_within: None,
        is_long: true,
        note: "one photograph, from the files of weights and image to the tables on the disk; torch-cam's methods, RISE with \
               128 masks, Recipro-CAM, 28 steps; ours is a whole run of cambench with journal and Parquet; equal values of a \
               map go in another order, which moves deletion and insertion",
    },
    Job {
        name: PEAK,
        title: "share of the peak",
        peers: &[],
        bf16_within: None,
        is_long: false,
        note: "",
    },
];

/// What was promised, on two cores of a processor with AVX-512.
const TARGETS: [Target; 12] = [
    target("forward_16", "torch, eager", &[("torch", "stock")], 6.0, 2.3),
    target(
        "forward_16",
        "torch, the best tuned",
        &[("torch", "tuned"), ("torch-frozen", "tuned")],
        1.5,
        1.15,
    ),
    target("cam", "torch-cam", &[("torch-cam", "stock")], 2.0, 1.2),
    target("grad_cam", "the faster package", &PACKAGES, 2.0, 1.2),
    target("grad_cam_pp", "the faster package", &PACKAGES, 2.0, 1.2),
    target("score_cam", "the faster package", &PACKAGES, 14.0, 3.0),
    target("rise", "its authors' code", &[("authors", "stock")], 9.0, 3.0),
    target("recipro_cam", "mosaic in torch", &[("torch", "stock")], 2.0, 1.2),
    target("recipro_cam", "OpenVINO-XAI", &[("openvino-xai", "stock")], 1.0, 1.0),
    target("deletion_insertion", "RISE's code", &[("authors", "stock")], 4.0, 1.8),
    target("sweep", "a Python script", &[("script", "stock")], 10.0, 2.8),
    Target {
        ours: "bf16",
        ..target("sweep", "a Python script", &[("script", "stock")], 15.0, 5.0)
    },
];

const PACKAGES: [(&str, &str); 2] = [("torch-cam", "stock"), ("grad-cam", "stock")];
