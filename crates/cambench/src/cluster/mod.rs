//! Runs that are cut into shards: the commands `plan`, `shard`, `status`, `merge`, `clean`, those for Slurm, and
//! `run --jobs`.
//!
//! An engine only starts processes. What a shard is, and what has become of it, stands in the run's folder.

mod local;
mod merge;
mod shard;
mod slurm;
mod status;
mod submission;
mod submit;

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use cam_results::{
    Error, Run, RunManifest, RunStatus, ShardPlan, Store,
    shards::{self, shards_folder},
};
use cam_runner::{Outcome, Plan, config};

pub(crate) use self::{
    local::{run_locally, threads_of_each, tidy_up},
    merge::merge,
    shard::shard,
    status::{logs, status},
    submit::{cancel, submit},
};
use crate::{
    args::{CutArgs, PlanArgs, ShareOrRows},
    ending,
    exit::{Exit, Unusable, Usage},
    planning,
    progress::Progress,
};

/// Images of a shard where nothing else is said: some minutes of work for most sweeps.
const IMAGES_PER_SHARD: usize = 50;
/// The most bytes of a list of shards.
const MAX_LIST: u64 = 64 << 20;
/// The class of machine that is enough for all that needs no other.
const MAIN: &str = "main";

/// A run that is cut into shards.
struct ShardedRun {
    /// Its folder, from the root.
    folder: PathBuf,
    manifest: RunManifest,
    shards: ShardPlan,
}

impl ShardedRun {
    /// Opens the run in a folder.
    fn open(folder: &Path) -> Result<Self> {
        let manifest = RunManifest::read(folder)?;
        let shards = match ShardPlan::read(folder, &manifest) {
            // Nobody computes them any more, whichever they were.
            Err(Error::NotCut { .. }) if is_finished(&manifest) => {
                ShardPlan::cut(&manifest, IMAGES_PER_SHARD, Path::new(""), |_, _| MAIN.into())
            }
            shards => shards?,
        };
        Ok(Self { folder: absolute(folder)?, manifest, shards })
    }

    /// Cuts a run, or opens it where it is cut. A dry run writes nothing, and a finished run is never changed.
    fn make(
        plan: &Plan,
        folder: &Path,
        args: &CutArgs,
        images_per_shard: usize,
        is_dry: bool,
    ) -> Result<Self> {
        let new = cut(plan, args, images_per_shard)?;
        let there = Store::manifest_in(folder, plan.manifest())?;
        if there.as_ref().is_some_and(is_finished) {
            return Self::open(folder);
        }
        let manifest = if is_dry {
            there.unwrap_or_else(|| plan.manifest().clone())
        } else {
            Store::create_or_continue(folder, plan.manifest().clone())?.manifest().clone()
        };
        let shards = match ShardPlan::read(folder, &manifest) {
            Err(Error::NotCut { .. }) if is_dry => new.clone(),
            Err(Error::NotCut { .. }) => new.clone().create_or_read(folder, &manifest)?,
            shards => shards?,
        };
        let is_asked = args.images_per_shard.is_some() || !args.classes.is_empty();
        if is_asked && shards.shards != new.shards {
            eprintln!(
                "the run was cut before, and its {} shards stay as they are; another --out gets others",
                shards.shards.len()
            );
        }
        Ok(Self { folder: absolute(folder)?, manifest, shards })
    }

    fn is_finished(&self) -> bool {
        is_finished(&self.manifest)
    }

    /// Where there is nothing left to compute: sees that the report is there, says so, and how the command ends.
    fn finished(&self, max_failed: ShareOrRows, json: bool) -> Result<Option<Exit>> {
        if !self.is_finished() {
            return Ok(None);
        }
        let run = Run::read(&self.folder)?;
        if !Store::has_report(&self.folder) {
            // The merge that finished the run did not come to it.
            self.enter()?;
            merge::publish(&run, &run.summarize())?;
        }
        if !json {
            println!("the run is finished");
        }
        Ok(Some(ending::conclude(max_failed, json, &Outcome::elsewhere(&run))))
    }

