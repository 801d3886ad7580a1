//! The loop: models, then images, then methods, then metrics. Photographs are decoded ahead of it and rows are written
//! behind it, so that the network never waits for a disk.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use cam_core::{Classifier, Cost, Counted, Explained, Map, Method, Subject, Target};
use cam_data::{DataError, Item, Loaded as LoadedPhoto, prefetch};
use cam_results::{Curve, Key, RawMap, Record, Row, Run, RunStatus, Status, Store, adcc_of};
use tch::{Device, Kind, Tensor};
use tracing::info_span;

use crate::{
    clock,
    config::{MapSource, MethodChoice, TargetRule},
    event::Event,
    guard::{Failure, guard},
    npy::read_map,
    plan::{Networks, Plan, PlanError, PlannedModel},
    seed::image_seed,
    writer::Writer,
};

/// How a run ended.
#[derive(Clone, Debug, serde::Serialize)]
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
    /// Images that went through the networks, for methods and metrics, in this start of the run.
    pub executed_forwards: u64,
    /// Activations that went through the networks' heads.
    pub executed_head_forwards: u64,
    /// In `[0, 1]`: for how much of the time from the first photograph to the last row on disk the thread of the network
    /// was computing, and not waiting for photographs, for the disk, or for the next network; `None` where no row was made.
    pub network_busy: Option<f64>,
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

impl RunError {
    /// As [`PlanError::is_broken_device`].
    pub fn is_broken_device(&self) -> bool {
        matches!(self, Self::Plan(error) if error.is_broken_device())
    }
}

/// Runs a plan in `folder`, or what is missing of it. Stops after the row in hand when `stop` becomes true; what was
/// computed until then is written.
///
/// # Errors
/// Where the folder cannot be used or written, or the device breaks down. A method that panics or an image that cannot be
/// read is a failed row.
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
        return Ok(Outcome::of(&Run::read(folder)?, &Effort::default()));
    }
    let missing = missing(plan, |key| store.contains(key));
    let (computed, written, effort) = compute(
        plan,
        &missing,
        |rows| store.append_all(rows),
        &mut Networks::default(),
        stop,
        on_event,
    );
    let outcome = |run: &Run| Outcome::of(run, &effort);
    written?;
    computed?;
    if store.n_rows() < plan.n_rows() {
        return Ok(outcome(&Run::read(folder)?));
    }
    on_event(Event::Writing);
    let _span = info_span!("tables").entered();
    Ok(outcome(&store.finish(&clock::now())?))
}

impl Outcome {
    /// What became of the rows of a run that was computed elsewhere.
    pub fn elsewhere(run: &Run) -> Self {
        Self::of(run, &Effort::default())
    }

    /// What became of the rows of a run.
    fn of(run: &Run, effort: &Effort) -> Self {
        let count = |status| run.records().iter().filter(|record| record.status == status).count();
        Self {
            folder: run.folder().to_path_buf(),
            n_rows: run.manifest().n_rows(),
            n_done: run.records().len(),
            n_failed: count(Status::Failed),
            n_degenerate: count(Status::Degenerate),
            is_finished: run.manifest().status == RunStatus::Finished,
            executed_forwards: effort.forwards,
            executed_head_forwards: effort.head_forwards,
            network_busy: effort.busy(),
        }
    }
}

/// The images of a model that lack rows, by their places in the data set, with the methods that they lack.
type Missing<'a> = Vec<(usize, Vec<&'a MethodChoice>)>;

/// What each model of the plan lacks, `contains` telling which rows are there.
pub(crate) fn missing(plan: &Plan, contains: impl Fn(&Key) -> bool) -> Vec<Missing<'_>> {
    let of_model = |model: &PlannedModel| {
        let methods = |image: &str| -> Vec<_> {
            let is_missing = |method: &&MethodChoice| !contains(&plan.key(model, method, image));
            let of_model = plan.sweep.methods.iter().filter(|method| method.runs_on(&model.name));
            of_model.filter(is_missing).collect()
        };
        let images = plan.dataset.items.iter().map(|item| methods(&item.image)).enumerate();
        images.filter(|(_, methods)| !methods.is_empty()).collect()
    };
    plan.models.iter().map(of_model).collect()
}

