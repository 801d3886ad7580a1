//! One shard of a run, on whatever machine: a small run whose rows become a part of the large one.

use std::{path::Path, sync::atomic::AtomicBool};

use cam_results::{
    Committed, Part, Row, RunManifest, RunStatus, ShardPlan, Status, Store, host,
    shards::is_committed,
};

use crate::{
    Event, Networks, Plan, RunError, clock,
    machine::device_title,
    run::{compute, missing},
};

/// How a shard ended.
#[derive(Clone, Copy, Debug)]
pub struct ShardOutcome {
    /// Rows that it has.
    pub n_rows: usize,
    /// Rows that are safe, whether the shard is committed or not.
    pub n_done: usize,
    /// Failed rows of this attempt.
    pub n_failed: usize,
    /// How it was committed; `None` where it is not, because it was to stop, and where it was before.
    pub committed: Option<Committed>,
}

impl ShardOutcome {
    /// Whether the shard is a part of the run.
    pub fn is_committed(&self) -> bool {
        self.n_done == self.n_rows
    }
}

/// Computes a shard of the run in `folder`, or what is missing of it, and commits it; nothing is done where it is there.
/// `plan` is the whole run's. Stops after the row in hand when `stop` becomes true: the rows until then are kept, and the
/// next attempt on such a device goes on from there.
///
/// # Errors
/// Where a network cannot be loaded, the folder cannot be written, or the device breaks down. A method that panics or an
/// image that cannot be read is a failed row.
pub fn run_shard(
    plan: &Plan,
    folder: &Path,
    shards: &ShardPlan,
    index: usize,
    networks: &mut Networks,
    stop: &AtomicBool,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<ShardOutcome, RunError> {
    let n_rows = shards.shard(index)?.n_rows();
    let there = ShardOutcome { n_rows, n_done: n_rows, n_failed: 0, committed: None };
    let device = device_title(plan.resources.device);
    let part = Part::begin(folder, plan.manifest(), shards, index, &device, &host())?;
    let Some(part) = part else { return Ok(there) };
    compute_part(plan, folder, part, networks, stop, on_event).or_else(|error| {
        // Whoever was faster may have finished the whole run and tidied up under our hands.
        let is_finished = |manifest: RunManifest| manifest.status == RunStatus::Finished;
        let is_there = RunManifest::read(folder).is_ok_and(is_finished)
            || is_committed(folder, plan.manifest(), shards, index).unwrap_or(false);
        if is_there { Ok(there) } else { Err(error) }
    })
}

fn compute_part(
    plan: &Plan,
    folder: &Path,
    mut part: Part,
    networks: &mut Networks,
    stop: &AtomicBool,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<ShardOutcome, RunError> {
    let plan = plan.restricted(part.manifest());
    let (n_rows, n_done) = (plan.n_rows(), part.n_rows());
    on_event(Event::Started { folder, n_rows, n_done, n_dropped: 0 });
    let mut n_failed = 0;
    let mut on_event = |event: Event<'_>| {
        if let Event::RowFinished { record } = &event {
            n_failed += usize::from(record.status == Status::Failed);
        }
        on_event(event);
    };
    let missing = missing(&plan, |key| part.contains(key));
    let append = |rows: &[Row]| part.append_all(rows);
    let (computed, written, _) = compute(&plan, &missing, append, networks, stop, &mut on_event);
    written?;
    computed?;
    let n_done = part.n_rows();
    let committed = if n_done == n_rows { Some(part.commit()?) } else { None };
    Ok(ShardOutcome { n_rows, n_done, n_failed, committed })
}

/// What came of putting the parts of a run together.
#[derive(Clone, Debug)]
pub struct Merged {
    /// Rows that the run has.
    pub n_rows: usize,
    /// Rows that are there.
    pub n_done: usize,
    /// Parts that were found damaged and set aside, a sentence each.
    pub damaged: Vec<String>,
}

/// Finishes the run in `folder` from the parts of its shards, where all rows are there. Otherwise nothing is changed, but
/// with `partial` the tables of what is there are written.
///
/// # Errors
/// Where the folder cannot be read or written, or another process is writing the run.
pub fn merge(folder: &Path, partial: bool) -> Result<Merged, RunError> {
    let store = Store::create_or_continue(folder, RunManifest::read(folder)?)?;
    let (n_rows, n_done) = (store.manifest().n_rows(), store.n_rows());
    let damaged = store.damaged().to_vec();
    if n_done == n_rows {
        store.close(&clock::now())?;
    } else if partial {
        store.write_so_far()?;
    }
    Ok(Merged { n_rows, n_done, damaged })
}
