//! `cargo xtask growth`: whether forwards, time and memory of a sweep grow as its images, steps and masks do.
//!
//! Runs `cambench run` as a process of its own on growing data sets of the same photographs, and writes
//! `results/speed/growth.csv` and `growth.md`.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::{Usage, checkout, run, setup};

/// How many images of each size, for every model.
const MODELS: [(&str, &str, &[usize]); 2] = [
    ("tf_efficientnet_lite0", "", &[50, 200, 1000]),
    ("resnet50", ", weights: seeded", &[50, 200]),
];
const METHODS: &str = "recipro_cam, grad_cam";

/// Runs the measurements: `--images A,B,..` instead of the sizes above.
pub(crate) fn command(args: &[String]) -> Result<ExitCode> {
    let sizes = sizes(args)?;
    setup::set_up(&[])?;
    let binary = run::build()?;
    let models = MODELS.map(|(model, options, usual)| {
        let sizes = sizes.clone().unwrap_or_else(|| usual.to_vec());
        (model, format!("{{ name: {model}{options} }}"), sizes)
    });
    let most = models.iter().flat_map(|(.., sizes)| sizes).max().copied().unwrap_or_default();
    let folder = Folder::make()?;
    lay_out(&photographs()?, most, &folder.0.join("photos"))?;
    fs::write(folder.0.join("data.yaml"), "root: photos\nlayout: files\n")?;
    let bench = Bench { binary, folder: &folder.0 };

    let metrics = |deletion: &str| format!("drop, coherency, complexity{deletion}");
    let deletion = |steps: usize| metrics(&format!(", {{ name: deletion, steps: {steps} }}"));
    let mut rows = vec![];
    for (model, entry, sizes) in &models {
        // Of a single image: starting, planning, and loading the network.
        for n_images in [1].iter().chain(sizes) {
            let sweep =
                Sweep { entry, methods: METHODS, metrics: &deletion(28), n_images: *n_images };
            rows.push(bench.run(&format!("{model}, images"), *n_images, &sweep)?);
        }
    }
    let (model, entry, sizes) = &models[0];
    let n_images = sizes[0];
    for steps in [0, 28, 56] {
        let metrics = if steps == 0 { metrics("") } else { deletion(steps) };
        let sweep = Sweep { entry, methods: METHODS, metrics: &metrics, n_images };
        rows.push(bench.run(&format!("{model}, steps of deletion"), steps, &sweep)?);
    }
    for n_masks in [0, 64, 128] {
        let methods = if n_masks == 0 {
            "cam".into()
        } else {
            format!("{{ name: rise, n_masks: {n_masks} }}")
        };
        let sweep = Sweep { entry, methods: &methods, metrics: "drop", n_images };
        rows.push(bench.run(&format!("{model}, masks of RISE"), n_masks, &sweep)?);
    }

    let (csv, md) = (csv(&rows), markdown(&rows)?);
    let results = checkout::root().join("results/speed");
    fs::create_dir_all(&results)?;
    for (name, text) in [("growth.csv", &csv), ("growth.md", &md)] {
        let path = results.join(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    println!("{md}");
    Ok(ExitCode::SUCCESS)
}

fn sizes(args: &[String]) -> Result<Option<Vec<usize>>> {
    let list = match args {
        [] => return Ok(None),
        [flag, list] if flag == "--images" => list,
        _ => return Err(Usage(format!("no such options: growth {}", args.join(" "))).into()),
    };
    let sizes: Vec<usize> = list.split(',').filter_map(|size| size.parse().ok()).collect();
    if sizes.len() != list.split(',').count() || sizes.iter().any(|size| *size < 2) {
        return Err(Usage(format!("`{list}` is no list of numbers from 2 on, like 5,10")).into());
    }
    Ok(Some(sizes))
}

/// A temporary folder, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn make() -> Result<Self> {
        let path = env::temp_dir().join(format!("cambench-growth-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("cannot remove {}: {error}", self.0.display());
        }
    }
}

/// The images of `IMAGENET_SAMPLES`, else the demo's photographs.
fn photographs() -> Result<Vec<PathBuf>> {
    let folder = env::var_os("IMAGENET_SAMPLES").map_or_else(
        || Ok(checkout::cache()?.join("photographs")),
        |path| anyhow::Ok(path.into()),
    )?;
    let is_photo = |path: &PathBuf| {
        let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
        ["jpeg", "jpg", "png"].contains(&end.to_lowercase().as_str())
    };
    let mut photos: Vec<PathBuf> = fs::read_dir(&folder)
        .with_context(|| format!("reading {}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(is_photo)
        .collect();
    photos.sort();
    ensure!(!photos.is_empty(), "there is no JPEG or PNG in {}", folder.display());
    Ok(photos)
}

/// `n` photographs in a folder, the same ones again and again under other names.
fn lay_out(photos: &[PathBuf], n: usize, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for (i, photo) in photos.iter().cycle().take(n).enumerate() {
        let name = photo.file_name().unwrap_or_default().to_string_lossy();
        // The number comes first, so that any `--limit` takes as many different ones as there are.
        let copy = folder.join(format!("{i:06}_{name}"));
        fs::hard_link(photo, &copy)
            .or_else(|_other_disk| fs::copy(photo, &copy).map(|_bytes| ()))
            .with_context(|| format!("copying {} to {}", photo.display(), copy.display()))?;
    }
    Ok(())
}

struct Bench<'a> {
    binary: PathBuf,
    folder: &'a Path,
}

struct Sweep<'a> {
    entry: &'a str,
    methods: &'a str,
    metrics: &'a str,
    n_images: usize,
}

/// What one run took.
struct Measured {
    /// What is varied.
    series: String,
    /// How much of it.
    amount: usize,
    n_images: usize,
    n_degenerate: u64,
    forwards: u64,
    /// User and system time, in seconds.
    cpu_secs: f64,
    wall_secs: f64,
    peak_bytes: u64,
    network_busy: f64,
}

impl Bench<'_> {
    fn run(&self, series: &str, amount: usize, sweep: &Sweep<'_>) -> Result<Measured> {
        let Sweep { entry, methods, metrics, n_images } = sweep;
        eprintln!("{series}: {amount}");
        let text = format!(
            "name: growth\ndataset: {{ manifest: data.yaml }}\nmodels:\n  - {entry}\nmethods: [{methods}]\nmetrics: [{metrics}]\n"
        );
        fs::write(self.folder.join("growth.yaml"), text)?;
        let out = self.folder.join("run");
        if out.exists() {
            fs::remove_dir_all(&out)?;
        }
        let start = Instant::now();
        let mut command = Command::new(&self.binary);
        command
            .current_dir(self.folder)
            .args([
                "run",
                "growth.yaml",
                "--out",
                "run",
                "--json",
                "--device",
                "cpu",
                "--max-failed",
                "0",
            ])
            .args(["--limit", &n_images.to_string()]);
        let (said, usage) = usage_of(command)?;
        let wall_secs = start.elapsed().as_secs_f64();
        let said: Value = serde_json::from_slice(&said).context("reading what the run said")?;
        let number =
            |name: &str| said[name].as_f64().with_context(|| format!("no {name} in {said}"));
        Ok(Measured {
            series: series.to_owned(),
            amount,
            n_images: *n_images,
            n_degenerate: number("n_degenerate")? as u64,
            forwards: number("executed_forwards")? as u64,
            cpu_secs: usage.cpu_secs,
            wall_secs,
            peak_bytes: usage.peak_bytes,
            network_busy: number("network_busy")?,
        })
    }
}

