//! A network of the plan, cut at its layer.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use cam_core::{Classifier, FeatureShape, Method, Preprocessing, Requirement};
use cam_data::{Dataset, Layout, imagenet, is_called};
use cam_models::Precision;
use cam_results::{ModelEntry, network_of};
use tch::{Device, Kind, Tensor};

use super::{ModelSpec, Networks, PlanError, Resources, fit::labeled_folders};
use crate::{
    Event,
    config::{MapSource, ModelChoice, Sweep, TargetRule},
    guard::{Failure, guard},
    model::Model,
    rounding::rounding,
};

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

impl PlannedModel {
    fn new(
        name: String,
        spec: ModelSpec,
        model: &Model,
        sweep: &Sweep,
        dataset: &Dataset,
        resources: Resources,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<(Self, ModelEntry), PlanError> {
        let network = network_of(&name, spec.layer.as_deref().unwrap_or_default()).to_owned();
        let layer_error = |source| PlanError::Layer { model: network.clone(), source };
        let layer = match &spec.layer {
            Some(layer) => layer.clone(),
            None => model.layer().map_err(layer_error)?.to_string(),
        };
        let cut = model.cut(&layer, None).map_err(layer_error)?;
        check_methods(&name, &layer, &*cut, sweep)?;
        let n_classes = model.n_classes();
        check_labels(&name, &spec, n_classes, sweep, dataset)?;
        let own = sweep.protocol.preprocessing(model.preprocessing());
        let preprocessing = spec.preprocessing.over(&own);
        preprocessing.check().map_err(|error| PlanError::Preprocessing {
            model: name.clone(),
            message: error.to_string(),
        })?;
        let side = i64::from(preprocessing.crop);
        let shape = feature_shape(&name, &*cut, side, resources.device)?;
        let rounding = match spec.precision {
            Precision::Bf16 => {
                let exact = ModelSpec { precision: Precision::F32, ..spec.clone() };
                let exact = exact.load(&name, resources, on_event)?;
                let exact = exact.cut(&layer, None).expect("the same network has the same layers");
                Some(rounding(&*cut, &*exact, dataset, &preprocessing, resources.device))
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
            output: model.output().map(str::to_owned),
            cautions: model.cautions(),
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
    pub(super) fn planned(
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
        resources: Resources,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<&'a Model, PlanError> {
        let model = networks.get(&self.spec, &self.name, resources, on_event)?;
        let found = model.weights(self.spec.weights_path()).sha256;
        if found == self.sha256 {
            Ok(model)
        } else {
            let [planned, found] = [self.sha256.clone(), found].map(Option::unwrap_or_default);
            Err(PlanError::OtherWeights { model: self.name.clone(), planned, found })
        }
    }

    /// What [`PlannedModel::load`] gave, cut at the layer under explanation.
    pub(crate) fn cut<'a>(&self, loaded: &'a Model) -> Box<dyn Classifier + 'a> {
        loaded
            .cut(&self.layer, Some((self.batch, self.head_batch)))
            .expect("the layer was resolved when it was planned")
    }
}

/// Whether every method of the sweep can explain a network at its layer.
fn check_methods(
    name: &str,
    layer: &str,
    cut: &dyn Classifier,
    sweep: &Sweep,
) -> Result<(), PlanError> {
    let methods = || sweep.methods.iter().filter(|method| method.runs_on(name));
    for method in methods() {
        let needs = method.source.method().map_or(Requirement::Any, Method::requirement);
        if !needs.met_by(cut) {
            return Err(PlanError::Impossible {
                needs,
                remedy: needs.remedy(cut),
                method: method.label().to_string(),
                model: name.to_owned(),
                layer: layer.to_owned(),
            });
        }
    }
    let randomized = methods().find_map(|method| match &method.source {
        MapSource::Randomized(randomized) => Some((method, randomized.seed)),
        _ => None,
    });
    match randomized {
        Some((method, seed)) if cut.randomized(1.0, seed).is_none() => {
            let method = method.label().to_string();
            Err(PlanError::NotRandomizable { method, model: name.to_owned() })
        }
        _ => Ok(()),
    }
}

/// `[K, h, w]` of a network at its layer. Whether it takes images of that size, and whether there is memory for one,
/// shows here.
fn feature_shape(
    name: &str,
    cut: &dyn Classifier,
    side: i64,
    device: Device,
) -> Result<FeatureShape, PlanError> {
    let shape = guard(|| {
        let _no_grad = tch::no_grad_guard();
        let blank = Tensor::zeros([1, 3, side, side], (Kind::Float, device));
        FeatureShape::of(&cut.features(&blank))
    });
    shape.map_err(|failure| match failure {
        Failure::Device(what) => PlanError::DeviceBroke { what },
        Failure::Row(message) => PlanError::Size { model: name.to_owned(), side, message },
    })
}

/// Whether the labels are classes of a network, and called the same where both sides have names.
fn check_labels(
    name: &str,
    spec: &ModelSpec,
    n_classes: i64,
    sweep: &Sweep,
    dataset: &Dataset,
) -> Result<(), PlanError> {
    let model = name.to_owned();
    let is_label = sweep.target == TargetRule::Label;
    let mut labeled = dataset.items.iter().filter_map(|item| Some((item, item.label?)));
    // Those of the model, or ImageNet's.
    let own: Option<Vec<String>> =
        (0..n_classes).map(|class| spec.class_name(class, n_classes)).collect();
    match (&dataset.classes, &own) {
        (Some(names), _) if is_label && names.len() as i64 != n_classes => {
            return Err(PlanError::OtherClasses { model, n_named: names.len(), n_classes });
        }
        (Some(names), Some(classes)) => {
            // ImageNet's classes may be called otherwise.
            let is_strict = is_label && spec.classes.is_some();
            if let Some((label, name, class)) = other_name(dataset, names, classes, is_strict) {
                return Err(PlanError::OtherClass { model, label, name, class });
            }
        }
        (None, _) => {
            let classes = spec.classes.as_deref().unwrap_or_default();
            if let Some((folder, class)) = other_folder(dataset, classes) {
                return Err(PlanError::ClassOrder { model, folder, class });
            }
        }
        _ => {}
    }
    if is_label
        && dataset.classes.is_none()
        && n_classes != imagenet::N_CLASSES
        && let Some((image, label)) = by_wordnet_id(dataset)
    {
        return Err(PlanError::NotImageNets { image, label, model, n_classes });
    }
    match labeled.find(|(_, label)| is_label && *label >= n_classes) {
        Some((item, label)) => {
            let image = item.image.clone();
            Err(PlanError::LabelTooLarge { image, label, model, n_classes })
        }
        None => Ok(()),
    }
}

/// An image that is labeled by its folder's or its own `WordNet` id, and that label: a class of ImageNet.
fn by_wordnet_id(dataset: &Dataset) -> Option<(String, i64)> {
    let names_after_the_id = match dataset.layout {
        Layout::Files => 0,
        Layout::Folders => 1,
        _ => return None,
    };
    dataset.items.iter().find_map(|item| {
        let name = item.image.rsplit('/').nth(names_after_the_id)?;
        let label = item.label.filter(|label| imagenet::class_of(name) == Some(*label))?;
        Some((item.image.clone(), label))
    })
}

/// A label that a data set and a network call otherwise: in another order, or, where that is asked for, altogether.
fn other_name(
    dataset: &Dataset,
    names: &[String],
    classes: &[String],
    is_strict: bool,
) -> Option<(i64, String, String)> {
    let labels: BTreeSet<i64> = dataset.items.iter().filter_map(|item| item.label).collect();
    labels.into_iter().find_map(|label| {
        let place = usize::try_from(label).ok()?;
        let (name, class) = (names.get(place)?, classes.get(place)?);
        let is_elsewhere = || classes.iter().any(|class| is_called(class, name));
        let is_other = !is_called(class, name) && (is_strict || is_elsewhere());
        is_other.then(|| (label, name.clone(), class.clone()))
    })
}

/// A folder whose images are labeled with a class of another name, while one of the classes has the folder's.
fn other_folder(dataset: &Dataset, classes: &[String]) -> Option<(String, String)> {
    if dataset.layout != Layout::Folders {
        return None;
    }
    labeled_folders(dataset).into_iter().find_map(|(folder, label)| {
        let class = classes.get(usize::try_from(label).ok()?)?;
        let is_another = !is_called(class, folder) && classes.iter().any(|c| is_called(c, folder));
        is_another.then(|| (folder.to_owned(), class.clone()))
    })
}

/// The networks of a sweep, each cut where it says, with what the manifest says of them.
pub(super) fn planned_models(
    sweep: &Sweep,
    dataset: &Dataset,
    resources: Resources,
    locate: impl Fn(&Path) -> PathBuf,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<(Vec<PlannedModel>, Vec<ModelEntry>), PlanError> {
    let mut models = vec![];
    let mut entries = vec![];
    let mut networks = Networks::default();
    for choice in &sweep.models {
        let mut places: Vec<(String, String)> = vec![];
        for (i, (name, layer)) in choice.cuts().into_iter().enumerate() {
            let spec = ModelSpec::new(choice, layer, &locate)?;
            let network = networks.get(&spec, choice.label(), resources, on_event)?;
            // Of the network, wherever it is cut.
            for caution in network.cautions().iter().filter(|_| i == 0) {
                on_event(Event::Caution(&format!("{}: {caution}", choice.label())));
            }
            let (model, entry) =
                PlannedModel::new(name, spec, network, sweep, dataset, resources, on_event)?;
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
