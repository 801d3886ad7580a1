//! What can be said on the command line.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use cam_models::DeviceChoice;
use cam_results::gate::Threshold;
use cam_runner::config::Bytes;
use cam_runtimes::Runtime;
use clap::{Parser, Subcommand, ValueEnum};

/// Evaluate saliency maps of image classifiers.
#[derive(Parser)]
#[command(version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0 done    1 bug    2 usage    3 config, data or model    4 more failed rows than --max-failed
  5 incomplete    6 not comparable    7 verification failed    10 regression    11 degenerate maps
  130 interrupted (the same command continues)    141 the output was closed";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run a sweep, or resume it
    Run(RunArgs),
    /// Try a sweep on one image, and estimate its time and memory
    Check(CheckArgs),
    /// Explain images: write a saliency map and an overlay of each
    Explain(ExplainArgs),
    /// Write the report, tables and plots of one run, or of several together
    Report(ReportArgs),
    /// Compare two runs: did explanations get worse? (the regression gate)
    Compare(CompareArgs),
    /// Save and list baselines
    Baseline(BaselineArgs),
    /// Check a run, and recompute a sample of its rows
    Verify(VerifyArgs),
    /// Split a sweep into shards that any machine can compute
    Plan(PlanArgs),
    /// Compute one or more shards of a run
    Shard(ShardArgs),
    /// Run a sweep on Slurm, or resume it
    Submit(SubmitArgs),
    /// Show the progress of a run's shards
    Status(StatusArgs),
    /// Merge the shards of a run, and write its report
    Merge(MergeArgs),
    /// Print the logs of a shard's jobs
    Logs(LogsArgs),
    /// Cancel a run's Slurm jobs
    Cancel(OfRunArgs),
    /// Remove the files that a run's shards left behind
    Clean(OfRunArgs),
    /// List models, methods, metrics or protocols
    List(ListArgs),
    /// List the layers at which a network can be explained
    Inspect(InspectArgs),
    /// Add an output to an ONNX file: its own saliency map
    Hook(HookArgs),
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cambench run configs/demo.yaml
  cambench run sweep.yaml --limit 10 --out /tmp/try
  cambench run sweep.yaml --device cuda:1 --max-failed 0%
  cambench run sweep.yaml --trace --json
  cambench run sweep.yaml --baseline main --max-drop adcc=1%

The same command again resumes the run: it computes only what is missing.
Without SWEEP it runs the built-in demo on the photographs of `cargo xtask setup`.")]
pub(crate) struct RunArgs {
    /// The sweep file (YAML)
    pub(crate) sweep: Option<PathBuf>,
    /// The run's folder (default: `results/<sweep>/<date>-<plan>`)
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Failed rows to tolerate: a share (1%) or a number (3)
    #[arg(long, value_name = "N|P%", default_value = "1%")]
    pub(crate) max_failed: ShareOrRows,
    /// Print the outcome as JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// Write a trace for Perfetto or `about:tracing` [default file: `trace.json` in the run's folder]
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[expect(clippy::option_option, reason = "not given, given without a file, given with one")]
    pub(crate) trace: Option<Option<PathBuf>>,
    /// Compare the finished run with a baseline or another run, as `cambench compare` does
    #[arg(long, value_name = "NAME")]
    pub(crate) baseline: Option<String>,
    /// Number of processes; they share the threads, and each uses one CUDA device, assigned round-robin
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), conflicts_with = "trace")]
    pub(crate) jobs: Option<u16>,
    #[command(flatten)]
    pub(crate) how: HowArgs,
    #[command(flatten)]
    pub(crate) gate: GateArgs,
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cambench check configs/imagenet-val.yaml
  cambench check sweep.yaml --json")]
pub(crate) struct CheckArgs {
    /// The sweep file (YAML)
    pub(crate) sweep: PathBuf,
    /// Print the estimate as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) how: HowArgs,
}

