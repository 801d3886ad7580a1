//! The sweep file: what is asked for, before anything is looked up on disk.

mod choice;
mod entry;
mod error;
mod memory;
mod model;

use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
};

use cam_core::{Upsampling, read_yaml_file, shortened, with_suggestion};
use cam_data::{DataError, Dataset, Limits};
pub use cam_results::IMPORTED;
use serde::{Deserialize, Serialize};

pub use self::{
    choice::{CustomMethod, MapSource, MethodChoice, MetricChoice, names},
    entry::method,
    error::ConfigError,
    memory::Bytes,
    model::{Layers, ModelChoice, no_graph},
};
pub(crate) use self::{
    choice::{NETWORK, randomized_network},
    entry::configure,
    error::line_of_word,
};
use self::{entry::Entry, error::Place};
use crate::{
    protocol::{CORRECTED, PROTOCOLS, Protocol},
    suggest::hint,
};

/// A sweep: models × images × methods, scored by metrics; what a sweep file says, with its protocol filled in.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sweep {
    /// The name under which results are kept.
    pub name: String,
    /// Which images.
    pub dataset: DatasetChoice,
    /// Where settings come from that the file leaves out.
    pub protocol: &'static Protocol,
    /// Which class is explained.
    pub target: TargetRule,
    /// How maps are brought to the image's size.
    pub upsampling: Upsampling,
    /// A list of printed values that the report shows beside ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<PathBuf>,
    /// Where all randomness comes from; an image's own seed is made of this one and the image's name.
    pub seed: u64,
    /// How much memory the activations of one batch may take, e.g. `1GiB`; the batch size follows from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
    /// The networks.
    pub models: Vec<ModelChoice>,
    /// The explanation methods.
    pub methods: Vec<MethodChoice>,
    /// The metrics.
    pub metrics: Vec<MetricChoice>,
}

/// The form of a sweep file, before its protocol is filled in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "`key: value` lines, with a space behind the colon")]
struct Form {
    name: String,
    dataset: DatasetChoice,
    protocol: Option<String>,
    target: Option<TargetRule>,
    upsampling: Option<Upsampling>,
    reference: Option<PathBuf>,
    #[serde(default)]
    seed: u64,
    memory: Option<Bytes>,
    models: Vec<ModelChoice>,
    methods: Vec<Entry>,
    metrics: Vec<Entry>,
}

/// A data set's manifest, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "`{ manifest: FILE }`")]
pub struct DatasetChoice {
    /// The manifest file.
    pub manifest: PathBuf,
    /// At most so many images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// At most so many images of each class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_class: Option<usize>,
    /// Draw the images instead of taking the first ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

impl DatasetChoice {
    /// Lists the images.
    ///
    /// # Errors
    /// As [`Dataset::load`].
    pub(crate) fn load(&self) -> Result<Dataset, DataError> {
        let Self { limit, per_class, seed, .. } = *self;
        Dataset::load(&self.manifest, &Limits { limit, per_class, seed })
    }
}

/// Which class is explained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetRule {
    /// The one with the largest logit.
    #[default]
    Predicted,
    /// The one that the image is labeled with.
    Label,
}

impl fmt::Display for TargetRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Predicted => "predicted",
            Self::Label => cam_results::LABEL,
        })
    }
}

impl Sweep {
    /// Reads a sweep file.
    ///
    /// # Errors
    /// Where the file cannot be read, or names an unknown key, method, metric or option; with the line and the nearest
    /// valid word.
    pub fn read(path: &Path) -> Result<(Self, String), ConfigError> {
        let text = read_yaml_file(path)
            .map_err(|source| ConfigError::Read { path: path.to_path_buf(), source })?;
        Ok((Self::parse(&text, path)?, text))
    }