    fn progress(&self) -> Result<shards::Progress> {
        Ok(shards::progress(&self.folder, &self.shards, self.is_finished())?)
    }

    /// Goes to where the run's relative paths count from, if that is on this machine.
    fn enter(&self) -> Result<()> {
        let folder = Path::new(&self.shards.started_in);
        if folder.is_dir() {
            env::set_current_dir(folder)
                .with_context(|| format!("cannot enter {}", folder.display()))?;
        }
        Ok(())
    }
}

fn is_finished(manifest: &RunManifest) -> bool {
    manifest.status == RunStatus::Finished
}

/// A folder from the root; that of a dry run need not be there.
fn absolute(folder: &Path) -> Result<PathBuf> {
    fs::canonicalize(folder)
        .or_else(|_| std::path::absolute(folder))
        .with_context(|| format!("there is no folder {}", folder.display()))
}

/// The shards of a plan; nothing is written.
fn cut(plan: &Plan, args: &CutArgs, images_per_shard: usize) -> Result<ShardPlan> {
    let manifest = plan.manifest();
    for class in &args.classes {
        for member in &class.members {
            let is_known = manifest.models.iter().any(|model| config::names(member, &model.name))
                || manifest.methods.iter().any(|method| method.name == *member);
            if !is_known {
                let message = format!(
                    "--class {}: the sweep has no model and no method `{member}`",
                    class.name
                );
                return Err(Usage(message).into());
            }
        }
    }
    // A method says more about the work than a model.
    let class_of = |model: &str, method: &str| {
        let of = |is_it: &dyn Fn(&str) -> bool| {
            args.classes.iter().find(|class| class.members.iter().any(|member| is_it(member)))
        };
        let of_method = of(&|member| member == method);
        of_method
            .or_else(|| of(&|member| config::names(member, model)))
            .map_or(MAIN.to_owned(), |class| class.name.clone())
    };
    let images = args.images_per_shard.map_or(images_per_shard, |n| n as usize);
    let started_in = env::current_dir().context("cannot tell the working folder")?;
    if started_in.to_str().is_none() {
        let message = format!(
            "other processes cannot be told of {}, whose name is no UTF-8; start in another folder",
            started_in.display()
        );
        return Err(Usage(message).into());
    }
    Ok(ShardPlan::cut(manifest, images, &started_in, class_of))
}

/// `cambench plan`.
pub(crate) fn plan(args: &PlanArgs) -> Result<Exit> {
    let mut progress = Progress::new();
    let plan = planning::plan(&args.sweep, &args.how, None, 1, &mut progress)?;
    progress.finish();
    let folder = planning::folder_of(&plan, args.out.as_deref())?;
    let sharded = ShardedRun::make(&plan, &folder, &args.cut, IMAGES_PER_SHARD, false)?;
    let lists = if sharded.is_finished() { vec![] } else { write_lists(&sharded)? };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&sharded.shards)?);
    } else if sharded.is_finished() {
        println!("the run is finished: {}", sharded.folder.display());
    } else {
        print_ways(&sharded, &lists);
    }
    Ok(Exit::Done)
}

/// A list of shards for each class of machine, where there are several: its name, its file, and how many shards.
fn write_lists(sharded: &ShardedRun) -> Result<Vec<(String, PathBuf, usize)>> {
    let classes = sharded.shards.classes();
    if classes.len() < 2 {
        return Ok(vec![]);
    }
    let list = |(class, n): (&str, usize)| -> Result<_> {
        let path = shards_folder(&sharded.folder).join(format!("{class}.list"));
        let of_class = sharded.shards.shards.iter().filter(|shard| shard.class == class);
        write_list(&path, of_class.map(|shard| shard.index))?;
        Ok((class.to_owned(), path, n))
    };
    classes.into_iter().map(list).collect()
}

