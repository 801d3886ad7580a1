//! `cargo xtask parity`: what reference implementations say of the demo's photographs and of images of
//! `IMAGENET_SAMPLES`, and how far ours is from it.
//!
//! Ours exports inputs, and what random methods draw; the packages of `peers/requirements.txt` and formulas that are
//! written down once more explain and score the same; what they say is kept under version control, where
//! `cargo xtask test` compares with it.

mod oracles;
mod tables;

use std::env;
use std::fs;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, ensure};

pub(crate) use tables::table;

use crate::{checkout, peers, run, setup};

/// The comparisons.
const CASES: &str = "crates/cam-runner/tests/parity/cases.json";
/// Versions, images, scores, and what was shown.
const VECTORS: &str = "crates/cam-runner/tests/parity/vectors.json";
/// What was measured.
const FIGURES: &str = "results/parity/parity.csv";

/// Makes vectors and figures anew: those of some methods and metrics by their names, or all.
pub(crate) fn command(only: &[String]) -> Result<ExitCode> {
    setup::set_up(&[])?;
    ensure!(
        env::var_os("IMAGENET_SAMPLES").is_some(),
        "set IMAGENET_SAMPLES to the folder of images that the vectors are made on, beside the demo's photographs"
    );
    let exporter = run::build_example("parity")?;
    let python = peers::python()?;
    let (root, cache) = (checkout::root(), checkout::cache()?);
    // Gigabytes, for as long as this runs.
    let inputs = cache.join("parity-inputs");
    fs::create_dir_all(&inputs).with_context(|| format!("making {}", inputs.display()))?;
    succeed(Command::new(exporter).arg(&inputs).args(only))?;
    succeed(
        Command::new(python)
            .arg(root.join("xtask/parity/make.py"))
            .arg("--cases")
            .arg(root.join(CASES))
            .arg("--weights")
            .arg(cache.join("weights/efficientnet_lite0.pth"))
            .arg("--inputs")
            .arg(&inputs)
            .arg("--out")
            .arg(root.join("crates/cam-runner/tests/parity"))
            .arg("--only")
            .args(only),
    )?;
    fs::remove_dir_all(&inputs).with_context(|| format!("removing {}", inputs.display()))?;
    let mut test = run::test_command(&["--test".to_owned(), "parity".to_owned()])?;
    let figures = root.join(FIGURES);
    Ok(run::exit_code(test.env("PARITY_RESULTS", figures).status().context("starting cargo")?))
}

fn succeed(command: &mut Command) -> Result<()> {
    let name = command.get_program().display().to_string();
    let status =
        command.stdin(Stdio::null()).status().with_context(|| format!("starting {name}"))?;
    ensure!(status.success(), "{name} failed ({status})");
    Ok(())
}
