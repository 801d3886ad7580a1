//! A sweep with everything looked up: images found and hashed, weights verified, batch sizes fixed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use cam_core::{
    Better, FeatureShape, MAX_TEXT, Method, Preprocessing, PreprocessingChoice, Requirement, hex,
    read_text_file,
};
use cam_data::{DataError, Dataset, FileFacts, Item, Limits, Orientation, imagenet};
use cam_models::{DeviceChoice, DeviceError, ModelError, Options, WeightsChoice};
use cam_results::{
    DatasetEntry, ImageEntry, JoinedRuns, Key, MethodEntry, MetricEntry, ModelEntry, ProtocolEntry,
    RunManifest, RunStatus, SCHEMA, counted, network_of,
};
use cam_runtimes::Runtime;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor};
use tracing::info_span;

use crate::{
    Event, clock,
    config::{
        Bytes, ConfigError, MapSource, MethodChoice, MetricChoice, ModelChoice, NETWORK, Precision,
        Sweep, TargetRule, line_of_word, names, randomized_network,
    },
    guard::guard,
    model::{DeployedModel, FileModelError, LayerError, Model, OnnxModel},
    reference,
    rounding::rounding,
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
    /// Where it computes.
    pub device: Device,
    /// Threads of the network.
    pub threads: usize,
    manifest: RunManifest,
}

/// A network of the plan; loaded when its turn comes.
#[derive(Clone)]
pub struct PlannedModel {
    /// Its name in results, with its layer where the sweep names several.
    pub name: String,
    /// The layer under explanation, as resolved.
    pub layer: String,
    /// `[K, h, w]` at the layer.
    pub shape: FeatureShape,
    /// How images become inputs.
    pub preprocessing: Preprocessing,
    /// Images a forward.
    pub batch: i64,
    /// Activations a forward of the head.
    pub head_batch: i64,
    /// Of the weights file, where there is one.
    sha256: Option<String>,
    spec: ModelSpec,
}

/// All that it takes to load a network.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSpec {
    /// Its name in the zoo; empty where it comes from a file.
    pub name: String,
    /// The ONNX file that it comes from.
    pub onnx: Option<PathBuf>,
    /// What runs the file; `None`: libtorch.
    pub runtime: Option<Runtime>,
    /// Which weights.
    pub weights: WeightsChoice,
    /// The layer under explanation; the zoo's default where `None`.
    pub layer: Option<String>,
    /// Names of its classes, in the order of the logits; ImageNet's where `None`.
    pub classes: Option<Vec<String>>,
    /// Preprocessing; what is not said is that of the weights.
    pub preprocessing: PreprocessingChoice,
    /// The number format.
    pub precision: Precision,
}

