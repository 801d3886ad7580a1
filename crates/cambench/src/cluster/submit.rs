//! `cambench submit` and `cambench cancel`.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use anyhow::{Context, Result};
use cam_models::DeviceChoice;
use cam_results::{
    RunManifest,
    shards::{self, shards_folder},
    write_bytes,
};
use serde_json::json;

use super::{
    IMAGES_PER_SHARD, ShardedRun, absolute, quoted,
    slurm::{self, Array, Settings},
    submission, write_list,
};
use crate::{
    args::{HowArgs, ShareOrRows, SubmitArgs},
    exit::{Exit, Usage},
    planning,
    progress::Progress,
};

/// Seconds between two looks at the queue.
const POLL_SECS: &str = "CAMBENCH_POLL_SECS";
/// Seconds that merging waits for parts which a network's file system may not show yet.
const MERGE_PATIENCE: &str = "CAMBENCH_MERGE_PATIENCE";

/// `cambench submit`.
pub(crate) fn submit(args: &SubmitArgs) -> Result<Exit> {
    let sharded = opened(args)?;
    slurm::check_path(&sharded.folder)?;
    check_shared(&sharded.folder)?;
    let settings = Settings::parse(&args.settings, sharded.shards.classes().into_keys())?;
    if args.dry_run && sharded.is_finished() {
        println!("the run is finished, nothing to submit");
        return Ok(Exit::Done);
    }
    if let Some(done) = sharded.finished(args.max_failed, args.json)? {
        if args.json {
            print_json(&sharded, &[], 0);
        }
        return Ok(done);
    }
    check_device(&sharded.manifest, &settings, args)?;
    let queue = if args.dry_run { vec![] } else { slurm::queue(&submission::job_names(&sharded))? };
    let there = sharded.progress()?;
    let wanted = wanted(&sharded, &there, &queue, args.resume)?;
    let arrays = arrays(&sharded, &settings, &wanted)?;
    let merge = if is_merge_wanted(&sharded, &there, &queue, &wanted) {
        Some(Merge::of(&sharded, &settings, args.max_failed)?)
    } else {
        None
    };
    if args.dry_run {
        for array in &arrays {
            println!("# {}\n{}", array.script_path(&sharded).display(), array.script);
        }
        if let Some(merge) = merge {
            println!("# {}, after them\n{}", merge.path.display(), merge.script);
        }
        return Ok(Exit::Done);
    }
    let mut jobs = vec![];
    if let Some(merge) = merge {
        let earlier: BTreeSet<String> = queue.iter().map(|job| job.array().to_owned()).collect();
        jobs = send(&sharded, &arrays)?;
        let after: Vec<_> = earlier.into_iter().chain(jobs.iter().cloned()).collect();
        jobs.push(merge.send(&after)?);
    }
    if args.json {
        print_json(&sharded, &jobs, wanted.len());
    } else {
        say(&sharded, &arrays, &jobs);
    }
    if args.wait { wait(&sharded, args) } else { Ok(Exit::Done) }
}

fn print_json(sharded: &ShardedRun, jobs: &[String], n_shards: usize) {
    let run = sharded.folder.to_string_lossy();
    println!("{}", json!({ "run": run, "jobs": jobs, "n_shards": n_shards }));
}

/// The run that is meant: one that is cut already, or the sweep's. A dry run writes nothing.
fn opened(args: &SubmitArgs) -> Result<ShardedRun> {
    if args.target.is_dir() {
        let HowArgs { limit, device, threads, memory } = &args.how;
        let is_cut_anew = args.cut.images_per_shard.is_some() || !args.cut.classes.is_empty();
        let is_computed_otherwise = limit.is_some() || threads.is_some() || memory.is_some();
        let is_on_another = *device != DeviceChoice::Auto;
        if is_cut_anew || is_computed_otherwise || is_on_another || args.out.is_some() {
            return Err(Usage(format!(
                "{} is a run, planned and cut already; --out, --limit, --device, --threads, --memory, \
                 --images-per-shard and --class go with a sweep",
                args.target.display()
            ))
            .into());
        }
        return ShardedRun::open(&args.target);
    }
    let classes = args.cut.classes.iter().map(|class| class.name.as_str());
    let settings = Settings::parse(&args.settings, classes.chain([super::MAIN]))?;
    let mut progress = Progress::new();
    let plan = planning::plan(&args.target, &args.how, settings.cpus(), 1, &mut progress)?;
    progress.finish();
    check_device(plan.manifest(), &settings, args)?;
    if args.how.threads.is_none() && settings.cpus().is_none() {
        let threads = plan.manifest().threads;
        eprintln!(
            "--slurm cpus_per_task=N is not given: each task asks for as many processors as there are here, {threads}"
        );
    }
    let folder = planning::folder_of(&plan, args.out.as_deref())?;
    check_shared(&absolute(&folder)?)?;
    ShardedRun::make(&plan, &folder, &args.cut, IMAGES_PER_SHARD, args.dry_run)
}

