//! `cambench run`.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, Result};
use cam_runner::{Outcome, Overrides, Plan, Provenance, Sweep};

use crate::{
    args::{HowArgs, RunArgs},
    exit::Exit,
    progress::Progress,
};

pub(crate) fn run(args: &RunArgs) -> Result<Exit> {
    let stop = stop_on_interrupt()?;
    let sweep = match &args.sweep {
        Some(path) => path.clone(),
        None => demo()?,
    };
    let plan = plan(&sweep, &args.how)?;
    let folder = args.out.clone().unwrap_or_else(|| plan.folder(Path::new("results")));
    let mut progress = Progress::new();
    let outcome = cam_runner::run(&plan, &folder, &stop, &mut |event| progress.on(&event))?;
    if outcome.is_finished {
        publish(&folder, &progress)
            .context("the run is finished, and its report cannot be written")?;
    }
    progress.finish();
    Ok(conclude(args, &outcome))
}

fn publish(folder: &Path, progress: &Progress) -> Result<()> {
    let run = cam_results::Run::read(folder)?;
    for left_out in cam_runner::publish(&run, &cam_runner::Format::ALL)? {
        progress.say(&left_out);
    }
    Ok(())
}

/// Says how it ended, with the table where there is one.
fn conclude(args: &RunArgs, outcome: &Outcome) -> Exit {
    let Outcome { folder, n_rows, n_done, n_failed, n_degenerate, is_finished } = outcome;
    if !is_finished {
        eprintln!(
            "stopped with {n_done} of {n_rows} rows in {}; the same command continues",
            folder.display()
        );
        return Exit::Interrupted;
    }
    println!(
        "{n_rows} rows, {n_degenerate} degenerate, {n_failed} failed: {}",
        folder.join("report.md").display()
    );
    if !args.max_failed.tolerates(*n_failed, *n_rows) {
        eprintln!(
            "error: {n_failed} of {n_rows} rows failed, more than --max-failed allows; the report lists them"
        );
        return Exit::Failed;
    }
    Exit::Done
}

/// Reads a sweep file and looks everything up.
pub(crate) fn plan(sweep: &Path, how: &HowArgs) -> Result<Plan> {
    let (parsed, text) = Sweep::read(sweep)?;
    let overrides = Overrides {
        limit: how.limit,
        device: how.device,
        threads: how.threads.map(usize::from),
        memory: how.memory,
    };
    let provenance = Provenance {
        version: env!("CARGO_PKG_VERSION").to_string(),
        commit: Some(env!("CAMBENCH_COMMIT").to_string()).filter(|commit| !commit.is_empty()),
        dirty: env!("CAMBENCH_DIRTY") == "true",
        command: Some(command()),
    };
    Ok(Plan::new(parsed, &text, sweep, &overrides, &provenance)?)
}

/// The command line as a person would give it.
fn command() -> String {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    words.insert(0, "cambench".to_string());
    words.join(" ")
}

/// A first Ctrl-C lets the row in hand finish, a second one ends at once; either leaves a run that continues.
fn stop_on_interrupt() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::SeqCst) {
            std::process::exit(Exit::Interrupted as i32);
        }
        eprintln!("\nfinishing the row in hand; Ctrl-C again stops at once");
    })
    .context("cannot listen for Ctrl-C")?;
    Ok(stop)
}

/// The built-in demo: its files in the working folder's `configs`, else written into the cache.
fn demo() -> Result<PathBuf> {
    let here = PathBuf::from("configs/demo.yaml");
    if here.is_file() {
        return Ok(here);
    }
    let folder = cam_core::cache_folder().join("demo");
    let files = [
        ("configs/demo.yaml", include_str!("../../../configs/demo.yaml")),
        ("configs/datasets/demo.yaml", include_str!("../../../datasets/demo.yaml")),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(&folder);
        std::fs::create_dir_all(parent)
            .with_context(|| format!("cannot make {}", parent.display()))?;
        cam_results::write_bytes(&path, text.as_bytes())?;
    }
    Ok(folder.join("configs/demo.yaml"))
}