/// Why a sweep cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The sweep file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data set.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A data set's manifest that is not there.
    #[error(
        "there is no `{}`: it is looked for in the working folder, then beside the sweep file",
        path.display()
    )]
    NoDataset {
        /// As the sweep names it.
        path: PathBuf,
    },
    /// The device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// There is nothing to compute.
    #[error("{}: no method is left for any model; see what `except` takes away", sweep.display())]
    NoRows {
        /// The sweep file.
        sweep: PathBuf,
    },
    /// How photographs are made a network's input.
    #[error("model `{model}`: preprocessing: {message}")]
    Preprocessing {
        /// Its name in results.
        model: String,
        /// What cannot be.
        message: String,
    },
    /// A network.
    #[error("model `{model}`: {source}")]
    Model {
        /// Its name in results.
        model: String,
        /// Why it cannot be had.
        source: ModelError,
    },
    /// A network from a file.
    #[error("model `{model}`: {source}")]
    File {
        /// Its name in results.
        model: String,
        /// Why it cannot be had.
        source: Box<FileModelError>,
    },
    /// A layer.
    #[error("model `{model}`: {source}")]
    Layer {
        /// Its name in results.
        model: String,
        /// Which layers there are.
        source: LayerError,
    },
    /// Two names of one layer.
    #[error("model `{model}`: `{first}` and `{second}` are the same layer; leave out one of them")]
    OneLayer {
        /// Its name in the sweep.
        model: String,
        /// One name.
        first: String,
        /// The other one.
        second: String,
    },
    /// A size of images.
    #[error("model `{model}` cannot take images of {side} x {side} pixels: {message}")]
    Size {
        /// Its name in results.
        model: String,
        /// The side of its images in pixels.
        side: i64,
        /// What went wrong.
        message: String,
    },
    /// A path that no manifest can hold.
    #[error(
        "a path that the sweep names cannot be written down ({0}); start in the folder of the sweep file, or rename its \
         folder"
    )]
    NotText(serde_json::Error),
    /// A device that answers nothing any more.
    #[error(
        "the device broke down: {what}; the row in hand is not written, and the same command continues with it"
    )]
    DeviceBroke {
        /// What it said.
        what: String,
    },
    /// TF32 without CUDA.
    #[error("model `{model}`: `tf32` is of CUDA devices; use `precision: f32` here")]
    NoTf32 {
        /// Its name in results.
        model: String,
    },
    /// TF32 beside single precision.
    #[error(
        "`tf32` and `f32` networks cannot run in one process; put them into two sweeps, or give all of them one precision"
    )]
    TwoPrecisions,
    /// A list of printed values.
    #[error("reference: {}: {message}", path.display())]
    Reference {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A list of class names.
    #[error("model `{model}`: {message}")]
    Classes {
        /// Its name in results.
        model: String,
        /// What is wrong.
        message: String,
    },
    /// A method that cannot explain a network.
    #[error(
        "method `{method}` needs {}, and `{model}` has none behind layer `{layer}`; leave the model out of the method \
         (`except: [{model}]`), or {remedy}",
        needs.needed()
    )]
    Impossible {
        /// What the method needs.
        needs: Requirement,
        /// What else can be done.
        remedy: &'static str,
        /// The method's name in results.
        method: String,
        /// The network's name in results.
        model: String,
        /// The layer.
        layer: String,
    },
    /// Something that a sweep names.
    #[error("{}{}: {source}", path.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
    Sweep {
        /// The sweep file.
        path: PathBuf,
        /// The line, counted from 1, where it is known.
        line: Option<usize>,
        /// What is wrong with it.
        source: Box<PlanError>,
    },
    /// Two images whose maps would be one file.
    #[error("method `{method}`: two images have the map {}; their names differ in the extension alone", map.display())]
    OneMap {
        /// The method's name in results.
        method: String,
        /// The file, relative to the folder of maps.
        map: PathBuf,
    },
    /// A folder of imported maps.
    #[error("method `{method}`: there is no folder {}", folder.display())]
    NoMaps {
        /// The method's name in results.
        method: String,
        /// Where its maps should be.
        folder: PathBuf,
    },
    /// An image without a label where labels are explained.
    #[error(
        "target: label needs a label for every image, and {image} has none; use `target: predicted`"
    )]
    Unlabeled {
        /// The first such image.
        image: String,
    },
    /// A collage whose class is not that of the cell to find.
    #[error(
        "collages (`layout: grid`) need `target: label`: the class to explain is that of the cell to find"
    )]
    CollageTarget,
    /// A network that cannot be randomized.
    #[error("method `{method}`: `{model}` cannot be randomized; leave out `network: randomized`")]
    NotRandomizable {
        /// The method's name in results.
        method: String,
        /// The network's name in results.
        model: String,
    },
    /// A manifest that says what cannot be meant.
    #[error("manifest.json is damaged: {message}")]
    Manifest {
        /// What is wrong with it.
        message: String,
    },
    /// Another program, or another device.
    #[error(
        "the run was planned by another program or for another device ({difference}); use the one that planned it, or plan \
         a new run"
    )]
    OtherProgram {
        /// The first field that differs, with both values.
        difference: String,
    },
    /// A list of images that has changed.
    #[error("{} has other images, or labels, than when the run was planned", root.display())]
    OtherImages {
        /// The folder of images.
        root: PathBuf,
    },
    /// Weights that have changed.
    #[error(
        "model `{model}`: its weights are another file than when the run was planned (SHA-256 {found}, not {planned})"
    )]
    OtherWeights {
        /// Its name in results.
        model: String,
        /// As planned.
        planned: String,
        /// As found.
        found: String,
    },
    /// A label that is no class.
    #[error("{image} is labeled {label}, and model `{model}` has only {n_classes} classes")]
    LabelTooLarge {
        /// The first such image.
        image: String,
        /// Its label.
        label: i64,
        /// The network's name in results.
        model: String,
        /// How many classes it has.
        n_classes: i64,
    },
}

