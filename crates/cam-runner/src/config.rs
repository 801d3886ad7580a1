//! The sweep file: what is asked for, before anything is looked up on disk.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use cam_core::{
    Method, Preprocessing, PreprocessingChoice, Upsampling, read_yaml_file, shortened,
    with_suggestion,
};
use cam_data::{DataError, Dataset, Limits};
use cam_methods::{AnyMethod, Randomized};
use cam_metrics::AnyMetric;
use cam_runtimes::Runtime;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, SeqAccess, Visitor},
    ser::SerializeMap,
};
use serde_yaml::{Mapping, Value};

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
            Self::Label => "label",
        })
    }
}

/// A network with its weights and the layers under explanation: one of the zoo, or one from an ONNX file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "`{ name: NETWORK }` or `{ onnx: FILE }`")]
pub struct ModelChoice {
    /// Its name in the zoo, e.g. `resnet50`; empty where it comes from a file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The ONNX file that it comes from, weights and all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onnx: Option<PathBuf>,
    /// What runs the file, as where it is deployed; cambench itself, on libtorch, where left out. OpenVINO takes its own `.xml`
    /// in the place of an ONNX file, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Runtime>,
    /// Its name in results; the zoo's, or the file's without its extension, where left out.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// A weights file, a published version (`IMAGENET1K_V2`), or `seeded` for random weights; the default version where
    /// left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// The layers under explanation; the network's default where there is none.
    #[serde(default, skip_serializing_if = "Layers::is_empty")]
    pub layer: Layers,
    /// The output of the file that logits are read from; the one of this name, or the first, where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logits: Option<String>,
    /// A text file of class names, one a line in the order of the logits; ImageNet's where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<PathBuf>,
    /// How images become inputs; what is left out is that of the weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preprocessing: Option<PreprocessingChoice>,
    /// The number format of the network.
    #[serde(default)]
    pub precision: Precision,
}

/// Layers under explanation: none for the network's default, a name, or a list of names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layers(pub Vec<String>);

impl Layers {
    /// Whether the network's default layer is meant.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Layers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0[..] {
            [one] => one.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Layers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LayersVisitor;

        impl<'de> Visitor<'de> for LayersVisitor {
            type Value = Layers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a layer, or a list of names")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Layers, E> {
                Ok(Layers(vec![name.to_owned()]))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Layers, E> {
                Ok(Layers::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Layers, A::Error> {
                let mut names: Vec<String> = vec![];
                while let Some(name) = seq.next_element()? {
                    if names.contains(&name) {
                        return Err(de::Error::custom(format!("layer `{name}` is listed twice")));
                    }
                    names.push(name);
                }
                if names.is_empty() {
                    return Err(de::Error::custom(
                        "`layer` is an empty list; leave it out for the network's default layer",
                    ));
                }
                Ok(Layers(names))
            }
        }

        deserializer.deserialize_any(LayersVisitor)
    }
}

impl ModelChoice {
    /// Its name in the sweep.
    pub fn label(&self) -> &str {
        let stem = || self.onnx.as_deref().and_then(Path::file_stem).and_then(OsStr::to_str);
        self.alias.as_deref().or_else(stem).unwrap_or(&self.name)
    }

    /// Where it is cut: its name in results, which says the layer where there are several, and the layer that is asked
    /// for.
    pub fn cuts(&self) -> Vec<(String, Option<&str>)> {
        match &self.layer.0[..] {
            [] => vec![(self.label().to_owned(), None)],
            [one] => vec![(self.label().to_owned(), Some(one))],
            several => {
                let name = |layer: &str| cam_results::name_at(self.label(), layer);
                several.iter().map(|layer| (name(layer), Some(&**layer))).collect()
            }
        }
    }

    /// How photographs were cut for its weights, where these are published ones.
    pub(crate) fn published_preprocessing(&self) -> Option<&'static Preprocessing> {
        let published = cam_models::by_name(&self.name).ok()?.weights;
        let weights = match &self.weights {
            None => published.first(),
            Some(version) => published.iter().find(|weights| weights.version == version),
        };
        Some(&weights?.preprocessing)
    }

