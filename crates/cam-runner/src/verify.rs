//! A run checked: what follows from its rows, and some of its rows computed again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
};

use cam_core::Preprocessing;
use cam_data::prefetch;
use cam_metrics::{AnyMetric, Deletion, Unit};
use cam_models::DeviceChoice;
use cam_results::{
    Curve, Key, MetricEntry, ModelEntry, RawMap, Record, Row, Run, RunManifest, Status, TableCheck,
    adcc, adcc_parts, summarize,
};
use serde::Serialize;

use crate::{
    Event, Networks, Overrides, Plan, PlanError, Provenance, Sweep, guard::guard, run::Cell,
    seed::image_seed,
};

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// How many rows the run has; all of them were checked for what follows from them.
    pub n_rows: usize,
    /// How many of them were computed again.
    pub n_sampled: usize,
    /// Whether they had to be equal bit for bit: on the processor, at an equal version and number of threads.
    pub is_exact: bool,
    /// What is otherwise than when the run was made, and may change bits or the tables of means.
    pub differences: Vec<String>,
    /// What is not as it should be.
    pub mismatches: Vec<Mismatch>,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// Where: a row, or a file.
    pub place: String,
    /// What is wrong there.
    pub what: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// A run that cannot be computed again.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The manifest's sweep cannot be read.
    #[error("the manifest of {run} has a sweep that cannot be run again: {source}")]
    Sweep {
        /// The run's folder.
        run: String,
        /// Why.
        source: Box<crate::ConfigError>,
    },
    /// Data, weights or device are not there.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

impl VerifyError {
    /// As [`PlanError::is_broken_device`].
    pub fn is_broken_device(&self) -> bool {
        matches!(self, Self::Plan(error) if error.is_broken_device())
    }
}

/// By how much a number may differ where rounding may: on a card, or at another version, device or number of threads. A binary metric
/// may flip, so one that only takes 0 and 1 is left out then.
const TOLERANCE: f64 = 1e-3;

