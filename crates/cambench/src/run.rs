//! `cambench run`.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, Result};
use cam_results::{Run, RunManifest, RunStatus, Store};
use tracing::info_span;

use crate::{
    args::RunArgs,
    cluster, compare,
    ending::{conclude, exit_of, print_means},
    exit::{Exit, Usage},
    planning::{folder_of, plan},
    progress::Progress,
    trace::Trace,
};

pub(crate) fn run(args: &RunArgs) -> Result<Exit> {
    // Before anything is computed for nothing.
    match &args.baseline {
        Some(base) => compare::begin(base, &args.gate)?,
        None if args.gate.asks_for_something() => {
            let message = "--max-drop, --noise, --renamed, --fail-on, --markdown, --junit and --baselines are about a comparison; give --baseline";
            return Err(Usage(message.into()).into());
        }
        None => {}
    }
    let trace = args.trace.as_ref().map(|_| Trace::start()).transpose()?;
    let sweep = match &args.sweep {
        Some(path) => path.clone(),
        None => demo()?,
    };
    let mut progress = Progress::new();
    let threads = args.jobs.map(cluster::threads_of_each);
    let plan = plan(&sweep, &args.how, threads, args.jobs.unwrap_or(1), &mut progress)?;
    if let Some(base) = &args.baseline {
        compare::check(base, plan.manifest(), &args.gate)?;
    }
    // Until here nothing is lost by stopping at once.
    let stop = stop_on_interrupt()?;
    let folder = folder_of(&plan, args.out.as_deref())?;
    let was_finished = is_finished(&folder);
    let was_published = was_finished && Store::has_report(&folder);
    if let Some(jobs) = args.jobs.filter(|_| !was_finished)
        && let Some(exit) = cluster::run_locally(&plan, &folder, jobs, &stop, &mut progress)?
    {
        return Ok(exit);
    }
    let outcome = cam_runner::run(&plan, &folder, &stop, &mut |event| progress.on(&event))?;
    let run = if outcome.is_finished { Some(Run::read(&folder)?) } else { None };
    // Seconds for a large run, and not needed where nothing is told.
    let run = run.filter(|_| !(was_published && args.json));
    let summarized = run.map(|run| {
        let summary = info_span!("summary").in_scope(|| run.summarize());
        (run, summary)
    });
    if let Some((run, summary)) = summarized.as_ref().filter(|_| !was_published) {
        let notes = cam_runner::publish(run, summary, &folder, &cam_runner::Format::ALL, true)
            .context("the run is finished, and its report cannot be written")?;
        for sentence in notes {
            progress.say(&sentence);
        }
    }
    progress.finish();
    if let (Some(trace), Some(path)) = (trace, &args.trace) {
        match path {
            Some(path) => trace.write(path)?,
            None if was_finished => {
                eprintln!("no trace: the run was finished before, and its folder is never changed");
            }
            None => trace.write(&folder.join("trace.json"))?,
        }
    }
    if args.jobs.is_some() && outcome.is_finished {
        cluster::tidy_up(&folder)?;
    }
    // Whoever reads what is printed may stop reading, which ends the program: so everything else comes first.
    let base = args.baseline.as_ref().filter(|_| exit_of(args.max_failed, &outcome) == Exit::Done);
    let compared = base.map(|base| compare::gate(base, &folder.to_string_lossy(), &args.gate));
    if args.json {
        println!("{}", serde_json::to_string(&outcome)?);
    } else if let Some((run, summary)) = &summarized {
        print_means(run, summary);
    }
    let exit = conclude(args.max_failed, args.json, &outcome);
    let Some(compared) = compared.transpose()? else { return Ok(exit) };
    compared.print(args.json)?;
    Ok(compared.exit)
}

fn is_finished(folder: &Path) -> bool {
    RunManifest::read(folder).is_ok_and(|manifest| manifest.status == RunStatus::Finished)
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