/// What a process has used by its end.
struct ProcessUsage {
    cpu_secs: f64,
    peak_bytes: u64,
}

/// Runs a command to its end: what it said on its standard output, and what it used.
#[cfg(unix)]
#[expect(unsafe_code, reason = "the standard library does not tell what a child has used")]
fn usage_of(mut command: Command) -> Result<(Vec<u8>, ProcessUsage)> {
    use std::io::Read as _;
    use std::os::unix::process::ExitStatusExt as _;

    let mut child = command.stdout(Stdio::piped()).spawn().context("starting cambench")?;
    let mut said = vec![];
    if let Some(stdout) = &mut child.stdout {
        stdout.read_to_end(&mut said)?;
    }
    let mut status = 0;
    // SAFETY: a rusage is plain numbers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid, and nobody has waited for this child yet, so the number is still its own.
    let waited =
        unsafe { libc::wait4(child.id() as libc::pid_t, &raw mut status, 0, &raw mut usage) };
    ensure!(waited >= 0, "waiting for cambench: {}", std::io::Error::last_os_error());
    let status = std::process::ExitStatus::from_raw(status);
    ensure!(status.success(), "cambench ended with {status}");
    let secs = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    // Linux counts in kilobytes.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    let used = ProcessUsage {
        cpu_secs: secs(usage.ru_utime) + secs(usage.ru_stime),
        peak_bytes: usage.ru_maxrss as u64 * unit,
    };
    Ok((said, used))
}

#[cfg(not(unix))]
fn usage_of(_: Command) -> Result<(Vec<u8>, ProcessUsage)> {
    bail!("what a process uses is only measured on Unix")
}