/// Refuses to hold GPUs for a run that computes on the processor.
fn check_device(manifest: &RunManifest, settings: &Settings, args: &SubmitArgs) -> Result<()> {
    let is_meant = args.how.device == DeviceChoice::Cpu;
    if is_meant || manifest.device != "cpu" || !settings.ask_for_gpus() {
        return Ok(());
    }
    let message = "--slurm asks for GPUs, and the run is planned for the processor, because there was no GPU where it was \
                   planned; plan it on a node that has one, as in `srun --gres=gpu:1 cambench submit SWEEP ...`, or give \
                   the sweep with --device cpu";
    Err(Usage(message.into()).into())
}

/// Refuses folders that every host has its own of.
fn check_shared(folder: &Path) -> Result<()> {
    let own = [env::temp_dir(), "/tmp".into(), "/dev/shm".into()];
    match own.iter().find(|own| folder.starts_with(own)) {
        None => Ok(()),
        Some(own) => Err(Usage(format!(
            "{} lies in {}, which every node has its own of; give --out a folder that all nodes see",
            folder.display(),
            own.display()
        ))
        .into()),
    }
}

/// The shards to submit: those that are not there, not queued, and not tried in vain before, unless that is asked for.
fn wanted(
    sharded: &ShardedRun,
    there: &shards::Progress,
    queue: &[slurm::Job],
    resume: bool,
) -> Result<Vec<usize>> {
    let queued = submission::queued_shards(sharded, queue)?;
    let missing: Vec<_> = there.missing().filter(|shard| !queued.contains(shard)).collect();
    let tried = submission::submitted_shards(sharded)?;
    let (again, new): (Vec<_>, Vec<_>) =
        missing.iter().copied().partition(|shard| tried.contains(shard));
    if resume || again.is_empty() {
        return Ok(missing);
    }
    eprintln!(
        "the jobs of {} shards have ended without a part (see `cambench status`); --resume submits them again",
        again.len()
    );
    Ok(new)
}

/// Whether a job is to merge. One that is queued waits for the jobs before it alone; where none is, whoever submitted it was
/// refused or cut off, or it did not come to its end.
fn is_merge_wanted(
    sharded: &ShardedRun,
    there: &shards::Progress,
    queue: &[slurm::Job],
    wanted: &[usize],
) -> bool {
    let is_queued = queue.iter().any(|job| job.name == submission::merge_name(sharded));
    let has_shards_to_come = !queue.is_empty() || there.n_missing() == 0;
    !wanted.is_empty() || !is_queued && has_shards_to_come
}

/// An array before it is submitted.
struct Planned {
    number: usize,
    class: String,
    shards: Vec<usize>,
    script: String,
}

impl Planned {
    fn script_path(&self, sharded: &ShardedRun) -> PathBuf {
        submission::submit_folder(sharded).join(format!("{:04}.sh", self.number))
    }
}

/// The program that jobs run: a copy, so that building again changes nothing.
fn program(sharded: &ShardedRun) -> PathBuf {
    shards_folder(&sharded.folder).join("bin").join("cambench")
}

/// Arrays for some shards: one for each class of machine, and more where the cluster takes only shorter ones.
fn arrays(sharded: &ShardedRun, settings: &Settings, shards: &[usize]) -> Result<Vec<Planned>> {
    let mut classes: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for &shard in shards {
        classes.entry(&sharded.shards.shard(shard)?.class).or_default().push(shard);
    }
    let size = slurm::max_array_size();
    let mut number = submission::arrays(sharded)?.last().copied().unwrap_or(0);
    let mut planned = vec![];
    for (class, shards) in classes {
        for shards in shards.chunks(size) {
            number += 1;
            let log = submission::log_folder(sharded).join(format!("{number:04}_%a.log"));
            let array = Array {
                name: &format!("{}{number:04}", submission::job_names(sharded)),
                class,
                n_tasks: shards.len(),
                threads: sharded.manifest.threads,
                program: &program(sharded),
                run: &sharded.folder,
                list: &submission::list_path(sharded, number),
                log: &log.to_string_lossy(),
            };
            let script = slurm::array_script(settings, &array)?;
            let (class, shards) = (class.to_owned(), shards.to_vec());
            planned.push(Planned { number, class, shards, script });
        }
    }
    Ok(planned)
}