/// How a sweep is computed.
#[derive(clap::Args)]
pub(crate) struct HowArgs {
    /// Maximum number of images
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<NonZeroUsize>,
    /// Device: auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    pub(crate) device: DeviceChoice,
    /// Number of CPU threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    /// Memory for the activations of one batch, e.g. 1GiB; determines the batch size
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<Bytes>,
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cambench explain cat.jpg --model tf_efficientnet_lite0 --method recipro_cam --out maps
  cambench explain cat.jpg --model model.onnx --method grad_cam --classes classes.txt
  cambench explain cat.jpg --model hooked.onnx --runtime onnxruntime --method hooked
  cambench explain *.jpg --model resnet50 --method rise --option n_masks=500 --class 281 --json")]
pub(crate) struct ExplainArgs {
    /// JPEG or PNG files
    #[arg(required = true)]
    pub(crate) images: Vec<PathBuf>,
    /// A network of `cambench list models`, or an ONNX file
    #[arg(long)]
    pub(crate) model: String,
    /// Run the file in the runtime it is deployed in: onnxruntime, or openvino, which also reads .xml
    #[arg(long)]
    pub(crate) runtime: Option<Runtime>,
    /// A method of `cambench list methods`
    #[arg(long)]
    pub(crate) method: String,
    /// An option of the method, e.g. `n_masks=500`; may be repeated
    #[arg(long = "option", value_name = "KEY=VALUE")]
    pub(crate) options: Vec<String>,
    /// The protocol that sets options of the method, framing of the image and upsampling of the map: a name of
    /// `cambench list protocols`
    #[arg(long, value_name = "NAME", default_value = "corrected")]
    pub(crate) protocol: String,
    /// The class to explain, by index or name [default: the predicted class]
    #[arg(long, value_name = "C")]
    pub(crate) class: Option<String>,
    /// The target layer [default: the model's]
    #[arg(long)]
    pub(crate) layer: Option<String>,
    /// The output of an ONNX file that holds the logits [default: the one named logits, or the first]
    #[arg(long, value_name = "NAME")]
    pub(crate) logits: Option<String>,
    /// A weights file, a published version, or `seeded` (random weights)
    #[arg(long)]
    pub(crate) weights: Option<String>,
    /// Preprocessing of images, e.g. `{ resize: 256, crop: 224, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] }`
    #[arg(long, value_name = "YAML")]
    pub(crate) preprocessing: Option<String>,
    /// A text file of class names, one per line
    #[arg(long, value_name = "FILE")]
    pub(crate) classes: Option<PathBuf>,
    /// Rotate photographs upright by their EXIF tag
    #[arg(long)]
    pub(crate) exif: bool,
    /// Folder for `<stem>.<method>.png` and `<stem>.<method>.npy`
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,
    /// Random seed
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Number of seeds, starting at --seed; reports how much the maps of a random method differ
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) seeds: u16,
    /// Device: auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    pub(crate) device: DeviceChoice,
    /// Number of CPU threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    /// Print class, confidence and files as JSON, one line per image
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cambench report results/demo/2026-11-23-1a2b3c4d
  cambench report results/demo/2026-11-23-1a2b3c4d --format html,tex
  cambench report results/cams/published results/masks/published --out results/all
  cambench report results/table1/published --table poster
  cambench report --splice README.md

Several runs become one report: in one table if they are comparable, else in separate ones.
`--splice` writes a table below each line `<!-- begin cambench report RUN... [--table NAME] -->` of a file, up to the \
line `<!-- end cambench report -->`.")]
pub(crate) struct ReportArgs {
    /// Folders of runs, finished or not
    #[arg(required_unless_present = "splice")]
    pub(crate) runs: Vec<PathBuf>,
    /// Formats to write, separated by commas [default: all]
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) format: Option<Vec<Format>>,
    /// Output folder [default: the run's folder; for several runs, `report`]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Show only maps, no photographs: for images that must not be shared
    #[arg(long)]
    pub(crate) no_photographs: bool,
    /// Print one table and write no files; Markdown, or LaTeX with `--format tex`
    #[arg(long, value_enum, conflicts_with = "out")]
    pub(crate) table: Option<Table>,
    /// Update the tables between the markers of this file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["runs", "format", "out", "table"])]
    pub(crate) splice: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Table {
    /// All metrics, with intervals
    All,
    /// The Recipro-CAM poster's columns
    Poster,
    /// The columns of the paper that proposed ADCC
    Adcc,
    /// Drop and increase, as in torch-cam's README
    TorchCam,
}

impl From<Table> for cam_results::Preset {
    fn from(table: Table) -> Self {
        match table {
            Table::All => Self::All,
            Table::Poster => Self::Poster,
            Table::Adcc => Self::Adcc,
            Table::TorchCam => Self::TorchCam,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// report.md
    Md,
    /// summary.csv and comparisons.csv
    Csv,
    /// report.tex
    Tex,
    /// report.html
    Html,
    /// Plots, as SVG and PNG
    Plots,
}

impl From<Format> for cam_runner::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Md => Self::Md,
            Format::Csv => Self::Csv,
            Format::Tex => Self::Tex,
            Format::Html => Self::Html,
            Format::Plots => Self::Plots,
        }
    }
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cambench compare main results/table1/2026-11-24-1a2b3c4d
  cambench compare main results/table1/new --max-drop adcc=1% --noise 2% --fail-on regressed
  cambench compare results/a results/b --markdown comment.md --junit gate.xml --json

A change counts if it is significant (its paired 95 % interval excludes 0 and its p-value is below 5 % after \
Holm's correction for all cells of methods, and for those of controls apart) and larger than --noise. SIZE is a \
share of the baseline's mean (2%), or in the metric's own unit (0.01 is one point).
Exit codes: 10 regressed, else 5 missing, else 11 degenerate, for the faults of --fail-on; 6 not comparable.")]
pub(crate) struct CompareArgs {
    /// The baseline: a name of `cambench baseline list`, or a run's folder
    pub(crate) base: String,
    /// The new run: its folder, or a baseline's name
    pub(crate) new: String,
    /// Print the comparison as JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) gate: GateArgs,
}

/// What counts as a change, and what is written about it.
#[derive(clap::Args)]
#[command(next_help_heading = "Gate")]
pub(crate) struct GateArgs {
    /// How much one metric may get worse, whichever direction is better for it, e.g. adcc=1%; may be repeated [default:
    /// --noise]
    #[arg(long, value_name = "METRIC=SIZE", value_delimiter = ',')]
    pub(crate) max_drop: Vec<MaxDrop>,
    /// Up to what size a significant change is noise, for every metric [default: 2%]
    #[arg(long, value_name = "SIZE")]
    pub(crate) noise: Option<Threshold>,
    /// A network or a layer (`NETWORK@LAYER`) that has the name NEW in the new run, e.g. after another export; may be
    /// repeated
    #[arg(long, value_name = "OLD=NEW")]
    pub(crate) renamed: Vec<Renamed>,
    /// Faults that fail the command, separated by commas [default: all]
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) fail_on: Vec<FailOn>,
    /// Write the comparison as Markdown, e.g. for a comment on a pull request; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// Write the comparison as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Folder of the baselines [default: results/baselines]
    #[arg(long, value_name = "DIR")]
    pub(crate) baselines: Option<PathBuf>,
}

impl GateArgs {
    /// Whether something is given: it means nothing without a comparison.
    pub(crate) fn asks_for_something(&self) -> bool {
        let Self { max_drop, noise, renamed, fail_on, markdown, junit, baselines } = self;
        !(max_drop.is_empty() && renamed.is_empty() && fail_on.is_empty())
            || noise.is_some()
            || markdown.is_some()
            || junit.is_some()
            || baselines.is_some()
    }