    fn validate(&self) -> Result<(), String> {
        let Some(onnx) = &self.onnx else {
            if let Some(runtime) = self.runtime {
                return Err(format!("`runtime: {runtime}` runs a file; name it with `onnx`"));
            }
            if self.logits.is_some() {
                return Err("`logits` names an output of a file; name the file with `onnx`".into());
            }
            if self.name.is_empty() {
                return Err("an entry needs a `name`, which is a network of the zoo, or `onnx`, which is a file".into());
            }
            return cam_models::by_name(&self.name).map(drop).map_err(|error| error.to_string());
        };
        let file = onnx.display();
        if !self.name.is_empty() {
            return Err(format!(
                "`{}` has a `name` and an `onnx` file ({file}); use `as` to name it in results",
                self.name
            ));
        }
        if let Some(message) = no_graph(onnx) {
            return Err(message);
        }
        if self.weights.is_some() {
            return Err(format!("{file} brings its own weights; leave out `weights`"));
        }
        if let Some(runtime) = self.runtime {
            let is_known = self.precision == Precision::F32
                || (self.precision == Precision::Bf16 && runtime == Runtime::OpenVino);
            if !is_known {
                return Err(format!(
                    "{file}: `{runtime}` does not compute in `{}`",
                    self.precision
                ));
            }
            if self.layer.0.iter().any(|layer| layer != cam_runtimes::INPUT) {
                return Err(format!(
                    "{file}: `{runtime}` shows no layer of a network; leave out `layer`"
                ));
            }
            return Ok(());
        }
        if self.precision == Precision::Bf16 {
            return Err(format!("{file}: `bf16` is for networks of the zoo; use `f32` or `tf32`"));
        }
        Ok(())
    }
}

/// Why a file is no ONNX file by its name, a sentence: PyTorch's are given most often.
pub fn no_graph(path: &Path) -> Option<String> {
    let extension = path.extension().and_then(OsStr::to_str)?;
    ["pth", "pt", "safetensors", "ckpt"].contains(&extension).then(|| {
        format!(
            "{} is no ONNX file by its name; export the network to ONNX, or give weights as `weights` of a network of the zoo \
             (`name`)",
            path.display()
        )
    })
}

/// The number format of a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit brain floats: faster, with scores off by up to a few percent of a point.
    Bf16,
    /// 32-bit floats multiplied as TF32, on CUDA devices only; one choice for all networks of a sweep that are `f32`.
    Tf32,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Tf32 => "tf32",
        })
    }
}

/// A method with its options, under a name of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct MethodChoice {
    /// Its name in results; the method's where left out.
    pub alias: Option<String>,
    /// Where options come from that the entry leaves out; the sweep's protocol where left out.
    pub protocol: Option<&'static Protocol>,
    /// Models that it leaves out, such as have no head that it needs: by their names in results, or without the layer.
    pub except: Vec<String>,
    /// What makes the maps.
    pub source: MapSource,
}

/// What makes the maps of a method.
#[derive(Clone, Debug, PartialEq)]
pub enum MapSource {
    /// A method of the registry.
    Method(AnyMethod),
    /// A method of the registry on a randomized copy of the network: a control.
    Randomized(Randomized),
    /// A folder of maps that another tool made: `<image without its extension>.npy`, two dimensions, any scale.
    Imported(PathBuf),
    /// A method of whoever uses this crate as a library; a sweep file cannot name it.
    Custom(CustomMethod),
}

/// A method that is not in the registry.
#[derive(Clone)]
pub struct CustomMethod {
    /// Its name in results. A run continues under an equal name, whatever the method has become meanwhile.
    pub name: &'static str,
    /// The method.
    pub method: Arc<dyn Method + Send + Sync>,
}

impl fmt::Debug for CustomMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CustomMethod").field(&self.name).finish()
    }
}

impl PartialEq for CustomMethod {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.method, &other.method)
    }
}

