//! `cambench run --jobs N`: the shards of a run computed by processes of this machine.

use std::{
    collections::VecDeque,
    env, fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Sender, channel},
    },
    thread,
};

use anyhow::{Context, Result};
use cam_results::shards::shards_folder;
use cam_runner::{Event, Plan};
use tch::Device;

use super::{Cut, IMAGES_PER_SHARD};
use crate::{
    args::CutArgs,
    exit::Exit,
    progress::{Progress, WORKER},
};

/// How many shards each process gets at least, where there are images enough, so that all end at about the same time.
const SHARDS_PER_JOB: usize = 8;
/// How often a shard is tried whose process dies.
const ATTEMPTS: usize = 3;

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
    let cut = Cut::make(plan, folder, &how, all.clamp(1, IMAGES_PER_SHARD), false)?;
    let done = cut.progress()?;
    let (n_rows, n_done) = (done.n_rows, done.n_committed_rows);
    progress.on(&Event::Started { folder, n_rows, n_done, n_dropped: 0 });
    let queue =
        Queue { waiting: Mutex::new(done.missing().map(|shard| (shard, 0)).collect()), stop };
    let cards = if plan.device == Device::Cuda(0) { visible_cards() } else { vec![] };
    let (told, heard) = channel();
    let mut sentences = vec![];
    thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs)
            .map(|number| {
                let (queue, folder, told) = (&queue, &cut.folder, told.clone());
                let card = cards.get(number % cards.len().max(1)).cloned();
                scope.spawn(move || queue.work(folder, card.as_deref(), &told))
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
    let done = cut.progress()?;
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

/// Shards that wait, and how often each was tried.
struct Queue<'a> {
    waiting: Mutex<VecDeque<(usize, usize)>>,
    stop: &'a AtomicBool,
}

impl Queue<'_> {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<(usize, usize)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<(usize, usize)> {
        if self.stop.load(Ordering::SeqCst) {
            return None;
        }
        self.waiting().pop_front()
    }

    fn put_back(&self, shard: usize, attempts: usize) {
        self.waiting().push_back((shard, attempts));
    }

    /// Feeds a process with shards until there are none, and starts another one where it dies.
    fn work(&self, folder: &Path, card: Option<&str>, told: &Sender<News>) -> Result<()> {
        let say = |news| drop(told.send(news));
        let mut process = None;
        while let Some((shard, attempts)) = self.next() {
            let mut open = match process.take() {
                Some(open) => open,
                None => Process::start(folder, card)?,
            };
            if let Some(answer) = open.ask(shard)? {
                // `done SHARD ROWS FAILED`; a failure has said why.
                let rows = answer.strip_prefix("done ").and_then(|rest| rest.split(' ').nth(1));
                say(News::Rows(rows.and_then(|rows| rows.parse().ok()).unwrap_or(0)));
                process = Some(open);
                continue;
            }
            let status = open.child.wait().context("cannot wait for a process")?;
            if self.stop.load(Ordering::SeqCst) {
                break;
            }
            say(News::Sentence(format!("the process of shard {shard} died ({status})")));
            if attempts + 1 < ATTEMPTS {
                self.put_back(shard, attempts + 1);
            }
        }
        Ok(())
    }
}

/// A `cambench shard` that is told what to do.
struct Process {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Process {
    fn start(run: &Path, card: Option<&str>) -> Result<Self> {
        let program = env::current_exe().context("cannot tell where cambench is")?;
        let mut command = Command::new(program);
        command.args(["shard", "--index", "-", "--run"]).arg(run);
        command.env(WORKER, "1").stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(card) = card {
            command.env("CUDA_VISIBLE_DEVICES", card);
        }
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