    /// Where baselines are kept.
    pub(crate) fn baselines(&self) -> &Path {
        self.baselines.as_deref().unwrap_or(Path::new(BASELINES))
    }
}

/// Where baselines are kept.
const BASELINES: &str = "results/baselines";

/// What the gate fails on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// A metric got worse (exit code 10)
    Regressed,
    /// Scores or rows are missing, or more rows failed (exit code 5)
    Missing,
    /// A method has more degenerate maps, by more than --noise of the images (exit code 11)
    Degenerate,
}

/// A metric and how much worse it may get.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MaxDrop {
    pub(crate) metric: String,
    pub(crate) size: Threshold,
}

impl std::str::FromStr for MaxDrop {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (metric, size) = text
            .split_once('=')
            .ok_or_else(|| format!("`{text}` is not METRIC=SIZE, such as adcc=1%"))?;
        Ok(Self { metric: metric.trim().to_owned(), size: size.parse()? })
    }
}

/// A name of the baseline, and that of the new run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Renamed {
    pub(crate) old: String,
    pub(crate) new: String,
}

impl std::str::FromStr for Renamed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = text.split_once('=').filter(|(old, new)| !old.is_empty() && !new.is_empty());
        let (old, new) = names.ok_or_else(|| format!("`{text}` is not OLD=NEW"))?;
        Ok(Self { old: old.to_owned(), new: new.to_owned() })
    }
}

