//! `cambench shard`: one process, some shards.

use std::{
    env,
    io::{self, BufRead},
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, channel},
    },
    thread,
};

use anyhow::{Context, Result};
use cam_results::{
    Committed,
    shards::{self, Failure},
};
use cam_runner::{Networks, Plan, ShardOutcome, run_shard};

use super::{ShardedRun, read_list};
use crate::{
    args::ShardArgs,
    exit::{Exit, Usage, is_of_a_broken_device},
    planning::provenance,
    progress::{Progress, WORKER},
};

/// Where an engine says which of its tasks this is, in the order in which they are asked.
const INDEX_VARIABLES: [&str; 3] =
    ["CAMBENCH_SHARD", "SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"];
/// How often a task that runs into its time limit has itself queued again.
pub(super) const MAX_TIMEOUTS: &str = "CAMBENCH_MAX_TIMEOUTS";

/// `cambench shard`.
pub(crate) fn shard(args: &ShardArgs) -> Result<Exit> {
    let index = match &args.index {
        Some(index) => index.clone(),
        None => INDEX_VARIABLES.iter().find_map(|name| env::var(name).ok()).ok_or_else(|| {
            Usage(format!(
                "which shard? give --index, or set one of {}",
                INDEX_VARIABLES.join(", ")
            ))
        })?,
    };
    let is_told = index == "-";
    let sharded = ShardedRun::open(&args.run)?;
    if sharded.is_finished() && !is_told {
        eprintln!("the run is finished, nothing to do");
        return Ok(Exit::Done);
    }
    let list = args.list.as_deref().map(read_list).transpose()?;
    let shard_of = |index: usize| -> Result<usize> {
        let shard = match &list {
            None => index,
            Some(list) => *list.get(index).ok_or_else(|| {
                Usage(format!("the list has {} lines, and no line {index}", list.len()))
            })?,
        };
        sharded.shards.shard(shard)?;
        Ok(shard)
    };
    sharded.enter()?;
    let signals = Signals::listen()?;
    let mut worker =
        Worker { sharded: &sharded, plan: None, networks: Networks::default(), signals, is_told };
    if is_told {
        return worker.serve(shard_of);
    }
    for shard in named(&index, shard_of)? {
        if !worker.compute(shard)?.is_committed() {
            return Ok(worker.interrupted());
        }
    }
    Ok(Exit::Done)
}

/// The shards of `3`, or `0-3,7`, `shard_of` saying which one each number means.
fn named(text: &str, shard_of: impl Fn(usize) -> Result<usize>) -> Result<Vec<usize>> {
    let wrong =
        || Usage(format!("`{text}` names no shards; use a number, or ranges such as 0-3,7"));
    let mut shards = vec![];
    for range in text.split(',') {
        let (start, end) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| text.trim().parse::<usize>().map_err(|_not_a_number| wrong());
        let (start, end) = (number(start)?, number(end)?);
        if start > end {
            return Err(wrong().into());
        }
        // Before room is made for as many.
        shard_of(end)?;
        for index in start..=end {
            shards.push(shard_of(index)?);
        }
    }
    Ok(shards)
}

struct Worker<'a> {
    sharded: &'a ShardedRun,
    /// Made when there is something to compute: a shard that is there costs milliseconds.
    plan: Option<Plan>,
    networks: Networks,
    signals: Signals,
    /// Somebody else tells people how it goes.
    is_told: bool,
}

impl Worker<'_> {
    fn compute(&mut self, shard: usize) -> Result<ShardOutcome> {
        let mut result = self.try_compute(shard);
        let started_in = &self.sharded.shards.started_in;
        if !Path::new(started_in).is_dir() {
            result = result.with_context(|| {
                format!("{started_in}, from where the run's relative paths count, is not on this machine")
            });
        }
        if let Err(error) = &result {
            let failure =
                Failure { shard, host: cam_results::host(), message: crate::described(error) };
            // The error itself is what counts; it is printed, and the exit code tells.
            if let Err(error) = failure.write(&self.sharded.folder) {
                eprintln!("warning: {error}");
            }
        }
        result
    }

    fn try_compute(&mut self, shard: usize) -> Result<ShardOutcome> {
        let ShardedRun { folder, manifest, shards } = self.sharded;
        let n_rows = shards.shard(shard)?.n_rows();
        if self.sharded.is_finished() || shards::is_committed(folder, manifest, shards, shard)? {
            if !self.is_told {
                eprintln!("shard {shard}: committed before, nothing to do");
            }
            return Ok(ShardOutcome { n_rows, n_done: n_rows, n_failed: 0, committed: None });
        }
        let plan = match &self.plan {
            Some(plan) => plan,
            None => self.plan.insert(Plan::again(manifest.clone(), &provenance())?),
        };
        let mut progress = Progress::new();
        let stop = &self.signals.stop;
        let mut on_event = |event: cam_runner::Event<'_>| progress.on(&event);
        let outcome =
            run_shard(plan, folder, shards, shard, &mut self.networks, stop, &mut on_event)?;
        progress.finish();
        if !self.is_told {
            eprintln!("shard {shard}: {}", described(outcome));
        }
        Ok(outcome)
    }

    /// Computes what is asked for line by line, and answers each with `done SHARD ROWS FAILED` or `failed SHARD`. Ends
    /// without an answer where the device breaks down, or does not let the run be planned: this is nothing of the shard's,
    /// and whoever asks has to start another process.
    fn serve(&mut self, shard_of: impl Fn(usize) -> Result<usize>) -> Result<Exit> {
        for line in lines(&self.signals.stop) {
            let line = line.context("cannot read the standard input")?;
            for shard in named(&line, &shard_of)? {
                match self.compute(shard) {
                    Ok(outcome) if outcome.is_committed() => {
                        println!("done {shard} {} {}", outcome.n_rows, outcome.n_failed);
                    }
                    Ok(_) => return Ok(self.interrupted()),
                    Err(error) if is_of_a_broken_device(&error) || self.plan.is_none() => {
                        return Err(error);
                    }
                    Err(error) => {
                        eprintln!("error: shard {shard}: {}", crate::described(&error));
                        println!("failed {shard}");
                    }
                }
            }
        }
        Ok(Exit::Done)
    }

    /// After a signal: a task that only ran out of time has itself queued again.
    fn interrupted(&self) -> Exit {
        if self.signals.time_is_up.load(Ordering::SeqCst) {
            requeue();
        }
        Exit::Interrupted
    }
}

