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

use super::{Cut, read_list, slurm};

/// Where lists, scripts and ids lie.
pub(super) fn submit_folder(cut: &Cut) -> PathBuf {
    shards_folder(&cut.folder).join("submit")
}

/// Where jobs write what they say.
pub(super) fn log_folder(cut: &Cut) -> PathBuf {
    shards_folder(&cut.folder).join("log")
}

/// How the names of a run's jobs begin. Jobs of the same plan in another folder are not the run's.
pub(super) fn job_names(cut: &Cut) -> String {
    format!("cambench-{}-", cut.shards.id_in(&cut.folder))
}

/// The name of the job that merges.
pub(super) fn merge_name(cut: &Cut) -> String {
    format!("{}merge", job_names(cut))
}

/// The numbers of the arrays that were to be submitted, in their order.
pub(super) fn arrays(cut: &Cut) -> Result<Vec<usize>> {
    let folder = submit_folder(cut);
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
pub(super) fn list_path(cut: &Cut, array: usize) -> PathBuf {
    submit_folder(cut).join(format!("{array:04}.list"))
}

/// The run's jobs in Slurm's queue; where nothing was submitted Slurm is not asked.
pub(super) fn queued(cut: &Cut) -> Result<Vec<slurm::Job>> {
    if submit_folder(cut).is_dir() { slurm::queue(&job_names(cut)) } else { Ok(vec![]) }
}

/// The shards of jobs in the queue.
pub(super) fn queued_shards(cut: &Cut, queue: &[slurm::Job]) -> Result<BTreeSet<usize>> {
    let mut shards = BTreeSet::new();
    let names = job_names(cut);
    for array in arrays(cut)? {
        let name = format!("{names}{array:04}");
        let tasks: Vec<_> =
            queue.iter().filter(|job| job.name == name).filter_map(slurm::Job::task).collect();
        if !tasks.is_empty() {
            let list = read_list(&list_path(cut, array))?;
            shards.extend(tasks.into_iter().filter_map(|task| list.get(task)));
        }
    }
    Ok(shards)
}

/// All shards that were ever submitted.
pub(super) fn submitted_shards(cut: &Cut) -> Result<BTreeSet<usize>> {
    let mut shards = BTreeSet::new();
    for array in arrays(cut)? {
        if id(cut, array).is_some() {
            shards.extend(read_list(&list_path(cut, array))?);
        }
    }
    Ok(shards)
}

/// The job's id of an array, where it was submitted.
fn id(cut: &Cut, array: usize) -> Option<String> {
    let path = submit_folder(cut).join(format!("{array:04}.id"));
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

/// Where the jobs of a shard wrote, in their order.
pub(super) fn logs_of(cut: &Cut, shard: usize) -> Result<Vec<PathBuf>> {
    let mut logs = vec![];
    for array in arrays(cut)? {
        let list = read_list(&list_path(cut, array))?;
        if let Some(task) = list.iter().position(|other| *other == shard) {
            logs.push(log_folder(cut).join(format!("{array:04}_{task}.log")));
        }
    }
    Ok(logs)
}
