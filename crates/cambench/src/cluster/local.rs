//! `cambench run --jobs N`: the shards of a run computed by processes of this machine.

use std::{
    collections::{BTreeSet, VecDeque},
    env, fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Sender, channel},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use cam_results::shards::shards_folder;
use cam_runner::{Event, Plan};
use tch::Device;

use super::{IMAGES_PER_SHARD, ShardedRun};
use crate::{
    args::CutArgs,
    exit::Exit,
    progress::{Progress, WORKER},
};

/// How many shards each process gets at least, where there are images enough, so that all end at about the same time.
const SHARDS_PER_JOB: usize = 8;
/// How often a shard is tried whose process dies, and how many processes in a row may die under a worker.
const ATTEMPTS: usize = 3;
/// How long one waits for news before it looks whether it is to stop.
const PAUSE: Duration = Duration::from_millis(200);

/// How many threads each of some processes has, unless it is said.
pub(crate) fn threads_of_each(jobs: u16) -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    (cores / usize::from(jobs)).max(1)
}

/// Computes what is missing of a plan in a folder by some processes. `None` where all of it is committed, so that the run
/// can be finished.
pub(crate) fn run_locally(
    plan: &Plan,
    folder: &Path,
    jobs: u16,
    stop: &AtomicBool,
    progress: &mut Progress,
) -> Result<Option<Exit>> {
    let jobs = usize::from(jobs);
    let all = plan.dataset.items.len().div_ceil(SHARDS_PER_JOB * jobs);
    let how = CutArgs { images_per_shard: None, classes: vec![] };
    let sharded = ShardedRun::make(plan, folder, &how, all.clamp(1, IMAGES_PER_SHARD), false)?;
    let done = sharded.progress()?;
    let (n_rows, n_done) = (done.n_rows, done.n_committed_rows);
    progress.on(&Event::Started { folder, n_rows, n_done, n_dropped: 0 });
    let queue = Queue::new(done.missing(), jobs, stop);
    let cards = if plan.resources.device == Device::Cuda(0) { visible_cards() } else { vec![] };
    let (told, heard) = channel();
    let mut sentences = vec![];
    thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs)
            .map(|number| {
                let (queue, folder, told) = (&queue, &sharded.folder, told.clone());
                let card = cards.get(number % cards.len().max(1)).cloned();
                let start = move || Process::start(command(folder, card.as_deref())?);
                scope.spawn(move || queue.work(number, &start, &told))
            })
            .collect();
        drop(told);
        for news in heard {
            match news {
                News::Rows(n) => progress.advance(n),
                News::Sentence(sentence) => progress.say(&sentence),
            }
        }
        for worker in workers {
            if let Err(error) =
                worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            {
                sentences.push(crate::described(&error));
            }
        }
    });
    for sentence in &sentences {
        progress.say(sentence);
    }
    let done = sharded.progress()?;
    if done.n_committed == done.n_shards {
        return Ok(None);
    }
    progress.finish();
    let (there, planned) = (done.n_committed, done.n_shards);
    eprintln!(
        "stopped with {there} of {planned} shards in {}; the same command continues",
        folder.display()
    );
    let was_stopped = stop.load(Ordering::SeqCst);
    Ok(Some(if was_stopped { Exit::Interrupted } else { Exit::Incomplete }))
}

/// Removes what only the shards of a finished run needed.
pub(crate) fn tidy_up(folder: &Path) -> Result<()> {
    let shards = shards_folder(folder);
    match fs::remove_dir_all(&shards) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", shards.display()))
        }
        _ => Ok(()),
    }
}

enum News {
    Rows(u64),
    Sentence(String),
}

/// The shards to compute, and who is at it.
struct Queue<'a> {
    state: Mutex<State>,
    changed: Condvar,
    stop: &'a AtomicBool,
}

struct State {
    waiting: VecDeque<Task>,
    n_in_hand: usize,
    /// Those that are not gone.
    workers: BTreeSet<usize>,
}

/// A shard that waits.
struct Task {
    shard: usize,
    /// How many processes have died of it.
    n_deaths: usize,
    /// Under whom they did.
    failed_by: BTreeSet<usize>,
}