/// The lines of the standard input. `run --jobs` waits for an answer to each: where they end before it, it is gone, and
/// `stop` becomes true.
fn lines(stop: &Arc<AtomicBool>) -> Receiver<io::Result<String>> {
    let (sender, lines) = channel();
    let stop = Arc::clone(stop);
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            if sender.send(line).is_err() {
                return;
            }
        }
        if env::var_os(WORKER).is_some() {
            stop.store(true, Ordering::SeqCst);
        }
    });
    lines
}

/// How a shard ended, for people.
fn described(outcome: ShardOutcome) -> String {
    let ShardOutcome { n_rows, n_done, n_failed, committed } = outcome;
    match committed {
        Some(Committed::First) => format!("committed {n_rows} rows, {n_failed} failed"),
        Some(Committed::Again { is_equal: true }) => {
            "duplicate: another process was first, with the same rows".into()
        }
        Some(Committed::Again { is_equal: false }) => {
            "duplicate: another process was first, with rows that differ; its are kept".into()
        }
        None if outcome.is_committed() => "committed by another process".into(),
        None => {
            format!("stopped with {n_done} of {n_rows} rows; the next attempt goes on from there")
        }
    }
}

/// Has this task of a Slurm array queued again.
fn requeue() {
    let variable = |name: &str| env::var(name).ok();
    let (Some(array), Some(task)) =
        (variable("SLURM_ARRAY_JOB_ID"), variable("SLURM_ARRAY_TASK_ID"))
    else {
        return;
    };
    let number = |name: &str, default: u32| {
        variable(name).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (restarts, most) = (number("SLURM_RESTART_COUNT", 0), number(MAX_TIMEOUTS, 20));
    if restarts >= most {
        eprintln!("out of time, and queued again {restarts} times before: giving up");
        return;
    }
    let task = format!("{array}_{task}");
    match Command::new("scontrol").args(["requeue", &task]).status() {
        Ok(status) if status.success() => eprintln!("out of time: {task} is queued again"),
        Ok(status) => eprintln!("out of time, and `scontrol requeue {task}` failed: {status}"),
        Err(error) => eprintln!("out of time, and scontrol cannot be started: {error}"),
    }
}

/// Whether this process was asked to stop.
struct Signals {
    stop: Arc<AtomicBool>,
    /// It was by the signal before a time limit.
    time_is_up: Arc<AtomicBool>,
}

impl Signals {
    fn listen() -> Result<Self> {
        let (stop, time_is_up) = (Arc::default(), Arc::default());
        #[cfg(unix)]
        {
            use signal_hook::{
                consts::{SIGINT, SIGTERM, SIGUSR1},
                flag::{register, register_conditional_shutdown},
            };

            // A second Ctrl-C ends at once.
            register_conditional_shutdown(SIGINT, Exit::Interrupted as i32, Arc::clone(&stop))
                .context("cannot listen for signals")?;
            for signal in [SIGINT, SIGTERM, SIGUSR1] {
                register(signal, Arc::clone(&stop)).context("cannot listen for signals")?;
            }
            register(SIGUSR1, Arc::clone(&time_is_up)).context("cannot listen for signals")?;
        }
        Ok(Self { stop, time_is_up })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_named_by_numbers_and_ranges() {
        let of_ten = |index: usize| -> Result<usize> {
            if index < 10 { Ok(index) } else { Err(Usage(format!("no shard {index}")).into()) }
        };
        assert_eq!(named("3", of_ten).unwrap(), [3]);
        assert_eq!(named("0-2,7", of_ten).unwrap(), [0, 1, 2, 7]);
        for wrong in ["", "a", "3-1", "3-1,2", "1-", "-", "0-9999999999", "0-18446744073709551615"]
        {
            assert!(named(wrong, of_ten).unwrap_err().is::<Usage>(), "{wrong}");
        }
    }
}
