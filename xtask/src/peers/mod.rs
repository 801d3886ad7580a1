//! `cargo xtask peers`: cambench and the stacks that users have today, side by side at the same jobs.
//!
//! Everyone is a long-lived process that gets the same weights, inputs, class and number of threads, and waits while
//! another one works. Rounds begin with another contender each time. What is measured is on the disk at once, in
//! `peers.csv`, and a run that was cut off goes on there; `peers.md` is made of it. A group of jobs has files of its own
//! name: `methods.csv` and `methods.md` are those of the further methods and metrics.

mod engine;
pub(crate) mod environment;
mod jobs;
pub(crate) mod machine;
mod measure;
mod methods;
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
use jobs::{Device, GROUPS, Group, Job, PEAK, PEAK_MODELS};

/// What the command line asks for.
#[derive(Debug, PartialEq)]
struct Options {
    device: Device,
    models: Vec<String>,
    /// Where the jobs are from.
    group: &'static Group,
    jobs: Vec<&'static Job>,
    rounds: Option<u32>,
    /// The group's, if it is not said.
    minutes: Option<u32>,
    threads: usize,
    out: PathBuf,
    poster: bool,
    /// The poster's table is written of what is measured already, and nothing is measured.
    tables: bool,
    /// Our worker, built elsewhere: for a machine that cannot build it, where nothing is set up.
    worker: Option<PathBuf>,
    /// A Python that has the peers already.
    python: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn command(args: &[String]) -> Result<ExitCode> {
    let options = Options::parse(args)?;
    let mut parts: Vec<Part> =
        options.models.iter().filter_map(|model| setup::weights(model)).collect();
    if options.device == Device::Cuda {
        parts.push(Part::Cuda);
    }
    let binary = match &options.worker {
        Some(worker) => worker.clone(),
        None if options.tables => PathBuf::new(),
        None => {
            setup::set_up(&parts)?;
            run::build_example("peer")?
        }
    };
    fs::create_dir_all(&options.out)
        .with_context(|| format!("making {}", options.out.display()))?;
    if options.poster {
        poster::run(&options, &binary)?;
    } else {
        let python = options.python.clone().map_or_else(python, Ok)?;
        measure::run(&options, &binary, &python)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The options that are followed by a value.
const WITH_VALUES: [&str; 9] = [
    "--device",
    "--models",
    "--jobs",
    "--rounds",
    "--minutes",
    "--threads",
    "--out",
    "--worker",
    "--python",
];

impl Options {
    fn parse(args: &[String]) -> Result<Self, Usage> {
        let mut options = Self {
            device: Device::Cpu,
            models: ["tf_efficientnet_lite0", "resnet50"].map(str::to_owned).to_vec(),
            group: &GROUPS[0],
            jobs: GROUPS[0].jobs.iter().collect(),
            rounds: None,
            minutes: None,
            threads: available_parallelism().map_or(2, usize::from),
            out: checkout::root().join("results/speed"),
            poster: false,
            tables: false,
            worker: None,
            python: None,
        };
        let mut args = args.iter();
        while let Some(name) = args.next() {
            if name == "--poster" || name == "--tables" {
                options.poster = true;
                options.tables |= name == "--tables";
                continue;
            }
            if !WITH_VALUES.contains(&name.as_str()) {
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
                "--jobs" => (options.group, options.jobs) = jobs_of(value)?,
                "--rounds" => options.rounds = Some(positive(name, value)?),
                "--minutes" => options.minutes = Some(positive(name, value)?),
                "--threads" => options.threads = positive(name, value)? as usize,
                "--worker" => options.worker = Some(PathBuf::from(value)),
                "--python" => options.python = Some(PathBuf::from(value)),
                _ => options.out = PathBuf::from(value),
            }
        }
        Ok(options)
    }

    /// What is measured, in order: every job of a model before the next model.
    fn cells(&self) -> Vec<Cell> {
        let cell = |job, model: &String| Cell { job, model: model.clone() };
        let of = |model| self.jobs.iter().map(move |job| cell(*job, model));
        let mut cells: Vec<Cell> = self.models.iter().flat_map(of).collect();
        cells.retain(|cell| cell.job.suits(&cell.model));
        if let Some(job) = self.jobs.iter().find(|job| job.name == PEAK) {
            let more = PEAK_MODELS.iter().filter(|model| !self.models.iter().any(|m| m == *model));
            cells.extend(more.map(|model| Cell { job, model: (*model).to_owned() }));
        }
        cells
    }

    /// How long the rounds of one cell should take: light ones take less, so there is something left for heavy ones.
    fn time_of_a_cell(&self) -> Duration {
        let minutes = self.minutes.unwrap_or(self.group.minutes);
        Duration::from_secs(60 * u64::from(minutes)) / 2 / (self.cells().len().max(1) as u32)
    }

    /// The group's file with some ending.
    fn file(&self, ending: &str) -> PathBuf {
        self.out.join(format!("{}.{ending}", self.group.file))
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

/// A group with all its jobs, or some jobs of one group.
fn jobs_of(list: &str) -> Result<(&'static Group, Vec<&'static Job>), Usage> {
    if let Some(group) = GROUPS.iter().find(|group| group.name == list) {
        return Ok((group, group.jobs.iter().collect()));
    }
    let found = |name| {
        jobs::by_name(name).ok_or_else(|| {
            let known = GROUPS.iter().flat_map(|group| {
                std::iter::once(group.name).chain(group.jobs.iter().map(|job| job.name))
            });
            let known = known.collect::<Vec<_>>().join(", ");
            Usage(format!("peers: no job or group of jobs `{name}`; there are {known}"))
        })
    };
    let found: Vec<_> = list.split(',').map(found).collect::<Result<_, _>>()?;
    let group = found[0].0;
    match found.iter().find(|(other, _)| *other != group) {
        None => Ok((group, found.into_iter().map(|(_, job)| job).collect())),
        Some((other, job)) => Err(Usage(format!(
            "peers: `{}` is of the group `{}` and `{}` of `{}`, which has files of its own: measure one after the other",
            found[0].1.name, group.name, job.name, other.name
        ))),
    }
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

    fn names(options: &Options) -> Vec<&'static str> {
        options.jobs.iter().map(|job| job.name).collect()
    }

    #[test]
    fn a_group_of_jobs_is_asked_for_by_its_name_or_by_some_of_its_jobs_and_has_its_own_files() {
        let all = parse("--jobs methods --out x").unwrap();
        assert_eq!((all.group.name, all.jobs.len()), ("methods", all.group.jobs.len()));
        assert_eq!(all.file("csv"), PathBuf::from("x/methods.csv"));
        let some = parse("--jobs lime,road --out x").unwrap();
        assert_eq!((names(&some), some.file("md")), (vec!["lime", "road"], "x/methods.md".into()));
        assert_eq!(parse("--out x").unwrap().file("json"), PathBuf::from("x/peers.json"));
    }

    #[test]
    fn the_options_are_those_that_the_help_names() {
        let options = parse("--models resnet18,vgg16 --jobs cam,peak --rounds 2 --out x").unwrap();
        assert_eq!(options.models, ["resnet18", "vgg16"]);
        assert_eq!(names(&options), ["cam", "peak"]);
        assert_eq!((options.rounds, options.out), (Some(2), PathBuf::from("x")));
        let default = parse("").unwrap();
        assert_eq!((default.group.name, default.device), ("engine", Device::Cpu));
        assert_eq!(default.jobs.len(), default.group.jobs.len());
        for option in WITH_VALUES.into_iter().chain(["--poster", "--tables"]) {
            assert!(crate::HELP.contains(option), "{option} is not in the help");
        }
    }

    #[test]
    fn a_wrong_option_is_named_with_what_would_have_been_right() {
        for (line, expected) in [
            ("--jobs cam,cam2", "no job or group of jobs `cam2`; there are engine, forward_1, "),
            ("--jobs cam,lime", "`cam` is of the group `engine` and `lime` of `methods`"),
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
