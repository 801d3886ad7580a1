//! Printed values that a sweep names, matched with its models and methods, and what was set otherwise there.

use std::{collections::BTreeMap, path::Path};

use cam_core::{MAX_TEXT, Preprocessing, read_text_file};
use cam_methods::AnyMethod;
use cam_metrics::AnyMetric;
use cam_results::{ModelEntry, Printed, Reference};

use crate::{
    config::{MapSource, MethodChoice, Sweep, configure},
    plan::PlanError,
    protocol::{PROTOCOLS, Protocol, differences, json, word},
    suggest::hint,
};

/// Reads a list of printed values (CSV) for a sweep over so many images.
///
/// # Errors
/// Where the file cannot be read or is no such list.
pub(crate) fn read(
    path: &Path,
    sweep: &Sweep,
    models: &[ModelEntry],
    n_images: usize,
) -> Result<Reference, PlanError> {
    let wrong = |message: String| PlanError::Reference { path: path.to_path_buf(), message };
    let text = read_text_file(path, MAX_TEXT).map_err(|error| wrong(error.to_string()))?;
    let sha256 = cam_models::sha256(path).map_err(|error| wrong(error.to_string()))?;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let head = reader.headers().map_err(|error| wrong(error.to_string()))?.clone();
    let mut rows = vec![];
    for record in reader.records() {
        let record = record.map_err(|error| wrong(error.to_string()))?;
        let line = record.position().map_or(0, csv::Position::line);
        let wrong = |message: String| wrong(format!("line {line}: {message}"));
        let row = Row { head: &head, record: &record };
        let protocol = row.text("protocol").map_err(wrong)?;
        let names = PROTOCOLS.each_ref().map(|protocol| protocol.name);
        let protocol = Protocol::by_name(protocol).ok_or_else(|| {
            wrong(format!("unknown protocol `{protocol}`{}", hint(protocol, &names)))
        })?;
        let printed_images = row.text("n_images").map_err(wrong)?;
        let (architecture, kind) =
            (row.text("model").map_err(wrong)?, row.text("method").map_err(wrong)?);
        for model in models.iter().filter(|model| model.architecture == architecture) {
            // A method on a randomized network is another one.
            let is_meant = |method: &&MethodChoice| match &method.source {
                MapSource::Method(method) => method.name() == kind,
                _ => false,
            };
            for method in sweep.methods.iter().filter(is_meant) {
                let mut differs = differing(sweep, model, method, protocol);
                if printed_images != n_images.to_string() {
                    differs.push(format!("images {n_images}, printed: {printed_images}"));
                }
                rows.push(Printed {
                    model: model.name.clone(),
                    method: method.label().to_string(),
                    protocol: protocol.name.to_string(),
                    source: row.text("source").map_err(wrong)?.to_string(),
                    values: row.values(sweep).map_err(wrong)?,
                    differs,
                });
            }
        }
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Reference { name, sha256, rows })
}

/// One method in one network: names, then metrics in percent.
struct Row<'a> {
    head: &'a csv::StringRecord,
    record: &'a csv::StringRecord,
}

impl Row<'_> {
    fn field(&self, column: &str) -> Option<&str> {
        let at = self.head.iter().position(|name| name == column)?;
        self.record.get(at)
    }

    fn text(&self, column: &str) -> Result<&str, String> {
        self.field(column).ok_or_else(|| format!("there is no column `{column}`"))
    }

    /// Fractions by the metrics' names in the sweep, for metrics of the sweep's protocol.
    fn values(&self, sweep: &Sweep) -> Result<BTreeMap<String, f64>, String> {
        let metrics = sweep.metrics.iter().filter(|metric| metric.protocol.is_none());
        let metrics = metrics.map(|metric| (metric.metric.name(), metric.label()));
        let mut values = BTreeMap::new();
        for (kind, name) in metrics.chain([("adcc", "adcc")]) {
            if let Some(text) = self.field(kind).filter(|text| !text.is_empty()) {
                let percent: f64 =
                    text.parse().map_err(|_error| format!("`{text}` is no number"))?;
                values.insert(name.to_string(), percent / 100.0);
            }
        }
        Ok(values)
    }
}

/// Every setting of a row of the sweep that is not the protocol's.
fn differing(
    sweep: &Sweep,
    model: &ModelEntry,
    method: &MethodChoice,
    protocol: &Protocol,
) -> Vec<String> {
    let mut differs = vec![];
    let mut compare = |what: &str, ours: &str, theirs: &str| {
        if ours != theirs {
            differs.push(format!("{what} {ours}, printed: {theirs}"));
        }
    };
    if model.weights.seeded {
        compare("weights", "random", "trained");
    }
    compare("target", &sweep.target.to_string(), &protocol.target.to_string());
    compare("upsampling", &word(&sweep.upsampling), &word(&protocol.upsampling));
    if let Ok(ours) = serde_json::from_value::<Preprocessing>(model.preprocessing.clone()) {
        let theirs = protocol.preprocessing(&ours);
        // A protocol of no framing of its own says nothing of the side.
        compare("resize", &word(&ours.resize), &word(&theirs.resize));
        compare("interpolation", &word(&ours.interpolation), &word(&theirs.interpolation));
    }
    if let MapSource::Method(method) = &method.source {
        let theirs = configure::<AnyMethod>(method.name(), protocol.method_options(method.name()));
        let theirs = theirs.expect("the table's options are those of its methods");
        for (key, ours, theirs) in differences(&json(&theirs), &json(method)) {
            compare(&format!("{} {key}", method.name()), &ours, &theirs);
        }
    }
    for metric in &sweep.metrics {
        let name = metric.metric.name();
        let theirs = configure::<AnyMetric>(name, protocol.metric_options(name));
        let theirs = theirs.expect("the table's options are those of its metrics");
        for (key, ours, theirs) in differences(&json(&theirs), &json(&metric.metric)) {
            compare(&format!("{} {key}", metric.label()), &ours, &theirs);
        }
    }
    differs
}