    /// Reads the text of a sweep file; `path` is for messages.
    ///
    /// # Errors
    /// As [`Sweep::read`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let invalid = |line, message: String| {
            let message = shortened(message);
            ConfigError::Invalid { path: path.to_path_buf(), line, message }
        };
        let form: Form = serde_yaml::from_str(text).map_err(|error| {
            let start = error.location().map(|location| location.line());
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or(&message);
            let line = start.map(|start| line_of_word(text, start, message).unwrap_or(start));
            invalid(line, with_suggestion(message))
        })?;
        let sweep = form.filled_in().map_err(|(place, message)| {
            let start = place.map_or(1, |place| place.line(text));
            let line = line_of_word(text, start, &message).or(place.map(|_| start));
            invalid(line, message)
        })?;
        sweep.validate().map_err(|message| invalid(line_of_word(text, 1, &message), message))?;
        Ok(sweep)
    }

    fn validate(&self) -> Result<(), String> {
        let fits = |name: &str| {
            !name.is_empty()
                && !name.starts_with('.')
                && name.chars().all(|c| c.is_alphanumeric() || "-_.+".contains(c))
        };
        if !fits(&self.name) {
            return Err(format!(
                "name: `{}` cannot be a folder's name; use letters, digits, '-', '_', '.' and '+'",
                self.name
            ));
        }
        distinct("models", self.models.iter().map(ModelChoice::label), fits)?;
        for model in &self.models {
            model.validate().map_err(|message| format!("models: {message}"))?;
        }
        distinct("methods", self.methods.iter().map(MethodChoice::label), fits)?;
        distinct("metrics", self.metrics.iter().map(MetricChoice::label), fits)?;
        let cuts = self.models.iter().flat_map(ModelChoice::cuts).map(|(name, _)| name);
        let models: BTreeSet<String> =
            self.models.iter().map(|model| model.label().to_owned()).chain(cuts).collect();
        for method in &self.methods {
            if let Some(name) = method.except.iter().find(|name| !models.contains(*name)) {
                let models: Vec<&str> = models.iter().map(String::as_str).collect();
                return Err(format!(
                    "methods: except: unknown model `{name}`{}",
                    hint(name, &models)
                ));
            }
        }
        // A column's name is all that many readers know of it.
        let is_ambiguous = |metric: &&MetricChoice| {
            metric.alias.is_none() && metric.protocol.is_some_and(|own| own != self.protocol)
        };
        if let Some(metric) = self.metrics.iter().find(is_ambiguous) {
            return Err(format!(
                "metrics: `{}` follows another protocol than the sweep ({}); give it a name of its own with `as`",
                metric.label(),
                self.protocol.name
            ));
        }
        match cam_results::clashing_column(self.metrics.iter().map(MetricChoice::label)) {
            Some(name) => Err(format!(
                "metrics: the results would have two columns `{name}`; give a metric another name with `as`"
            )),
            None => Ok(()),
        }
    }
}

impl Form {
    /// With everything that the file leaves out from its protocol; an error is about one entry of a list, or about the
    /// whole.
    fn filled_in(self) -> Result<Sweep, (Option<Place>, String)> {
        let protocol = self.protocol.as_deref().unwrap_or(CORRECTED);
        let protocol = protocol_of(protocol).map_err(|message| (None, message))?;
        let at = |list, number| {
            move |message| (Some(Place { list, number }), format!("{list}: {message}"))
        };
        let methods = self.methods.into_iter().enumerate();
        let methods = methods
            .map(|(i, entry)| MethodChoice::new(entry, protocol).map_err(at("methods", i)))
            .collect::<Result<_, _>>()?;
        let metrics = self.metrics.into_iter().enumerate();
        let metrics = metrics
            .map(|(i, entry)| MetricChoice::new(entry, protocol).map_err(at("metrics", i)))
            .collect::<Result<_, _>>()?;
        Ok(Sweep {
            name: self.name,
            dataset: self.dataset,
            protocol,
            target: self.target.unwrap_or(protocol.target),
            upsampling: self.upsampling.unwrap_or(protocol.upsampling),
            reference: self.reference,
            seed: self.seed,
            memory: self.memory,
            models: self.models,
            methods,
            metrics,
        })
    }
}

/// The protocol of that name.
///
/// # Errors
/// A message for people where there is none.
pub fn protocol_of(name: &str) -> Result<&'static Protocol, String> {
    Protocol::by_name(name).ok_or_else(|| {
        let names = PROTOCOLS.each_ref().map(|protocol| protocol.name);
        format!("unknown protocol `{name}`{}", hint(name, &names))
    })
}