impl ModelSpec {
    /// From an entry of a sweep, cut at one of its layers; relative files are looked up with `locate`.
    ///
    /// # Errors
    /// Where the list of class names cannot be read.
    pub fn new(
        choice: &ModelChoice,
        layer: Option<&str>,
        locate: impl Fn(&Path) -> PathBuf,
    ) -> Result<Self, PlanError> {
        let classes = choice.classes.as_ref().map(|path| read_classes(&locate(path))).transpose();
        let weights = weights_choice(choice.weights.as_deref(), &locate);
        Ok(Self {
            name: choice.name.clone(),
            onnx: choice.onnx.as_deref().map(&locate),
            runtime: choice.runtime,
            weights,
            layer: layer.map(str::to_owned),
            classes: classes.map_err(|message| PlanError::Classes {
                model: choice.label().to_string(),
                message,
            })?,
            preprocessing: choice.preprocessing.clone().unwrap_or_default(),
            precision: choice.precision,
        })
    }

    /// Whether both are one network with the same weights, wherever it is cut.
    pub fn is_same_network(&self, other: &Self) -> bool {
        *self == Self { layer: self.layer.clone(), ..other.clone() }
    }

    /// Loads the network, `label` being its name in results; published weights are downloaded where they are not there.
    ///
    /// # Errors
    /// Where the weights cannot be had, or have another number of classes than there are names.
    pub fn load(
        &self,
        label: &str,
        device: Device,
        memory: Bytes,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Model, PlanError> {
        let _span = info_span!("load", name = label).entered();
        match (&self.onnx, self.runtime) {
            (Some(path), Some(runtime)) => return self.load_deployed(path, runtime, label),
            (Some(path), None) => return self.load_onnx(path, label, device, memory),
            (None, _) => {}
        }
        let options = Options {
            device,
            precision: match self.precision {
                Precision::F32 => cam_models::Precision::F32,
                Precision::Bf16 => cam_models::Precision::Bf16,
                Precision::Tf32 => cam_models::Precision::Tf32,
            },
            memory_bytes: memory.0,
            classes: self.classes.as_ref().map(|names| names.len() as i64),
            input_side: self.input_side(),
        };
        let caches = cam_models::Caches::from_env();
        let mut on_download =
            |progress: cam_models::Progress<'_>| on_event(Event::Downloading(progress));
        cam_models::load_from(&caches, &self.name, &self.weights, &options, &mut on_download)
            .map(|loaded| Model::Zoo(Box::new(loaded)))
            .map_err(|source| PlanError::Model { model: label.to_string(), source })
    }

    /// The side of the images, where it is said.
    fn input_side(&self) -> Option<i64> {
        self.preprocessing.crop.map(i64::from)
    }

    fn load_onnx(
        &self,
        path: &Path,
        label: &str,
        device: Device,
        memory: Bytes,
    ) -> Result<Model, PlanError> {
        let options =
            cam_onnx::Options { device, memory_bytes: memory.0, input_side: self.input_side() };
        let model = OnnxModel::open(path, &options).map_err(|source| PlanError::File {
            model: label.to_string(),
            source: Box::new(source),
        })?;
        self.named(path, label, Model::Onnx(Box::new(model)))
    }

    fn load_deployed(
        &self,
        path: &Path,
        runtime: Runtime,
        label: &str,
    ) -> Result<Model, PlanError> {
        let options = cam_runtimes::Options {
            threads: tch::get_num_threads() as usize,
            is_bf16: self.precision == Precision::Bf16,
            input_side: self.input_side(),
            ..cam_runtimes::Options::default()
        };
        let model = DeployedModel::open(path, runtime, &options);
        let model = model.map_err(|source| PlanError::File {
            model: label.to_string(),
            source: Box::new(source),
        })?;
        self.named(path, label, Model::Deployed(Box::new(model)))
    }

    /// The network of a file, which has as many classes as are named, if any are.
    fn named(&self, path: &Path, label: &str, model: Model) -> Result<Model, PlanError> {
        let n_classes = model.n_classes();
        match &self.classes {
            Some(names) if names.len() as i64 != n_classes => Err(PlanError::Classes {
                model: label.to_string(),
                message: format!(
                    "{} has {n_classes} classes, and {} are named",
                    path.display(),
                    names.len()
                ),
            }),
            _ => Ok(model),
        }
    }

    /// The weights file, where the sweep names one.
    fn weights_path(&self) -> Option<String> {
        match &self.weights {
            WeightsChoice::Path(path) => Some(path.to_string_lossy().into_owned()),
            _ => None,
        }
    }

    /// A class's name, where one is known.
    pub fn class_name(&self, class: i64, n_classes: i64) -> Option<String> {
        match &self.classes {
            Some(names) => names.get(usize::try_from(class).ok()?).cloned(),
            None if n_classes == 1000 => imagenet::class_name(class).map(str::to_string),
            None => None,
        }
    }
}

/// Which weights an entry means.
fn weights_choice(text: Option<&str>, locate: impl Fn(&Path) -> PathBuf) -> WeightsChoice {
    let seed = |text: &str| text.strip_prefix("seeded:").and_then(|seed| seed.parse().ok());
    match text {
        None => WeightsChoice::Default,
        Some("seeded") => WeightsChoice::Seeded(0),
        Some(version) if version.starts_with("IMAGENET1K_") => {
            WeightsChoice::Version(version.to_string())
        }
        Some(text) => seed(text)
            .map_or_else(|| WeightsChoice::Path(locate(Path::new(text))), WeightsChoice::Seeded),
    }
}

fn read_classes(path: &Path) -> Result<Vec<String>, String> {
    let text = read_text_file(path, MAX_TEXT)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_string).collect())
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
        let limits = Limits {
            limit: sweep.dataset.limit,
            per_class: sweep.dataset.per_class,
            seed: sweep.dataset.seed,
        };
        if !sweep.dataset.manifest.exists() {
            return Err(PlanError::NoDataset { path: sweep.dataset.manifest });
        }
        let dataset = Dataset::load(&sweep.dataset.manifest, &limits)?;
        check_target(sweep.target, &dataset)?;

        let (models, entries) = planned_models(&sweep, &dataset, device, memory, locate, on_event)?;
        let reference = sweep
            .reference
            .as_deref()
            .map(|path| reference::read(path, &sweep, &entries, dataset.items.len()));
        let reference = reference.transpose()?;
        let (images, turned) = hashed(&dataset);
        let cautions = [left_out_caution(&dataset), boxes_caution(&sweep, &dataset), turned];
        for caution in cautions.into_iter().flatten() {
            on_event(Event::Caution(&caution));
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
            },
            images,
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
        Ok(Self { sweep, dataset, models, device, threads, manifest })
    }

    /// The plan of a run that may have been planned on another machine, from its manifest alone: nothing is hashed, and no
    /// network loaded. Relative paths count from the working folder.
    ///
    /// # Errors
    /// Where this program, this machine's device or the list of images is another than planned.
    pub fn again(manifest: RunManifest, provenance: &Provenance) -> Result<Self, PlanError> {
        let text = manifest.config_resolved.to_string();
        let sweep = Sweep::parse(&text, Path::new("manifest.json"))?;
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
        let limits = Limits {
            limit: sweep.dataset.limit,
            per_class: sweep.dataset.per_class,
            seed: sweep.dataset.seed,
        };
        let dataset = Dataset::load(&sweep.dataset.manifest, &limits)?;
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
        let threads = manifest.threads;
        Ok(Self { sweep, dataset, models, device, threads, manifest })
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
            left_out: self.dataset.left_out.clone(),
        };
        let (device, threads, manifest) = (self.device, self.threads, manifest.clone());
        Self { sweep, dataset, models, device, threads, manifest }
    }

    /// What the run's manifest says before it starts.
    pub fn manifest(&self) -> &RunManifest {
        &self.manifest
    }

    /// How much memory the activations of one batch may take.
    pub fn memory(&self) -> Bytes {
        self.sweep.memory.unwrap_or(default_memory(self.device, 1))
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

impl PlannedModel {
    #[expect(clippy::too_many_arguments, reason = "all that a plan depends on")]
    fn new(
        name: String,
        spec: ModelSpec,
        model: &Model,
        sweep: &Sweep,
        dataset: &Dataset,
        device: Device,
        memory: Bytes,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<(Self, ModelEntry), PlanError> {
        let network = network_of(&name, spec.layer.as_deref().unwrap_or_default()).to_owned();
        let layer_error = |source| PlanError::Layer { model: network.clone(), source };
        let layer = match &spec.layer {
            Some(layer) => layer.clone(),
            None => model.layer().map_err(layer_error)?.to_string(),
        };
        let cut = model.cut(&layer, None).map_err(layer_error)?;
        for method in sweep.methods.iter().filter(|method| method.runs_on(&name)) {
            let needs = method.source.method().map_or(Requirement::Any, Method::requirement);
            if !needs.met_by(&*cut) {
                return Err(PlanError::Impossible {
                    needs,
                    remedy: needs.remedy(&*cut),
                    method: method.label().to_string(),
                    model: name,
                    layer,
                });
            }
        }
        let randomized = sweep.methods.iter().find_map(|method| match &method.source {
            MapSource::Randomized(randomized) if method.runs_on(&name) => {
                Some((method, randomized.seed))
            }
            _ => None,
        });
        if let Some((method, seed)) = randomized
            && cut.randomized(1.0, seed).is_none()
        {
            let method = method.label().to_string();
            return Err(PlanError::NotRandomizable { method, model: name });
        }
        let n_classes = model.n_classes();
        if sweep.target == TargetRule::Label {
            let too_large = dataset
                .items
                .iter()
                .find(|item| item.label.is_some_and(|label| label >= n_classes));
            if let Some(item) = too_large {
                return Err(PlanError::LabelTooLarge {
                    image: item.image.clone(),
                    label: item.label.unwrap_or_default(),
                    model: name,
                    n_classes,
                });
            }
        }
        let own = sweep.protocol.preprocessing(model.preprocessing());
        let preprocessing = spec.preprocessing.over(&own);
        preprocessing
            .check()
            .map_err(|message| PlanError::Preprocessing { model: name.clone(), message })?;
        let side = i64::from(preprocessing.crop);
        // Whether the network takes images of that size, and whether there is memory for one, shows here.
        let shape = guard(|| {
            let _no_grad = tch::no_grad_guard();
            let blank = Tensor::zeros([1, 3, side, side], (Kind::Float, device));
            FeatureShape::of(&cut.features(&blank))
        })
        .map_err(|message| PlanError::Size { model: name.clone(), side, message })?;
        let rounding = match spec.precision {
            Precision::Bf16 => {
                let exact = ModelSpec { precision: Precision::F32, ..spec.clone() };
                let exact = exact.load(&name, device, memory, on_event)?;
                let exact = exact.cut(&layer, None).expect("the same network has the same layers");
                Some(rounding(&*cut, &*exact, dataset, &preprocessing, device))
            }
            // TF32 is switched for the whole process, so there is no exact network to compare with.
            Precision::F32 | Precision::Tf32 => None,
        };
        let weights = model.weights(spec.weights_path());
        let sha256 = weights.sha256.clone();
        let entry = ModelEntry {
            name: name.clone(),
            architecture: model.architecture(),
            layer: layer.clone(),
            weights,
            precision: spec.precision.to_string(),
            rounding,
            batch: cut.batch(),
            head_batch: cut.head_batch(),
            n_classes,
            classes: spec.classes.clone().unwrap_or_default(),
            preprocessing: serde_json::to_value(&preprocessing)
                .expect("preprocessing is plain data"),
            feature_shape: [shape.channels, shape.height, shape.width],
            published_top1: model.published_top1(),
        };
        let planned = Self {
            name,
            layer,
            shape,
            preprocessing,
            batch: cut.batch(),
            head_batch: cut.head_batch(),
            sha256,
            spec,
        };
        Ok((planned, entry))
    }

    /// From what a run's manifest says of it, without loading it.
    fn planned(
        choice: &ModelChoice,
        layer: Option<&str>,
        entry: &ModelEntry,
    ) -> Result<Self, PlanError> {
        let preprocessing =
            serde_json::from_value(entry.preprocessing.clone()).map_err(|error| {
                PlanError::Manifest {
                    message: format!("`preprocessing` of {}: {error}", entry.name),
                }
            })?;
        let [channels, height, width] = entry.feature_shape;
        Ok(Self {
            name: entry.name.clone(),
            layer: entry.layer.clone(),
            shape: FeatureShape { channels, height, width },
            preprocessing,
            batch: entry.batch,
            head_batch: entry.head_batch,
            sha256: entry.weights.sha256.clone(),
            spec: ModelSpec::new(choice, layer, Path::to_path_buf)?,
        })
    }

    /// The network, loaded where it is not there from the last time.
    ///
    /// # Errors
    /// As when it was planned; and where its weights are others than then.
    pub fn load<'a>(
        &self,
        networks: &'a mut Networks,
        device: Device,
        memory: Bytes,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<&'a Model, PlanError> {
        let model = networks.get(&self.spec, &self.name, device, memory, on_event)?;
        let found = model.weights(self.spec.weights_path()).sha256;
        if found == self.sha256 {
            Ok(model)
        } else {
            let [planned, found] = [self.sha256.clone(), found].map(Option::unwrap_or_default);
            Err(PlanError::OtherWeights { model: self.name.clone(), planned, found })
        }
    }
}

/// The network that was used last: the layers of one follow each other, and so do shards, and load it once.
#[derive(Default)]
pub struct Networks(Option<(ModelSpec, Model)>);

impl Networks {
    /// The network of a specification, `label` being its name in messages; another one is dropped before it is loaded.
    fn get(
        &mut self,
        spec: &ModelSpec,
        label: &str,
        device: Device,
        memory: Bytes,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<&Model, PlanError> {
        let is_there = self.0.as_ref().is_some_and(|(last, _)| last.is_same_network(spec));
        if !is_there {
            self.0 = None;
            on_event(Event::Loading { model: label });
            self.0 = Some((spec.clone(), spec.load(label, device, memory, on_event)?));
        }
        let (_, model) = self.0.as_ref().expect("what was just loaded");
        Ok(model)
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

fn method_entry(
    choice: &MethodChoice,
    sweep: &Sweep,
    dataset: &Dataset,
    models: &[PlannedModel],
) -> Result<MethodEntry, PlanError> {
    let (title, options) = match &choice.source {
        MapSource::Method(method) => (method.about().title, serde_json::to_value(method)),
        MapSource::Randomized(randomized) => {
            let options = serde_json::to_value(&randomized.method).map(|mut options| {
                options[NETWORK] = randomized_network(randomized).into();
                options
            });
            (randomized.about().title, options)
        }
        MapSource::Imported(maps) => {
            let sha256 = hash_of_maps(choice.label(), maps, dataset)?;
            let maps = maps.to_string_lossy();
            ("imported", Ok(serde_json::json!({ "maps": maps, "sha256": sha256 })))
        }
        MapSource::Custom(custom) => (custom.method.about().title, Ok(serde_json::json!({}))),
    };
    // A network's name without its layer stands for all of its layers.
    let excepted = |exception: &String| -> Vec<String> {
        let models = models.iter().map(|model| &model.name);
        models.filter(|model| names(exception, model)).cloned().collect()
    };
    Ok(MethodEntry {
        name: choice.label().to_string(),
        method: choice.source.name().to_string(),
        title: title.to_string(),
        protocol: choice.protocol_in(sweep),
        options: options.expect("options are plain data"),
        except: choice.except.iter().flat_map(excepted).collect(),
    })
}

/// One hash over the imported maps of all images, missing ones included: with other maps it is another run.
fn hash_of_maps(method: &str, folder: &Path, dataset: &Dataset) -> Result<String, PlanError> {
    let files: Vec<PathBuf> =
        dataset.items.iter().map(|item| Path::new(&item.image).with_extension("npy")).collect();
    let mut seen = BTreeSet::new();
    if let Some(map) = files.iter().find(|file| !seen.insert(*file)) {
        return Err(PlanError::OneMap { method: method.to_string(), map: map.clone() });
    }
    let hashes: Vec<String> = files
        .par_iter()
        .map(|file| {
            cam_models::sha256(&folder.join(file)).unwrap_or_else(|_unreadable| "none".to_string())
        })
        .collect();
    Ok(hex(&Sha256::digest(hashes.join("\n"))))
}

/// Refuses maps to import that are not there.
fn check_imported(sweep: &Sweep) -> Result<(), PlanError> {
    for method in &sweep.methods {
        if let MapSource::Imported(folder) = &method.source
            && !folder.is_dir()
        {
            let (method, folder) = (method.label().to_string(), folder.clone());
            return Err(PlanError::NoMaps { method, folder });
        }
    }
    Ok(())
}

/// Whether the data set can say which classes to explain.
fn check_target(target: TargetRule, dataset: &Dataset) -> Result<(), PlanError> {
    let find = |is_unfit: &dyn Fn(&&Item) -> bool| dataset.items.iter().find(is_unfit);
    match target {
        TargetRule::Label => match find(&|item| item.label.is_none()) {
            Some(item) => Err(PlanError::Unlabeled { image: item.image.clone() }),
            None => Ok(()),
        },
        TargetRule::Predicted => match find(&|item| item.collage.is_some()) {
            Some(_) => Err(PlanError::CollageTarget),
            None => Ok(()),
        },
    }
}

/// Every image with the hash of its file.
/// The networks of a sweep, each cut where it says, with what the manifest says of them.
fn planned_models(
    sweep: &Sweep,
    dataset: &Dataset,
    device: Device,
    memory: Bytes,
    locate: impl Fn(&Path) -> PathBuf,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<(Vec<PlannedModel>, Vec<ModelEntry>), PlanError> {
    let mut models = vec![];
    let mut entries = vec![];
    let mut networks = Networks::default();
    for choice in &sweep.models {
        let mut places: Vec<(String, String)> = vec![];
        for (name, layer) in choice.cuts() {
            let spec = ModelSpec::new(choice, layer, &locate)?;
            let network = networks.get(&spec, choice.label(), device, memory, on_event)?;
            let (model, entry) =
                PlannedModel::new(name, spec, network, sweep, dataset, device, memory, on_event)?;
            if choice.layer.0.len() > 1 {
                let place = network.resolved(&model.layer).expect("it was just cut there");
                if let Some((_, other)) = places.iter().find(|(there, _)| *there == place) {
                    return Err(PlanError::OneLayer {
                        model: choice.label().to_string(),
                        first: other.clone(),
                        second: model.layer,
                    });
                }
                places.push((place, model.layer.clone()));
            }
            models.push(model);
            entries.push(entry);
        }
    }
    Ok((models, entries))
}

/// That photographs are left out.
fn left_out_caution(dataset: &Dataset) -> Option<String> {
    let first = dataset.left_out.first()?;
    Some(format!(
        "{} of {} left out, as only JPEG and PNG files are read ({first}{}); convert what is wanted.",
        counted(dataset.left_out.len(), "image"),
        dataset.root.display(),
        if dataset.left_out.len() > 1 { ", ..." } else { "" },
    ))
}

/// That metrics will have no score, as nothing says where objects are.
fn boxes_caution(sweep: &Sweep, dataset: &Dataset) -> Option<String> {
    let has_region = |item: &Item| !item.boxes.is_empty() || item.collage.is_some();
    if dataset.items.iter().any(has_region) {
        return None;
    }
    let metrics = sweep.metrics.iter().filter(|metric| metric.metric.needs_region());
    let names: Vec<&str> = metrics.map(MetricChoice::label).collect();
    (!names.is_empty()).then(|| {
        format!(
            "{} will have no score: no image of {} comes with a box of its object. A list (`layout: csv`) with the columns \
             xmin, ymin, xmax, ymax gives boxes.",
            names.join(", "),
            dataset.name
        )
    })
}

/// The images of the manifest; and that some are turned, where nothing says whether that is known.
fn hashed(dataset: &Dataset) -> (Vec<ImageEntry>, Option<String>) {
    let _span = info_span!("hash images", n_images = dataset.items.len()).entered();
    // A file that cannot be read becomes failed rows; the plan stands without its hash.
    let facts: Vec<Option<FileFacts>> =
        dataset.items.par_iter().map(|item| item.file_facts().ok()).collect();
    let n_turned = facts.iter().flatten().filter(|facts| facts.is_turned).count();
    let caution = (n_turned > 0 && dataset.exif == Orientation::Ignore).then(|| {
        format!(
            "{n_turned} of {} of {} {} to be turned by EXIF, which is ignored, as torchvision does; `exif: apply` in the \
             data set's manifest turns photographs upright.",
            counted(dataset.items.len(), "image"),
            dataset.name,
            if n_turned == 1 { "is" } else { "are" },
        )
    });
    let entry = |(item, facts): (&Item, Option<FileFacts>)| ImageEntry {
        image: item.image.clone(),
        sha256: facts.map(|facts| facts.sha256),
        label: item.label,
        boxes: item
            .boxes
            .iter()
            .map(|bounds| [bounds.xmin, bounds.ymin, bounds.xmax, bounds.ymax])
            .collect(),
    };
    (dataset.items.iter().zip(facts).map(entry).collect(), caution)
}

fn metric_entry(choice: &MetricChoice, sweep: &Sweep) -> MetricEntry {
    MetricEntry {
        name: choice.label().to_string(),
        metric: choice.metric.name().to_string(),
        title: choice.metric.about().title.to_string(),
        better: match choice.metric.better() {
            Better::Higher => cam_results::Better::Higher,
            Better::Lower => cam_results::Better::Lower,
        },
        worst: choice.metric.worst(),
        protocol: choice.protocol_in(sweep),
        options: serde_json::to_value(&choice.metric).expect("options are plain data"),
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
