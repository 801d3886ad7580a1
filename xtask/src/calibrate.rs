//! `cargo xtask calibrate`: whether intervals cover and comparisons alarm as often as they say, on real scores.
//!
//! The example `calibrate` of `cam-results` draws from the scores of a published run, which are kept as a baseline, and from
//! runs of `configs/reruns.yaml` with several seeds. These are kept below `results/calibration/runs`, so an interrupted
//! command continues; the reports are written beside them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::gate::{said, sweep_of};
use crate::{checkout, run, setup};

/// How many runs differ in their seed alone.
const N_SEEDS: u64 = 6;

/// The run whose scores are drawn from.
const PUBLISHED: &str = "results/baselines/published-lite0";

/// What is replaced by other seeds.
const SEED: &str = "seed: 0\n";

/// The heading of a report's section on what the seed moves.
const SEEDS: &str = "\n## Variation over seeds\n";

/// Makes runs and reports.
pub(crate) fn command() -> Result<ExitCode> {
    setup::set_up(&[])?;
    let binary = run::build()?;
    let calibrate = run::build_example("calibrate")?;
    let root = checkout::root();
    let results = root.join("results/calibration");
    let runs = results.join("runs");
    let reruns = fs::read_to_string(root.join("configs/reruns.yaml"))?;
    ensure!(reruns.contains(SEED), "configs/reruns.yaml has no line `seed: 0`");
    let mut all: Vec<PathBuf> = vec![root.join(PUBLISHED)];
    for seed in 0..N_SEEDS {
        let name = format!("seed-{seed}");
        sweep_of(&binary, &runs, &name, &reruns.replace(SEED, &format!("seed: {seed}\n")))?;
        all.push(runs.join(name));
    }
    for (what, n_runs) in [("coverage", 1), ("ways", 1), ("alarms", all.len())] {
        let report = said(Command::new(&calibrate).arg(what).args(&all[..n_runs]))?;
        fs::write(results.join(format!("{what}.md")), &report)?;
        print!("{report}");
    }
    let report = seeds(&binary, &all[1..], &runs.join("joined"))?;
    fs::write(results.join("seeds.md"), &report)?;
    print!("{report}");
    Ok(ExitCode::SUCCESS)
}

/// What a report of runs with several seeds says of the seed alone.
fn seeds(binary: &Path, runs: &[PathBuf], joined: &Path) -> Result<String> {
    let report = ["--format", "md", "--no-photographs", "--out"];
    said(Command::new(binary).arg("report").args(runs).args(report).arg(joined))?;
    let report = fs::read_to_string(joined.join("report.md"))?;
    let section = report.split_once(SEEDS).and_then(|(_, rest)| rest.split("\n## ").next());
    let section =
        section.with_context(|| format!("{} does not tell seeds apart", joined.display()))?;
    let made_by = "Made by `cargo xtask calibrate` from runs of `configs/reruns.yaml`.";
    Ok(format!("# What the seed moves\n\n{made_by}\n{SEEDS}\n{}\n", section.trim()))
}
