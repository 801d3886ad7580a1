//! `cargo xtask peers`: cambench and the stacks that users have today, side by side at the same jobs.
//!
//! Everyone is a long-lived process that gets the same weights, inputs, class and number of threads, and waits while
//! another one works. Rounds begin with another contender each time. What is measured is on the disk at once, in
//! `peers.csv`, and a run that was cut off goes on there; `peers.md` is made of it.

pub(crate) mod environment;
mod jobs;
mod machine;
mod measure;
mod poster;
mod rows;
mod tables;
mod worker;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context as _, Result};

pub(crate) use environment::python;

use crate::wheels::Part;
use crate::{Usage, checkout, run, setup};
use jobs::{Device, JOBS, Job, PEAK, PEAK_MODELS};

/// What the command line asks for.
#[derive(Debug, PartialEq)]
struct Options {
    device: Device,
    models: Vec<String>,
    jobs: Vec<&'static str>,
    rounds: Option<u32>,
    minutes: u32,
    threads: usize,
    out: PathBuf,
    poster: bool,
}

/// Runs the command.
pub(crate) fn command(args: &[String]) -> Result<ExitCode> {
    let options = Options::parse(args)?;
    let mut parts: Vec<Part> =
        options.models.iter().filter_map(|model| setup::weights(model)).collect();
    if options.device == Device::Cuda {
        parts.push(Part::Cuda);
    }
    setup::set_up(&parts)?;
    // With the workspace's features, as every other command, so that nothing is built twice.
    let binary = match run::build_target(&["--workspace", "--example=peer"], "peer")? {
        Ok(binary) => binary,
        Err(code) => return Ok(code),
    };
    fs::create_dir_all(&options.out)
        .with_context(|| format!("making {}", options.out.display()))?;
    if options.poster {
        poster::run(&options, &binary)?;
    } else {
        let python = python()?;
        measure::run(&options, &binary, &python)?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Options {
    fn parse(args: &[String]) -> Result<Self, Usage> {
        let mut options = Self {
            device: Device::Cpu,
            models: ["tf_efficientnet_lite0", "resnet50"].map(str::to_owned).to_vec(),
            jobs: JOBS.iter().map(|job| job.name).collect(),
            rounds: None,
            minutes: 35,
            threads: available_parallelism().map_or(2, usize::from),
            out: checkout::root().join("results/speed"),
            poster: false,
        };
        let mut args = args.iter();
        while let Some(name) = args.next() {
            if name == "--poster" {
                options.poster = true;
                continue;
            }
            let known =
                ["--device", "--models", "--jobs", "--rounds", "--minutes", "--threads", "--out"];
            if !known.contains(&name.as_str()) {
                return Err(Usage(format!("peers: no such option: {name}")));
            }
            let value = args.next().ok_or_else(|| Usage(format!("peers: {name} needs a value")))?;
            match name.as_str() {
                "--device" => {
                    options.device = match value.as_str() {
                        "cpu" => Device::Cpu,
                        "cuda" => Device::Cuda,
                        _ => return Err(Usage(format!("peers: no device {value}: cpu or cuda"))),
                    }
                }
                "--models" => options.models = value.split(',').map(str::to_owned).collect(),
                "--jobs" => options.jobs = jobs_of(value)?,
                "--rounds" => options.rounds = Some(positive(name, value)?),
                "--minutes" => options.minutes = positive(name, value)?,
                "--threads" => options.threads = positive(name, value)? as usize,
                _ => options.out = PathBuf::from(value),
            }
        }
        Ok(options)
    }

    /// What is measured, in order: every job of a model before the next model.
    fn cells(&self) -> Vec<Cell> {
        let jobs = || JOBS.iter().filter(|job| self.jobs.contains(&job.name));
        let of = |model: &String| jobs().map(|job| Cell { job, model: model.clone() }).collect();
        let mut cells: Vec<Cell> =
            self.models.iter().flat_map(|model| -> Vec<Cell> { of(model) }).collect();
        cells.retain(|cell| cell.job.suits(&cell.model));
        if let Some(job) = jobs().find(|job| job.name == PEAK) {
            let more = PEAK_MODELS.iter().filter(|model| !self.models.iter().any(|m| m == *model));
            cells.extend(more.map(|model| Cell { job, model: (*model).to_owned() }));
        }
        cells
    }

    /// How long the rounds of one cell should take: light ones take less, so there is something left for heavy ones.
    fn time_of_a_cell(&self) -> Duration {
        Duration::from_secs(60 * u64::from(self.minutes)) / 2 / (self.cells().len().max(1) as u32)
    }
}

/// One job with one model.
#[derive(Clone, Debug)]
struct Cell {
    job: &'static Job,
    model: String,
}

impl Cell {
    fn is_of(&self, row: &rows::Row) -> bool {
        row.job == self.job.name && row.model == self.model
    }
}

fn jobs_of(list: &str) -> Result<Vec<&'static str>, Usage> {
    let job = |name| {
        jobs::by_name(name).map(|job| job.name).ok_or_else(|| {
            let known: Vec<&str> = JOBS.iter().map(|job| job.name).collect();
            Usage(format!("peers: no job `{name}`; there are {}", known.join(", ")))
        })
    };
    list.split(',').map(job).collect()
}

fn positive(name: &str, value: &str) -> Result<u32, Usage> {
    let number = value.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| Usage(format!("peers: {name} needs a number from 1 on, not `{value}`")))
}

/// The folder of what all workers are to have alike; written anew by every run.
fn shared() -> Result<PathBuf> {
    let folder = checkout::cache()?.join("peers-inputs");
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    Ok(folder)
}

/// Writes a file whole or not at all.
fn write(path: &Path, text: &str) -> Result<()> {
    let context = || format!("writing {}", path.display());
    let aside = path.with_extension("new");
    fs::write(&aside, text).with_context(context)?;
    fs::rename(&aside, path).with_context(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, Usage> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_options_are_those_that_the_help_names() {
        let options = parse("--models resnet18,vgg16 --jobs cam,peak --rounds 2 --out x").unwrap();
        assert_eq!(options.models, ["resnet18", "vgg16"]);
        assert_eq!(options.jobs, ["cam", "peak"]);
        assert_eq!((options.rounds, options.out), (Some(2), PathBuf::from("x")));
        let default = parse("").unwrap();
        assert_eq!((default.jobs.len(), default.device), (JOBS.len(), Device::Cpu));
        for option in [
            "--device",
            "--models",
            "--jobs",
            "--rounds",
            "--minutes",
            "--threads",
            "--out",
            "--poster",
        ] {
            assert!(crate::HELP.contains(option), "{option} is not in the help");
        }
    }

    #[test]
    fn a_wrong_option_is_named_with_what_would_have_been_right() {
        for (line, expected) in [
            ("--jobs cam,cam2", "no job `cam2`; there are forward_1, "),
            ("--rounds 0", "--rounds needs a number from 1 on, not `0`"),
            ("--device gpu", "no device gpu: cpu or cuda"),
            ("--out", "--out needs a value"),
            ("--quick", "no such option: --quick"),
        ] {
            let error = parse(line).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn cells_leave_out_what_a_model_cannot_do_and_add_the_peaks_model() {
        let cells = parse("--models vgg16 --jobs cam,grad_cam,peak").unwrap().cells();
        let names: Vec<(&str, &str)> =
            cells.iter().map(|cell| (cell.job.name, cell.model.as_str())).collect();
        assert_eq!(names, [("grad_cam", "vgg16"), ("peak", "vgg16"), ("peak", "resnet18")]);
    }
}