/// Submits arrays: their ids. What is written first says what each of them is, should this be cut off.
fn send(sharded: &ShardedRun, arrays: &[Planned]) -> Result<Vec<String>> {
    let program = program(sharded);
    for folder in [submission::submit_folder(sharded), submission::log_folder(sharded)]
        .iter()
        .map(PathBuf::as_path)
        .chain(program.parent())
    {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    copy_program(&program)?;
    let mut ids = vec![];
    for array in arrays {
        let script = array.script_path(sharded);
        write_list(&submission::list_path(sharded, array.number), array.shards.iter().copied())?;
        write_bytes(&script, array.script.as_bytes())?;
        let id = slurm::sbatch(&script, &[])?;
        write_bytes(&script.with_extension("id"), format!("{id}\n").as_bytes())?;
        ids.push(id);
    }
    Ok(ids)
}

/// Copies this program, once for a run.
fn copy_program(to: &Path) -> Result<()> {
    if to.exists() {
        return Ok(());
    }
    let from = env::current_exe().context("cannot tell where cambench is")?;
    // Another command may be copying it, too.
    let new = to.with_extension(format!("{}.new", std::process::id()));
    fs::copy(&from, &new)
        .and_then(|_| fs::File::open(&new)?.sync_all())
        .and_then(|()| fs::rename(&new, to))
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

/// The job that merges.
struct Merge {
    path: PathBuf,
    script: String,
}

impl Merge {
    fn of(sharded: &ShardedRun, settings: &Settings, max_failed: ShareOrRows) -> Result<Self> {
        let log = submission::log_folder(sharded).join("merge.log");
        let patience = seconds(MERGE_PATIENCE, 60)?;
        let script = slurm::merge_script(
            settings,
            &submission::merge_name(sharded),
            &program(sharded),
            &sharded.folder,
            &log.to_string_lossy(),
            &format!("--patience {patience} --max-failed {max_failed}"),
        );
        Ok(Self { path: submission::submit_folder(sharded).join("merge.sh"), script })
    }

    fn send(&self, after: &[String]) -> Result<String> {
        write_bytes(&self.path, self.script.as_bytes())?;
        slurm::sbatch(&self.path, after)
    }
}

fn say(sharded: &ShardedRun, arrays: &[Planned], jobs: &[String]) {
    for (array, job) in arrays.iter().zip(jobs) {
        println!("job {job}: {} shards of class {}", array.shards.len(), array.class);
    }
    match jobs.last() {
        Some(merge) => println!("job {merge}: merges them when they have ended"),
        None => println!("nothing to submit"),
    }
    println!("cambench status {}", quoted(&sharded.folder.to_string_lossy()));
}

/// Waits until none of the run's jobs is in the queue.
fn wait(sharded: &ShardedRun, args: &SubmitArgs) -> Result<Exit> {
    let pause = Duration::from_secs(u64::from(seconds(POLL_SECS, 15)?));
    loop {
        // A controller that does not answer just now is no reason to give up.
        match slurm::queue(&submission::job_names(sharded)) {
            Ok(jobs) if jobs.is_empty() => break,
            Ok(_) => {}
            Err(error) => eprintln!("warning: {error}"),
        }
        sleep(pause);
    }
    let sharded = ShardedRun::open(&sharded.folder)?;
    if let Some(done) = sharded.finished(args.max_failed, args.json)? {
        return Ok(done);
    }
    let progress = sharded.progress()?;
    if progress.n_missing() == 0 {
        let run = quoted(&sharded.folder.to_string_lossy());
        eprintln!(
            "the jobs have ended, and the shards are all there and not merged (`cambench logs {run} merge` may say why); \
             `cambench merge {run}` does it"
        );
        return Ok(Exit::Incomplete);
    }
    eprintln!(
        "the jobs have ended, and {} of {} shards are missing: {}; see `cambench status`, and give --resume",
        progress.n_missing(),
        progress.n_shards,
        progress.missing
    );
    Ok(Exit::Incomplete)
}

fn seconds(variable: &str, default: u32) -> Result<u32> {
    let Ok(text) = env::var(variable) else { return Ok(default) };
    text.parse()
        .map_err(|_not_a_number| Usage(format!("{variable}={text}: this is no number")).into())
}

/// `cambench cancel`.
pub(crate) fn cancel(run: &Path) -> Result<Exit> {
    let sharded = ShardedRun::open(run)?;
    let queue = slurm::queue(&submission::job_names(&sharded))?;
    let ids: BTreeSet<String> = queue.iter().map(|job| job.array().to_owned()).collect();
    let ids: Vec<_> = ids.into_iter().collect();
    if ids.is_empty() {
        println!("no job of the run is in the queue");
    } else {
        slurm::scancel(&ids)?;
        println!("canceled {}; what was computed is kept", ids.join(", "));
    }
    Ok(Exit::Done)
}
