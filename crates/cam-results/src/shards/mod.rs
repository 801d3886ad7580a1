//! A run cut into shards that any machine may compute: the plan, the parts, and what became of them.
//!
//! Below the run's folder:
//!
//! ```text
//! shards/plan.json              which shard has which rows; written once
//! shards/parts/000012.jsonl     the rows of a shard, whole: a journal of its own
//! shards/parts/.000012.….draft  the same while it is being made, or as far as a killed process came
//! shards/damaged/               parts that were found damaged
//! shards/failed/                why an attempt at a shard failed
//! ```
//!
//! There is no lock: two processes may compute the same shard, and the first to commit wins. The rows of parts are rows
//! of the run, as if its own process had written them, for everything that reads it.

mod part;
mod plan;
mod status;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

pub(crate) use self::{part::remove_parts, plan::numbers};
pub use self::{
    part::{Committed, Part},
    plan::{Shard, ShardPlan},
    status::{Failure, Progress, ShardState, progress},
};
use crate::{
    Error, MadeOn, Result, RunManifest,
    disk::{self, sync_folder},
    journal::{Lines, Maker},
    manifest::Plan,
};

const PLAN: &str = "plan.json";
const PARTS: &str = "parts";
const DAMAGED: &str = "damaged";
const FAILED: &str = "failed";

/// Where everything about a run's shards lies.
pub fn shards_folder(run: &Path) -> PathBuf {
    run.join("shards")
}

fn parts_folder(run: &Path) -> PathBuf {
    shards_folder(run).join(PARTS)
}

fn part_path(run: &Path, shard: usize) -> PathBuf {
    parts_folder(run).join(format!("{shard:06}.jsonl"))
}

/// Makes a folder that survives a power cut.
fn make_folder(folder: &Path) -> Result<()> {
    let failed = |source| Error::write(folder, source);
    disk::create_dir_all(folder).map_err(failed)?;
    let parents = folder.parent().into_iter().chain(folder.parent().and_then(Path::parent));
    parents.into_iter().try_for_each(|parent| sync_folder(parent).map_err(failed))
}

/// The names in a folder; none where there is no folder.
fn names(folder: &Path) -> Result<Vec<String>> {
    let failed = |source| Error::read(folder, source);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(source) => return Err(failed(source)),
    };
    let names = entries.map(|entry| Ok(entry.map_err(failed)?.file_name()));
    let mut names: Vec<String> = names
        .filter_map(|name: Result<_>| name.map(|name| name.into_string().ok()).transpose())
        .collect::<Result<_>>()?;
    names.sort_unstable();
    Ok(names)
}

/// The committed parts of a run in the order of the shards: which shard, and its file.
fn parts(run: &Path) -> Result<Vec<(usize, PathBuf)>> {
    let folder = parts_folder(run);
    let shard = |name: &str| name.strip_suffix(".jsonl")?.parse().ok();
    Ok(names(&folder)?
        .into_iter()
        .filter_map(|name| Some((shard(&name)?, folder.join(name))))
        .collect())
}

/// Whether the part of a shard is there and whole.
///
/// # Errors
/// Where there is no such shard, or its part cannot be read.
pub fn is_committed(
    run: &Path,
    manifest: &RunManifest,
    shards: &ShardPlan,
    shard: usize,
) -> Result<bool> {
    let manifest = shards.manifest_of(manifest, shard)?;
    Ok(part::there(run, &manifest, shards.id(), shard)? == part::There::Whole)
}

/// Removes what a run's shards have left beside its parts: damaged parts, why attempts failed, and the drafts of processes
/// that were of this host, `host`, and are gone. Returns how many files, and how many drafts are kept: of another host
/// nobody can tell whether its process is gone.
///
/// # Errors
/// Where a file cannot be removed.
pub fn clean(run: &Path, host: &str) -> Result<(usize, usize)> {
    part::clean(run, host)
}

/// A part as it was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) shard: usize,
    pub(crate) path: PathBuf,
    pub(crate) lines: Lines,
    /// What is wrong with it.
    pub(crate) problem: Option<String>,
}

