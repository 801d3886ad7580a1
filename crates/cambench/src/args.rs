//! What can be said on the command line.

use std::path::PathBuf;

use cam_models::DeviceChoice;
use cam_runner::config::Bytes;
use clap::{Parser, Subcommand, ValueEnum};

/// Measure how good visual explanations of image classifiers are.
#[derive(Parser)]
#[command(version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0 done    1 bug    2 usage    3 config, data or model    4 more failed rows than --max-failed
  5 incomplete    130 interrupted (the same command continues)";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run a sweep, or what is missing of it
    Run(RunArgs),
    /// Try a sweep on one image: is everything there, and what will it take?
    Check(CheckArgs),
    /// Explain images: an overlay and a map for each
    Explain(ExplainArgs),
    /// Write the report, the table and the plots of a run again
    Report(ReportArgs),
    /// List what there is
    List(ListArgs),
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cambench run configs/demo.yaml
  cambench run sweep.yaml --limit 10 --out /tmp/try
  cambench run sweep.yaml --device cuda:1 --max-failed 0%
  cambench run sweep.yaml --trace --json

The same command again continues where a run stopped and does only what is missing.
Without SWEEP it runs the built-in demo on the photographs of `cargo xtask setup`.")]
pub(crate) struct RunArgs {
    /// The sweep file (YAML)
    pub(crate) sweep: Option<PathBuf>,
    /// The run's folder; `results/<sweep>/<date>-<plan>` unless given
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// How many failed rows are tolerated: a share (1%) or a number of rows (3)
    #[arg(long, value_name = "N|P%", default_value = "1%")]
    pub(crate) max_failed: MaxFailed,
    /// Print how it ended as JSON, and no table
    #[arg(long)]
    pub(crate) json: bool,
    /// Write where the time went, for Perfetto or `about:tracing`; `trace.json` in the run's folder unless given
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[expect(clippy::option_option, reason = "not given, given without a file, given with one")]
    pub(crate) trace: Option<Option<PathBuf>>,
    #[command(flatten)]
    pub(crate) how: HowArgs,
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
    /// At most so many images
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Where to compute: auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    pub(crate) device: DeviceChoice,
    /// Threads of the network [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    /// Memory that the activations of one batch may take, e.g. 1GiB; the batch size follows
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<Bytes>,
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cambench explain cat.jpg --model tf_efficientnet_lite0 --method recipro_cam --out maps
  cambench explain *.jpg --model resnet50 --method rise --option n_masks=500 --class 281 --json")]
pub(crate) struct ExplainArgs {
    /// JPEG or PNG files
    #[arg(required = true)]
    pub(crate) images: Vec<PathBuf>,
    /// A network of `cambench list models`
    #[arg(long)]
    pub(crate) model: String,
    /// A method of `cambench list methods`
    #[arg(long)]
    pub(crate) method: String,
    /// An option of the method, e.g. `n_masks=500`; may be given several times
    #[arg(long = "option", value_name = "KEY=VALUE")]
    pub(crate) options: Vec<String>,
    /// The class to explain, by its index [default: the predicted one]
    #[arg(long, value_name = "C")]
    pub(crate) class: Option<i64>,
    /// The layer under explanation [default: the model's]
    #[arg(long)]
    pub(crate) layer: Option<String>,
    /// A weights file, a published version, or `seeded`
    #[arg(long)]
    pub(crate) weights: Option<String>,
    /// A text file of class names, one a line
    #[arg(long, value_name = "FILE")]
    pub(crate) classes: Option<PathBuf>,
    /// Turn photographs upright by their EXIF tag first
    #[arg(long)]
    pub(crate) exif: bool,
    /// Where `<stem>.<method>.png` and `<stem>.<method>.npy` go
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,
    /// Where everything random comes from
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Explain with so many seeds, from --seed on, and say how far the maps of a random method lie apart
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) seeds: u16,
    /// Where to compute: auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    pub(crate) device: DeviceChoice,
    /// Threads of the network [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    /// Print class, confidence and files as JSON, one line an image
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cambench report results/demo/2026-11-23-1a2b3c4d
  cambench report results/demo/2026-* --format csv")]
pub(crate) struct ReportArgs {
    /// Folders of runs, finished or not
    #[arg(required = true)]
    pub(crate) runs: Vec<PathBuf>,
    /// What to write into each folder
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["md", "csv", "plots"])]
    pub(crate) format: Vec<Format>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// report.md
    Md,
    /// summary.csv
    Csv,
    /// Plots, as SVG and PNG
    Plots,
}

impl From<Format> for cam_runner::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Md => Self::Md,
            Format::Csv => Self::Csv,
            Format::Plots => Self::Plots,
        }
    }
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

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    Models,
    Methods,
    Metrics,
    Protocols,
}

/// How many failed rows are tolerated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum MaxFailed {
    Share(f64),
    Rows(usize),
}

impl MaxFailed {
    pub(crate) fn tolerates(self, n_failed: usize, n_rows: usize) -> bool {
        match self {
            Self::Share(share) => n_failed as f64 <= share * n_rows as f64,
            Self::Rows(rows) => n_failed <= rows,
        }
    }
}

impl std::str::FromStr for MaxFailed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_suffix('%') {
            Some(percent) => match percent.trim().parse::<f64>() {
                Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(Self::Share(percent / 100.0)),
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
        let parse = |text: &str| text.parse::<MaxFailed>();
        assert!(parse("1%").unwrap().tolerates(1, 100) && !parse("1%").unwrap().tolerates(2, 100));
        assert!(parse("0").unwrap().tolerates(0, 5) && !parse("0").unwrap().tolerates(1, 5));
        assert!(parse("101%").is_err() && parse("few").is_err() && parse("-1").is_err());
    }
}
