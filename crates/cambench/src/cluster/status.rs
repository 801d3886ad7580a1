//! `cambench status` and `cambench logs`.

use std::{collections::BTreeMap, fs};

use anyhow::{Context, Result};
use cam_results::shards::ShardState;
use serde_json::json;

use super::{ShardedRun, submission};
use crate::{
    args::{LogsArgs, StatusArgs},
    exit::{Exit, Unusable, Usage},
};

/// How many failures are printed.
const N_PRINTED: usize = 20;

/// `cambench status`.
pub(crate) fn status(args: &StatusArgs) -> Result<Exit> {
    let sharded = ShardedRun::open(&args.run)?;
    let progress = sharded.progress()?;
    let count = |state| progress.shards.iter().filter(|shard| **shard == state).count();
    let queue = submission::queued(&sharded).unwrap_or_else(|error| {
        eprintln!("warning: only files are asked: {error}");
        vec![]
    });
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for job in &queue {
        *states.entry(job.state.as_str()).or_default() += 1;
    }
    if args.json {
        let status = json!({
            "run": sharded.folder.to_string_lossy(),
            "plan": sharded.shards.id(),
            "is_finished": sharded.is_finished(),
            "shards": progress,
            "begun": count(ShardState::Begun),
            "waiting": count(ShardState::Waiting),
            "queue": states,
        });
        println!("{}", serde_json::to_string_pretty(&status)?);
        return Ok(Exit::Done);
    }
    if sharded.is_finished() {
        println!("{}: the run is finished, all {} rows", sharded.folder.display(), progress.n_rows);
        return Ok(Exit::Done);
    }
    println!(
        "{}: {} of {} shards are committed ({} of {} rows)",
        sharded.folder.display(),
        progress.n_committed,
        progress.n_shards,
        progress.n_committed_rows,
        progress.n_rows
    );
    println!(
        "begun {}, failed {}, waiting {}",
        count(ShardState::Begun),
        count(ShardState::Failed),
        count(ShardState::Waiting)
    );
    for (class, n) in sharded.shards.classes() {
        let of_class = sharded.shards.shards.iter().filter(|shard| shard.class == class);
        let committed =
            of_class.filter(|shard| progress.shards[shard.index] == ShardState::Committed);
        println!("class {class}: {} of {n}", committed.count());
    }
    if !states.is_empty() {
        let states: Vec<_> = states.iter().map(|(state, n)| format!("{n} {state}")).collect();
        println!("in Slurm's queue: {}", states.join(", "));
    }
    for failure in progress.failed.iter().take(N_PRINTED) {
        println!("failed: shard {} on {}: {}", failure.shard, failure.host, failure.message);
    }
    if progress.failed.len() > N_PRINTED {
        println!("and {} more", progress.failed.len() - N_PRINTED);
    }
    if !progress.missing.is_empty() {
        println!("missing: {}", progress.missing);
    }
    Ok(Exit::Done)
}

/// `cambench logs`.
pub(crate) fn logs(args: &LogsArgs) -> Result<Exit> {
    let sharded = ShardedRun::open(&args.run)?;
    let files = if args.shard == "merge" {
        vec![submission::log_folder(&sharded).join("merge.log")]
    } else {
        let shard = args.shard.parse().map_err(|_not_a_number| {
            Usage(format!("`{}` is neither a shard nor `merge`", args.shard))
        })?;
        sharded.shards.shard(shard)?;
        submission::logs_of(&sharded, shard)?
    };
    let mut n_printed = 0;
    for path in files.iter().filter(|path| path.is_file()) {
        // What a job said may be anything.
        let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        println!("== {}", path.display());
        print!("{}", String::from_utf8_lossy(&text));
        n_printed += 1;
    }
    if n_printed == 0 {
        let message =
            format!("no job of `{}` has said anything in {}", args.shard, sharded.folder.display());
        return Err(Unusable(message).into());
    }
    Ok(Exit::Done)
}