/// Computes what is missing and has it appended. How the loop ended, how the writing did, and what it took.
pub(crate) fn compute<E: Send>(
    plan: &Plan,
    missing: &[Missing<'_>],
    append: impl FnMut(&[Row]) -> Result<(), E> + Send,
    networks: &mut Networks,
    stop: &AtomicBool,
    on_event: &mut dyn FnMut(Event<'_>),
) -> (Result<(), PlanError>, Result<(), E>, Effort) {
    thread::scope(|scope| {
        let writer = Writer::start(scope, append);
        let mut work = Work { plan, writer, networks, stop, on_event, effort: Effort::default() };
        let computed = work.run_models(missing);
        let Work { writer, on_event, mut effort, .. } = work;
        let written = writer.finish(|record| on_event(Event::RowFinished { record }));
        effort.last_row = Some(Instant::now());
        (computed, written, effort)
    })
}

/// The loop, with all that it needs.
struct Work<'a, 'scope, E> {
    plan: &'a Plan,
    writer: Writer<'scope, E>,
    networks: &'a mut Networks,
    stop: &'a AtomicBool,
    on_event: &'a mut dyn FnMut(Event<'_>),
    effort: Effort,
}

/// What one start of a run took.
#[derive(Default)]
pub(crate) struct Effort {
    forwards: u64,
    head_forwards: u64,
    first_photo: Option<Instant>,
    computing: Duration,
    last_row: Option<Instant>,
}

impl<'scope, E: Send + 'scope> Work<'_, 'scope, E> {
    /// Computes what is missing and hands it to the writer. Ends early where it is to stop or the writer has failed.
    fn run_models(&mut self, missing: &[Missing<'_>]) -> Result<(), PlanError> {
        for (model, missing) in self.plan.models.iter().zip(missing) {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            if !missing.is_empty() && self.run_model(model, missing)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn run_model(
        &mut self,
        model: &PlannedModel,
        missing: &Missing<'_>,
    ) -> Result<ControlFlow<()>, PlanError> {
        let plan = self.plan;
        let mut networks = std::mem::take(self.networks);
        let loaded = model.load(&mut networks, plan.resources, self.on_event)?;
        let flow = {
            let cut = model.cut(loaded);
            let counted = Counted::new(&*cut);
            let flow = self.run_images(model, &counted, missing);
            self.effort.forwards += counted.forwards();
            self.effort.head_forwards += counted.head_forwards();
            flow
        };
        *self.networks = networks;
        flow
    }

    fn run_images(
        &mut self,
        model: &PlannedModel,
        cut: &dyn Classifier,
        missing: &Missing<'_>,
    ) -> Result<ControlFlow<()>, PlanError> {
        let plan = self.plan;
        let items: Vec<_> =
            missing.iter().map(|(place, _)| plan.dataset.items[*place].clone()).collect();
        let mut photos = prefetch(items, &model.preprocessing, plan.dataset.exif);
        while let Some((index, photo)) = info_span!("wait for photo").in_scope(|| photos.next()) {
            let (place, methods) = &missing[index];
            let task = ImageTask { plan, model, cut, place: *place };
            let image = &task.item().image;
            let prepared = self.effort.compute(|| task.prepare(photo));
            for method in methods {
                (self.on_event)(Event::RowStarted {
                    model: &model.name,
                    method: method.label(),
                    image,
                });
                let row = self.effort.compute(|| {
                    let _span = info_span!("row", image).entered();
                    task.compute(&prepared, method)
                })?;
                if self.hand_over(row).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Tells of the rows that are written by now. Breaks where the loop is to stop.
    fn hand_over(&mut self, row: Row) -> ControlFlow<()> {
        let is_writing = info_span!("hand over").in_scope(|| self.writer.hand_over(row));
        for record in self.writer.written() {
            (self.on_event)(Event::RowFinished { record: &record });
        }
        if is_writing && !self.stop.load(Ordering::Relaxed) {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }
}

impl Effort {
    /// Does something that is no waiting; the first time, a photograph is there.
    fn compute<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        self.first_photo.get_or_insert(start);
        let result = work();
        self.computing += start.elapsed();
        result
    }

    /// For which share of the time from the first photograph to the last row it was computing.
    fn busy(&self) -> Option<f64> {
        let elapsed = self.last_row?.duration_since(self.first_photo?);
        Some(self.computing.as_secs_f64() / elapsed.as_secs_f64())
    }
}

/// One image in one model.
pub(crate) struct ImageTask<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) model: &'a PlannedModel,
    pub(crate) cut: &'a dyn Classifier,
    /// Of the image, in the data set of the plan.
    pub(crate) place: usize,
}

/// A subject with the seconds that its clean forward took.
pub(crate) struct Prepared<'a> {
    subject: Subject<'a>,
    forward_secs: f64,
}

impl<'a> ImageTask<'a> {
    pub(crate) fn item(&self) -> &'a Item {
        &self.plan.dataset.items[self.place]
    }

    /// The subject; a failure where the photograph cannot be read or is another one than planned, or the network
    /// breaks.
    pub(crate) fn prepare(
        &self,
        photo: Result<LoadedPhoto, DataError>,
    ) -> Result<Prepared<'a>, Failure> {
        let photo = photo.map_err(|error| Failure::Row(error.to_string()))?;
        let item = self.item();
        if self.plan.manifest().images[self.place].sha256.as_ref() != Some(&photo.sha256) {
            let path = item.path.display();
            return Err(Failure::Row(format!("{path} changed since the run was planned")));
        }
        let _span = info_span!("subject", image = item.image).entered();
        guard(|| self.subject(&photo))
    }

    fn subject(&self, photo: &LoadedPhoto) -> Prepared<'a> {
        let device = self.plan.resources.device;
        let image = photo.photo.tensor(&self.model.preprocessing).to_device(device);
        let item = self.item();
        let target = match (self.plan.sweep.target, item.label) {
            (TargetRule::Label, Some(label)) => Target::Class(label),
            _ => Target::Predicted,
        };
        let start = Instant::now();
        let seed = image_seed(self.plan.sweep.seed, &item.image);
        let mut subject = Subject::new(self.cut, image, target, seed);
        if let Some(region) = photo.region() {
            subject = subject.with_region(region.to_device(device));
        }
        // The confidence is read back, so the device has finished.
        let _ = subject.confidence();
        Prepared { subject, forward_secs: start.elapsed().as_secs_f64() }
    }

    /// The row of a method, failed where the image cannot be used or the method or a metric breaks. An error where the
    /// device does: that is nothing of the row's, and every later one would fail, too.
    pub(crate) fn compute(
        &self,
        prepared: &Result<Prepared<'_>, Failure>,
        method: &MethodChoice,
    ) -> Result<Row, PlanError> {
        let row = match prepared {
            Ok(prepared) => {
                guard(|| self.explain(prepared, method)).and_then(|row| row.map_err(Failure::Row))
            }
            Err(failure) => Err(failure.clone()),
        };
        row.or_else(|failure| match failure {
            Failure::Device(what) => Err(PlanError::DeviceBroke { what }),
            Failure::Row(error) => Ok(self.failed(prepared.as_ref().ok(), method, error)),
        })
    }

    /// Explains and scores; an error is about an imported map, or about a score that is not finite.
    fn explain(&self, prepared: &Prepared<'_>, method: &MethodChoice) -> Result<Row, String> {
        let subject = &prepared.subject;
        let counted = Counted::new(subject.classifier());
        let span = info_span!("explain", name = method.label()).entered();
        let start = Instant::now();
        let raw = match &method.source {
            MapSource::Method(method) => method.explain(&subject.through(&counted)),
            MapSource::Randomized(method) => method.explain(&subject.through(&counted)),
            MapSource::Custom(custom) => custom.method.explain(&subject.through(&counted)),
            MapSource::Imported(folder) => {
                read_map(&folder.join(Path::new(&self.item().image).with_extension("npy")))?
                    .to_device(subject.image().device())
            }
        };
        // Copying the map back waits for the device, so this is all of the time.
        let stored = stored(&raw);
        let own_secs = start.elapsed().as_secs_f64();
        drop(span);

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
        match map.map(|map| map.upsampled(self.plan.sweep.upsampling)) {
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
        info_span!("probes").in_scope(|| {
            explained.prepare(metrics.iter().map(|metric| &*metric.metric));
        });
        for (metric, value) in metrics.iter().zip(&mut row.record.metrics) {
            let span = info_span!("metric", name = metric.label());
            if let Some(score) = span.in_scope(|| metric.metric.score(&explained)) {
                if !score.value.is_finite() {
                    return Err(format!("{} is not finite", metric.label()));
                }
                *value = Some(score.value);
                if let Some(values) = score.curve {
                    row.curves.push(Curve { metric: metric.label().to_string(), values });
                }
            }
        }
        row.record.adcc_per_image = adcc_of(self.plan.manifest(), &row.record);
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
            model: self.model.name.as_str().into(),
            layer: self.model.layer.as_str().into(),
            method: method.label().into(),
            protocol: self.plan.protocol(method).into(),
            image: self.item().image.as_str().into(),
            label: self.item().label,
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
