//! What is measured: the jobs, who does each, and the speed that cambench is to have.

/// Ours in every table.
pub(super) const OURS: &str = "cambench";
/// The bare convolutions of our worker, whose speed is the processor's peak.
pub(super) const CONVOLUTIONS: &str = "convolutions";

/// Someone who does a job in one of the ways that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Contender {
    pub(super) peer: &'static str,
    /// `f32` or `bf16` of ours; `stock` or `tuned` of the others.
    pub(super) variant: &'static str,
}

impl Contender {
    pub(super) fn is_ours(self) -> bool {
        [OURS, CONVOLUTIONS].contains(&self.peer)
    }
}

/// Something that everyone does.
#[derive(Debug)]
pub(super) struct Job {
    /// Its name in requests and rows.
    pub(super) name: &'static str,
    /// What it is, for people.
    pub(super) title: &'static str,
    /// Who does it beside us.
    pub(super) peers: &'static [Peer],
    /// How far our `bf16` numbers may be from our `f32` ones; where `None`, they may change order or class.
    pub(super) bf16_within: Option<f64>,
    /// Whether one run fills seconds, so that it is neither warmed up nor repeated within a turn.
    pub(super) is_long: bool,
    /// What a reader must know about the comparison.
    pub(super) note: &'static str,
}

/// Someone else at a job.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) name: &'static str,
    pub(super) variants: &'static [&'static str],
    /// How far its numbers may be from ours; `None` where its formula is another one.
    pub(super) within: Option<f64>,
}

const BOTH: &[&str] = &["stock", "tuned"];
const STOCK: &[&str] = &["stock"];
const TUNED: &[&str] = &["tuned"];

const fn peer(name: &'static str, variants: &'static [&'static str], within: f64) -> Peer {
    Peer { name, variants, within: Some(within) }
}

/// A peer whose numbers are its own.
const fn other(name: &'static str, variants: &'static [&'static str]) -> Peer {
    Peer { name, variants, within: None }
}

/// Every job, in the order of the tables.
pub(super) const JOBS: [Job; 13] = [
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

/// The job that compares a forward at batch 16 with the processor's fastest convolutions.
pub(super) const PEAK: &str = "peak";
/// The models of that job beside those that are asked for.
pub(super) const PEAK_MODELS: [&str; 1] = ["resnet18"];

/// A job by its name.
pub(super) fn by_name(name: &str) -> Option<&'static Job> {
    JOBS.iter().find(|job| job.name == name)
}

impl Job {
    /// Everyone who does the job, ours first.
    pub(super) fn contenders(&self, device: Device) -> Vec<Contender> {
        let ours = if self.name == PEAK { &[OURS, CONVOLUTIONS][..] } else { &[OURS][..] };
        let ours =
            ours.iter().flat_map(|peer| ["f32", "bf16"].map(|variant| Contender { peer, variant }));
        let others = self.peers.iter().filter(|peer| device == Device::Cpu || !peer.is_of_cpu());
        let others = others.flat_map(|peer| {
            peer.variants.iter().map(|variant| Contender { peer: peer.name, variant })
        });
        ours.chain(others).collect()
    }

    /// Whether a model can do it.
    pub(super) fn suits(&self, model: &str) -> bool {
        // The head of a VGG is no pooling with one linear layer.
        !(model.starts_with("vgg") && ["cam", "sweep"].contains(&self.name))
    }

    /// How far a contender's numbers may be from those of ours in `f32`; `None` where they are not comparable.
    pub(super) fn tolerance(&self, contender: Contender, device: Device) -> Option<f64> {
        if contender.peer == OURS {
            return self.bf16_within.filter(|_| contender.variant == "bf16");
        }
        let peer = self.peers.iter().find(|peer| peer.name == contender.peer)?;
        match (device, contender.variant) {
            // There `tuned` is bf16 as well, and `stock` multiplies with the ten bits of TF32.
            (Device::Cuda, _) => peer.within.and(self.bf16_within),
            (Device::Cpu, _) => peer.within,
        }
    }
}

impl Peer {
    fn is_of_cpu(&self) -> bool {
        self.name == "openvino-xai"
    }
}

/// Where everything computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Device {
    Cpu,
    Cuda,
}

impl Device {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        }
    }
}

/// How many times as fast as the fastest of some peers we mean to be.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) job: &'static str,
    /// Ours: `f32` or `bf16`.
    pub(super) ours: &'static str,
    /// Who is meant, for people.
    pub(super) against: &'static str,
    /// `(peer, variant)`; the fastest of them counts.
    pub(super) peers: &'static [(&'static str, &'static str)],
    /// By model.
    pub(super) factors: [(&'static str, f64); 2],
}

const fn target(
    job: &'static str,
    against: &'static str,
    peers: &'static [(&'static str, &'static str)],
    lite0: f64,
    resnet50: f64,
) -> Target {
    let factors = [("tf_efficientnet_lite0", lite0), ("resnet50", resnet50)];
    Target { job, ours: "f32", against, peers, factors }
}

/// What was promised, on two cores of a processor with AVX-512.
pub(super) const TARGETS: [Target; 12] = [
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

/// The share of the convolutions' peak that a forward at batch 16 is to reach, by model.
pub(super) const SHARES: [(&str, f64); 2] = [("resnet18", 0.88), ("resnet50", 0.80)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_names_a_job_and_contenders_that_it_has() {
        for target in &TARGETS {
            let contenders = by_name(target.job).unwrap().contenders(Device::Cpu);
            for &(peer, variant) in target.peers {
                assert!(contenders.contains(&Contender { peer, variant }), "{target:?}");
            }
            assert!(contenders.contains(&Contender { peer: OURS, variant: target.ours }));
        }
    }

    #[test]
    fn names_are_distinct_and_ours_come_first() {
        for (i, job) in JOBS.iter().enumerate() {
            assert!(JOBS[..i].iter().all(|other| other.name != job.name), "{}", job.name);
            assert_eq!(job.contenders(Device::Cpu)[0], Contender { peer: OURS, variant: "f32" });
        }
    }

    #[test]
    fn openvino_stays_on_the_processor_and_a_vgg_has_no_cam() {
        let recipro = by_name("recipro_cam").unwrap();
        let is_openvino = |contender: &Contender| contender.peer == "openvino-xai";
        assert!(recipro.contenders(Device::Cpu).iter().any(is_openvino));
        assert!(!recipro.contenders(Device::Cuda).iter().any(is_openvino));
        assert!(recipro.suits("vgg16") && !by_name("cam").unwrap().suits("vgg16"));
    }
}
