//! `cargo xtask scaling`: how far a run that is cut into shards can grow.
//!
//! Two things are found out, into `results/scaling`. How long a plan of 6,000 shards takes to make, to list and to merge is
//! measured on this machine, on rows that no network made. What happens where up to 10,000 nodes compute at once is
//! simulated: no test has so many. The simulation knows every request of a shard to the folder that all nodes share, and
//! takes what the network's file system and Slurm can do as assumptions, which the report states.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};

use crate::{Failed, Usage, checkout, growth, run, setup};

/// Images, methods and models of the measured plan: every combination is a row.
const FULL: [usize; 3] = [50_000, 20, 6];
/// Images of a shard, as `cambench plan` cuts.
const IMAGES: usize = 50;

/// Measures and simulates. `--images N` instead of 50,000 measures less.
pub(crate) fn command(args: &[String]) -> Result<ExitCode> {
    let [mut n_images, n_methods, n_models] = FULL;
    match args {
        [] => {}
        [flag, n] if flag == "--images" => {
            let is_wrong = || Usage(format!("`{n}` is no number of images"));
            n_images = n.parse().ok().filter(|n| *n >= IMAGES).ok_or_else(is_wrong)?;
        }
        _ => return Err(Usage(format!("no such options: scaling {}", args.join(" "))).into()),
    }
    setup::set_up(&[])?;
    let measured = measure(n_images, n_methods, n_models)?;
    let merge = measured.last().context("nothing was measured")?;
    let secs_per_row = merge.secs / (n_images * n_methods * n_models) as f64;
    let results = checkout::root().join("results/scaling");
    fs::create_dir_all(&results)?;
    let merge = merge_report(&measured, [n_images, n_methods, n_models])?;
    let nodes = nodes_report(secs_per_row)?;
    for (name, text) in [("merge.md", &merge), ("nodes.md", &nodes)] {
        let path = results.join(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        println!("{text}");
    }
    Ok(ExitCode::SUCCESS)
}

/// A line of the example `scale`.
#[derive(Debug, PartialEq)]
struct Measured {
    secs: f64,
    peak_mib: f64,
    what: String,
}

/// Runs the example up to the merge, in a folder that is gone afterwards.
fn measure(n_images: usize, n_methods: usize, n_models: usize) -> Result<Vec<Measured>> {
    let folder = env::temp_dir().join(format!("cambench-scaling-{}", std::process::id()));
    let n_parts = n_images.div_ceil(IMAGES) * n_models;
    let numbers = [n_images, n_methods, n_models, n_parts].map(|n| n.to_string());
    let mut scale = Command::new(run::build_example("scale")?);
    let output = scale.arg(&folder).args(numbers).output().context("starting the example scale");
    fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    let output = output?;
    if !output.status.success() {
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        return Err(Failed(run::exit_code(output.status)).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let lines = text.lines().map(line).collect::<Result<Vec<_>>>()?;
    let end = lines.iter().position(|line| line.what.ends_with("merged"));
    let end = end.context("the example scale merged nothing")?;
    Ok(lines.into_iter().take(end + 1).collect())
}

/// `   12.34 s     56789 kB  what was done`.
fn line(text: &str) -> Result<Measured> {
    let mut words = text.split_whitespace();
    let mut number = |unit: &str| -> Result<f64> {
        let number = words.next().and_then(|word| word.parse().ok());
        ensure!(words.next() == Some(unit), "the example scale says `{text}`");
        number.with_context(|| format!("the example scale says `{text}`"))
    };
    let (secs, peak) = (number("s")?, number("kB")?);
    let what = words.collect::<Vec<_>>().join(" ");
    Ok(Measured { secs, peak_mib: peak / 1024.0, what })
}

fn merge_report(measured: &[Measured], [images, methods, models]: [usize; 3]) -> Result<String> {
    let rows = images * methods * models;
    let mut text = format!(
        "# A large run in one place\n\nWritten by `cargo xtask scaling`: {images} images, {methods} methods, {models} \
         models are {rows} rows in shards of {IMAGES} images. Rows are made up, with two curves of 29 steps and a map of 7 × \
         7 cells each. {}\n\n## Steps\n\n| Step | s | Peak MiB until then |\n| --- | ---: | ---: |\n",
        growth::machine(),
    );
    for Measured { secs, peak_mib, what } in measured {
        writeln!(text, "| {what} | {secs:.1} | {peak_mib:.0} |")?;
    }
    Ok(text)
}

/// A file system that all nodes share, as it is assumed.
struct Shared {
    name: &'static str,
    requests_per_sec: f64,
    bytes_per_sec: f64,
}

const SHARED: [Shared; 2] = [
    Shared { name: "one NFS server", requests_per_sec: 2_000.0, bytes_per_sec: 1e9 },
    Shared { name: "a parallel file system", requests_per_sec: 20_000.0, bytes_per_sec: 20e9 },
];

/// Seconds of computing a shard.
const SHARD_SECS: f64 = 600.0;
const SHARDS_PER_NODE: usize = 6;
const ROWS_PER_SHARD: usize = 1_000;
/// How many tasks Slurm starts in a second, and how many fit into one array.
const STARTS_PER_SEC: f64 = 50.0;
const ARRAY: usize = 1_001;
/// Seconds of one `sbatch`.
const SBATCH_SECS: f64 = 0.2;
/// Names that one request for a folder's list returns.
const NAMES_PER_REQUEST: usize = 100;
/// Program, libtorch and weights, which a node reads once.
const NODE_BYTES: f64 = 500e6;
/// Bytes of the manifest and the plan for each image and each shard; every task reads both.
const MANIFEST_BYTES: f64 = 170.0;
const PLAN_BYTES: f64 = 140.0;
const PHOTO_BYTES: f64 = 110e3;
const ROW_BYTES: f64 = 1_600.0;
/// Requests for a name or a file's state: to begin a shard, besides the list of the parts; for an image; for each
/// sixteen rows that are made safe; to commit.
const BEGIN: usize = 12;
const IMAGE: usize = 3;
const APPEND: usize = 2;
const COMMIT: usize = 4;
/// In so many pieces a shard's requests while it computes are simulated.
const PIECES: usize = 10;

/// What came of a simulation.
#[derive(Debug)]
struct Outcome {
    n_shards: usize,
    /// Until all nodes compute.
    start_secs: f64,
    /// Share of the nodes' time in which they wait for the file system.
    waiting: f64,
    /// Share of the time in which the server answers.
    busy: f64,
    /// Until the last shard is committed.
    secs: f64,
}

/// A server that does one thing after the other.
#[derive(Default)]
struct Server {
    free_at: f64,
    worked: f64,
}

impl Server {
    /// Asks at a time for work of some seconds; when it is done.
    fn ask(&mut self, at: f64, secs: f64) -> f64 {
        self.free_at = self.free_at.max(at) + secs;
        self.worked += secs;
        self.free_at
    }
}

/// Where a node is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Node {
    n_done: usize,
    piece: usize,
    number: usize,
}

/// All nodes compute [`SHARDS_PER_NODE`] shards each, as fast as Slurm starts them and the file system lets them.
fn simulate(n_nodes: usize, shared: &Shared) -> Outcome {
    let n_shards = n_nodes * SHARDS_PER_NODE;
    let (mut names, mut data) = (Server::default(), Server::default());
    let micros = |secs: f64| (secs * 1e6) as u64;
    let mut events: BinaryHeap<Reverse<(u64, Node)>> = (0..n_nodes)
        .map(|number| {
            let at = micros(number as f64 / STARTS_PER_SEC);
            Reverse((at, Node { n_done: 0, piece: 0, number }))
        })
        .collect();
    let (mut n_parts, mut waited, mut computed, mut start_secs, mut secs) =
        (0_usize, 0.0, 0.0, 0.0_f64, 0.0_f64);
    while let Some(Reverse((at, mut node))) = events.pop() {
        let now = at as f64 / 1e6;
        let (requests, bytes) = match node.piece {
            0 => {
                n_parts += 1;
                let once = if node.n_done == 0 { NODE_BYTES } else { 0.0 };
                // As many models as in the measured plan share the images.
                let n_images = (n_shards * IMAGES / FULL[2]).max(IMAGES) as f64;
                let plans = MANIFEST_BYTES * n_images + PLAN_BYTES * n_shards as f64;
                (BEGIN + n_parts.div_ceil(NAMES_PER_REQUEST), once + plans)
            }
            PIECES => (COMMIT, 0.0),
            _ => {
                let requests = IMAGE * IMAGES + APPEND * ROWS_PER_SHARD.div_ceil(16);
                let bytes = PHOTO_BYTES * IMAGES as f64 + ROW_BYTES * ROWS_PER_SHARD as f64;
                (requests / (PIECES - 1), bytes / (PIECES - 1) as f64)
            }
        };
        let answered = names.ask(now, requests as f64 / shared.requests_per_sec);
        let read = data.ask(now, bytes / shared.bytes_per_sec);
        let then = answered.max(read);
        waited += then - now;
        if node.piece == PIECES {
            secs = secs.max(then);
            node = Node { n_done: node.n_done + 1, piece: 0, ..node };
            if node.n_done < SHARDS_PER_NODE {
                events.push(Reverse((micros(then), node)));
            }
            continue;
        }
        if (node.n_done, node.piece) == (0, 0) {
            start_secs = start_secs.max(then);
        }
        // Shards are not equally long: from 80 to 120 % in a fixed disorder.
        let shard = node.number * SHARDS_PER_NODE + node.n_done;
        let spread = 0.8 + 0.4 * (shard.wrapping_mul(2_654_435_761) % 1_000) as f64 / 1_000.0;
        let piece_secs = SHARD_SECS * spread / PIECES as f64;
        computed += piece_secs;
        events.push(Reverse((micros(then + piece_secs), Node { piece: node.piece + 1, ..node })));
    }
    let waiting = waited / (waited + computed);
    Outcome { n_shards, start_secs, waiting, busy: names.worked.max(data.worked) / secs, secs }
}

fn nodes_report(merge_secs_per_row: f64) -> Result<String> {
    let mut text = format!(
        "# Many nodes\n\nWritten by `cargo xtask scaling`: a simulation, in which every node computes {SHARDS_PER_NODE} \
         shards one after the other, each of {ROWS_PER_SHARD} rows in {SHARD_SECS} s ± 20 %. Assumed are: Slurm starts \
         {STARTS_PER_SEC} tasks a second, in arrays of {ARRAY}, and takes {SBATCH_SECS} s for an `sbatch`; a node reads {} MB \
         once, and the manifest and the plan for each shard; a photograph has {} kB, a row {} kB; a list of a folder takes \
         a request for each {NAMES_PER_REQUEST} names. A shard makes {BEGIN} requests and the list of all parts to begin, \
         {IMAGE} for a photograph, {APPEND} for each 16 rows, and {COMMIT} to commit.",
        NODE_BYTES / 1e6,
        PHOTO_BYTES / 1e3,
        ROW_BYTES / 1e3,
    );
    for Shared { name, requests_per_sec, bytes_per_sec } in SHARED {
        write!(
            text,
            " {name}: {requests_per_sec} requests and {} GB a second.",
            bytes_per_sec / 1e9
        )?;
    }
    text += " Merging is by one machine at the speed of `merge.md`.\n\n## Nodes\n\n| File system | Nodes | Shards | Submitting s | \
             Until all compute s | Waiting for files | Files busy | Computing and waiting s | Merging s |\n| --- | ---: | \
             ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n";
    for shared in SHARED {
        for n_nodes in [1, 10, 100, 1_000, 10_000] {
            let Outcome { n_shards, start_secs, waiting, busy, secs } = simulate(n_nodes, &shared);
            writeln!(
                text,
                "| {} | {n_nodes} | {n_shards} | {:.1} | {start_secs:.0} | {:.1} % | {:.0} % | {secs:.0} | {:.0} |",
                shared.name,
                SBATCH_SECS * n_shards.div_ceil(ARRAY) as f64,
                100.0 * waiting,
                100.0 * busy,
                merge_secs_per_row * (n_shards * ROWS_PER_SHARD) as f64,
            )?;
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_node_waits_for_nobody_and_more_nodes_wait_longer() {
        let [nfs, parallel] = &SHARED;
        let one = simulate(1, nfs);
        // 6 shards of 600 s ± 20 %, and the half second in which it reads its program.
        assert!(one.waiting < 0.005 && (2_880.0..4_330.0).contains(&one.secs), "{one:?}");
        let waiting = [1, 10, 100, 1_000].map(|n_nodes| simulate(n_nodes, nfs).waiting);
        assert!(waiting.is_sorted(), "{waiting:?}");
        assert!(simulate(1_000, parallel).waiting < waiting[3]);
    }

    #[test]
    fn a_server_does_one_thing_after_the_other() {
        let mut server = Server::default();
        let mut done = vec![];
        for (at, secs) in [(0.0, 2.0), (1.0, 2.0), (9.0, 1.0)] {
            done.push(format!("{:.1}", server.ask(at, secs)));
        }
        assert_eq!(done, ["2.0", "4.0", "10.0"]);
        assert!((server.worked - 5.0).abs() < 1e-9);
    }

    #[test]
    fn a_line_of_the_example_is_read() {
        let read = line("   12.50 s      2048 kB  6000 rows merged").unwrap();
        let what = "6000 rows merged".to_owned();
        assert_eq!(read, Measured { secs: 12.5, peak_mib: 2.0, what });
        assert!(line("nothing of it").is_err());
    }
}