/// Whether a name that a user writes means a model, by the model's name in results: that name itself, or the network's,
/// which means all of its layers.
pub fn names(written: &str, model: &str) -> bool {
    let rest = model.strip_prefix(written);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(cam_results::AT))
}

impl MethodChoice {
    /// Whether it explains a model, by the model's name in results.
    pub fn runs_on(&self, model: &str) -> bool {
        !self.except.iter().any(|name| names(name, model))
    }

    /// Its name in results.
    pub fn label(&self) -> &str {
        self.alias.as_deref().unwrap_or_else(|| self.source.name())
    }
}

impl MapSource {
    /// The method's name in the registry, or `imported`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Method(method) | Self::Randomized(Randomized { method, .. }) => method.name(),
            Self::Imported(_) => IMPORTED,
            Self::Custom(custom) => custom.name,
        }
    }

    /// What can be asked for a map; imported maps are there already.
    pub fn method(&self) -> Option<&dyn Method> {
        match self {
            Self::Method(method) => Some(&**method),
            Self::Randomized(randomized) => Some(randomized),
            Self::Custom(custom) => Some(&*custom.method),
            Self::Imported(_) => None,
        }
    }
}

/// The key, beside a method's options, that says which network it runs on.
pub(crate) const NETWORK: &str = "network";

/// `randomized`, or `randomized:7` for another seed than 0.
pub(crate) fn randomized_network(randomized: &Randomized) -> String {
    match randomized.seed {
        0 => RANDOMIZED.to_string(),
        seed => format!("{RANDOMIZED}:{seed}"),
    }
}

const RANDOMIZED: &str = "randomized";

/// The seed of a randomized network; `None` where the text says something else.
fn randomized_seed(text: &str) -> Option<u64> {
    match text.strip_prefix(RANDOMIZED)? {
        "" => Some(0),
        seed => seed.strip_prefix(':')?.parse().ok(),
    }
}

/// The name of a method whose maps another tool made.
pub const IMPORTED: &str = "imported";

/// A metric with its options, under a name of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricChoice {
    /// Its name in results; the metric's where left out.
    pub alias: Option<String>,
    /// Where options come from that the entry leaves out; the sweep's protocol where left out.
    pub protocol: Option<&'static Protocol>,
    /// The metric.
    pub metric: AnyMetric,
}

impl MetricChoice {
    /// Its name in results.
    pub fn label(&self) -> &str {
        self.alias.as_deref().unwrap_or_else(|| self.metric.name())
    }
}