/// Checks all rows of a run for what follows from them, and computes `n_sampled` of them again; `seed` draws which, and
/// `provenance` is of the program that does.
///
/// # Errors
/// Where the run's images, weights or device are not there any more, or the device breaks down. That they are others is a
/// mismatch.
pub fn verify(
    run: &Run,
    provenance: &Provenance,
    n_sampled: usize,
    seed: u64,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<Verification, VerifyError> {
    let manifest = run.manifest();
    let mut mismatches = follow_from_rows(run);
    let plan = planned_again(run, provenance, on_event)?;
    let mut differences = differences(manifest, plan.manifest());
    if run.is_baseline() {
        differences.push("means, curves and maps, which a baseline does not keep".into());
    } else if run.n_missing() == 0 {
        tables(run, plan.manifest(), &mut mismatches, &mut differences);
    }
    let is_exact = is_exact(manifest, plan.manifest());
    mismatches.extend(sources(manifest, plan.manifest()));
    let sample = sample(run.records(), n_sampled, seed);
    let stored = Stored::of(run, &sample, &mut mismatches);
    let again = compute(&plan, &sample, on_event)?;
    let mut n_computed = 0;
    for record in &sample {
        let place = record.key().to_string();
        let Some(row) = again.get(&record.key()) else {
            let what =
                "could not be computed again: what it is made of is not there any more".into();
            mismatches.push(Mismatch { place, what });
            continue;
        };
        n_computed += 1;
        let wrong = compared(record, row, &manifest.metrics, is_exact);
        // What is beside a row of another kind is of another kind, too.
        let beside = if record.status == row.record.status {
            stored.compared(&record.key(), row, is_exact)
        } else {
            vec![]
        };
        for what in wrong.into_iter().chain(beside) {
            mismatches.push(Mismatch { place: place.clone(), what });
        }
    }
    Ok(Verification {
        n_rows: run.records().len(),
        n_sampled: n_computed,
        is_exact,
        differences,
        mismatches,
    })
}

/// What must follow from a run's own rows: per-image ADCC, scores only where there is a map.
fn follow_from_rows(run: &Run) -> Vec<Mismatch> {
    let manifest = run.manifest();
    let parts = adcc_parts(manifest);
    let mut mismatches = vec![];
    for record in run.records() {
        let mut wrong = |what: String| {
            mismatches.push(Mismatch { place: record.key().to_string(), what });
        };
        if record.status != Status::Ok && record.metrics.iter().any(Option::is_some) {
            wrong(format!("is {} and has scores", record.status.as_str()));
        }
        if let Some(parts) = parts
            && let [Some(coherency), Some(complexity), Some(drop)] =
                parts.map(|part| record.metrics[part])
        {
            let expected = adcc(coherency, complexity, drop);
            if record.adcc_per_image.is_none_or(|stored| (stored - expected).abs() > 1e-9) {
                wrong(format!(
                    "its adcc_per_image is {}, and follows as {expected}",
                    written(record.adcc_per_image)
                ));
            }
        }
    }
    mismatches
}

/// Whether the tables of means and of differences follow from the records. How intervals and p-values are computed is a
/// matter of the program: one that another build made is held to its means alone.
fn tables(
    run: &Run,
    now: &RunManifest,
    mismatches: &mut Vec<Mismatch>,
    differences: &mut Vec<String>,
) {
    let (old, folder) = (run.manifest(), run.folder());
    let summary = summarize(old, run.records());
    let is_same_build = (&old.cambench, &old.commit) == (&now.cambench, &now.commit);
    let checks = [
        ("summary.csv", summary.check(folder)),
        ("comparisons.csv", summary.check_comparisons(folder)),
    ];
    for (table, check) in checks {
        let what = match check {
            Ok(TableCheck::Same) => continue,
            Ok(TableCheck::OtherStatistics) if !is_same_build => {
                let what = "whose intervals and p-values this program computes otherwise";
                differences.push(format!("{table}, {what}"));
                continue;
            }
            Ok(_) => "does not follow from the records".into(),
            Err(error) => error.to_string(),
        };
        mismatches.push(Mismatch { place: table.into(), what });
    }
}

/// By how much a score may differ from the area under its curve, which is a sum of the same numbers; of large scores, times
/// the score.
const AREA_TOLERANCE: f64 = 1e-9;

/// A metric whose score is the area under its curve.
struct AreaMetric<'a> {
    name: &'a str,
    /// Among the metrics of a record.
    place: usize,
    metric: AnyMetric,
}

impl<'a> AreaMetric<'a> {
    /// `None` for a metric of another kind.
    fn of(place: usize, entry: &'a MetricEntry) -> Option<Self> {
        let metric = match AnyMetric::configure(&entry.metric, &entry.options)?.ok()? {
            metric @ (AnyMetric::Deletion(_) | AnyMetric::Insertion(_)) => metric,
            // Its area is deletion's.
            AnyMetric::PixelFlipping(flipping) => {
                AnyMetric::Deletion(Deletion { steps: flipping.steps, ..Deletion::default() })
            }
            _ => return None,
        };
        Some(Self { name: &entry.name, place, metric })
    }

    /// `None` where its options make curves of another length.
    fn area_under(&self, curve: &[f64], [n_pixels, n_cells]: [i64; 2]) -> Option<f64> {
        let n_units = |unit| if unit == Unit::Pixels { n_pixels } else { n_cells };
        match &self.metric {
            AnyMetric::Deletion(deletion) => deletion.area_under(curve, n_units(deletion.unit)),
            AnyMetric::Insertion(insertion) => insertion.area_under(curve, n_units(insertion.unit)),
            _ => None,
        }
    }
}