impl Task {
    /// Whether nobody is left under whom no process has died of it.
    fn failed_by_all(&self, workers: &BTreeSet<usize>) -> bool {
        workers.is_subset(&self.failed_by)
    }

    /// Whether it is worth another attempt: what died under several workers died of itself.
    fn is_hopeful(&self, workers: &BTreeSet<usize>) -> bool {
        self.failed_by.len() < ATTEMPTS
            && (self.n_deaths < ATTEMPTS || !self.failed_by_all(workers))
    }
}

impl<'a> Queue<'a> {
    fn new(shards: impl Iterator<Item = usize>, n_workers: usize, stop: &'a AtomicBool) -> Self {
        let task = |shard| Task { shard, n_deaths: 0, failed_by: BTreeSet::new() };
        let workers = (0..n_workers).collect();
        let state = State { waiting: shards.map(task).collect(), n_in_hand: 0, workers };
        Self { state: Mutex::new(state), changed: Condvar::new(), stop }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next shard for a worker; `None` where there is nothing left to do for it. What others have in hand may come back,
    /// so it waits for that. What died under it is for others first: it may have died of this worker's device.
    fn next(&self, worker: usize) -> Option<Task> {
        let mut state = self.state();
        while !self.stop.load(Ordering::SeqCst) {
            let is_for_it = |task: &Task| {
                !task.failed_by.contains(&worker) || task.failed_by_all(&state.workers)
            };
            if let Some(place) = state.waiting.iter().position(is_for_it) {
                state.n_in_hand += 1;
                return state.waiting.remove(place);
            }
            if state.waiting.is_empty() && state.n_in_hand == 0 {
                return None;
            }
            let waited = self.changed.wait_timeout(state, PAUSE);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    /// A shard is out of hand, and what is `left` of it waits for another attempt, where there is hope.
    fn put_down(&self, left: Option<Task>) {
        let mut state = self.state();
        state.n_in_hand -= 1;
        let left = left.filter(|task| task.is_hopeful(&state.workers));
        state.waiting.extend(left);
        self.changed.notify_all();
    }

    /// A worker is gone.
    fn leave(&self, worker: usize) {
        self.state().workers.remove(&worker);
        self.changed.notify_all();
    }

    /// Feeds processes of `start` with shards until there are none.
    fn work(
        &self,
        worker: usize,
        start: &dyn Fn() -> Result<Process>,
        told: &Sender<News>,
    ) -> Result<()> {
        let worked = self.feed(worker, start, told);
        self.leave(worker);
        worked
    }

    /// Starts another process where one dies; where that happens again and again, its device may be broken, and the others
    /// get the shards.
    fn feed(
        &self,
        worker: usize,
        start: &dyn Fn() -> Result<Process>,
        told: &Sender<News>,
    ) -> Result<()> {
        let say = |news| drop(told.send(news));
        let mut process = None;
        let mut n_deaths = 0;
        while let Some(mut task) = self.next(worker) {
            let shard = task.shard;
            let status = match ask(&mut process, shard, start) {
                Ok(Answer::Said(answer)) => {
                    // `done SHARD ROWS FAILED`; a failure has said why.
                    let rows = answer.strip_prefix("done ").and_then(|rest| rest.split(' ').nth(1));
                    say(News::Rows(rows.and_then(|rows| rows.parse().ok()).unwrap_or(0)));
                    self.put_down(None);
                    n_deaths = 0;
                    continue;
                }
                Ok(Answer::Died(status)) => status,
                Err(error) => {
                    self.put_down(Some(task));
                    return Err(error);
                }
            };
            if self.stop.load(Ordering::SeqCst) {
                self.put_down(Some(task));
                break;
            }
            say(News::Sentence(format!("the process of shard {shard} died ({status})")));
            n_deaths += 1;
            task.n_deaths += 1;
            task.failed_by.insert(worker);
            self.put_down(Some(task));
            if n_deaths == ATTEMPTS {
                say(News::Sentence(format!(
                    "{ATTEMPTS} processes in a row died; no more are started in their place"
                )));
                break;
            }
        }
        Ok(())
    }
}

enum Answer {
    Said(String),
    Died(ExitStatus),
}

/// Has a process compute a shard, started where there is none; one that has died is there no more.
fn ask(
    process: &mut Option<Process>,
    shard: usize,
    start: &dyn Fn() -> Result<Process>,
) -> Result<Answer> {
    let mut open = match process.take() {
        Some(open) => open,
        None => start()?,
    };
    match open.ask(shard)? {
        Some(answer) => {
            *process = Some(open);
            Ok(Answer::Said(answer))
        }
        None => Ok(Answer::Died(open.child.wait().context("cannot wait for a process")?)),
    }
}

/// A `cambench shard` that is told what to do.
struct Process {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

/// The command that serves a run, on a card.
fn command(run: &Path, card: Option<&str>) -> Result<Command> {
    let program = env::current_exe().context("cannot tell where cambench is")?;
    let mut command = Command::new(program);
    command.args(["shard", "--index", "-", "--run"]).arg(run).env(WORKER, "1");
    if let Some(card) = card {
        command.env("CUDA_VISIBLE_DEVICES", card);
    }
    Ok(command)
}

impl Process {
    fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start cambench once more")?;
        let answers = BufReader::new(child.stdout.take().context("a pipe")?);
        Ok(Self { child, answers })
    }

    /// What it answers; `None` where it has died.
    fn ask(&mut self, shard: usize) -> Result<Option<String>> {
        let input = self.child.stdin.as_mut().context("a pipe")?;
        if writeln!(input, "{shard}").and_then(|()| input.flush()).is_err() {
            return Ok(None);
        }
        let mut line = String::new();
        // A pipe that breaks is one whose process has died.
        let n = self.answers.read_line(&mut line).unwrap_or(0);
        Ok((n > 0).then(|| line.trim().to_owned()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Without input it ends by itself.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The names of the CUDA devices that this process may use.
fn visible_cards() -> Vec<String> {
    match env::var("CUDA_VISIBLE_DEVICES") {
        Ok(names) => names.split(',').map(|name| name.trim().to_owned()).collect(),
        Err(_) => (0..tch::Cuda::device_count()).map(|card| card.to_string()).collect(),
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    /// What became of some shards under workers of which the first ones have broken devices: shards that were answered, and
    /// what was said.
    fn worked(n_shards: usize, n_workers: usize, n_broken: usize) -> (usize, Vec<String>) {
        let stop = AtomicBool::new(false);
        let queue = Queue::new(0..n_shards, n_workers, &stop);
        let (told, heard) = channel();
        thread::scope(|scope| {
            for worker in 0..n_workers {
                let (queue, told) = (&queue, told.clone());
                let script = if worker < n_broken {
                    "read shard; exit 5"
                } else {
                    "while read shard; do sleep 0.01; echo done $shard 1 0; done"
                };
                let start = move || {
                    let mut command = Command::new("sh");
                    command.args(["-c", script]);
                    Process::start(command)
                };
                scope.spawn(move || queue.work(worker, &start, &told).unwrap());
            }
        });
        drop(told);
        let (mut n_rows, mut said) = (0, vec![]);
        for news in heard {
            match news {
                News::Rows(n) => n_rows += n as usize,
                News::Sentence(sentence) => said.push(sentence),
            }
        }
        (n_rows, said)
    }

    #[test]
    fn broken_devices_cost_no_shard_that_another_can_compute() {
        for n_shards in [1, 2, 3, 8, 40] {
            for (n_workers, n_broken) in [(2, 1), (3, 1), (3, 2), (8, 2)] {
                let (n_rows, said) = worked(n_shards, n_workers, n_broken);
                assert_eq!(n_rows, n_shards, "{n_workers} {n_broken} {said:?}");
                assert!(said.len() <= n_broken * (ATTEMPTS + 1), "{said:?}");
            }
        }
    }

    #[test]
    fn a_worker_whose_processes_die_in_a_row_stops() {
        let (n_rows, said) = worked(10, 1, 1);
        assert_eq!((n_rows, said.len()), (0, ATTEMPTS + 1), "{said:?}");
        assert!(said.last().unwrap().starts_with("3 processes in a row died"), "{said:?}");
    }
}