#[derive(clap::Args)]
pub(crate) struct BaselineArgs {
    #[command(subcommand)]
    pub(crate) command: BaselineCommand,
}

#[derive(Subcommand)]
pub(crate) enum BaselineCommand {
    /// Save the manifest and records of a finished run under a name; small enough for git
    Save {
        /// The baseline's name
        name: String,
        /// The run's folder
        run: PathBuf,
        /// Replace an existing baseline of this name
        #[arg(long)]
        replace: bool,
        /// Folder of the baselines
        #[arg(long, value_name = "DIR", default_value = BASELINES)]
        baselines: PathBuf,
    },
    /// List baselines
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Folder of the baselines
        #[arg(long, value_name = "DIR", default_value = BASELINES)]
        baselines: PathBuf,
    },
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cambench verify results/table1/2026-11-24-1a2b3c4d
  cambench verify results/table1/2026-11-24-1a2b3c4d --sample 5% --seed 7

All rows are checked for consistency with what is derived from them (ADCC, areas under curves, summary.csv, \
comparisons.csv). Scores, maps and curves of the sampled rows are recomputed from the weights and images that the \
manifest names by hash. Exit code 7 if anything differs.")]
pub(crate) struct VerifyArgs {
    /// The run's folder
    pub(crate) run: PathBuf,
    /// Rows to recompute: a share (1%) or a number (20); at least one
    #[arg(long, value_name = "N|P%", default_value = "1%")]
    pub(crate) sample: ShareOrRows,
    /// Seed for the sample of rows
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Print the findings as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// How a run is cut into shards.
#[derive(clap::Args)]
#[command(next_help_heading = "Shards")]
pub(crate) struct CutArgs {
    /// Images per shard [default: 50]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) images_per_shard: Option<u32>,
    /// A class of machine and the models or methods that need it, e.g. `big=vgg16,rise`; the rest is `main`
    #[arg(long = "class", value_name = "CLASS=NAME,...")]
    pub(crate) classes: Vec<Class>,
}

/// A class of machine, and the models and methods that need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Class {
    pub(crate) name: String,
    pub(crate) members: Vec<String>,
}

impl std::str::FromStr for Class {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, members) = text
            .split_once('=')
            .ok_or_else(|| format!("`{text}` is not CLASS=NAME,..., such as big=vgg16,rise"))?;
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        if name.is_empty() || !name.chars().all(is_plain) || name == "merge" {
            return Err(format!("`{name}` cannot be a class; use letters, digits and `_`"));
        }
        let members = members.split(',').map(|member| member.trim().to_owned()).collect();
        Ok(Self { name: name.to_owned(), members })
    }
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cambench plan sweep.yaml --images-per-shard 20
  cambench plan sweep.yaml --class big=vgg16 --json

