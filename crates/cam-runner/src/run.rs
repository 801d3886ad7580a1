//! The loop: models, then images, then methods, then metrics; every row safe on disk before the next one starts.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use cam_core::{Classifier, Cost, Counted, Explained, Map, Method, Subject, Target};
use cam_data::{DataError, Loaded as LoadedPhoto, prefetch};
use cam_results::{Curve, RawMap, Record, Row, Run, RunStatus, Status, Store, adcc};
use tch::{Device, Kind, Tensor};

use crate::{
    clock,
    config::{MapSource, MethodChoice, MetricChoice, TargetRule},
    event::Event,
    guard::guard,
    plan::{PROTOCOL, Plan, PlanError, PlannedModel},
    seed::image_seed,
};

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// Its folder.
    pub folder: PathBuf,
    /// Rows that the plan has.
    pub n_rows: usize,
    /// Rows that are there.
    pub n_done: usize,
    /// Of those, failed ones.
    pub n_failed: usize,
    /// Of those, degenerate ones.
    pub n_degenerate: usize,
    /// Whether all rows are there and the tables are written.
    pub is_finished: bool,
}

/// Why a run ended early. What was done until then is kept.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A network that could be loaded when it was planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The run's folder.
    #[error(transparent)]
    Store(#[from] cam_results::Error),
}