/// Holds the scores of all rows that are areas against their curves, which come in the order of the rows.
struct Areas<'a> {
    metrics: Vec<AreaMetric<'a>>,
    /// How many pixels an image of each model has, and how many cells its layer.
    sizes: BTreeMap<&'a str, [i64; 2]>,
    /// The row whose curves come, and all after it.
    rows: &'a [Record],
    /// Which of the metrics the first of these has had a curve of.
    seen: BTreeSet<&'a str>,
    /// Whether a curve has come out of this order. No later one tells then which rows have none.
    is_lost: bool,
    mismatches: Vec<Mismatch>,
}

impl<'a> Areas<'a> {
    fn of(manifest: &'a RunManifest, rows: &'a [Record]) -> Self {
        let size = |model: &'a ModelEntry| {
            let preprocessing: Preprocessing =
                serde_json::from_value(model.preprocessing.clone()).ok()?;
            let [_, height, width] = model.feature_shape;
            let n_cells = height.checked_mul(width).filter(|n| *n > 0)?;
            Some((&*model.name, [i64::from(preprocessing.crop).pow(2), n_cells]))
        };
        let metrics = manifest.metrics.iter().enumerate();
        Self {
            metrics: metrics.filter_map(|(place, entry)| AreaMetric::of(place, entry)).collect(),
            sizes: manifest.models.iter().filter_map(size).collect(),
            rows,
            seen: BTreeSet::new(),
            is_lost: false,
            mismatches: vec![],
        }
    }

    fn visit(&mut self, key: &Key, curve: &Curve) {
        if self.is_lost {
            return;
        }
        let Some(n_passed) = self.rows.iter().position(|row| is_of(row, key)) else {
            self.is_lost = true;
            let what = format!(
                "its curve of {} is not where its row is; those after it were not held against their scores",
                curve.metric
            );
            self.mismatches.push(Mismatch { place: key.to_string(), what });
            return;
        };
        for _ in 0..n_passed {
            self.pass();
        }
        let metric = self.metrics.iter().find(|metric| metric.name == curve.metric);
        let Some(metric) = metric else { return };
        let name = metric.name;
        self.seen.insert(name);
        let Some(size) = self.sizes.get(&*key.model) else { return };
        let area = metric.area_under(&curve.values, *size);
        let what = match (self.rows[0].metrics[metric.place], area) {
            (None, _) => format!("it has a curve of {name}, and no score"),
            (_, None) => format!("its curve of {name} is not as long as the metric makes it"),
            (Some(score), Some(area)) => {
                if (area - score).abs() <= AREA_TOLERANCE * score.abs().max(1.0) {
                    return;
                }
                format!("its {name} is {score}, and the area under its curve {area}")
            }
        };
        self.mismatches.push(Mismatch { place: key.to_string(), what });
    }

    /// Goes on to the next row.
    fn pass(&mut self) {
        let Some((row, rest)) = self.rows.split_first() else { return };
        for AreaMetric { name, place, .. } in &self.metrics {
            if row.metrics[*place].is_some() && !self.seen.contains(name) {
                let what = format!("its curve of {name} is not there");
                self.mismatches.push(Mismatch { place: row.key().to_string(), what });
            }
        }
        self.seen.clear();
        self.rows = rest;
    }

    /// When all curves have come.
    fn finish(mut self) -> Vec<Mismatch> {
        while !self.is_lost && !self.rows.is_empty() {
            self.pass();
        }
        self.mismatches
    }
}

fn is_of(record: &Record, key: &Key) -> bool {
    let Key { model, layer, method, protocol, image } = key;
    // The parts in which neighbors differ come first.
    record.image == *image
        && record.method == *method
        && record.model == *model
        && record.layer == *layer
        && record.protocol == *protocol
}

