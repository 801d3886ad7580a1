//! A sweep with everything looked up: images found and hashed, weights verified, batch sizes fixed.

mod entries;
mod error;
mod fit;
mod model;
mod network;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use cam_data::Dataset;
use cam_models::{DeviceChoice, Precision, WeightsChoice};
use cam_results::{DatasetEntry, JoinedRuns, Key, ProtocolEntry, RunManifest, RunStatus, SCHEMA};
use tch::Device;
use tracing::info_span;

use self::{
    entries::{file_facts, image_entries, method_entry, metric_entry},
    fit::{cautions, check_imported, check_target},
    model::planned_models,
    network::weights_choice,
};
pub use self::{
    error::PlanError,
    model::PlannedModel,
    network::{ModelSpec, Networks},
};
use crate::{
    Event, clock,
    config::{Bytes, MapSource, MethodChoice, Sweep, line_of_word},
    reference,
};

/// How much memory the activations of one batch may take where the sweep does not say, if so many processes compute at
/// once: on a card, its share.
pub fn default_memory(device: Device, jobs: usize) -> Bytes {
    let sharing = if device.is_cuda() {
        jobs.max(1).div_ceil(tch::Cuda::device_count().max(1) as usize)
    } else {
        1
    };
    Bytes(cam_models::default_memory(device) / sharing as u64)
}

/// What networks are loaded with.
#[derive(Clone, Copy, Debug)]
pub struct Resources {
    /// Where they compute.
    pub device: Device,
    /// How much memory the activations of one batch may take.
    pub memory: Bytes,
}

/// What the command line says beside the sweep file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// At most so many images.
    pub limit: Option<usize>,
    /// Where to compute.
    pub device: DeviceChoice,
    /// Threads of the network; all cores where `None`.
    pub threads: Option<usize>,
    /// How much memory the activations of one batch may take.
    pub memory: Option<Bytes>,
    /// How many processes compute at once; one where it is 0.
    pub jobs: usize,
}

/// Which program runs, for the manifest.
#[derive(Clone, Debug, Default)]
pub struct Provenance {
    /// The version of cambench.
    pub version: String,
    /// The commit that it was built from.
    pub commit: Option<String>,
    /// Whether the tree had uncommitted changes.
    pub dirty: bool,
    /// The command line.
    pub command: Option<String>,
}

/// A sweep with everything looked up.
pub struct Plan {
    /// What was asked for.
    pub sweep: Sweep,
    /// The images.
    pub dataset: Dataset,
    /// The networks, in the order of the sweep.
    pub models: Vec<PlannedModel>,
    /// Where it computes, and in how much memory.
    pub resources: Resources,
    /// Threads of the network.
    pub threads: usize,
    manifest: RunManifest,
}

/// Finds a file that a sweep names: from the working folder, as on the command line, else from the sweep file's folder.
///
/// `${NAME}` stands for an environment variable.
pub fn locate(path: &Path, sweep_folder: &Path) -> PathBuf {
    let path = cam_data::expand_variables(&path.to_string_lossy())
        .map_or_else(|_unset| path.to_path_buf(), PathBuf::from);
    if path.is_absolute() || path.exists() {
        return path;
    }
    let beside = sweep_folder.join(&path);
    if beside.exists() { beside } else { path }
}