fn distinct<'a>(
    list: &str,
    names: impl Iterator<Item = &'a str>,
    fits: impl Fn(&str) -> bool,
) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !fits(name) {
            return Err(format!(
                "{list}: `{name}` cannot be a column; use letters, digits, '-', '_', '.' and '+'"
            ));
        }
        if !seen.insert(name) {
            return Err(format!(
                "{list}: two entries are called `{name}`; give one another name with `as`"
            ));
        }
    }
    if seen.is_empty() { Err(format!("{list}: the list is empty")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "name: t\ndataset: { manifest: d.yaml }\nmodels:\n  - { name: resnet18 }\n";

    pub(super) fn parse(rest: &str) -> Result<Sweep, String> {
        Sweep::parse(&format!("{HEAD}{rest}"), Path::new("t.yaml"))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_sweep_file_reads_as_the_contract_shows_it() {
        let text = "\
name: table1
dataset: { manifest: datasets/imagenet-samples.yaml, limit: 200 }
target: predicted            # or: label
seed: 0
models:
  - { name: resnet50, weights: path/or/omitted, layer: layer4 }
  - { name: resnet18, as: ours, weights: ours.pth, classes: ours.txt, preprocessing: { resize: 232, crop: 224, interpolation: bilinear, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } }
methods:
  - { name: grad_cam }
  - { name: rise, n_masks: 4000 }
  - { name: rise, as: rise_500, n_masks: 500 }
  - { name: imported, as: captum_ig, maps: maps/captum_ig }
metrics: [drop, increase, { name: deletion, steps: 224 }, insertion, coherency, complexity]
";
        let sweep = Sweep::parse(text, Path::new("t.yaml")).unwrap();
        assert_eq!(sweep.models[1].label(), "ours");
        assert_eq!(
            sweep.methods.iter().map(MethodChoice::label).collect::<Vec<_>>(),
            ["grad_cam", "rise", "rise_500", "captum_ig"]
        );
        assert_eq!(sweep.metrics.len(), 6);
        let resolved = serde_yaml::to_string(&sweep).unwrap();
        assert!(resolved.contains("cells: 7"), "defaults are filled in: {resolved}");
        assert_eq!(Sweep::parse(&resolved, Path::new("t.yaml")).unwrap().methods.len(), 4);
    }

    #[test]
    fn mistakes_are_named_with_their_line_and_the_nearest_word() {
        let cases = [
            (
                "methods: [grad_cm]\nmetrics: [drop]\n",
                "t.yaml:5: methods: unknown method `grad_cm`; did you mean `grad_cam`?",
            ),
            (
                "methods: [cam]\nmetrics: [dorp]\n",
                "t.yaml:6: metrics: unknown metric `dorp`; did you mean `drop`?",
            ),
            (
                "methods:\n  - name: rise\n    n_mask: 3\nmetrics: [drop]\n",
                "t.yaml:7: methods: unknown option `n_mask` of rise; did you mean `n_masks`?",
            ),
            (
                "methods: [cam]\nmetric: [drop]\n",
                "t.yaml:6: unknown field `metric`, expected one of",
            ),
            (
                "methods: [cam]\nmetrics: [adcc]\n",
                "derived where drop, coherency and complexity are",
            ),
            (
                "methods: [cam, cam]\nmetrics: [drop]\n",
                "t.yaml:5: methods: two entries are called `cam`",
            ),
            (
                "methods: [{ name: rise, n_masks: 0 }]\nmetrics: [drop]\n",
                "t.yaml:5: methods: rise: expected at least 1, got `0`",
            ),
            (
                "methods: [{ name: kernel_shap, superpixels: 3 }]\nmetrics: [drop]\n",
                "t.yaml:5: methods: kernel_shap: expected at least 4, got `3`",
            ),
            (
                "methods: [{ name: rise, p: 2.0 }]\nmetrics: [drop]\n",
                "expected more than 0 and less than 1, got `2`",
            ),
            (
                "methods: [{ name: smooth_grad_cam_pp, sigma: -1 }]\nmetrics: [drop]\n",
                "expected 0 or more, got `-1`",
            ),
            (
                "methods: [cam]\nmetrics: [{ name: deletion, steps: 0 }]\n",
                "t.yaml:6: metrics: deletion: expected at least 1, got `0`",
            ),
            ("methods: [cam]\nmetrics: []\n", "metrics: the list is empty"),
            (
                "methods: [{ name: cam, relu: maybe }]\nmetrics: [drop]\n",
                "t.yaml:5: methods: cam: ",
            ),
            ("methods: [{ name: imported }]\nmetrics: [drop]\n", "needs `maps`"),
            (
                "methods: [{ name: imported, maps: m, network: randomized }]\nmetrics: [drop]\n",
                "unknown option `network` of imported",
            ),
            (
                "methods: [{ name: cam, network: random }]\nmetrics: [drop]\n",
                "network is `randomized`, or",
            ),
            (
                "methods: [{ name: cam, network: randomized, relux: true }]\nmetrics: [drop]\n",
                "unknown option `relux` of cam; did you mean `relu`?",
            ),
            ("methods: [cam]\nmetrics: [{ name: drop, as: status }]\n", "two columns `status`"),
            ("methods: [cam]\nmetrics: [drop]\ntarget: labels\n", "did you mean `label`?"),
            (
                "methods: [cam]\nmetrics: [drop]\nmemory: 3 apples\n",
                "t.yaml:7: `3 apples` is no amount of memory",
            ),
            ("methods: [cam]\n", "missing field `metrics`"),
            (
                "methods: [cam]\nmetrics: [drop]\nprotocol: popi-2021\n",
                "t.yaml:7: unknown protocol `popi-2021`; did you mean `poppi-2021`?",
            ),
            (
                "methods:\n  - { name: cam, protocol: rise-2017 }\nmetrics: [drop]\n",
                "t.yaml:6: methods: unknown protocol `rise-2017`; did you mean `rise-2018`?",
            ),
            (
                "methods: [cam]\nmetrics: [{ name: deletion, protocol: byun-2022 }]\n",
                "t.yaml:6: metrics: `deletion` follows another protocol than the sweep (corrected); give it a name",
            ),
            (
                "methods: [{ name: cam, except: [resnet8] }]\nmetrics: [drop]\n",
                "t.yaml:5: methods: except: unknown model `resnet8`; did you mean `resnet18`?",
            ),
            (
                "methods:\n  - rise\n  - name: rise\n    as: b\n    n_masks: 0\nmetrics: [drop]\n",
                "t.yaml:9: methods: rise: expected at least 1, got `0`",
            ),
        ];
        for (rest, expected) in cases {
            let error = parse(rest).unwrap_err();
            assert!(error.contains(expected), "{rest:?}\n gives {error}\n want  {expected}");
        }
    }
}
