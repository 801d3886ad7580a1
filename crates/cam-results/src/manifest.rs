//! What a run is: everything that its numbers depend on.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    hash::Hash,
    path::Path,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    COLUMNS, Error, Key, Record, Reference, Result, SCHEMA,
    files::{hex, read_text, write_bytes},
    stats::CONTROLS,
};

/// The file's name in a run's folder.
pub(crate) const MANIFEST: &str = "manifest.json";

/// Everything that a run's numbers depend on, and the order of its rows: `manifest.json`.
///
/// All but its status, times, command, devices, the tables' hashes and the configuration's text is the *plan*; a run continues only under an equal one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunManifest {
    /// The version of the folder's files; [`SCHEMA`] in a new one.
    pub schema: u32,
    /// The version of cambench.
    pub cambench: String,
    /// Whether all rows are there.
    pub status: RunStatus,
    /// The sweep's name.
    pub sweep: String,
    /// When the run was started, RFC 3339 in UTC.
    pub started: String,
    /// When it was finished, RFC 3339 in UTC.
    pub finished: Option<String>,
    /// The command line that started it.
    pub command: Option<String>,
    /// The commit that cambench was built from.
    pub commit: Option<String>,
    /// Whether there were changes on top of that commit.
    pub dirty: bool,
    /// Versions of what computes, by name.
    pub versions: BTreeMap<String, String>,
    /// What it was computed on, e.g. `cpu` or `cuda:0 (NVIDIA H100)`.
    pub device: String,
    /// How many threads computed.
    pub threads: usize,
    /// The protocol of the sweep.
    #[serde(default)]
    pub protocol: ProtocolEntry,
    /// Printed values to show beside ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// Which class is explained: `predicted`, or [`LABEL`].
    pub target: String,
    /// Where all randomness comes from.
    pub seed: u64,
    /// The images' source.
    pub dataset: DatasetEntry,
    /// The networks, in the order of the rows.
    pub models: Vec<ModelEntry>,
    /// The methods, in the order of the rows.
    pub methods: Vec<MethodEntry>,
    /// The metrics, in the order of the columns.
    pub metrics: Vec<MetricEntry>,
    /// The sweep file as it was given.
    pub config_given: String,
    /// The same with every default filled in.
    pub config_resolved: Value,
    /// The images, in the order of the rows.
    pub images: Vec<ImageEntry>,
    /// Which device made which rows, where shards made them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made_on: Vec<MadeOn>,
    /// SHA-256 of a finished run's Parquet files, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tables: BTreeMap<String, String>,
    /// What several runs seen as one differ in; nothing in a folder's manifest.
    #[serde(skip)]
    pub joined: JoinedRuns,
}

/// What several runs seen as one differ in, where a manifest has room for one of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JoinedRuns {
    /// All runs' seeds.
    pub seeds: BTreeSet<u64>,
    /// The models of runs that cannot be compared with the others, by their names, and which run that is.
    pub apart: BTreeMap<String, String>,
}

/// The most rows that a run may plan. A reader takes some bytes for each before it has seen one.
const MAX_ROWS: usize = 100_000_000;

/// The largest manifest that is read, in bytes: all of ImageNet's training images take half of it.
const MAX_BYTES: u64 = 512 << 20;

/// What is asked of a manifest first: nothing else of a newer one can be relied on.
#[derive(Deserialize)]
struct Version {
    schema: u64,
}

/// The share of a run that one kind of device made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeOn {
    /// The device by its full name.
    pub device: String,
    /// The hosts that it was in.
    pub hosts: Vec<String>,
    /// How many rows.
    pub n_rows: usize,
    /// The shards, as in `0-311,400`.
    pub shards: String,
}

/// Whether all rows are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// Some rows may be missing.
    Running,
    /// All rows are there, and nothing will change any more.
    Finished,
}

/// Named settings that the sweep's entries depart from, or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtocolEntry {
    /// Its name.
    pub name: String,
    /// Counts up when one of its numbers moves.
    pub version: u32,
}

