//! What it takes to load a network, and the one that is loaded.

use std::path::{Path, PathBuf};

use cam_core::PreprocessingChoice;
use cam_data::{class_of, imagenet, read_classes};
use cam_models::{Options, Precision, WeightsChoice};
use cam_runtimes::Runtime;
use tracing::info_span;

use super::{PlanError, Resources};
use crate::{
    Event,
    config::ModelChoice,
    model::{DeployedModel, Model, OnnxModel},
};

/// All that it takes to load a network.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSpec {
    /// Its name in the zoo; empty where it comes from a file.
    pub name: String,
    /// The ONNX file that it comes from.
    pub onnx: Option<PathBuf>,
    /// What runs the file; `None`: libtorch.
    pub runtime: Option<Runtime>,
    /// The output of the file that logits are read from; by [`cam_core::LogitsOutput::new`] where `None`.
    pub logits: Option<String>,
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
            logits: choice.logits.clone(),
            weights,
            layer: layer.map(str::to_owned),
            classes: classes.map_err(|error| PlanError::Classes {
                model: choice.label().to_string(),
                message: error.to_string(),
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
        resources: Resources,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Model, PlanError> {
        let _span = info_span!("load", name = label).entered();
        match (&self.onnx, self.runtime) {
            (Some(path), Some(runtime)) => return self.load_deployed(path, runtime, label),
            (Some(path), None) => return self.load_onnx(path, label, resources),
            (None, _) => {}
        }
        let options = Options {
            device: resources.device,
            precision: self.precision,
            memory_bytes: resources.memory.0,
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
        resources: Resources,
    ) -> Result<Model, PlanError> {
        let options = cam_onnx::Options {
            device: resources.device,
            memory_bytes: resources.memory.0,
            input_side: self.input_side(),
            logits: self.logits.clone(),
        };
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
            logits: self.logits.clone(),
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
                    "{} has {n_classes} classes{}, and {} are named",
                    path.display(),
                    model.output().map_or(String::new(), |output| {
                        format!(" in its output `{output}` (`logits` takes another one)")
                    }),
                    names.len()
                ),
            }),
            _ => Ok(model),
        }
    }

    /// The weights file, where the sweep names one.
    pub(super) fn weights_path(&self) -> Option<String> {
        match &self.weights {
            WeightsChoice::Path(path) => Some(path.to_string_lossy().into_owned()),
            _ => None,
        }
    }

    /// The index of a class of so many, by its name or its index.
    ///
    /// # Errors
    /// There is no such class: a sentence.
    pub fn class(&self, text: &str, n_classes: i64) -> Result<i64, String> {
        let names: Option<Vec<String>> =
            (0..n_classes).map(|class| self.class_name(class, n_classes)).collect();
        match names {
            Some(names) => class_of(text.trim(), &names).map_err(|error| error.to_string()),
            None => text
                .trim()
                .parse()
                .ok()
                .filter(|class| (0..n_classes).contains(class))
                .ok_or_else(|| {
                    format!(
                        "its classes have no names, and are 0 to {}; a list of names (`classes`) gives them some",
                        n_classes - 1
                    )
                }),
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
pub(super) fn weights_choice(
    text: Option<&str>,
    locate: impl Fn(&Path) -> PathBuf,
) -> WeightsChoice {
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

/// The network that was used last: the layers of one follow each other, and so do shards, and load it once.
#[derive(Default)]
pub struct Networks(Option<(ModelSpec, Model)>);

impl Networks {
    /// The network of a specification, `label` being its name in messages; another one is dropped before it is loaded.
    pub(super) fn get(
        &mut self,
        spec: &ModelSpec,
        label: &str,
        resources: Resources,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<&Model, PlanError> {
        let is_there = self.0.as_ref().is_some_and(|(last, _)| last.is_same_network(spec));
        if !is_there {
            self.0 = None;
            on_event(Event::Loading { model: label });
            self.0 = Some((spec.clone(), spec.load(label, resources, on_event)?));
        }
        let (_, model) = self.0.as_ref().expect("what was just loaded");
        Ok(model)
    }
}
