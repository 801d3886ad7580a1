//! What is measured: groups of jobs, who does each job, and the speed that cambench is to have.

use super::{engine, methods};

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

/// Jobs that are measured together, into files of their own.
#[derive(Debug, PartialEq)]
pub(super) struct Group {
    /// Its name on the command line.
    pub(super) name: &'static str,
    /// Name of its files, without the ending.
    pub(super) file: &'static str,
    /// Heading of its report.
    pub(super) title: &'static str,
    /// How long all of it takes, with both models; about.
    pub(super) minutes: u32,
    /// In the order of the tables.
    pub(super) jobs: &'static [Job],
    pub(super) targets: &'static [Target],
}

/// All groups; the first is measured unless others are asked for.
pub(super) static GROUPS: [Group; 2] = [engine::GROUP, methods::GROUP];

/// Something that everyone does.
#[derive(Debug, PartialEq)]
pub(super) struct Job {
    /// Its name in requests and rows.
    pub(super) name: &'static str,
    /// What it is, for people.
    pub(super) title: &'static str,
    /// Who does it beside us.
    pub(super) peers: &'static [Peer],
    /// How far our `bf16` numbers may be from our `f32` ones; where `None`, they may change order or class.
    pub(super) bf16_within: Option<f64>,
    /// Whether one run fills seconds on the processor, where it is then neither warmed up nor repeated within a turn.
    pub(super) is_long: bool,
    /// What a reader must know about the comparison.
    pub(super) note: &'static str,
}

/// Someone else at a job.
#[derive(Debug, PartialEq)]
pub(super) struct Peer {
    pub(super) name: &'static str,
    pub(super) variants: &'static [&'static str],
    /// How far its numbers may be from ours; `None` where its formula is another one.
    pub(super) within: Option<f64>,
}

pub(super) const BOTH: &[&str] = &["stock", "tuned"];
pub(super) const STOCK: &[&str] = &["stock"];
pub(super) const TUNED: &[&str] = &["tuned"];

/// A peer whose numbers are ours.
pub(super) const fn peer(
    name: &'static str,
    variants: &'static [&'static str],
    within: f64,
) -> Peer {
    Peer { name, variants, within: Some(within) }
}

/// A peer whose numbers are its own.
pub(super) const fn other(name: &'static str, variants: &'static [&'static str]) -> Peer {
    Peer { name, variants, within: None }
}

/// The job that compares a forward at batch 16 with the processor's fastest convolutions.
pub(super) const PEAK: &str = "peak";
/// The models of that job beside those that are asked for.
pub(super) const PEAK_MODELS: [&str; 1] = ["resnet18"];

/// The share of the convolutions' peak that a forward at batch 16 is to reach, by model.
pub(super) const SHARES: [(&str, f64); 2] = [("resnet18", 0.88), ("resnet50", 0.80)];

/// A job by its name, and its group.
pub(super) fn by_name(name: &str) -> Option<(&'static Group, &'static Job)> {
    let mut jobs = GROUPS.iter().flat_map(|group| group.jobs.iter().map(move |job| (group, job)));
    jobs.find(|(_, job)| job.name == name)
}

impl Job {
    /// Everyone who does the job, ours first.
    pub(super) fn contenders(&self, device: Device) -> Vec<Contender> {
        let ours = if self.name == PEAK { &[OURS, CONVOLUTIONS][..] } else { &[OURS][..] };
        let variants: &[&str] = match device {
            Device::Cpu => &["f32", "bf16"],
            // What torch multiplies convolutions in unless it is told otherwise.
            Device::Cuda => &["f32", "tf32", "bf16"],
        };
        let ours =
            ours.iter().flat_map(|peer| variants.iter().map(|variant| Contender { peer, variant }));
        let others = self.peers.iter().filter(|peer| device == Device::Cpu || !peer.is_of_cpu());
        let others = others.flat_map(|peer| {
            peer.variants.iter().map(|variant| Contender { peer: peer.name, variant })
        });
        ours.chain(others).collect()
    }

    /// Whether a turn is one run, without another one before it to warm up. On a card every first run is one of planning.
    pub(super) fn runs_once(&self, device: Device) -> bool {
        self.is_long && device == Device::Cpu
    }

    /// Whether a model can do it.
    pub(super) fn suits(&self, model: &str) -> bool {
        // The head of a VGG is no pooling with one linear layer.
        !(model.starts_with("vgg") && ["cam", "sweep"].contains(&self.name))
    }

    /// How far a contender's numbers may be from those of ours in `f32`; `None` where they are not comparable.
    pub(super) fn tolerance(&self, contender: Contender, device: Device) -> Option<f64> {
        if contender.peer == OURS {
            return self.bf16_within.filter(|_| contender.variant != "f32");
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

/// How many times as fast as the fastest of some peers we mean to be, on two cores of a processor with AVX-512.
#[derive(Debug, PartialEq)]
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

pub(super) const fn target(
    job: &'static str,
    against: &'static str,
    peers: &'static [(&'static str, &'static str)],
    lite0: f64,
    resnet50: f64,
) -> Target {
    let factors = [("tf_efficientnet_lite0", lite0), ("resnet50", resnet50)];
    Target { job, ours: "f32", against, peers, factors }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_names_a_job_of_its_group_and_contenders_that_it_has() {
        for group in &GROUPS {
            for target in group.targets {
                let job = group.jobs.iter().find(|job| job.name == target.job).unwrap();
                let contenders = job.contenders(Device::Cpu);
                for &(peer, variant) in target.peers {
                    assert!(contenders.contains(&Contender { peer, variant }), "{target:?}");
                }
                assert!(contenders.contains(&Contender { peer: OURS, variant: target.ours }));
            }
        }
    }

    #[test]
    fn every_peer_of_a_further_method_has_a_target() {
        for job in methods::GROUP.jobs {
            for peer in job.peers {
                let is_about = |target: &&Target| {
                    target.job == job.name
                        && target.peers.iter().any(|(name, _)| *name == peer.name)
                };
                assert!(methods::GROUP.targets.iter().any(|target| is_about(&target)), "{peer:?}");
            }
        }
    }

    #[test]
    fn names_are_distinct_and_ours_come_first() {
        let jobs: Vec<&Job> = GROUPS.iter().flat_map(|group| group.jobs).collect();
        for (i, job) in jobs.iter().enumerate() {
            assert!(jobs[..i].iter().all(|other| other.name != job.name), "{}", job.name);
            assert_eq!(job.contenders(Device::Cpu)[0], Contender { peer: OURS, variant: "f32" });
        }
        let names: Vec<&str> = GROUPS.iter().flat_map(|group| [group.name, group.file]).collect();
        assert!(jobs.iter().all(|job| !names.contains(&job.name)));
    }

    #[test]
    fn openvino_stays_on_the_processor_and_a_vgg_has_no_cam() {
        let job = |name| by_name(name).unwrap().1;
        let recipro = job("recipro_cam");
        let is_openvino = |contender: &Contender| contender.peer == "openvino-xai";
        assert!(recipro.contenders(Device::Cpu).iter().any(is_openvino));
        assert!(!recipro.contenders(Device::Cuda).iter().any(is_openvino));
        assert!(recipro.suits("vgg16") && !job("cam").suits("vgg16"));
    }
}