/// A sweep file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the sweep file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file says something that cannot be meant.
    #[error("{}{}: {message}", path.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1, where it is known.
        line: Option<usize>,
        /// What is wrong, and the nearest valid word.
        message: String,
    },
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
        for method in &self.methods {
            let cuts = self.models.iter().flat_map(ModelChoice::cuts).map(|(name, _)| name);
            let models: BTreeSet<String> =
                self.models.iter().map(|model| model.label().to_owned()).chain(cuts).collect();
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

/// An entry of a list of the sweep file.
#[derive(Clone, Copy)]
struct Place {
    list: &'static str,
    number: usize,
}

impl Place {
    /// The line that the entry begins in, as far as it can be told without a parser: in block style, the line of its dash.
    fn line(self, text: &str) -> usize {
        let is_list = |line: &str| line.strip_prefix(self.list).is_some_and(|l| l.starts_with(':'));
        let start = text.lines().position(is_list).unwrap_or(0);
        let entries = text.lines().enumerate().skip(start + 1);
        let mut dashes = entries
            .take_while(|(_, line)| line.is_empty() || line.starts_with([' ', '-', '#']))
            .filter(|(_, line)| line.trim_start().starts_with("- "));
        // An entry's own lists are indented deeper than the first dash.
        let Some((first, dash)) = dashes.next() else { return start + 1 };
        let indent = |line: &str| line.len() - line.trim_start().len();
        let of_list = dashes.filter(|(_, line)| indent(line) == indent(dash)).map(|(i, _)| i);
        std::iter::once(first).chain(of_list).nth(self.number).map_or(start + 1, |line| line + 1)
    }
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

/// The line of the first word in backticks of a message, searched from where an entry starts.
pub(crate) fn line_of_word(text: &str, start: usize, message: &str) -> Option<usize> {
    let wanted = message.split('`').nth(1)?;
    let lines = text.lines().zip(1..).skip(start.saturating_sub(1));
    lines
        .filter(|(line, _)| !line.trim_start().starts_with('#'))
        .find(|(line, _)| {
            line.split(|c: char| !(c.is_alphanumeric() || "-_.@/".contains(c)))
                .any(|word| word == wanted)
        })
        .map(|(_, number)| number)
}

/// The parts of an entry that every list has: its name, its alias, and what is left for its options.
struct Entry {
    name: String,
    alias: Option<String>,
    protocol: Option<String>,
    options: Mapping,
}

impl Entry {
    fn take(&mut self, key: &str) -> Option<Value> {
        self.options.remove(key)
    }

    /// The protocol that it names itself.
    fn own_protocol(&self) -> Result<Option<&'static Protocol>, String> {
        self.protocol.as_deref().map(protocol_of).transpose()
    }
}

/// Options, and those of a protocol that they leave out.
fn over(options: Mapping, mut protocol: Mapping) -> Mapping {
    protocol.extend(options);
    protocol
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntryVisitor;

        impl<'de> Visitor<'de> for EntryVisitor {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name, or a map with a `name`")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Entry, E> {
                Ok(Entry {
                    name: name.to_string(),
                    alias: None,
                    protocol: None,
                    options: Mapping::new(),
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
                let (mut name, mut alias, mut protocol) = (None, None, None);
                let mut options = Mapping::new();
                while let Some(key) = map.next_key::<String>()? {
                    let is_new = match key.as_str() {
                        "name" => name.replace(map.next_value()?).is_none(),
                        "as" => alias.replace(map.next_value()?).is_none(),
                        "protocol" => protocol.replace(map.next_value()?).is_none(),
                        _ => options.insert(key.clone().into(), map.next_value()?).is_none(),
                    };
                    if !is_new {
                        return Err(de::Error::custom(format!("`{key}` is given twice")));
                    }
                }
                let name = name.ok_or_else(|| de::Error::missing_field("name"))?;
                Ok(Entry { name, alias, protocol, options })
            }
        }

        deserializer.deserialize_any(EntryVisitor)
    }
}

/// What [`cam_core::registry!`] makes, as far as an entry needs it.
pub(crate) trait Registry: Sized + Serialize {
    const KIND: &'static str;
    fn names() -> Vec<&'static str>;
    fn defaults(name: &str) -> Option<Self>;
    fn configured(name: &str, options: Value) -> Option<Result<Self, serde_yaml::Error>>;
}

macro_rules! impl_registry {
    ($any:ident, $kind:literal $(, $more:expr)?) => {
        impl Registry for $any {
            const KIND: &'static str = $kind;

            fn names() -> Vec<&'static str> {
                #[allow(unused_mut, reason = "only one of the two registries has a name more")]
                let mut names = $any::NAMES.to_vec();
                $(names.push($more);)?
                names
            }

            fn defaults(name: &str) -> Option<Self> {
                $any::by_name(name)
            }

            fn configured(name: &str, options: Value) -> Option<Result<Self, serde_yaml::Error>> {
                $any::configure(name, options)
            }
        }
    };
}

impl_registry!(AnyMethod, "method", IMPORTED);
impl_registry!(AnyMetric, "metric");

/// An entry of a registry from its name and options, with messages that say what would have been right.
pub(crate) fn configure<T: Registry>(name: &str, options: Mapping) -> Result<T, String> {
    let Some(defaults) = T::defaults(name) else {
        let names = T::names();
        if name == "adcc" {
            return Err("`adcc` is not listed as a metric: it is derived where drop, coherency and complexity are".into());
        }
        return Err(format!("unknown {} `{name}`{}", T::KIND, hint(name, &names)));
    };
    let known = serde_yaml::to_value(&defaults).map_err(|error| error.to_string())?;
    let known: Vec<&str> =
        known.as_mapping().into_iter().flat_map(Mapping::keys).filter_map(Value::as_str).collect();
    for key in options.keys() {
        let key = key.as_str().unwrap_or_default();
        if !known.contains(&key) {
            return Err(if known.is_empty() {
                format!("unknown option `{key}`: {name} has no options")
            } else {
                format!("unknown option `{key}` of {name}{}", hint(key, &known))
            });
        }
    }
    T::configured(name, Value::Mapping(options))
        .expect("the name is known")
        .map_err(|error| format!("{name}: {}", with_suggestion(&error.to_string())))
}

