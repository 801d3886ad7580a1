//! `cambench merge`: a run's tables and report from the parts of its shards.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use cam_results::{Run, Summary};
use cam_runner::{Format, Merged, Outcome};

use super::ShardedRun;
use crate::{args::MergeArgs, ending, exit::Exit};

/// `cambench merge`.
pub(crate) fn merge(args: &MergeArgs) -> Result<Exit> {
    let sharded = ShardedRun::open(&args.run)?;
    sharded.enter()?;
    if let Some(done) = sharded.finished(args.max_failed, false)? {
        return Ok(done);
    }
    let patience = Instant::now() + Duration::from_secs(args.patience);
    while sharded.progress()?.missing().next().is_some() && Instant::now() < patience {
        sleep(Duration::from_secs(1));
        if let Some(done) = ShardedRun::open(&sharded.folder)?.finished(args.max_failed, false)? {
            return Ok(done);
        }
    }
    let merged = cam_runner::merge(&sharded.folder, args.partial)?;
    for sentence in &merged.damaged {
        eprintln!("warning: {sentence}");
    }
    let Merged { n_rows, n_done, .. } = merged;
    if n_done < n_rows {
        let progress = sharded.progress()?;
        eprintln!(
            "{} of {} shards are missing ({n_done} of {n_rows} rows are there): {}",
            progress.n_missing(),
            progress.n_shards,
            progress.missing
        );
        if !args.partial {
            return Ok(Exit::Incomplete);
        }
    }
    let run = Run::read(&sharded.folder)?;
    let summary = run.summarize();
    publish(&run, &summary)?;
    ending::print_means(&run, &summary);
    if n_done < n_rows {
        println!("{n_done} of {n_rows} rows: {}", sharded.folder.join("report.md").display());
        return Ok(Exit::Done);
    }
    Ok(ending::conclude(args.max_failed, false, &Outcome::elsewhere(&run)))
}

/// Writes the report of a run into its folder.
pub(super) fn publish(run: &Run, summary: &Summary) -> Result<()> {
    let notes = cam_runner::publish(run, summary, run.folder(), &Format::ALL, true)
        .context("the tables are written, and the report cannot be")?;
    for sentence in notes {
        eprintln!("{sentence}");
    }
    Ok(())
}