impl Default for ProtocolEntry {
    /// That of runs from before there was a choice.
    fn default() -> Self {
        Self { name: "corrected".to_owned(), version: 1 }
    }
}

/// The images' source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetEntry {
    /// Its name.
    pub name: String,
    /// The folder that the images' paths are relative to, in the words of the data set's manifest.
    pub root: String,
    /// How many images there are.
    pub n_images: usize,
    /// What of them is most likely not meant, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cautions: Vec<String>,
}

/// One image of the plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageEntry {
    /// Its path relative to the data set's root.
    pub image: String,
    /// Of the file, where it could be read.
    pub sha256: Option<String>,
    /// The class that it is labeled with, where it is.
    pub label: Option<i64>,
    /// Boxes of the class's objects in the file's pixels: `[xmin, ymin, xmax, ymax]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boxes: Vec<[f64; 4]>,
}

/// What stands between a network's name and its layer, in the name of a model that is one of several layers of a
/// network.
pub const AT: char = '@';

/// The name of a network cut at one of several layers: `resnet50@layer3`. Every layer is a model of its own.
pub fn name_at(network: &str, layer: &str) -> String {
    format!("{network}{AT}{layer}")
}

/// The network of a model's name, without the layer that [`name_at`] added.
pub fn network_of<'a>(model: &'a str, layer: &str) -> &'a str {
    model.strip_suffix(layer).and_then(|rest| rest.strip_suffix(AT)).unwrap_or(model)
}

/// One network, cut at one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelEntry {
    /// Its name in results: that in the sweep, with the layer where the sweep names several ([`name_at`]).
    pub name: String,
    /// Its name in the zoo.
    pub architecture: String,
    /// The layer under explanation.
    pub layer: String,
    /// The output that logits are read from, of a file that has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// What of it is most likely not meant, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cautions: Vec<String>,
    /// Where its parameters come from.
    pub weights: WeightsEntry,
    /// The number format that it runs in: `f32`, `bf16` or `tf32`.
    pub precision: String,
    /// What `bf16` costs on some of the run's images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounding: Option<Rounding>,
    /// Images per pass through the whole network.
    pub batch: i64,
    /// Activations per pass through the head.
    pub head_batch: i64,
    /// How many classes it tells apart.
    pub n_classes: i64,
    /// What they are called, in the order of the logits, where the model came with names of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// How photographs become inputs.
    pub preprocessing: Value,
    /// `[K, h, w]` of the activations at the layer.
    pub feature_shape: [i64; 3],
    /// Top-1 accuracy on ImageNet's validation images as published with the weights, a fraction.
    pub published_top1: Option<f64>,
}

impl ModelEntry {
    /// Its name in the sweep, which all layers of a network share.
    pub fn network(&self) -> &str {
        network_of(&self.name, &self.layer)
    }
}

/// How far a network in a short number format is from the same one in `f32`, over the first images of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rounding {
    /// Over how many images.
    pub n_images: usize,
    /// For how many of them both predict the same class.
    pub n_same_class: usize,
    /// The largest difference of the softmax probability of the class that `f32` predicts.
    pub max_confidence_difference: f64,
}

/// Where a network's parameters come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightsEntry {
    /// Where they were published, or what made them.
    pub source: String,
    /// The file.
    pub path: Option<String>,
    /// Of the file.
    pub sha256: Option<String>,
    /// Whether they are random numbers, which no result means anything with.
    pub seeded: bool,
}

/// One method with its options.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodEntry {
    /// Its name in the sweep (`as`).
    pub name: String,
    /// Its name in the registry.
    pub method: String,
    /// As it is printed.
    pub title: String,
    /// All of its options, defaults included.
    pub options: Value,
    /// The rules that turn its raw maps into scores: the protocol's name, and what departs from it.
    pub protocol: String,
    /// Models of the sweep that it leaves out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
}

