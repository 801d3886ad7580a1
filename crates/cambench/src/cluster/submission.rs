//! What a run's folder says about the jobs that were submitted for it.
//!
//! ```text
//! shards/bin/cambench        the program, as it was when the run was submitted
//! shards/submit/0001.list    the shards of an array, one a line
//! shards/submit/0001.sh      its script
//! shards/submit/0001.id      its job's id
//! shards/log/0001_12.log     what task 12 of it said
//! ```

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use cam_results::shards::shards_folder;

use super::{ShardedRun, read_list, slurm};

/// Where lists, scripts and ids lie.
pub(super) fn submit_folder(sharded: &ShardedRun) -> PathBuf {
    shards_folder(&sharded.folder).join("submit")
}

/// Where jobs write what they say.
pub(super) fn log_folder(sharded: &ShardedRun) -> PathBuf {
    shards_folder(&sharded.folder).join("log")
}

/// How the names of a run's jobs begin. Jobs of the same plan in another folder are not the run's.
pub(super) fn job_names(sharded: &ShardedRun) -> String {
    format!("cambench-{}-", sharded.shards.id_in(&sharded.folder))
}

/// The name of the job that merges.
pub(super) fn merge_name(sharded: &ShardedRun) -> String {
    format!("{}merge", job_names(sharded))
}

/// The numbers of the arrays that were to be submitted, in their order.
pub(super) fn arrays(sharded: &ShardedRun) -> Result<Vec<usize>> {
    let folder = submit_folder(sharded);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", folder.display()));
        }
    };
    let number = |path: &Path| path.file_name()?.to_str()?.strip_suffix(".list")?.parse().ok();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut numbers: Vec<usize> = paths.filter_map(|path| number(&path)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The list of an array.
pub(super) fn list_path(sharded: &ShardedRun, array: usize) -> PathBuf {
    submit_folder(sharded).join(format!("{array:04}.list"))
}

/// The run's jobs in Slurm's queue; where nothing was submitted Slurm is not asked.
pub(super) fn queued(sharded: &ShardedRun) -> Result<Vec<slurm::Job>> {
    if submit_folder(sharded).is_dir() { slurm::queue(&job_names(sharded)) } else { Ok(vec![]) }
}

/// The shards of jobs in the queue.
pub(super) fn queued_shards(sharded: &ShardedRun, queue: &[slurm::Job]) -> Result<BTreeSet<usize>> {
    let mut shards = BTreeSet::new();
    let names = job_names(sharded);
    for array in arrays(sharded)? {
        let name = format!("{names}{array:04}");
        let tasks: Vec<_> =
            queue.iter().filter(|job| job.name == name).filter_map(slurm::Job::task).collect();
        if !tasks.is_empty() {
            let list = read_list(&list_path(sharded, array))?;
            shards.extend(tasks.into_iter().filter_map(|task| list.get(task)));
        }
    }
    Ok(shards)
}

/// All shards that were ever submitted.
pub(super) fn submitted_shards(sharded: &ShardedRun) -> Result<BTreeSet<usize>> {
    let mut shards = BTreeSet::new();
    for array in arrays(sharded)? {
        if id(sharded, array).is_some() {
            shards.extend(read_list(&list_path(sharded, array))?);
        }
    }
    Ok(shards)
}

/// The job's id of an array, where it was submitted.
fn id(sharded: &ShardedRun, array: usize) -> Option<String> {
    let path = submit_folder(sharded).join(format!("{array:04}.id"));
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

/// Where the jobs of a shard wrote, in their order.
pub(super) fn logs_of(sharded: &ShardedRun, shard: usize) -> Result<Vec<PathBuf>> {
    let mut logs = vec![];
    for array in arrays(sharded)? {
        let list = read_list(&list_path(sharded, array))?;
        if let Some(task) = list.iter().position(|other| *other == shard) {
            logs.push(log_folder(sharded).join(format!("{array:04}_{task}.log")));
        }
    }
    Ok(logs)
}