/// One method from its name and options, e.g. of a command line; options that are left out are the protocol's.
///
/// # Errors
/// A message for people where the name or an option is unknown, or a value does not fit.
pub fn method(name: &str, options: Mapping, protocol: &Protocol) -> Result<AnyMethod, String> {
    configure(name, over(options, protocol.method_options(name)))
}

impl MethodChoice {
    fn new(mut entry: Entry, sweeps: &'static Protocol) -> Result<Self, String> {
        let protocol = entry.own_protocol()?;
        let except = entry.take("except").map_or(Ok(vec![]), serde_yaml::from_value);
        let except = except.map_err(|error| format!("{}: except: {error}", entry.name))?;
        let network = if entry.name == IMPORTED { None } else { entry.take(NETWORK) };
        let source = if entry.name == IMPORTED {
            let maps =
                entry.take("maps").ok_or("`imported` needs `maps`, a folder of .npy files")?;
            if let Some(key) = entry.options.keys().next().and_then(Value::as_str) {
                return Err(format!("unknown option `{key}` of imported{}", hint(key, &["maps"])));
            }
            let maps =
                serde_yaml::from_value(maps).map_err(|error| format!("imported: {error}"))?;
            MapSource::Imported(maps)
        } else {
            let preset = protocol.unwrap_or(sweeps).method_options(&entry.name);
            let method = configure(&entry.name, over(entry.options, preset))?;
            match network {
                None => MapSource::Method(method),
                Some(network) => {
                    let seed = network.as_str().and_then(randomized_seed).ok_or_else(|| {
                        format!(
                            "{NETWORK} is `{RANDOMIZED}`, or `{RANDOMIZED}:` and a seed; leave it out for the trained network"
                        )
                    })?;
                    let own_name = || format!("{}_{RANDOMIZED}", entry.name);
                    entry.alias = Some(entry.alias.unwrap_or_else(own_name));
                    MapSource::Randomized(Randomized { method, seed })
                }
            }
        };
        Ok(Self { alias: entry.alias, protocol, except, source })
    }
}

impl MetricChoice {
    fn new(entry: Entry, sweeps: &'static Protocol) -> Result<Self, String> {
        let protocol = entry.own_protocol()?;
        let preset = protocol.unwrap_or(sweeps).metric_options(&entry.name);
        let metric = configure(&entry.name, over(entry.options, preset))?;
        Ok(Self { alias: entry.alias, protocol, metric })
    }
}

/// `name`, `as`, the protocol that it names, and every option with its value.
fn serialize_entry<S: Serializer>(
    serializer: S,
    name: &str,
    label: &str,
    protocol: Option<&Protocol>,
    except: &[String],
    options: &impl Serialize,
) -> Result<S::Ok, S::Error> {
    use serde::ser::Error;
    let options = serde_yaml::to_value(options).map_err(S::Error::custom)?;
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("name", name)?;
    map.serialize_entry("as", label)?;
    if let Some(protocol) = protocol {
        map.serialize_entry("protocol", protocol)?;
    }
    if !except.is_empty() {
        map.serialize_entry("except", except)?;
    }
    for (key, value) in options.as_mapping().into_iter().flatten() {
        map.serialize_entry(key, value)?;
    }
    map.end()
}