Prints how to compute the shards with any scheduler that starts processes. A run is split once: a second call leaves \
the shards as they are. Batch sizes are planned for this machine's device; if only other machines have a GPU, plan \
there.")]
pub(crate) struct PlanArgs {
    /// The sweep file (YAML)
    pub(crate) sweep: PathBuf,
    /// The run's folder (default: `results/<sweep>/<date>-<plan>`)
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print the shards as JSON
    #[arg(long)]
    pub(crate) json: bool,
    // First, for the heading of the other applies to all that follows.
    #[command(flatten)]
    pub(crate) how: HowArgs,
    #[command(flatten)]
    pub(crate) cut: CutArgs,
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cambench shard --run results/table1/2026-11-24-1a2b3c4d --index 12
  seq 0 311 | parallel -j 4 cambench shard --run results/table1/2026-11-24-1a2b3c4d --index {}

Exit code 0 means that the shard is committed, by this process or an earlier one. Any number of processes may compute \
any shard at any time: the first to commit wins, and the rows of a killed process are kept.
SIGINT, SIGTERM and SIGUSR1 end it after the current row; on SIGUSR1, a task of a Slurm array requeues itself.")]
pub(crate) struct ShardArgs {
    /// The run's folder
    #[arg(long)]
    pub(crate) run: PathBuf,
    /// The shard, several (0-3,7), or `-` to read one per line from standard input [default: the first of
    /// `CAMBENCH_SHARD`, `SLURM_ARRAY_TASK_ID` and `JOB_COMPLETION_INDEX` that is set]
    #[arg(long, value_name = "I", allow_hyphen_values = true)]
    pub(crate) index: Option<String>,
    /// A file of shards, one per line; --index then counts its lines, from 0
    #[arg(long, value_name = "FILE")]
    pub(crate) list: Option<PathBuf>,
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cambench submit sweep.yaml --slurm partition=long --slurm time=01:00:00 --dry-run
  cambench submit sweep.yaml --class big=vgg16 --slurm cpus_per_task=8 --slurm big.mem=64G --wait
  srun --gres=gpu:1 cambench submit sweep.yaml --slurm gres=gpu:1 --slurm cpus_per_task=8
  cambench submit results/table1/2026-11-24-1a2b3c4d --resume

Every --slurm KEY=VALUE is an option of sbatch (`partition`, `account`, `qos`, `time`, `gres`, `mem`, `constraint`, \
`exclude`, `mail-user` ...); KEY alone is an option without a value, CLASS.KEY=VALUE is for one class of machine, and \
merge.KEY=VALUE for the merge job. The names of submitit work, too (timeout_min, mem_gb, gpus_per_node, \
cpus_per_task, array_parallelism, signal_delay_s, max_num_timeout). Further keys:
  throttle=N       maximum number of tasks of an array that run at once [64]
  signal-secs=N    seconds before the time limit at which a task stops and is requeued [120]
  max-timeouts=N   how often a task is requeued [20]
  setup=LINE       a line of the script before the command; may be repeated
  launcher=WORDS   what starts the command and the merge, e.g. `apptainer exec image.sif`
All tasks use the same number of threads: the fewest cpus_per_task of the run's classes, or --threads.
A second call submits nothing twice; shards whose jobs ended without a result are submitted again only with --resume.
If only the cluster's nodes have a GPU, plan there, as in the third example: a run that is planned for the CPU is not \
submitted with GPUs, unless --device cpu is given.")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "options without a value, which do not exclude each other"
)]
pub(crate) struct SubmitArgs {
    /// The sweep file (YAML), or the folder of a run that is split into shards
    pub(crate) target: PathBuf,
    /// The run's folder, on a file system that all nodes share (default: `results/<sweep>/<date>-<plan>`)
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// An option of Slurm; may be repeated
    #[arg(long = "slurm", value_name = "KEY=VALUE")]
    pub(crate) settings: Vec<String>,
    /// Print the scripts and submit nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Wait until all jobs have ended; exit code 5 if the run is incomplete then
    #[arg(long)]
    pub(crate) wait: bool,
    /// Resubmit shards whose jobs ended without a result
    #[arg(long)]
    pub(crate) resume: bool,
    /// Failed rows to tolerate: a share (1%) or a number (3)
    #[arg(long, value_name = "N|P%", default_value = "1%")]
    pub(crate) max_failed: ShareOrRows,
    /// Print the jobs as JSON
    #[arg(long)]
    pub(crate) json: bool,
    // First, for the heading of the other applies to all that follows.
    #[command(flatten)]
    pub(crate) how: HowArgs,
    #[command(flatten)]
    pub(crate) cut: CutArgs,
}

#[derive(clap::Args)]
#[command(after_help = "\
Example:
  cambench status results/table1/2026-11-24-1a2b3c4d --json

