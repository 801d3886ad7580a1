//! `cargo xtask ci`: what continuous integration runs, stopping at the first failure.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use crate::{browse, docs, run, slurm};

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
    let own: [(&str, Own); 3] = [
        ("cargo xtask slurm", slurm::command),
        ("cargo xtask browse", || browse::command(&[])),
        ("cargo xtask docs --check", || docs::command(true)),
    ];
    for (title, step) in own {
        println!("\n== {title}");
        let code = step()?;
        if code != ExitCode::SUCCESS {
            println!("\n== failed: {title}");
            return Ok(code);
        }
    }
    println!("\n== all passed");
    Ok(ExitCode::SUCCESS)
}

/// Another command of this tool.
type Own = fn() -> Result<ExitCode>;

enum Step {
    Run(Command),
    /// Sets up first, so it is not prepared before its turn.
    Test,
}
