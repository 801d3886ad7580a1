//! The user's pip: it knows which index to ask, and how to get there.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::wheels::Wheel;

/// The Python that runs pip and the downloads.
pub(crate) const PYTHON: &str = "python3";

/// Which files pip is to choose, on whatever machine and Python it runs itself.
const TARGET: [&str; 28] = [
    "--only-binary=:all:",
    "--no-deps",
    "--python-version=3.11",
    "--implementation=cp",
    "--abi=cp311",
    "--abi=none",
    "--platform=manylinux_2_28_x86_64",
    "--platform=manylinux_2_27_x86_64",
    "--platform=manylinux_2_26_x86_64",
    "--platform=manylinux_2_25_x86_64",
    "--platform=manylinux_2_24_x86_64",
    "--platform=manylinux_2_23_x86_64",
    "--platform=manylinux_2_22_x86_64",
    "--platform=manylinux_2_21_x86_64",
    "--platform=manylinux_2_20_x86_64",
    "--platform=manylinux_2_19_x86_64",
    "--platform=manylinux_2_18_x86_64",
    "--platform=manylinux_2_17_x86_64",
    "--platform=manylinux2014_x86_64",
    "--platform=manylinux_2_16_x86_64",
    "--platform=manylinux_2_15_x86_64",
    "--platform=manylinux_2_14_x86_64",
    "--platform=manylinux_2_13_x86_64",
    "--platform=manylinux_2_12_x86_64",
    "--platform=manylinux2010_x86_64",
    "--platform=manylinux_2_5_x86_64",
    "--platform=manylinux1_x86_64",
    "--disable-pip-version-check",
];

/// Says what to install if there is no Python or no pip.
pub(crate) fn check() -> Result<()> {
    let missing = |what: &str, packages: &str| {
        format!(
            "{what} is needed for the downloads and was not found; install it \
             (Debian, Ubuntu: `apt install {packages}`), or set LIBTORCH to a libtorch of your own"
        )
    };
    let python = Command::new(PYTHON).arg("--version").stdin(Stdio::null()).output();
    ensure!(
        python.is_ok_and(|output| output.status.success()),
        missing("python3", "python3 python3-pip")
    );
    ensure!(
        pip(["--version"])?.status.success(),
        missing("pip (as `python3 -m pip`)", "python3-pip")
    );
    Ok(())
}

/// The address of every wheel by its file name. None if this pip is too old to tell (before 22.2).
pub(crate) fn addresses(wheels: &[&Wheel]) -> Result<Option<BTreeMap<String, String>>> {
    let report =
        ["install", "--dry-run", "--ignore-installed", "--quiet", "--report=-", "--target=unused"];
    let requirements = wheels.iter().map(|wheel| wheel.requirement);
    let output = pip(report.into_iter().chain(TARGET).chain(requirements))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    if complaint.contains("no such option") {
        return Ok(None);
    }
    if !output.status.success() {
        bail!(
            "pip does not find the files; is the network there, and pip set to an index?\n{}",
            complaint.trim_end()
        );
    }
    parse_report(&output.stdout).map(Some)
}

fn parse_report(report: &[u8]) -> Result<BTreeMap<String, String>> {
    let report: Value = serde_json::from_slice(report).context("reading pip's report")?;
    let addresses = report["install"].as_array().into_iter().flatten();
    Ok(addresses
        .filter_map(|item| item["download_info"]["url"].as_str())
        .filter_map(|address| Some((file_name(address)?, address.to_owned())))
        .collect())
}

/// The last part of an address, without its query and with `%2B` and its like decoded.
fn file_name(address: &str) -> Option<String> {
    let path = address.split(['?', '#']).next()?;
    Some(path.rsplit('/').next()?.replace("%2B", "+").replace("%2b", "+"))
}

/// Has pip download the wheel into `folder`: slower to fail and not resumable, but with all of pip's configuration.
pub(crate) fn download(wheel: &Wheel, folder: &Path) -> Result<()> {
    let status = command(["download"])
        .args(TARGET)
        .arg("--dest")
        .arg(folder)
        .arg(wheel.requirement)
        .stdout(io::stderr())
        .status()
        .context("starting pip")?;
    ensure!(
        status.success(),
        "pip could not download {} (its reasons are above)",
        wheel.requirement
    );
    Ok(())
}

fn pip<'a>(args: impl IntoIterator<Item = &'a str>) -> Result<Output> {
    command(args).output().context("starting pip")
}

fn command(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new(PYTHON);
    command.args(["-m", "pip"]).args(args).stdin(Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_pips_report() {
        let report = br#"{"version": "1", "install": [
            {"download_info": {"url": "https://host/a/b/torch-2.11.0%2Bcpu-cp311.whl?x=1#sha256=0"}},
            {"download_info": {"url": "file:///opt/wheels/zip-1.whl"}}]}"#;
        let addresses = parse_report(report).unwrap();
        assert_eq!(addresses.len(), 2);
        assert!(addresses["torch-2.11.0+cpu-cp311.whl"].starts_with("https://host/a/b/"));
        assert_eq!(addresses["zip-1.whl"], "file:///opt/wheels/zip-1.whl");
        assert!(parse_report(b"pip crashed").is_err());
    }
}