/// Runs a plan in `folder`, or what is missing of it. Stops after the row in hand when `stop` becomes true.
///
/// # Errors
/// Where the folder cannot be used or written. A method that panics or an image that cannot be read is a failed row.
pub fn run(
    plan: &Plan,
    folder: &Path,
    stop: &AtomicBool,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<Outcome, RunError> {
    let mut store = Store::create_or_continue(folder, plan.manifest().clone())?;
    on_event(Event::Started {
        folder,
        n_rows: plan.n_rows(),
        n_done: store.n_rows(),
        n_dropped: store.n_dropped(),
    });
    if store.is_finished() {
        return Ok(Outcome::of(&Run::read(folder)?));
    }
    for model in &plan.models {
        run_model(plan, model, &mut store, stop, on_event)?;
    }
    if store.n_rows() < plan.n_rows() {
        return Ok(Outcome::of(&Run::read(folder)?));
    }
    on_event(Event::Writing);
    Ok(Outcome::of(&store.finish(&clock::now())?))
}

impl Outcome {
    /// What became of the rows of a run.
    fn of(run: &Run) -> Self {
        let count = |status| run.records().iter().filter(|record| record.status == status).count();
        Self {
            folder: run.folder().to_path_buf(),
            n_rows: run.manifest().n_rows(),
            n_done: run.records().len(),
            n_failed: count(Status::Failed),
            n_degenerate: count(Status::Degenerate),
            is_finished: run.manifest().status == RunStatus::Finished,
        }
    }
}

fn run_model(
    plan: &Plan,
    model: &PlannedModel,
    store: &mut Store,
    stop: &AtomicBool,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<(), RunError> {
    let missing = |store: &Store, image: &str| -> Vec<&MethodChoice> {
        plan.sweep
            .methods
            .iter()
            .filter(|method| !store.contains(&model.key(method, image)))
            .collect()
    };
    let items: Vec<_> = plan
        .dataset
        .items
        .iter()
        .filter(|item| !missing(store, &item.image).is_empty())
        .cloned()
        .collect();
    if items.is_empty() || stop.load(Ordering::Relaxed) {
        return Ok(());
    }
    on_event(Event::Loading { model: &model.name });
    let loaded = model.load(plan.device, plan.memory(), on_event)?;
    let cut = loaded.network.cut(&model.layer).expect("the layer was resolved when it was planned");
    let cut = cut.with_batch(model.batch, model.head_batch);
    let hashes =
        plan.manifest().images.iter().map(|image| (image.image.as_str(), image.sha256.as_deref()));
    let hashes: std::collections::BTreeMap<_, _> = hashes.collect();

    for (index, photo) in prefetch(items.clone(), &model.preprocessing, plan.dataset.exif) {
        let item = &items[index];
        let cell = Cell { plan, model, cut: &cut, image: &item.image, label: item.label };
        let subject = photo.map_err(|error: DataError| error.to_string()).and_then(|photo| {
            if hashes.get(item.image.as_str()).copied().flatten() != Some(photo.sha256.as_str()) {
                return Err(format!("{} changed since the run was planned", item.path.display()));
            }
            guard(|| cell.subject(&photo, plan.device))
        });
        for method in missing(store, &item.image) {
            on_event(Event::RowStarted {
                model: &model.name,
                method: method.label(),
                image: &item.image,
            });
            let row = match &subject {
                Ok(subject) => guard(|| cell.explain(subject, method)).and_then(|row| row),
                Err(error) => Err(error.clone()),
            };
            let row = row.unwrap_or_else(|error| cell.failed(subject.as_ref().ok(), method, error));
            store.append(&row)?;
            on_event(Event::RowFinished { record: &row.record });
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// One image in one model.
pub(crate) struct Cell<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) model: &'a PlannedModel,
    pub(crate) cut: &'a dyn Classifier,
    pub(crate) image: &'a str,
    pub(crate) label: Option<i64>,
}

/// A subject with the seconds that its clean forward took.
pub(crate) struct Prepared<'a> {
    subject: Subject<'a>,
    forward_secs: f64,
}

impl<'a> Cell<'a> {
    pub(crate) fn subject(&self, photo: &LoadedPhoto, device: Device) -> Prepared<'a> {
        let image = photo.photo.tensor(&self.model.preprocessing).to_device(device);
        let target = match (self.plan.sweep.target, self.label) {
            (TargetRule::Label, Some(label)) => Target::Class(label),
            _ => Target::Predicted,
        };
        let start = Instant::now();
        let subject =
            Subject::new(self.cut, image, target, image_seed(self.plan.sweep.seed, self.image));
        // The confidence is read back, so the device has finished.
        let _ = subject.confidence();
        Prepared { subject, forward_secs: start.elapsed().as_secs_f64() }
    }

    /// Explains and scores; an error is about an imported map, or about a score that is not finite.
    pub(crate) fn explain(
        &self,
        prepared: &Prepared<'_>,
        method: &MethodChoice,
    ) -> Result<Row, String> {
        let subject = &prepared.subject;
        let counted = Counted::new(subject.classifier());
        let start = Instant::now();
        let raw = match &method.source {
            MapSource::Method(method) => method.explain(&subject.through(&counted)),
            MapSource::Custom(custom) => custom.method.explain(&subject.through(&counted)),
            MapSource::Imported(folder) => {
                imported(folder, self.image)?.to_device(subject.image().device())
            }
        };
        // Copying the map back waits for the device, so this is all of the time.
        let stored = stored(&raw);
        let own_secs = start.elapsed().as_secs_f64();

        let mut row = self.row(Some(prepared), method);
        // An image that goes through the whole network passes the cut and the head.
        row.record.executed_forwards = counted.forwards().max(counted.head_forwards());
        if method.source.method().is_some() {
            row.record.explain_secs = prepared.forward_secs + own_secs;
        }
        row.map = Some(stored);
        let size = subject.size();
        let map = method
            .source
            .method()
            .map_or_else(|| Map::new(&raw, size), |method| Map::made_by(method, &raw, size));
        match map {
            Ok(map) => self.score(subject, &map, method, &mut row)?,
            Err(degenerate) => {
                row.record.status = Status::Degenerate;
                row.record.error = Some(degenerate.to_string());
            }
        }
        Ok(row)
    }

    /// An error is about a metric that is not finite: no mean may be over fewer images than the others, unsaid.
    fn score(
        &self,
        subject: &Subject<'_>,
        map: &Map,
        method: &MethodChoice,
        row: &mut Row,
    ) -> Result<(), String> {
        let explained = Explained::new(subject, map, method.source.method());
        let metrics = &self.plan.sweep.metrics;
        for (metric, value) in metrics.iter().zip(&mut row.record.metrics) {
            if let Some(score) = metric.metric.score(&explained) {
                if !score.value.is_finite() {
                    return Err(format!("{} is not finite", metric.label()));
                }
                *value = Some(score.value);
                if let Some(values) = score.curve {
                    row.curves.push(Curve { metric: metric.label().to_string(), values });
                }
            }
        }
        let value = |name| part(metrics, &row.record.metrics, name);
        if let (Some(coherency), Some(complexity), Some(drop)) =
            (value("coherency"), value("complexity"), value("drop"))
        {
            row.record.adcc_per_image = Some(adcc(coherency, complexity, drop));
        }
        Ok(())
    }

    fn failed(&self, prepared: Option<&Prepared<'_>>, method: &MethodChoice, error: String) -> Row {
        let mut row = self.row(prepared, method);
        row.record.status = Status::Failed;
        row.record.error = Some(error);
        row
    }

    /// A row with all that is known before the method has run.
    fn row(&self, prepared: Option<&Prepared<'_>>, method: &MethodChoice) -> Row {
        let subject = prepared.map(|prepared| &prepared.subject);
        let method_cost = |method: &dyn Method| method.cost(self.model.shape);
        let cost = method.source.method().map_or(Cost::default(), method_cost);
        let record = Record {
            model: self.model.name.clone(),
            layer: self.model.layer.clone(),
            method: method.label().to_string(),
            protocol: PROTOCOL.to_string(),
            image: self.image.to_string(),
            label: self.label,
            target: subject.map(Subject::class),
            predicted: subject.map(|subject| subject.logits().argmax(1, false).int64_value(&[0])),
            confidence: subject.map(Subject::confidence),
            metrics: vec![None; self.plan.sweep.metrics.len()],
            adcc_per_image: None,
            explain_secs: 0.0,
            forwards: cost.forwards,
            head_forwards: cost.head_forwards,
            backwards: cost.backwards,
            executed_forwards: 0,
            status: Status::Ok,
            error: None,
        };
        Row { record, curves: vec![], map: None }
    }
}

/// The value of the first metric of that kind.
fn part(metrics: &[MetricChoice], values: &[Option<f64>], name: &str) -> Option<f64> {
    let at = metrics.iter().position(|metric| metric.metric.name() == name)?;
    values[at]
}

/// The map that another tool made of an image: `<folder>/<image without its extension>.npy`.
fn imported(folder: &Path, image: &str) -> Result<Tensor, String> {
    let path = folder.join(Path::new(image).with_extension("npy"));
    let map = Tensor::read_npy(&path)
        .map_err(|error| format!("cannot read the map {}: {error}", path.display()))?;
    if map.dim() != 2 || map.numel() == 0 {
        return Err(format!(
            "the map {} has the shape {:?}; it needs two dimensions",
            path.display(),
            map.size()
        ));
    }
    Ok(map.to_kind(Kind::Float))
}

fn stored(raw: &Tensor) -> RawMap {
    let (height, width) = raw.size2().expect("a map has two dimensions");
    let values =
        Vec::try_from(raw.to_kind(Kind::Float).to_device(Device::Cpu).contiguous().view([-1]));
    RawMap {
        height: height as u32,
        width: width as u32,
        values: values.expect("a vector of numbers"),
    }
}