/// [`RunManifest::target`] where the class that an image is labeled with is explained.
pub const LABEL: &str = "label";

/// [`MethodEntry::method`] of maps that another tool made.
pub const IMPORTED: &str = "imported";

impl MethodEntry {
    /// Whether another tool made its maps.
    pub fn is_imported(&self) -> bool {
        self.method == IMPORTED
    }

    /// Whether the plan has its rows for a model.
    pub fn runs_on(&self, model: &str) -> bool {
        !self.except.iter().any(|name| name == model)
    }

    /// Whether it knows nothing of the network ([`CONTROLS`]), or, of a network with random weights, nothing of what was
    /// learned.
    pub fn is_control(&self) -> bool {
        CONTROLS.contains(&&*self.method) || self.options.get("network").is_some()
    }
}

/// One metric with its options.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricEntry {
    /// Its name in the sweep (`as`), and the name of its column.
    pub name: String,
    /// Its name in the registry.
    pub metric: String,
    /// As it is printed.
    pub title: String,
    /// Which direction is good.
    pub better: Better,
    /// The worst score that there is; `None` where scores have no end.
    #[serde(default)]
    pub worst: Option<f64>,
    /// All of its options, defaults included.
    pub options: Value,
    /// The rules that it is computed by: the protocol's name, and what departs from it.
    pub protocol: String,
}

/// Which direction of a metric is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
}

