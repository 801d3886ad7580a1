//! `cargo xtask slurm`: cambench on a real Slurm cluster of hosts in namespaces of this machine, by `tests/slurm`.

use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result};

use crate::{checkout, run};

/// What a cluster needs; Debian's and Ubuntu's packages of these names.
const PACKAGES: [&str; 4] = ["slurmctld", "slurmd", "slurm-client", "munge"];
const PROGRAMS: [&str; 8] =
    ["slurmctld", "slurmd", "sbatch", "squeue", "munged", "unshare", "nsenter", "ip"];

/// Installs Slurm where that is possible, and runs the test; says in one line why not where it is not.
pub(crate) fn command() -> Result<ExitCode> {
    if let Some(why) = missing() {
        println!("skipped: {why}");
        return Ok(ExitCode::SUCCESS);
    }
    let programs = [run::build()?, run::build_example("same")?];
    let script = checkout::root().join("tests/slurm/run.sh");
    let status = Command::new("bash").arg(script).args(programs).status();
    status.map(run::exit_code).context("starting bash")
}

/// Why there can be no cluster here; installs what it needs.
fn missing() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return Some("a Slurm cluster of namespaces needs Linux".into());
    }
    if output("id", &["-u"]).as_deref() != Some("0") {
        return Some("a Slurm cluster of namespaces needs root".into());
    }
    if !succeeds("unshare", &["--net", "--pid", "--mount", "--uts", "--ipc", "--fork", "true"]) {
        return Some("this machine lets nobody make namespaces".into());
    }
    let absent = || PROGRAMS.into_iter().find(|program| !is_there(program));
    if absent().is_some() {
        println!("installing {}", PACKAGES.join(", "));
        let install = ["install", "-y", "-qq", "--no-install-recommends"];
        let install: Vec<_> = install.into_iter().chain(PACKAGES).chain(["iproute2"]).collect();
        // The lists of a fresh machine are empty, those of another one old.
        let _ = succeeds("apt-get", &install)
            || succeeds("apt-get", &["update", "-qq"]) && succeeds("apt-get", &install);
    }
    absent().map(|program| {
        format!("there is no `{program}`; install {} (and iproute2)", PACKAGES.join(", "))
    })
}

fn is_there(program: &str) -> bool {
    succeeds("sh", &["-c", &format!("command -v {program}")])
}

fn succeeds(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn output(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
