//! A sweep tried on one image, to say what the whole of it will take.

use std::time::Instant;

use cam_core::Method;
use cam_data::{DataError, Loaded as LoadedPhoto, prefetch};
use cam_results::{Row, Status};

use crate::{
    event::Event,
    plan::{Networks, Plan, PlanError, PlannedModel},
    run::ImageTask,
};

/// What a sweep will take, from its definitions and from one image of every cell.
#[derive(Clone, Debug, serde::Serialize)]
pub struct SweepEstimate {
    /// Images of the data set.
    pub n_images: usize,
    /// Rows of the run.
    pub n_rows: usize,
    /// Every model with every method.
    pub cells: Vec<CellEstimate>,
    /// Images through a network for the whole sweep, by definition.
    pub forwards: u64,
    /// Wall-clock time of the whole sweep, in hours.
    pub hours: f64,
    /// What the results will take on disk, in bytes.
    pub disk_bytes: u64,
    /// Peak memory of this process so far, in bytes, where the system tells.
    pub memory_bytes: Option<u64>,
    /// Images that cannot be read: the file and why.
    pub unreadable: Vec<String>,
}

/// One method on one model.
#[derive(Clone, Debug, serde::Serialize)]
pub struct CellEstimate {
    /// The model's name in results.
    pub model: String,
    /// The layer under explanation.
    pub layer: String,
    /// The method's name in results.
    pub method: String,
    /// Forwards an image, by definition: of the method and of all metrics.
    pub forwards_per_image: u64,
    /// Passes through the head alone an image, by definition: of the method.
    pub head_forwards_per_image: u64,
    /// Seconds of the image that was tried, metrics included.
    pub secs_per_image: f64,
    /// What became of the image that was tried, where it is not scored.
    pub problem: Option<String>,
    /// Whether it failed; a degenerate map is a result.
    pub is_failed: bool,
}

/// Tries every cell of a plan on one image, and reads every image.
///
/// # Errors
/// Where a network cannot be loaded, or the device breaks down.
pub fn check(plan: &Plan, on_event: &mut dyn FnMut(Event<'_>)) -> Result<SweepEstimate, PlanError> {
    let (readable, unreadable) = read_all(plan);
    let mut cells = vec![];
    let mut bytes_per_image = 0;
    if let Some(place) = readable {
        let mut networks = Networks::default();
        for model in &plan.models {
            let loaded = model.load(&mut networks, plan.resources, on_event)?;
            let cut = model.cut(loaded);
            let (place, photo) = readable_by(model, plan, place);
            let task = ImageTask { plan, model, cut: &*cut, place };
            for (cell, bytes) in try_model(&task, photo, on_event)? {
                cells.push(cell);
                bytes_per_image += bytes;
            }
        }
    }
    let n_images = plan.dataset.items.len();
    let forwards = cells.iter().map(|cell| cell.forwards_per_image).sum::<u64>() * n_images as u64;
    let hours =
        cells.iter().map(|cell| cell.secs_per_image).sum::<f64>() * n_images as f64 / 3600.0;
    Ok(SweepEstimate {
        n_images,
        n_rows: plan.n_rows(),
        cells,
        forwards,
        hours,
        disk_bytes: bytes_per_image * n_images as u64,
        memory_bytes: peak_memory(),
        unreadable,
    })
}

/// The place of the first image that can be read, and why others cannot.
fn read_all(plan: &Plan) -> (Option<usize>, Vec<String>) {
    let (mut readable, mut unreadable) = (None, vec![]);
    let Some(model) = plan.models.first() else { return (readable, unreadable) };
    let photos = prefetch(plan.dataset.items.clone(), &model.preprocessing, plan.dataset.exif);
    for (place, photo) in photos {
        match photo {
            Ok(_) => readable = readable.or(Some(place)),
            Err(error) => unreadable.push(error.to_string()),
        }
    }
    (readable, unreadable)
}

/// The first image, from a place on, that a model's preprocessing can take; the one at that place where it takes none.
fn readable_by(
    model: &PlannedModel,
    plan: &Plan,
    from: usize,
) -> (usize, Result<LoadedPhoto, DataError>) {
    let items = plan.dataset.items[from..].to_vec();
    let photos = prefetch(items, &model.preprocessing, plan.dataset.exif);
    let mut photos = photos.map(|(ahead, photo)| (from + ahead, photo));
    let first = photos.next().expect("there is an image at this place");
    if first.1.is_ok() {
        return first;
    }
    photos.find(|(_, photo)| photo.is_ok()).unwrap_or(first)
}

/// Every method of a model on one image: what it takes, and its bytes on disk.
fn try_model(
    task: &ImageTask<'_>,
    photo: Result<LoadedPhoto, DataError>,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<Vec<(CellEstimate, u64)>, PlanError> {
    let ImageTask { plan, model, .. } = *task;
    let item = task.item();
    let prepared = task.prepare(photo);
    let mut tried = vec![];
    for method in plan.sweep.methods.iter().filter(|method| method.runs_on(&model.name)) {
        on_event(Event::RowStarted {
            model: &model.name,
            method: method.label(),
            image: &item.image,
        });
        let start = Instant::now();
        let row = task.compute(&prepared, method)?;
        let secs_per_image = start.elapsed().as_secs_f64();
        let cost = |method: &dyn Method| method.cost(model.shape);
        let cost = method.source.method().map(cost).unwrap_or_default();
        let metrics = plan.sweep.metrics.iter();
        let of_metrics: u64 =
            metrics.map(|metric| metric.metric.forwards(cost.forwards, model.shape)).sum();
        let is_failed = row.record.status == Status::Failed;
        let bytes = if is_failed { 0 } else { stored_bytes(&row) };
        let cell = CellEstimate {
            model: model.name.clone(),
            layer: model.layer.clone(),
            method: method.label().to_string(),
            forwards_per_image: cost.forwards + of_metrics,
            head_forwards_per_image: cost.head_forwards,
            secs_per_image,
            problem: row.record.error,
            is_failed,
        };
        tried.push((cell, bytes));
    }
    Ok(tried)
}

/// Bytes of a row on disk while the run goes on (journal, base64) and at its end (Parquet): the maps make nearly all of it.
fn stored_bytes(row: &Row) -> u64 {
    let map = row.map.as_ref().map_or(0, |map| map.values.len() as u64 * 4);
    let curves: u64 = row.curves.iter().map(|curve| curve.values.len() as u64 * 8).sum();
    (map + curves) * 7 / 3 + 600
}

/// The largest resident memory of this process so far, in bytes.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}