impl Plan {
    /// Looks up everything that a sweep names. `text` is the sweep file's, `path` where it lies.
    ///
    /// # Errors
    /// [`PlanError`], before anything was computed or written.
    pub fn new(
        sweep: Sweep,
        text: &str,
        path: &Path,
        overrides: &Overrides,
        provenance: &Provenance,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Self, PlanError> {
        let _span = info_span!("plan").entered();
        Self::look_up(sweep, text, path, overrides, provenance, on_event).map_err(|error| {
            match error {
                PlanError::Config(_) | PlanError::Device(_) => error,
                _ => PlanError::Sweep {
                    path: path.to_path_buf(),
                    line: line_of_word(text, 1, &error.to_string()),
                    source: Box::new(error),
                },
            }
        })
    }

    fn look_up(
        sweep: Sweep,
        text: &str,
        path: &Path,
        overrides: &Overrides,
        provenance: &Provenance,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Self, PlanError> {
        let device = cam_models::device(overrides.device, multiply(&sweep)?)?;
        let tf32 = sweep.models.iter().find(|model| model.precision == Precision::Tf32);
        if let (Some(model), false) = (tf32, device.is_cuda()) {
            return Err(PlanError::NoTf32 { model: model.label().to_string() });
        }
        let threads = overrides
            .threads
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        cam_models::set_threads(threads);
        let memory =
            overrides.memory.or(sweep.memory).unwrap_or(default_memory(device, overrides.jobs));
        let sweep_folder = path.parent().unwrap_or(Path::new(""));
        let locate = |path: &Path| locate(path, sweep_folder);

        let sweep = sweep.located(locate, overrides.limit, memory);
        check_imported(&sweep)?;
        if !sweep.dataset.manifest.exists() {
            return Err(PlanError::NoDataset { path: sweep.dataset.manifest });
        }
        let dataset = sweep.dataset.load()?;
        check_target(sweep.target, &dataset)?;

        let resources = Resources { device, memory };
        let (models, entries) = planned_models(&sweep, &dataset, resources, locate, on_event)?;
        let reference = sweep
            .reference
            .as_deref()
            .map(|path| reference::read(path, &sweep, &entries, dataset.items.len()));
        let reference = reference.transpose()?;
        let facts = file_facts(&dataset);
        let cautions = cautions(&sweep, &dataset, &entries, &facts);
        for caution in &cautions {
            on_event(Event::Caution(caution));
        }
        let manifest = RunManifest {
            schema: SCHEMA,
            status: RunStatus::Running,
            finished: None,
            cambench: provenance.version.clone(),
            sweep: sweep.name.clone(),
            started: clock::now(),
            config_given: text.to_string(),
            config_resolved: serde_json::to_value(&sweep).map_err(PlanError::NotText)?,
            versions: versions(),
            commit: provenance.commit.clone(),
            dirty: provenance.dirty,
            device: device_name(device),
            threads,
            models: entries,
            dataset: DatasetEntry {
                name: dataset.name.clone(),
                root: dataset.root_as_given.clone(),
                n_images: dataset.items.len(),
                cautions,
            },
            images: image_entries(&dataset, facts),
            protocol: ProtocolEntry {
                name: sweep.protocol.name.to_string(),
                version: sweep.protocol.version,
            },
            reference,
            methods: sweep
                .methods
                .iter()
                .map(|method| method_entry(method, &sweep, &dataset, &models))
                .collect::<Result<_, _>>()?,
            metrics: sweep.metrics.iter().map(|metric| metric_entry(metric, &sweep)).collect(),
            target: sweep.target.to_string(),
            seed: sweep.seed,
            command: provenance.command.clone(),
            made_on: vec![],
            tables: BTreeMap::new(),
            joined: JoinedRuns::default(),
        };
        if manifest.n_rows() == 0 {
            return Err(PlanError::NoRows { sweep: path.to_path_buf() });
        }
        Ok(Self { sweep, dataset, models, resources, threads, manifest })
    }

    /// The plan of a run that may have been planned on another machine, from its manifest alone: nothing is hashed, and no
    /// network loaded. Relative paths count from the working folder.
    ///
    /// # Errors
    /// Where this program, this machine's device or the list of images is another than planned, or the manifest lacks what a
    /// plan has.
    pub fn again(manifest: RunManifest, provenance: &Provenance) -> Result<Self, PlanError> {
        let text = manifest.config_resolved.to_string();
        let sweep = Sweep::parse(&text, Path::new("manifest.json"))?;
        let memory = sweep.memory.ok_or_else(|| PlanError::Manifest {
            message: "`config_resolved` has no `memory`".to_owned(),
        })?;
        let choice = manifest.device.parse().unwrap_or_default();
        let device = cam_models::device(choice, multiply(&sweep)?)?;
        cam_models::set_threads(manifest.threads);
        let now = RunManifest {
            cambench: provenance.version.clone(),
            commit: provenance.commit.clone(),
            dirty: provenance.dirty,
            versions: versions(),
            device: device_name(device),
            ..manifest.clone()
        };
        if let Some(difference) = manifest.difference(&now) {
            return Err(PlanError::OtherProgram { difference });
        }
        let dataset = sweep.dataset.load()?;
        let listed = dataset.items.iter().map(|item| (&item.image, item.label));
        let planned = manifest.images.iter().map(|image| (&image.image, image.label));
        if !listed.eq(planned) {
            return Err(PlanError::OtherImages { root: dataset.root.clone() });
        }
        let mut models = vec![];
        for choice in &sweep.models {
            for (name, layer) in choice.cuts() {
                if let Some(entry) = manifest.models.iter().find(|entry| entry.name == name) {
                    models.push(PlannedModel::planned(choice, layer, entry)?);
                }
            }
        }
        let resources = Resources { device, memory };
        let threads = manifest.threads;
        Ok(Self { sweep, dataset, models, resources, threads, manifest })
    }

    /// The part of it that a smaller manifest of the same run asks for.
    pub(crate) fn restricted(&self, manifest: &RunManifest) -> Self {
        let mut sweep = self.sweep.clone();
        sweep
            .methods
            .retain(|method| manifest.methods.iter().any(|entry| entry.name == method.label()));
        let models = self.models.iter();
        let is_meant =
            |model: &&PlannedModel| manifest.models.iter().any(|entry| entry.name == model.name);
        let models = models.filter(is_meant).cloned().collect();
        let images: BTreeSet<&str> =
            manifest.images.iter().map(|image| image.image.as_str()).collect();
        let items = self.dataset.items.iter().filter(|item| images.contains(item.image.as_str()));
        let dataset = Dataset {
            name: self.dataset.name.clone(),
            root: self.dataset.root.clone(),
            root_as_given: self.dataset.root_as_given.clone(),
            items: items.cloned().collect(),
            exif: self.dataset.exif,
            layout: self.dataset.layout,
            classes: self.dataset.classes.clone(),
            left_out: self.dataset.left_out.clone(),
        };
        let (resources, threads) = (self.resources, self.threads);
        Self { sweep, dataset, models, resources, threads, manifest: manifest.clone() }
    }

    /// What the run's manifest says before it starts.
    pub fn manifest(&self) -> &RunManifest {
        &self.manifest
    }

    /// How many rows the run will have.
    pub fn n_rows(&self) -> usize {
        self.manifest.n_rows()
    }

    /// What identifies the row of a network, a method and an image.
    pub fn key(&self, model: &PlannedModel, method: &MethodChoice, image: &str) -> Key {
        Key {
            model: model.name.clone(),
            layer: model.layer.clone(),
            method: method.label().to_string(),
            protocol: self.protocol(method).to_string(),
            image: image.to_string(),
        }
    }

    /// The protocol that the rows of a method of the sweep follow.
    pub(crate) fn protocol(&self, method: &MethodChoice) -> &str {
        let entry = self.manifest.methods.iter().find(|entry| entry.name == method.label());
        &entry.expect("a method of the sweep").protocol
    }

    /// The run's folder below `results`: `<sweep>/<date>-<plan>`, the one of an earlier start of the same plan if there is
    /// one, else a new one of today.
    pub fn folder(&self, results: &Path) -> PathBuf {
        let id = self.manifest.plan_id();
        let sweep = results.join(&self.sweep.name);
        let mut earlier: Vec<PathBuf> = fs::read_dir(&sweep)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.to_string_lossy().ends_with(&id))
            .collect();
        earlier.sort();
        earlier.pop().unwrap_or_else(|| sweep.join(format!("{}-{id}", &clock::now()[..10])))
    }
}

impl Sweep {
    /// With files looked up and what the command line says, as the manifest keeps it.
    fn located(
        mut self,
        locate: impl Fn(&Path) -> PathBuf,
        limit: Option<usize>,
        memory: Bytes,
    ) -> Self {
        self.memory = Some(memory);
        self.dataset.manifest = locate(&self.dataset.manifest);
        self.reference = self.reference.as_deref().map(&locate);
        self.dataset.limit = limit.or(self.dataset.limit);
        for model in &mut self.models {
            model.onnx = model.onnx.as_deref().map(&locate);
            model.classes = model.classes.as_deref().map(&locate);
            if let Some(weights) = &mut model.weights
                && matches!(weights_choice(Some(weights.as_str()), &locate), WeightsChoice::Path(_))
            {
                *weights = locate(Path::new(weights)).to_string_lossy().into_owned();
            }
        }
        for method in &mut self.methods {
            if let MapSource::Imported(folder) = &mut method.source {
                *folder = locate(folder);
            }
        }
        self
    }
}

/// How the networks of a sweep multiply single precision: one choice for the process.
fn multiply(sweep: &Sweep) -> Result<cam_models::Multiply, PlanError> {
    let has = |precision| sweep.models.iter().any(|model| model.precision == precision);
    match (has(Precision::Tf32), has(Precision::F32)) {
        (true, true) => Err(PlanError::TwoPrecisions),
        (true, false) => Ok(cam_models::Multiply::InTf32),
        (false, _) => Ok(cam_models::Multiply::Exactly),
    }
}

fn versions() -> BTreeMap<String, String> {
    // tch says which libtorch it is built for, and its build refuses another one.
    [("libtorch", "2.11.0"), ("tch", "0.24.0")]
        .map(|(name, version)| (name.to_string(), version.to_string()))
        .into()
}

fn device_name(device: Device) -> String {
    match device {
        Device::Cuda(number) => format!("cuda:{number}"),
        _ => "cpu".to_string(),
    }
}