impl Serialize for MethodChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let name = self.source.name();
        match &self.source {
            MapSource::Method(method) => {
                serialize_entry(serializer, name, self.label(), self.protocol, &self.except, method)
            }
            MapSource::Randomized(randomized) => {
                use serde::ser::Error;
                let options = serde_yaml::to_value(&randomized.method).map_err(S::Error::custom)?;
                let mut options = options.as_mapping().cloned().unwrap_or_default();
                options.insert(NETWORK.into(), randomized_network(randomized).into());
                let (protocol, except) = (self.protocol, &self.except);
                serialize_entry(serializer, name, self.label(), protocol, except, &options)
            }
            MapSource::Imported(maps) => {
                let options = Mapping::from_iter([(
                    "maps".into(),
                    maps.to_string_lossy().into_owned().into(),
                )]);
                serialize_entry(
                    serializer,
                    name,
                    self.label(),
                    self.protocol,
                    &self.except,
                    &options,
                )
            }
            MapSource::Custom(_) => serialize_entry(
                serializer,
                name,
                self.label(),
                self.protocol,
                &self.except,
                &Mapping::new(),
            ),
        }
    }
}

impl Serialize for MetricChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_entry(
            serializer,
            self.metric.name(),
            self.label(),
            self.protocol,
            &[],
            &self.metric,
        )
    }
}

/// A number of bytes, written as `512MiB`, `1.5GiB` or a plain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl Bytes {
    /// So many, as far as signed numbers go, in which sizes are counted further on.
    fn of(bytes: u64) -> Self {
        Self(bytes.min(i64::MAX as u64))
    }
}

