//! What commands plan a run with: its sweep looked up, its folder, and which program this is.

use std::path::{Path, PathBuf};

use anyhow::Result;
use cam_runner::{Overrides, Plan, Provenance, Sweep};

use crate::{args::HowArgs, exit::Usage, progress::Progress};

/// Reads a sweep file and looks everything up, for so many processes that compute at once.
pub(crate) fn plan(
    sweep: &Path,
    how: &HowArgs,
    threads: Option<usize>,
    jobs: u16,
    progress: &mut Progress,
) -> Result<Plan> {
    let (parsed, text) = Sweep::read(sweep)?;
    let overrides = Overrides {
        limit: how.limit.map(usize::from),
        device: how.device,
        threads: how.threads.map(usize::from).or(threads),
        memory: how.memory,
        jobs: jobs.into(),
    };
    let mut on_event = |event: cam_runner::Event<'_>| progress.on(&event);
    Ok(Plan::new(parsed, &text, sweep, &overrides, &provenance(), &mut on_event)?)
}

/// The folder of a run: as given, else below `results`.
pub(crate) fn folder_of(plan: &Plan, out: Option<&Path>) -> Result<PathBuf> {
    let folder = out.map_or_else(|| plan.folder(Path::new("results")), Path::to_path_buf);
    if plan.dataset.would_list(&folder) {
        return Err(Usage(format!(
            "{} is among the folders of {}, and would be a class of its own the next time; write elsewhere with --out",
            folder.display(),
            plan.dataset.name
        ))
        .into());
    }
    Ok(folder)
}

/// Which program this is.
pub(crate) fn provenance() -> Provenance {
    Provenance {
        version: env!("CARGO_PKG_VERSION").to_string(),
        commit: Some(env!("CAMBENCH_COMMIT").to_string()).filter(|commit| !commit.is_empty()),
        dirty: env!("CAMBENCH_DIRTY") == "true",
        command: Some(command()),
    }
}

/// The command line as a person would give it.
fn command() -> String {
    let words = std::env::args_os().skip(1);
    let mut words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    words.insert(0, "cambench".to_string());
    words.join(" ")
}