/// A file of shards, one a line.
fn write_list(path: &Path, shards: impl Iterator<Item = usize>) -> Result<()> {
    let mut lines: Vec<String> = shards.map(|shard| shard.to_string()).collect();
    lines.push(String::new());
    Ok(cam_results::write_bytes(path, lines.join("\n").as_bytes())?)
}

/// Reads what [`write_list`] wrote.
fn read_list(path: &Path) -> Result<Vec<usize>> {
    let text = cam_core::read_text_file(path, MAX_LIST)
        .with_context(|| format!("cannot read the list {}", path.display()))?;
    let numbers = text.lines().map(str::parse).collect::<std::result::Result<_, _>>();
    numbers.map_err(|_not_a_number| {
        Unusable(format!("{} is no list of shards, one a line", path.display())).into()
    })
}

/// How engines that start processes can compute a run.
fn print_ways(sharded: &ShardedRun, lists: &[(String, PathBuf, usize)]) {
    let run = quoted(&sharded.folder.to_string_lossy());
    let n = sharded.shards.shards.len();
    println!("{n} shards of {} rows in {run}", sharded.manifest.n_rows());
    let all = [(MAIN.to_owned(), PathBuf::new(), n)];
    let lists = if lists.is_empty() { &all[..] } else { lists };
    for (class, list, n) in lists {
        let (of_list, last) = if list.as_os_str().is_empty() {
            (String::new(), n.saturating_sub(1))
        } else {
            println!("\n{class}: {n} shards");
            (format!(" --list {}", quoted(&list.to_string_lossy())), n.saturating_sub(1))
        };
        let shard = format!("cambench shard --run {run}{of_list}");
        println!("\n  one shard       {shard} --index I          # I from 0 to {last}");
        println!("  GNU parallel    seq 0 {last} | parallel -q -j 4 {shard} --index {{}}");
        println!(
            "  Kubernetes      {shard}                    # completionMode: Indexed, completions: {n}"
        );
        // What the task's own shell is to read, and the one that this is pasted into is not.
        let at = |index: &str| quoted(&format!("{shard} --index {index}"));
        println!("  Grid Engine     echo {} | qsub -t 1-{n} ...", at("$((SGE_TASK_ID-1))"));
        println!("  PBS             echo {} | qsub -J 0-{last} ...", at("$PBS_ARRAY_INDEX"));
        println!("  HTCondor        {shard} --index $(Process)          # queue {n}");
        println!("  HyperQueue      hq submit --array 0-{last} -- sh -c {}", at("$HQ_TASK_ID"));
    }
    println!("\n  Slurm           cambench submit {run}");
    println!("  then            cambench merge {run}");
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+=:,@%".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// `cambench clean`.
pub(crate) fn clean(run: &Path) -> Result<Exit> {
    let sharded = ShardedRun::open(run)?;
    let queued = submission::queued(&sharded).with_context(|| {
        format!(
            "whether the run has jobs cannot be told; clean it where Slurm answers, or remove {} if it has none",
            submission::submit_folder(&sharded).display()
        )
    })?;
    if !queued.is_empty() {
        let message =
            "jobs of the run are in Slurm's queue; wait for them, or `cambench cancel` it";
        return Err(Unusable(message.into()).into());
    }
    if sharded.is_finished() {
        tidy_up(&sharded.folder)?;
        println!("the run is finished and keeps its tables; its shards, logs and jobs are removed");
    } else {
        let (n, n_kept) = shards::clean(&sharded.folder, &cam_results::host())?;
        println!(
            "{n} files of unfinished or failed attempts are removed; committed parts are kept"
        );
        if n_kept > 0 {
            let parts = shards_folder(&sharded.folder).join("parts");
            println!(
                "{n_kept} drafts are kept, for a process here or on another host may be writing them; where none is, `rm {}/.*.draft`",
                quoted(&parts.to_string_lossy())
            );
        }
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_with_a_meaning_for_the_shell_is_quoted() {
        assert_eq!(quoted("results/a-1.b"), "results/a-1.b");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quoted(""), "''");
    }
}