/// The run's plan, made again from its manifest.
fn planned_again(
    run: &Run,
    provenance: &Provenance,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<Plan, VerifyError> {
    let manifest = run.manifest();
    let text = manifest.config_resolved.to_string();
    let path = run.folder().join("manifest.json");
    let sweep = Sweep::parse(&text, &path).map_err(|source| VerifyError::Sweep {
        run: run.folder().display().to_string(),
        source: Box::new(source),
    })?;
    let device = manifest.device.split(' ').next().unwrap_or("cpu");
    let overrides = Overrides {
        // Where that device is not there, the one that is will do, and be named.
        device: device.parse().unwrap_or(DeviceChoice::Auto),
        threads: Some(manifest.threads),
        ..Overrides::default()
    };
    // Paths in the manifest count from where the run was started, as this command is.
    Ok(Plan::new(sweep, &text, Path::new("manifest.json"), &overrides, provenance, on_event)?)
}

/// A card adds up gradients in the order in which its blocks happen to end.
fn is_exact(old: &RunManifest, new: &RunManifest) -> bool {
    old.device.starts_with("cpu")
        && (&old.cambench, &old.device, old.threads, &old.versions)
            == (&new.cambench, &new.device, new.threads, &new.versions)
}

fn differences(old: &RunManifest, new: &RunManifest) -> Vec<String> {
    let mut differences = vec![];
    let mut say = |what: &str, old: &str, new: &str| {
        if old != new {
            differences.push(format!("{what} {old}, now {new}"));
        }
    };
    let commit = |manifest: &RunManifest| manifest.commit.clone().unwrap_or("unknown".into());
    say("cambench", &old.cambench, &new.cambench);
    say("commit", &commit(old), &commit(new));
    say("device", &old.device, &new.device);
    say("threads", &old.threads.to_string(), &new.threads.to_string());
    for (name, version) in &old.versions {
        say(name, version, new.versions.get(name).map_or("none", String::as_str));
    }
    differences
}

/// Weights and images that are others than those that the run names.
fn sources(old: &RunManifest, new: &RunManifest) -> Vec<Mismatch> {
    let mut mismatches = vec![];
    for (old, new) in old.models.iter().zip(&new.models) {
        if old.weights.sha256 != new.weights.sha256 {
            mismatches.push(Mismatch {
                place: format!("weights of {}", old.name),
                what: "are another file than the run names".into(),
            });
        }
    }
    let now: BTreeMap<_, _> =
        new.images.iter().map(|image| (&image.image, &image.sha256)).collect();
    for image in &old.images {
        let what = match now.get(&image.image) {
            Some(hash) if **hash == image.sha256 => continue,
            Some(_) => "is another file than the run names",
            None => "is not in the data set any more",
        };
        mismatches.push(Mismatch { place: image.image.clone(), what: what.into() });
    }
    mismatches
}

/// Rows drawn by a hash of their keys, in the run's order.
fn sample(records: &[Record], n: usize, seed: u64) -> Vec<&Record> {
    let mut drawn: Vec<(u64, usize)> = records
        .iter()
        .enumerate()
        .map(|(i, record)| (image_seed(seed, &record.key().to_string()), i))
        .collect();
    drawn.sort_unstable();
    drawn.truncate(n);
    drawn.sort_unstable_by_key(|(_, i)| *i);
    drawn.into_iter().map(|(_, i)| &records[i]).collect()
}

/// What is stored of the sample beside its records; `None` for a file that cannot be read.
struct Stored {
    maps: Option<BTreeMap<Key, RawMap>>,
    curves: Option<BTreeMap<Key, Vec<Curve>>>,
}

impl Stored {
    /// A file that cannot be read is a mismatch, as is a score of any row that is not the area under its curve.
    fn of(run: &Run, sample: &[&Record], mismatches: &mut Vec<Mismatch>) -> Self {
        let wanted: BTreeSet<Key> = sample.iter().map(|record| record.key()).collect();
        let mut say = |file: &str, error: &cam_results::Error| {
            mismatches.push(Mismatch { place: file.into(), what: error.to_string() });
        };
        if run.is_baseline() {
            return Self { maps: None, curves: None };
        }
        let mut maps = BTreeMap::new();
        let visited = run.visit_maps(|key, map| {
            if wanted.contains(key) {
                maps.insert(key.clone(), map.clone());
            }
        });
        let maps = visited.inspect_err(|error| say("maps.parquet", error)).ok().map(|()| maps);
        let mut areas = Areas::of(run.manifest(), run.records());
        let mut curves: BTreeMap<Key, Vec<Curve>> = BTreeMap::new();
        let visited = run.visit_curves(|key, curve| {
            areas.visit(key, curve);
            if wanted.contains(key) {
                curves.entry(key.clone()).or_default().push(curve.clone());
            }
        });
        let curves =
            visited.inspect_err(|error| say("curves.parquet", error)).ok().map(|()| curves);
        if curves.is_some() {
            mismatches.extend(areas.finish());
        }
        Self { maps, curves }
    }

    /// What differs from the map and the curves of a row that was computed again.
    fn compared(&self, key: &Key, again: &Row, is_exact: bool) -> Vec<String> {
        let mut wrong = vec![];
        if let Some(maps) = &self.maps {
            match (maps.get(key), &again.map) {
                (Some(old), Some(new)) if is_exact && !is_same_map(old, new) => {
                    wrong.push("its map comes out as another one".into());
                }
                (Some(_), Some(_)) | (None, None) => {}
                (None, Some(_)) => wrong.push("its map is not there".into()),
                (Some(_), None) => wrong.push("it has a map, and comes out without one".into()),
            }
        }
        if let Some(curves) = &self.curves {
            // Where one is missing, all rows have been asked for theirs.
            for curve in curves.get(key).map_or(&[][..], Vec::as_slice) {
                let new = again.curves.iter().find(|new| new.metric == curve.metric);
                if new.is_none_or(|new| !is_same_curve(curve, new, is_exact)) {
                    wrong.push(format!("its curve of {} comes out as another one", curve.metric));
                }
            }
        }
        wrong
    }
}

fn is_same_map(a: &RawMap, b: &RawMap) -> bool {
    let bits = |map: &RawMap| map.values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    (a.height, a.width, bits(a)) == (b.height, b.width, bits(b))
}

/// Bit for bit, or to within rounding on average: where pixels are nearly equal, rounding may turn their order around, and
/// with it single steps.
fn is_same_curve(a: &Curve, b: &Curve, is_exact: bool) -> bool {
    let pairs = || a.values.iter().zip(&b.values);
    let apart = || pairs().map(|(a, b)| (a - b).abs()).sum::<f64>() / a.values.len() as f64;
    a.values.len() == b.values.len()
        && if is_exact { pairs().all(|(a, b)| is_same(*a, *b, true)) } else { apart() <= TOLERANCE }
}

/// Whether a number is the one that comes out: bit for bit, or to within rounding.
fn is_same(old: f64, new: f64, is_exact: bool) -> bool {
    if is_exact { old.to_bits() == new.to_bits() } else { (old - new).abs() <= TOLERANCE }
}

/// The sampled rows, computed again.
fn compute(
    plan: &Plan,
    sample: &[&Record],
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<BTreeMap<Key, Row>, PlanError> {
    let mut rows = BTreeMap::new();
    let mut networks = Networks::default();
    for model in &plan.models {
        // The methods to compute on each image.
        let mut wanted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for record in sample.iter().filter(|record| record.model == model.name) {
            wanted.entry(&*record.image).or_default().insert(&*record.method);
        }
        if wanted.is_empty() {
            continue;
        }
        let loaded = model.load(&mut networks, plan.device, plan.memory(), on_event)?;
        let cut = model.cut(loaded);
        let items = plan.dataset.items.iter().filter(|item| wanted.contains_key(&*item.image));
        let items: Vec<_> = items.cloned().collect();
        for (index, photo) in prefetch(items.clone(), &model.preprocessing, plan.dataset.exif) {
            let item = &items[index];
            let cell = Cell { plan, model, cut: &*cut, image: &item.image, label: item.label };
            let prepared = photo
                .map_err(|error| error.to_string())
                .and_then(|photo| guard(|| cell.subject(&photo, plan.device)));
            let wanted = &wanted[&*item.image];
            for method in plan.sweep.methods.iter().filter(|method| wanted.contains(method.label()))
            {
                let row = cell.compute(&prepared, method)?;
                on_event(Event::RowFinished { record: &row.record });
                rows.insert(row.record.key(), row);
            }
        }
    }
    Ok(rows)
}

/// What differs between a stored record and the same one computed again.
fn compared(stored: &Record, again: &Row, metrics: &[MetricEntry], is_exact: bool) -> Vec<String> {
    let mut wrong = vec![];
    let new = &again.record;
    let mut say = |what: &str, old: String, new: String| {
        wrong.push(format!("{what} is {old}, and comes out as {new}"));
    };
    if stored.status != new.status {
        say("status", stored.status.as_str().into(), new.status.as_str().into());
        return wrong;
    }
    if (stored.label, stored.target) != (new.label, new.target) {
        say("class", format!("{:?}", stored.target), format!("{:?}", new.target));
    }
    if stored.predicted != new.predicted {
        let [old, new] = [stored, new].map(|record| format!("{:?}", record.predicted));
        say("predicted class", old, new);
    }
    let is_same = |old: Option<f64>, new: Option<f64>| match (old, new) {
        (Some(old), Some(new)) => is_same(old, new, is_exact),
        (old, new) => old.is_none() && new.is_none(),
    };
    if !is_same(stored.confidence, new.confidence) {
        say("confidence", written(stored.confidence), written(new.confidence));
    }
    for (i, metric) in metrics.iter().enumerate() {
        let (old, new) = (stored.metrics[i], new.metrics[i]);
        let is_binary = |value: Option<f64>| value.is_some_and(|value| value.fract() == 0.0);
        let may_flip = !is_exact && is_binary(old) && is_binary(new);
        if !may_flip && !is_same(old, new) {
            say(&metric.name, written(old), written(new));
        }
    }
    let counts = |record: &Record| {
        (record.forwards, record.head_forwards, record.backwards, record.executed_forwards)
    };
    if is_exact && counts(stored) != counts(new) {
        say("cost", format!("{:?}", counts(stored)), format!("{:?}", counts(new)));
    }
    wrong
}

fn written(value: Option<f64>) -> String {
    value.map_or("null".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(values: &[f64]) -> Curve {
        Curve { metric: "deletion".into(), values: values.to_vec() }
    }

    /// A run whose deletion and insertion, the third and the fourth metric, are areas under curves of 28 equal steps.
    fn run_of_areas() -> (RunManifest, Vec<Row>) {
        let (mut manifest, rows) = cam_results::synthetic(3, 2);
        for metric in &mut manifest.metrics[2..4] {
            metric.options = serde_json::json!({ "steps": 28 });
        }
        let rows = rows.map(|mut row| {
            for (place, curve) in (2..).zip(&row.curves) {
                let ends = (curve.values[0] + curve.values[28]) / 2.0;
                let inner: f64 = curve.values[1..28].iter().sum();
                row.record.metrics[place] = Some((inner + ends) / 28.0);
            }
            row
        });
        (manifest, rows.collect())
    }

    /// What is found where the curves of these rows come in this order.
    fn found(manifest: &RunManifest, records: &[Record], rows: &[Row]) -> Vec<String> {
        let mut areas = Areas::of(manifest, records);
        for row in rows {
            let key = row.record.key();
            row.curves.iter().for_each(|curve| areas.visit(&key, curve));
        }
        areas.finish().iter().map(Mismatch::to_string).collect()
    }

    #[test]
    fn a_score_of_any_row_is_the_area_under_its_curve() {
        let (manifest, rows) = run_of_areas();
        let records: Vec<Record> = rows.iter().map(|row| row.record.clone()).collect();
        assert_eq!(found(&manifest, &records, &rows), [""; 0]);
        let is = |change: &dyn Fn(&mut Row), what: &str| {
            let mut rows = rows.clone();
            change(&mut rows[4]);
            let records: Vec<Record> = rows.iter().map(|row| row.record.clone()).collect();
            let found = found(&manifest, &records, &rows);
            let place = rows[4].record.key().to_string();
            assert!(found.len() == 1, "{found:?}");
            assert!(found[0].starts_with(&place) && found[0].contains(what), "{found:?}");
        };
        let more = |row: &mut Row| row.record.metrics[3] = row.record.metrics[3].map(|v| v + 1e-6);
        is(&more, "its insertion is ");
        is(&|row| row.curves[0].values[7] = f64::NAN, "and the area under its curve NaN");
        is(&|row| row.curves[0].values.push(0.0), "its curve of deletion is not as long as");
        is(&|row| drop(row.curves.pop()), "its curve of insertion is not there");
        is(&|row| row.record.metrics[2] = None, "it has a curve of deletion, and no score");
    }

    #[test]
    fn curves_in_another_order_than_their_rows_are_one_mismatch() {
        let (manifest, mut rows) = run_of_areas();
        let records: Vec<Record> = rows.iter().map(|row| row.record.clone()).collect();
        rows.swap(1, 2);
        let found = found(&manifest, &records, &rows);
        // The row that was passed over has lost its curves, as far as it is known then.
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[2].contains("its curve of deletion is not where its row is"), "{found:?}");
    }

    #[test]
    fn an_area_is_computed_by_the_options_of_its_metric() {
        let (mut manifest, mut rows) = run_of_areas();
        for metric in &mut manifest.metrics[2..4] {
            metric.options = serde_json::json!({ "steps": 28, "area": "points", "unit": "cells" });
        }
        for row in &mut rows {
            let [deleted, inserted] = [&row.curves[0].values, &row.curves[1].values];
            let deletion =
                deleted[0] / 2.0 + deleted[1..28].iter().sum::<f64>() + deleted[28] / 2.0;
            // Without its start and with its end twice.
            let insertion =
                inserted[1] / 2.0 + inserted[2..].iter().sum::<f64>() + inserted[28] / 2.0;
            row.record.metrics[2] = Some(deletion / 29.0);
            row.record.metrics[3] = Some(insertion / 29.0);
        }
        let records: Vec<Record> = rows.iter().map(|row| row.record.clone()).collect();
        assert_eq!(found(&manifest, &records, &rows), [""; 0]);
        // There are 49 cells, and a step is one at least.
        manifest.metrics[2].options = serde_json::json!({ "steps": 100, "unit": "cells" });
        let found = found(&manifest, &records, &rows);
        assert_eq!(found.len(), rows.len(), "{found:?}");
        assert!(found[0].contains("its curve of deletion is not as long as"), "{found:?}");
    }

    #[test]
    fn a_step_that_rounding_reordered_is_no_other_curve_where_rounding_may_differ() {
        let steps: Vec<f64> = (0..29).map(|i| 1.0 - f64::from(i) / 28.0).collect();
        let mut moved = steps.clone();
        moved[9] += 0.007;
        assert!(is_same_curve(&curve(&steps), &curve(&moved), false));
        assert!(!is_same_curve(&curve(&steps), &curve(&moved), true));
        // All of it is another one, and so is a shorter one.
        let lower: Vec<f64> = steps.iter().map(|value| value - 0.002).collect();
        assert!(!is_same_curve(&curve(&steps), &curve(&lower), false));
        assert!(!is_same_curve(&curve(&steps), &curve(&steps[..28]), false));
    }
}
