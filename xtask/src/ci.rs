//! `cargo xtask ci`: what continuous integration runs, stopping at the first failure.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use crate::{docs, run, slurm};

/// Runs every step.
pub(crate) fn command() -> Result<ExitCode> {
    let cargo = |args: &[&str]| {
        let mut command = run::cargo();
        command.args(args);
        command
    };
    let mut doc = cargo(&["doc", "--release", "--no-deps", "--workspace"]);
    doc.env("RUSTDOCFLAGS", "-Dwarnings");
    let clippy =
        cargo(&["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"]);

    for (title, step) in [
        ("cargo fmt --all --check", Step::Run(cargo(&["fmt", "--all", "--check"]))),
        ("cargo xtask test", Step::Test),
        ("cargo clippy --release --workspace --all-targets -- -D warnings", Step::Run(clippy)),
        ("RUSTDOCFLAGS=-Dwarnings cargo doc --release --no-deps --workspace", Step::Run(doc)),
    ] {
        println!("\n== {title}");
        let mut command = match step {
            Step::Run(command) => command,
            Step::Test => run::test_command(&[])?,
        };
        let status = command.status().context("starting cargo")?;
        if !status.success() {
            println!("\n== failed: {title}");
            return Ok(run::exit_code(status));
        }
    }
    println!("\n== cargo xtask slurm");
    let code = slurm::command()?;
    if code != ExitCode::SUCCESS {
        println!("\n== failed: cargo xtask slurm");
        return Ok(code);
    }
    println!("\n== cargo xtask docs --check");
    let code = docs::command(true)?;
    if code == ExitCode::SUCCESS {
        println!("\n== all passed");
    }
    Ok(code)
}

enum Step {
    Run(Command),
    /// Sets up first, so it is not prepared before its turn.
    Test,
}