impl std::str::FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
        let scale = match text[digits..].trim() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1_u64 << 30,
            "TiB" => 1_u64 << 40,
            unit => return Err(format!("`{unit}` is no unit of memory; use KiB, MiB, GiB or TiB")),
        };
        let number: f64 = text[..digits]
            .parse()
            .map_err(|_error| format!("`{text}` is no amount of memory, e.g. 1.5GiB"))?;
        let bytes = number * scale as f64;
        if bytes >= 1.0 {
            Ok(Self::of(bytes as u64))
        } else {
            Err(format!("`{text}` is too little memory"))
        }
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1_u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        match units.into_iter().find(|(scale, _)| self.0 >= *scale) {
            Some((scale, unit)) => {
                let amount = format!("{:.1}", self.0 as f64 / scale as f64);
                write!(f, "{}{unit}", amount.strip_suffix(".0").unwrap_or(&amount))
            }
            None => write!(f, "{}B", self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => text.parse().map_err(de::Error::custom),
            Value::Number(number) => number
                .as_u64()
                .filter(|&n| n > 0)
                .map(Self::of)
                .ok_or_else(|| de::Error::custom("memory is a positive number of bytes")),
            _ => Err(de::Error::custom("memory is an amount such as `1GiB`")),
        }
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "name: t\ndataset: { manifest: d.yaml }\nmodels:\n  - { name: resnet18 }\n";

    fn parse(rest: &str) -> Result<Sweep, String> {
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
                "t.yaml:5: methods: rise: `0` where a number is needed that is at least 1",
            ),
            (
                "methods: [{ name: kernel_shap, superpixels: 3 }]\nmetrics: [drop]\n",
                "t.yaml:5: methods: kernel_shap: `3` where a number is needed that is at least 4",
            ),
            (
                "methods: [{ name: rise, p: 2.0 }]\nmetrics: [drop]\n",
                "`2` where a number is needed that is more than 0 and less than 1",
            ),
            (
                "methods: [{ name: smooth_grad_cam_pp, sigma: -1 }]\nmetrics: [drop]\n",
                "`-1` where a number is needed that is 0 or more",
            ),
            (
                "methods: [cam]\nmetrics: [{ name: deletion, steps: 0 }]\n",
                "t.yaml:6: metrics: deletion: `0` where",
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
            ("methods: [cam]\nmetrics: [drop]\nmemory: 3 apples\n", "no unit of memory"),
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
                "t.yaml:9: methods: rise: `0` where",
            ),
        ];
        for (rest, expected) in cases {
            let error = parse(rest).unwrap_err();
            assert!(error.contains(expected), "{rest:?}\n gives {error}\n want  {expected}");
        }
    }

    #[test]
    fn a_method_on_a_randomized_network_has_a_name_of_its_own_and_reads_as_it_was_written() {
        let text = "methods: [cam, { name: cam, network: randomized }, { name: cam, as: other, network: 'randomized:7' }]\n\
                    metrics: [drop]\n";
        let sweep = parse(text).unwrap();
        let labels: Vec<&str> = sweep.methods.iter().map(MethodChoice::label).collect();
        assert_eq!(labels, ["cam", "cam_randomized", "other"]);
        let resolved = serde_yaml::to_string(&sweep).unwrap();
        let again = Sweep::parse(&resolved, Path::new("t.yaml")).unwrap();
        assert_eq!(again.methods[1..], sweep.methods[1..]);
    }

    #[test]
    fn a_list_of_layers_is_a_model_for_each_of_them() {
        let sweep = |layer: &str, rest: &str| {
            let text = format!(
                "name: t\ndataset: {{ manifest: d.yaml }}\nmodels:\n  - name: resnet18\n    layer: {layer}\n{rest}metrics: [drop]\n"
            );
            Sweep::parse(&text, Path::new("t.yaml")).map_err(|error| error.to_string())
        };
        let cuts = |layer: &str| {
            let model = sweep(layer, "methods: [cam]\n").unwrap().models.remove(0);
            model.cuts().into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            cuts("[layer2, layer3, layer4]"),
            "resnet18@layer2 resnet18@layer3 resnet18@layer4"
        );
        assert_eq!([cuts("[layer3]"), cuts("layer3"), cuts("~")], ["resnet18"; 3]);

        let read =
            sweep("[layer3, layer4]", "methods: [{ name: cam, except: ['resnet18@layer3'] }]\n")
                .unwrap();
        let runs_on = |model: &str| read.methods[0].runs_on(model);
        assert_eq!(["resnet18@layer3", "resnet18@layer4"].map(runs_on), [false, true]);
        let resolved = serde_yaml::to_string(&read).unwrap();
        assert_eq!(Sweep::parse(&resolved, Path::new("t.yaml")).unwrap().models, read.models);
        let read =
            sweep("[layer3, layer4]", "methods: [{ name: cam, except: [resnet18] }]\n").unwrap();
        assert!(
            !read.methods[0].runs_on("resnet18@layer4") && read.methods[0].runs_on("resnet18b")
        );

        let rest = "methods: [cam]\n";
        for (layer, rest, expected) in [
            (
                "[layer3, layer4, layer3]",
                rest,
                "t.yaml:5: models[0].layer: layer `layer3` is listed twice",
            ),
            ("[]", rest, "t.yaml:5: models[0].layer: `layer` is an empty list; leave it out"),
            ("{ a: b }", rest, "expected the name of a layer, or a list of names"),
            (
                "[layer3, layer4]",
                "methods: [{ name: cam, except: [resnet18@layer2] }]\n",
                "t.yaml:6: methods: except: unknown model `resnet18@layer2`; did you mean `resnet18@layer3`?",
            ),
        ] {
            let error = sweep(layer, rest).unwrap_err();
            assert!(error.contains(expected), "{layer} gives {error}\n want {expected}");
        }
    }

    #[test]
    fn amounts_of_memory_are_read_and_printed() {
        for (text, bytes) in [("1GiB", 1 << 30), ("1.5 MiB", 3 << 19), ("17", 17), ("2KiB", 2048)] {
            assert_eq!(text.parse::<Bytes>().unwrap(), Bytes(bytes), "{text}");
        }
        assert_eq!(Bytes(3 << 29).to_string(), "1.5GiB");
        assert!("many".parse::<Bytes>().is_err() && "0".parse::<Bytes>().is_err());
        // As text or as a number, no more than signed numbers hold.
        let most = Bytes(i64::MAX as u64);
        for text in ["18446744073709551615", "\"18446744073709551615\"", "17000000TiB"] {
            assert_eq!(serde_yaml::from_str::<Bytes>(text).unwrap(), most, "{text}");
        }
    }
}