What is done and what failed comes from the run's files; Slurm, if available, only tells what is queued.")]
pub(crate) struct StatusArgs {
    /// The run's folder
    pub(crate) run: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cambench merge results/table1/2026-11-24-1a2b3c4d
  cambench merge results/table1/2026-11-24-1a2b3c4d --partial

Rows are in the order of the plan, as those of `cambench run` are. Damaged results are set aside. Exit code 5 if \
shards are missing; with --partial, the tables of those that are there are written, and the run stays unfinished.")]
pub(crate) struct MergeArgs {
    /// The run's folder
    pub(crate) run: PathBuf,
    /// Write the tables of those shards that are there
    #[arg(long)]
    pub(crate) partial: bool,
    /// Seconds to wait for results that a network file system may not show yet
    #[arg(long, value_name = "SECS", default_value_t = 0)]
    pub(crate) patience: u64,
    /// Failed rows to tolerate: a share (1%) or a number (3)
    #[arg(long, value_name = "N|P%", default_value = "1%")]
    pub(crate) max_failed: ShareOrRows,
}

#[derive(clap::Args)]
pub(crate) struct LogsArgs {
    /// The run's folder
    pub(crate) run: PathBuf,
    /// The shard, or `merge`
    pub(crate) shard: String,
}

#[derive(clap::Args)]
pub(crate) struct OfRunArgs {
    /// The run's folder
    pub(crate) run: PathBuf,
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cambench list methods
  cambench list models --json")]
pub(crate) struct ListArgs {
    /// What to list
    #[arg(value_enum)]
    pub(crate) what: What,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cambench inspect model.onnx
  cambench inspect resnet50 --json")]
pub(crate) struct InspectArgs {
    /// An ONNX file, or a network of `cambench list models`
    pub(crate) model: String,
    /// Input size in pixels, if the model accepts any [default: 224, or the size of the zoo]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) side: Option<u16>,
    /// The output that holds the logits [default: the one named logits, or the first]
    #[arg(long, value_name = "NAME")]
    pub(crate) logits: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cambench hook model.onnx -o hooked.onnx
  cambench hook model.onnx --layer relu_48 --scale none --class 281 -o hooked.onnx

The new output `saliency_map` [N, classes, h, w] holds Recipro-CAM's maps; the other outputs stay the same, bit for \
bit. The graph runs wherever ONNX does, without cambench. A file that already has the output is copied unchanged.")]
pub(crate) struct HookArgs {
    /// The ONNX file
    pub(crate) model: PathBuf,
    /// The new file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// The target layer [default: the one that `cambench inspect` shows]
    #[arg(long)]
    pub(crate) layer: Option<String>,
    /// Use Gaussian masks instead of single positions
    #[arg(long)]
    pub(crate) gaussian: bool,
    /// Scale of every map: 0 to 255, 0 to 1, or unscaled
    #[arg(long, value_enum, default_value = "u8")]
    pub(crate) scale: Scale,
    /// The class to explain, by index [default: all classes]
    #[arg(long, value_name = "C")]
    pub(crate) class: Option<i64>,
    /// The output that holds the logits [default: the one named logits, or the first]
    #[arg(long, value_name = "NAME")]
    pub(crate) logits: Option<String>,
    /// Input size in pixels, if the model accepts any [default: 224]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) side: Option<u16>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scale {
    U8,
    F32,
    None,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    Models,
    Methods,
    Metrics,
    Protocols,
}

/// A part of the rows of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ShareOrRows {
    Percent(f64),
    Rows(usize),
}

impl ShareOrRows {
    pub(crate) fn tolerates(self, n_failed: usize, n_rows: usize) -> bool {
        match self {
            Self::Percent(percent) => n_failed as f64 <= percent / 100.0 * n_rows as f64,
            Self::Rows(rows) => n_failed <= rows,
        }
    }

    /// So many of `n_rows`, rounded up.
    pub(crate) fn of(self, n_rows: usize) -> usize {
        match self {
            Self::Percent(percent) => (percent / 100.0 * n_rows as f64).ceil() as usize,
            Self::Rows(rows) => rows.min(n_rows),
        }
    }
}

impl std::fmt::Display for ShareOrRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Rows(rows) => write!(f, "{rows}"),
        }
    }
}

impl std::str::FromStr for ShareOrRows {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_suffix('%') {
            Some(percent) => match percent.trim().parse::<f64>() {
                Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(Self::Percent(percent)),
                _ => Err(format!("`{text}` is no share between 0% and 100%")),
            },
            None => text.parse().map(Self::Rows).map_err(|_error| {
                format!("`{text}` is neither a share (1%) nor a number of rows (3)")
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    #[test]
    fn failed_rows_are_tolerated_by_share_or_number() {
        let parse = |text: &str| text.parse::<ShareOrRows>();
        assert!(parse("1%").unwrap().tolerates(1, 100) && !parse("1%").unwrap().tolerates(2, 100));
        assert!(parse("0").unwrap().tolerates(0, 5) && !parse("0").unwrap().tolerates(1, 5));
        assert!(parse("101%").is_err() && parse("few").is_err() && parse("-1").is_err());
        for text in ["1%", "0.07%", "3"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }
}