impl RunManifest {
    /// Reads `manifest.json` of a run's folder.
    ///
    /// # Errors
    /// Where it cannot be read, is damaged, or was written by a newer cambench.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(MANIFEST);
        let text = read_text(&path, MAX_BYTES)?;
        let damaged = |message: String| Error::Damaged { path: path.clone(), message };
        let not_json = |error: serde_json::Error| damaged(error.to_string());
        let Version { schema: found } = serde_json::from_str(&text).map_err(not_json)?;
        if found > u64::from(SCHEMA) {
            return Err(Error::Newer { path, found, supported: SCHEMA });
        }
        let manifest: Self = serde_json::from_str(&text).map_err(not_json)?;
        let sides = [manifest.models.len(), manifest.images.len(), manifest.methods.len()];
        match sides.into_iter().try_fold(1, usize::checked_mul) {
            Some(..=MAX_ROWS) => {}
            _ => return Err(damaged(format!("it plans more than {MAX_ROWS} rows"))),
        }
        manifest.check_names().map_err(|error| damaged(error.to_string()))?;
        Ok(manifest)
    }

    /// The seed, or all of joined runs.
    pub(crate) fn seeds(&self) -> String {
        let seeds: Vec<String> = self.joined.seeds.iter().map(u64::to_string).collect();
        if seeds.is_empty() { self.seed.to_string() } else { seeds.join(" + ") }
    }

    /// Writes `manifest.json` into a run's folder, whole or not at all.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self).expect("a manifest is always JSON");
        text.push('\n');
        write_bytes(&folder.join(MANIFEST), text.as_bytes())
    }

    /// Every row of the run in its order: models, then images, then methods.
    pub fn plan(&self) -> impl Iterator<Item = Key> + '_ {
        self.models.iter().flat_map(move |model| {
            self.images.iter().flat_map(move |image| {
                let methods = self.methods.iter().filter(|method| method.runs_on(&model.name));
                methods.map(move |method| key(model, image, method))
            })
        })
    }

    /// The same of some of its images, models and methods.
    pub(crate) fn with(
        &self,
        images: Vec<ImageEntry>,
        has_model: impl Fn(&ModelEntry) -> bool,
        has_method: impl Fn(&MethodEntry) -> bool,
    ) -> Self {
        Self {
            schema: self.schema,
            cambench: self.cambench.clone(),
            status: self.status,
            sweep: self.sweep.clone(),
            started: self.started.clone(),
            finished: self.finished.clone(),
            command: self.command.clone(),
            commit: self.commit.clone(),
            dirty: self.dirty,
            versions: self.versions.clone(),
            device: self.device.clone(),
            threads: self.threads,
            protocol: self.protocol.clone(),
            reference: self.reference.clone(),
            target: self.target.clone(),
            seed: self.seed,
            dataset: self.dataset.clone(),
            models: self.models.iter().filter(|model| has_model(model)).cloned().collect(),
            methods: self.methods.iter().filter(|method| has_method(method)).cloned().collect(),
            metrics: self.metrics.clone(),
            config_given: self.config_given.clone(),
            config_resolved: self.config_resolved.clone(),
            images,
            made_on: vec![],
            tables: BTreeMap::new(),
            joined: JoinedRuns::default(),
        }
    }

    /// How many rows the run has when it is complete.
    pub fn n_rows(&self) -> usize {
        let of_model = |model: &ModelEntry| {
            self.methods.iter().filter(|method| method.runs_on(&model.name)).count()
        };
        self.images.len() * self.models.iter().map(of_model).sum::<usize>()
    }

    /// The first field in which `new` plans something else than this one, with both values, or `None` where the plans
    /// are equal: `methods[5].options.n_masks was 500, is 4000`.
    pub fn difference(&self, new: &Self) -> Option<String> {
        difference("", &self.as_plan(), &new.as_plan())
    }

    /// Eight hexadecimal digits that are the same for equal plans and, all but surely, different for others.
    pub fn plan_id(&self) -> String {
        format!("{:08x}", crc32fast::hash(self.as_plan().to_string().as_bytes()))
    }

    /// SHA-256 of the plan, in hexadecimal digits.
    pub(crate) fn plan_digest(&self) -> String {
        let digest = Sha256::digest(self.as_plan().to_string().as_bytes());
        hex(&digest)
    }

    /// Checks that no two columns of the results and no two rows would have the same name.
    pub(crate) fn check_names(&self) -> Result<()> {
        if let Some(name) = clashing_column(self.metrics.iter().map(|metric| &*metric.name)) {
            return Err(Error::NameTaken { name });
        }
        // Two rows are the same where a model, a method or an image is there twice. Comparing the rows themselves would
        // take hundreds of bytes for each.
        let model = twice(self.models.iter().map(|model| (&model.name, &model.layer)));
        let method = twice(self.methods.iter().map(|method| (&method.name, &method.protocol)));
        let image = twice(self.images.iter().map(|image| &image.image));
        if self.n_rows() == 0 || (model, method, image) == (None, None, None) {
            return Ok(());
        }
        let key = key(
            &self.models[model.unwrap_or_default()],
            &self.images[image.unwrap_or_default()],
            &self.methods[method.unwrap_or_default()],
        );
        Err(Error::RowTwice { row: key.to_string() })
    }

    fn as_plan(&self) -> Value {
        let text = serde_json::to_string(self).expect("a manifest is always JSON");
        let mut value: Value = serde_json::from_str(&text).expect("what was just written");
        let fields = value.as_object_mut().expect("a struct");
        // The text of the configuration may gain a comment; what it means is in `config_resolved`.
        for field in
            ["status", "started", "finished", "command", "config_given", "made_on", "tables"]
        {
            fields.shift_remove(field);
        }
        // Some are about files beside the images.
        if let Some(dataset) = fields.get_mut("dataset").and_then(Value::as_object_mut) {
            dataset.shift_remove("cautions");
        }
        value
    }
}

/// The first column that the results would have twice if metrics were called like this.
pub fn clashing_column<'a>(metrics: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut columns: HashSet<String> =
        COLUMNS.into_iter().chain(crate::summary::COLUMNS).map(str::to_owned).collect();
    metrics
        .into_iter()
        .flat_map(|metric| ["", "_lo", "_hi", "_worst"].map(|suffix| format!("{metric}{suffix}")))
        .find(|name| !columns.insert(name.clone()))
}