fn csv(rows: &[Measured]) -> String {
    let mut text = String::from(
        "series,amount,n_images,n_degenerate,forwards,cpu_secs,wall_secs,peak_bytes,network_busy\n",
    );
    for row in rows {
        let Measured { series, amount, n_images, n_degenerate, forwards, .. } = row;
        let Measured { cpu_secs, wall_secs, peak_bytes, network_busy, .. } = row;
        let _ = writeln!(
            text,
            "\"{series}\",{amount},{n_images},{n_degenerate},{forwards},{cpu_secs:.3},{wall_secs:.3},{peak_bytes},{network_busy:.4}"
        );
    }
    text
}

fn markdown(rows: &[Measured]) -> Result<String> {
    let mut text = String::from(HEAD);
    let _ = writeln!(text, "{}\n", machine());
    for group in rows.chunk_by(|a, b| a.series == b.series) {
        let [base, measured @ ..] = group else { bail!("a series without its base") };
        let is_images = base.series.ends_with("images");
        let _ = writeln!(text, "## {}\n", base.series);
        let unit = if is_images { "image" } else { "step or mask" };
        let _ = writeln!(
            text,
            "| | forwards | forwards per {unit} | CPU s | CPU ms per {unit} | peak MiB | network busy | degenerate |"
        );
        text.push_str("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n");
        for row in group {
            let more = (row.amount - base.amount) as f64;
            let per =
                |value: f64| if more > 0.0 { format!("{:.2}", value / more) } else { "–".into() };
            let _ = writeln!(
                text,
                "| {} | {} | {} | {:.2} | {} | {:.0} | {:.1} % | {} |",
                row.amount,
                row.forwards,
                per(row.forwards as f64 - base.forwards as f64),
                row.cpu_secs,
                per(1000.0 * (row.cpu_secs - base.cpu_secs)),
                row.peak_bytes as f64 / 1024.0 / 1024.0,
                100.0 * row.network_busy,
                row.n_degenerate,
            );
        }
        let _ = writeln!(text, "\n{}\n", verdict(base, measured, is_images));
    }
    Ok(text)
}

const HEAD: &str = "\
# How a run grows

Written by `cargo xtask growth`. The first line of a table is the base: one image, or none of what is varied. What
stands per image, step or mask is what the run took more than its base.

";

/// Forwards are to grow exactly, CPU time within 10 %, and memory is to stay within 5 %.
fn verdict(base: &Measured, measured: &[Measured], is_images: bool) -> String {
    let per = |value: fn(&Measured) -> f64| -> Vec<f64> {
        let more = |row: &Measured| (row.amount - base.amount) as f64;
        measured.iter().map(|row| (value(row) - value(base)) / more(row)).collect()
    };
    let spread = |values: &[f64]| {
        let (least, most) = (
            values.iter().copied().fold(f64::INFINITY, f64::min),
            values.iter().copied().fold(0.0, f64::max),
        );
        most / least - 1.0
    };
    let holds = |holds: bool| if holds { "as it should be" } else { "**more than it should be**" };
    let cpu = spread(&per(|row| row.cpu_secs));
    let mut text = String::new();
    if is_images {
        let forwards = spread(&per(|row| row.forwards as f64));
        // That it shrinks is the allocator's mood, and not asked against.
        let peaks: Vec<f64> = measured.iter().map(|row| row.peak_bytes as f64).collect();
        let [first, .., last] = peaks[..] else { return text };
        let (peak, more) = (last / first - 1.0, if last < first { "less" } else { "more" });
        let _ = write!(
            text,
            "Between these sizes, forwards per image differ by {:.2} % ({}; 0 where no map is degenerate) and CPU time per image \
             by {:.1} % ({}; up to 10 %); the largest takes {:.1} % {more} memory at its peak than the smallest ({}; up to 5 % \
             more).",
            100.0 * forwards,
            holds(forwards == 0.0),
            100.0 * cpu,
            holds(cpu <= 0.1),
            100.0 * peak.abs(),
            holds(peak <= 0.05),
        );
    } else if let [once, twice] = measured {
        let ratio = (twice.cpu_secs - base.cpu_secs) / (once.cpu_secs - base.cpu_secs);
        let _ = write!(
            text,
            "Twice as many take {ratio:.3} times the CPU time ({}; 1.8 to 2.2).",
            holds((1.8..=2.2).contains(&ratio))
        );
    }
    text
}

/// What it was measured on.
pub(crate) fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("an unknown processor", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    let git = Command::new("git")
        .args(["describe", "--always", "--dirty"])
        .current_dir(checkout::root())
        .output();
    let commit = git.ok().filter(|output| output.status.success()).map_or_else(
        || "an unknown commit".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    );
    format!("{commit}, {n_cores} threads of {model}.")
}