/// Reads all parts of a run through, `plan` being the run's.
pub(crate) fn read_parts(run: &Path, manifest: &RunManifest, plan: &Plan) -> Result<Vec<Found>> {
    use rayon::prelude::*;

    let parts = parts(run)?;
    if parts.is_empty() {
        return Ok(vec![]);
    }
    let shards = ShardPlan::read(run, manifest)?;
    let found = |(shard, path): (usize, PathBuf)| {
        let lines = Lines::of(&path, plan)?;
        let problem = match shards.shard(shard) {
            Ok(of_plan) => problem(&lines, shards.id(), shard, &of_plan.places(manifest, plan)),
            Err(error) => Some(error.to_string()),
        };
        Ok(Found { shard, path, lines, problem })
    };
    parts.into_par_iter().map(found).collect()
}

/// What keeps lines from being the whole part of a shard, which has rows at the places `expected`, ascending.
fn problem(lines: &Lines, id: &str, shard: usize, expected: &[usize]) -> Option<String> {
    let Some(maker) = &lines.maker else {
        return Some("its first line does not say who made it".into());
    };
    if (maker.plan.as_str(), maker.shard) != (id, shard) {
        return Some(format!("it is shard {} of the plan {}", maker.shard, maker.plan));
    }
    let mut there: Vec<_> = lines.rows.iter().map(|(place, ..)| *place).collect();
    there.sort_unstable();
    if lines.dropped > 0 {
        Some(format!("{} of its lines are damaged", lines.dropped))
    } else if there == expected {
        None
    } else {
        Some(format!("it has {} of {} rows", there.len(), expected.len()))
    }
}

/// Moves a damaged part away, so that its shard is computed again. Another process may have done so just now.
fn set_aside(run: &Path, shard: usize) -> Result<()> {
    let folder = shards_folder(run).join(DAMAGED);
    make_folder(&folder)?;
    let there = names(&folder)?.len();
    let path = part_path(run, shard);
    let new = folder.join(format!("{shard:06}.{there}.{}.jsonl", std::process::id()));
    match disk::rename(&path, &new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::write(&path, error)),
        _ => {
            let parts = parts_folder(run);
            sync_folder(&parts).map_err(|source| Error::write(parts, source))
        }
    }
}

/// Keeps the parts that are whole and sets the others aside: what is left, and a sentence for each of the others.
pub(crate) fn keep_whole(run: &Path, found: Vec<Found>) -> Result<(Vec<Found>, Vec<String>)> {
    let (whole, damaged): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|part| part.problem.is_none());
    let mut sentences = vec![];
    for Found { shard, path, problem, .. } in damaged {
        set_aside(run, shard)?;
        let problem = problem.unwrap_or_default();
        sentences.push(format!("{} is damaged and set aside: {problem}", path.display()));
    }
    Ok((whole, sentences))
}

/// Which devices made the rows of some parts.
pub(crate) fn made_on(parts: &[Found]) -> Vec<MadeOn> {
    let mut made: Vec<(MadeOn, Vec<usize>)> = vec![];
    for Found { shard, lines, .. } in parts {
        let Some(Maker { device, host, .. }) = &lines.maker else { continue };
        let at = made.iter().position(|(made, _)| made.device == *device).unwrap_or_else(|| {
            let (device, hosts) = (device.clone(), vec![]);
            made.push((MadeOn { device, hosts, n_rows: 0, shards: String::new() }, vec![]));
            made.len() - 1
        });
        let (made, shards) = &mut made[at];
        made.n_rows += lines.rows.len();
        shards.push(*shard);
        if !made.hosts.contains(host) {
            made.hosts.push(host.clone());
        }
    }
    made.sort_by(|(a, _), (b, _)| a.device.cmp(&b.device));
    let finish = |(mut made, shards): (MadeOn, Vec<usize>)| {
        made.hosts.sort();
        made.shards = numbers(&shards);
        made
    };
    made.into_iter().map(finish).collect()
}
