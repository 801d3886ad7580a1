//! `cambench run`.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, Result};
use cam_results::{
    Accuracy, Better, Estimate, Run, RunManifest, RunStatus, Store, Summary, cautions, of_networks,
};
use cam_runner::{Outcome, Overrides, Plan, Provenance, Sweep};
use serde_json::{Map, Value};
use tracing::info_span;

use crate::{
    args::{HowArgs, RunArgs, ShareOrRows},
    cluster, compare,
    exit::{Exit, Usage},
    progress::Progress,
    table,
    trace::Trace,
};

pub(crate) fn run(args: &RunArgs) -> Result<Exit> {
    // Before anything is computed for nothing.
    match &args.baseline {
        Some(base) => drop(compare::find(base, args.gate.baselines())?),
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
        let left_out = cam_runner::publish(run, summary, &folder, &cam_runner::Format::ALL, true)
            .context("the run is finished, and its report cannot be written")?;
        for sentence in left_out {
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

fn is_finished(folder: &Path) -> bool {
    RunManifest::read(folder).is_ok_and(|manifest| manifest.status == RunStatus::Finished)
}

/// The means in percent, and what weakens them; their intervals are in the report.
pub(crate) fn print_means(run: &Run, summary: &Summary) {
    let manifest = run.manifest();
    let percent = |estimate: Option<Estimate>| {
        estimate.map_or("–".to_owned(), |estimate| format!("{:.1}", 100.0 * estimate.mean))
    };
    let has_adcc = summary.cells.iter().any(|cell| cell.adcc.is_some());
    let rows = summary.cells.iter().map(|cell| {
        let mut row = Map::new();
        if manifest.models.len() > 1 {
            row.insert("model".into(), cell.model.clone().into());
        }
        row.insert("method".into(), cell.method.clone().into());
        for (metric, estimate) in manifest.metrics.iter().zip(&cell.metrics) {
            let arrow = if metric.better == Better::Higher { '↑' } else { '↓' };
            row.insert(format!("{} {arrow}", metric.name), percent(*estimate).into());
        }
        if has_adcc {
            row.insert("adcc ↑".into(), percent(cell.adcc).into());
        }
        row.insert("n".into(), cell.n.into());
        row.insert("protocol".into(), cell.protocol.clone().into());
        Value::Object(row)
    });
    table::print(&rows.collect::<Vec<_>>());
    println!();
    for sentence in of_networks(&summary.accuracies).filter_map(Accuracy::sentence) {
        println!("{sentence}");
    }
    for caution in cautions(run, summary) {
        eprintln!("caution: {caution}");
    }
}

/// Says how it ended.
pub(crate) fn conclude(max_failed: ShareOrRows, json: bool, outcome: &Outcome) -> Exit {
    let Outcome { folder, n_rows, n_done, n_failed, n_degenerate, .. } = outcome;
    if !outcome.is_finished {
        eprintln!(
            "stopped with {n_done} of {n_rows} rows in {}; the same command continues",
            folder.display()
        );
        return Exit::Interrupted;
    }
    if !json {
        println!(
            "{n_rows} rows, {n_degenerate} degenerate, {n_failed} failed: {}",
            folder.join("report.md").display()
        );
    }
    let exit = exit_of(max_failed, outcome);
    if exit == Exit::Failed {
        eprintln!(
            "error: {n_failed} of {n_rows} rows failed, more than --max-failed allows; the report lists them. A row is made once: to try them again, give another --out"
        );
    }
    exit
}

/// How a run ends, before any comparison.
fn exit_of(max_failed: ShareOrRows, outcome: &Outcome) -> Exit {
    match outcome {
        Outcome { is_finished: false, .. } => Exit::Interrupted,
        Outcome { n_failed, n_rows, .. } if max_failed.tolerates(*n_failed, *n_rows) => Exit::Done,
        Outcome { .. } => Exit::Failed,
    }
}

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

/// A first Ctrl-C lets the row in hand finish, a second one ends at once; either leaves a run that continues.
pub(crate) fn stop_on_interrupt() -> Result<Arc<AtomicBool>> {
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
