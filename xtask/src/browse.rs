//! `cargo xtask browse`: looks at a report in a real, headless Chromium.
//!
//! Needs Chromium, and skips without; Playwright is set up in the cache.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::peers::environment;
use crate::{Failed, checkout, run, setup};

/// What the script that drives the browser is.
const SCRIPT: &str = include_str!("../checks/browse.py");

/// A report may take so long to open, in seconds.
const LIMIT: &str = "2";

/// Looks at the report that is given, else at one of 10,000 synthetic images and 20 methods.
pub(crate) fn command(args: &[String]) -> Result<ExitCode> {
    let (report, folder) = match args {
        [] => (None, None),
        [report] => (Some(report), None),
        [report, folder] => (Some(report), Some(folder)),
        _ => bail!("give at most a report and a folder for pictures"),
    };
    let Some(chromium) = chromium() else {
        println!(
            "skipped: no Chromium was found (Debian, Ubuntu: `apt install chromium`; or set CHROMIUM)"
        );
        return Ok(ExitCode::SUCCESS);
    };
    let python = environment::checks_python()?;
    let out = checkout::root().join("target/browse");
    let report = match report {
        Some(report) => PathBuf::from(report),
        None => synthetic(&out.join("synthetic"))?,
    };
    let folder = folder.map_or_else(|| out.join("pictures"), PathBuf::from);
    let status = Command::new(&python)
        .args(["-c", SCRIPT])
        .arg(chromium)
        .args([report, folder])
        .arg(LIMIT)
        .status()
        .with_context(|| format!("starting {}", python.display()))?;
    Ok(run::exit_code(status))
}

/// The report of a run that no network made, made anew.
fn synthetic(run: &Path) -> Result<PathBuf> {
    synthetic_run(run)?;
    succeed(Command::new(run::build()?).arg("report").arg(run).args(["--format", "html"]))?;
    Ok(run.join("report.html"))
}

/// A run of 10,000 images and 20 methods that no network made, made anew.
pub(crate) fn synthetic_run(run: &Path) -> Result<()> {
    setup::set_up(&[])?;
    if run.exists() {
        fs::remove_dir_all(run).with_context(|| format!("removing {}", run.display()))?;
    }
    succeed(Command::new(run::build_example("synthetic")?).arg(run))
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("starting {}", command.get_program().display()))?;
    if status.success() { Ok(()) } else { Err(Failed(run::exit_code(status)).into()) }
}

fn chromium() -> Option<String> {
    let known = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let named = env::var("CHROMIUM").ok();
    named.into_iter().chain(known.map(str::to_owned)).find_map(|name| {
        let path = if name.contains('/') {
            Some(PathBuf::from(&name))
        } else {
            env::split_paths(&env::var_os("PATH")?)
                .map(|folder| folder.join(&name))
                .find(|path| path.is_file())
        }?;
        answers(Command::new(&path).arg("--version")).then(|| path.display().to_string())
    })
}

fn answers(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