/// What identifies a row of a run.
fn key(model: &ModelEntry, image: &ImageEntry, method: &MethodEntry) -> Key {
    Key {
        model: model.name.clone(),
        layer: model.layer.clone(),
        method: method.name.clone(),
        protocol: method.protocol.clone(),
        image: image.image.clone(),
    }
}

/// The place of the first item that was there before.
fn twice<T: Eq + Hash>(items: impl Iterator<Item = T>) -> Option<usize> {
    let mut seen = HashSet::new();
    items.enumerate().find_map(|(place, item)| (!seen.insert(item)).then_some(place))
}

/// The rows that a manifest asks for, without listing them.
#[derive(Debug)]
pub(crate) struct Plan {
    models: Vec<(String, String)>,
    methods: Vec<MethodKey>,
    images: HashMap<String, usize>,
    /// More than there are names, where a manifest from elsewhere has one twice.
    n_images: usize,
    n_metrics: usize,
}

/// What identifies a method's rows, and the models that have none.
#[derive(Debug)]
struct MethodKey {
    name: String,
    protocol: String,
    except: Vec<String>,
}

impl Plan {
    /// Of a manifest.
    pub(crate) fn of(manifest: &RunManifest) -> Self {
        let images = manifest.images.iter().map(|image| image.image.clone());
        Self {
            models: manifest.models.iter().map(|m| (m.name.clone(), m.layer.clone())).collect(),
            methods: manifest
                .methods
                .iter()
                .map(|m| MethodKey {
                    name: m.name.clone(),
                    protocol: m.protocol.clone(),
                    except: m.except.clone(),
                })
                .collect(),
            images: images.enumerate().map(|(place, image)| (image, place)).collect(),
            n_images: manifest.images.len(),
            n_metrics: manifest.metrics.len(),
        }
    }

    /// More than any row's place.
    pub(crate) fn n_places(&self) -> usize {
        self.models.len() * self.n_images * self.methods.len()
    }

    /// A row's place among them; `None` where it is none of them.
    pub(crate) fn place(&self, key: &Key) -> Option<usize> {
        let Key { model, layer, method, protocol, image } = key;
        self.place_named([model, layer, method, protocol, image])
    }

    /// The same by the names of a key, in its order.
    pub(crate) fn place_named(&self, names: [&str; 5]) -> Option<usize> {
        let [model, layer, method, protocol, image] = names;
        let is_meant = |entry: &MethodKey| {
            let is_left_out = entry.except.iter().any(|except| except == model);
            entry.name == method && entry.protocol == protocol && !is_left_out
        };
        let method = self.methods.iter().position(is_meant)?;
        let model = self.models.iter().position(|(name, at)| name == model && at == layer)?;
        Some(self.place_at(model, *self.images.get(image)?, method))
    }

    /// The place of a record's row; `None` where it is none of them.
    pub(crate) fn place_of(&self, record: &Record) -> Option<usize> {
        let Record { model, layer, method, protocol, image, metrics, .. } = record;
        (metrics.len() == self.n_metrics)
            .then(|| self.place_named([model, layer, method, protocol, image]))?
    }

    /// The place of the row of the manifest's n-th model, image and method.
    pub(crate) fn place_at(&self, model: usize, image: usize, method: usize) -> usize {
        (model * self.n_images + image) * self.methods.len() + method
    }

    /// How many metrics a record has.
    pub(crate) fn n_metrics(&self) -> usize {
        self.n_metrics
    }
}

/// The first difference between two values, in the order of the first one's fields.
fn difference(at: &str, old: &Value, new: &Value) -> Option<String> {
    match (old, new) {
        (Value::Object(a), Value::Object(b)) => {
            let field =
                |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
            let absent = |value: Option<&Value>| value.map_or("absent".to_owned(), brief);
            a.keys().chain(b.keys().filter(|name| !a.contains_key(*name))).find_map(|name| {
                match (a.get(name), b.get(name)) {
                    (Some(x), Some(y)) => difference(&field(name), x, y),
                    (x, y) => Some(format!("{} was {}, is {}", field(name), absent(x), absent(y))),
                }
            })
        }
        (Value::Array(a), Value::Array(b)) => a
            .iter()
            .zip(b)
            .enumerate()
            .find_map(|(i, (x, y))| difference(&format!("{at}[{i}]"), x, y))
            .or_else(|| {
                (a.len() != b.len())
                    .then(|| format!("{at} had {} entries, has {}", a.len(), b.len()))
            }),
        _ => (old != new).then(|| format!("{at} was {}, is {}", brief(old), brief(new))),
    }
}

/// A value in one line of an error message.
fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;
    use crate::testing::manifest;

    #[test]
    fn a_continued_run_may_have_another_start_and_command() {
        let old = manifest();
        let mut new = old.clone();
        new.started = "2031-01-01T00:00:00Z".into();
        new.command = None;
        new.status = RunStatus::Finished;
        assert_eq!(old.difference(&new), None);
    }

    #[test]
    fn the_first_field_that_differs_is_named_with_both_values() {
        let old = manifest();
        let changed = |change: fn(&mut RunManifest)| {
            let mut new = old.clone();
            change(&mut new);
            old.difference(&new).unwrap()
        };
        assert_eq!(
            changed(|new| new.methods[1].options["n_masks"] = json!(4000)),
            "methods[1].options.n_masks was 500, is 4000"
        );
        assert_eq!(changed(|new| new.seed = 7), "seed was 0, is 7");
        assert_eq!(
            changed(|new| new.methods[1].options["cells"] = json!([7, 7])),
            "methods[1].options.cells was absent, is [7,7]"
        );
        assert_eq!(changed(|new| new.images.truncate(2)), "images had 3 entries, has 2");
        assert_eq!(
            changed(|new| new.images[1].sha256 = Some("f".repeat(64))),
            format!("images[1].sha256 was \"{}…, is \"{}…", "b".repeat(59), "f".repeat(59))
        );
    }

    #[test]
    fn a_manifest_survives_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = manifest();
        manifest.write(folder.path()).unwrap();
        assert_eq!(RunManifest::read(folder.path()).unwrap(), manifest);
    }

    #[test]
    fn a_newer_schema_is_refused_by_name_and_an_older_one_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut manifest = manifest();
        manifest.schema = SCHEMA + 1;
        manifest.write(folder.path()).unwrap();
        let error = RunManifest::read(folder.path()).unwrap_err().to_string();
        assert!(
            error.ends_with("manifest.json was written by schema 2, this cambench reads up to 1; update cambench"),
            "{error}"
        );

        // Whatever else a newer schema changes must not be looked at first.
        fs::write(folder.path().join(MANIFEST), r#"{"schema": 2, "models": "elsewhere"}"#).unwrap();
        assert!(matches!(RunManifest::read(folder.path()), Err(Error::Newer { found: 2, .. })));

        manifest.schema = SCHEMA - 1;
        manifest.write(folder.path()).unwrap();
        assert_eq!(RunManifest::read(folder.path()).unwrap(), manifest);
    }

    #[test]
    fn names_that_would_share_a_column_are_refused() {
        for name in ["status", "adcc", "drop_lo", "n_failed", "drop"] {
            let mut manifest = manifest();
            manifest.metrics[1].name = name.into();
            let error = manifest.check_names().unwrap_err();
            assert!(
                matches!(&error, Error::NameTaken { name: taken } if taken.starts_with(name)),
                "{error}"
            );
        }
        manifest().check_names().unwrap();
    }

    #[test]
    fn two_rows_of_one_key_are_refused() {
        let mut manifest = manifest();
        manifest.images[1].image = manifest.images[0].image.clone();
        assert!(matches!(manifest.check_names(), Err(Error::RowTwice { .. })));
    }
}
