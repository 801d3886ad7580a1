//! Where and with what it was measured.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::available_parallelism;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::jobs::Device;
use super::{Options, environment, write};
use crate::checkout;

/// The variable with the commit of programs that were built elsewhere.
const COMMIT: &str = "CAMBENCH_COMMIT";

/// What two measurements must have in common to stand in one table, and what is said about both.
pub(super) fn describe(options: &Options, versions: &Value) -> Value {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // What was built elsewhere may not be what is checked out here.
    let said = env::var(COMMIT).ok();
    let is_said = said.is_some();
    let commit = said.or_else(|| git(&["rev-parse", "--short=12", "HEAD"]));
    // Results are no part of the program.
    let changes = git(&["status", "--porcelain", "--", ":!results"]);
    json!({
        "device": options.device.name(),
        "card": (options.device == Device::Cuda).then(card).flatten(),
        "threads": options.threads,
        "cpu": field(&cpuinfo, "model name").unwrap_or("unknown"),
        "cores": available_parallelism().map_or(0, usize::from),
        "memory_gib": gib(field(&meminfo, "MemTotal").unwrap_or_default()),
        "kernel": kernel.trim(),
        "commit": commit,
        "dirty": !is_said && changes.is_none_or(|changes| !changes.is_empty()),
        "requirements": environment::version(),
        "versions": versions,
    })
}

/// Keeps the description beside the rows, with the day; an earlier one must say the same.
pub(super) fn keep(path: &Path, about: &Value) -> Result<Value> {
    if path.exists() {
        let earlier = kept(path)?;
        for (key, now) in about.as_object().into_iter().flatten() {
            ensure!(
                earlier[key] == *now,
                "{} was measured with {key} {} and not {now}: numbers of two programs or machines share no table; \
                 remove its folder, or name another one with --out",
                path.display(),
                earlier[key]
            );
        }
        return Ok(earlier);
    }
    let mut about = about.clone();
    about["date"] = today().into();
    write(path, &format!("{about:#}\n"))?;
    Ok(about)
}

/// The description that is kept there.
pub(super) fn kept(path: &Path) -> Result<Value> {
    let context = || format!("reading {}", path.display());
    let text = fs::read_to_string(path).with_context(context)?;
    serde_json::from_str(&text).with_context(context)
}

/// The packages with their versions.
pub(crate) fn versions(about: &Value) -> String {
    let versions = about["versions"].as_object().into_iter().flatten();
    let named = |(name, version): (&String, &Value)| {
        format!("{name} {}", version.as_str().unwrap_or_default())
    };
    versions.map(named).collect::<Vec<_>>().join(", ")
}

/// One line for people.
pub(super) fn sentence(about: &Value) -> String {
    let text = |key: &str| about[key].as_str().unwrap_or("unknown").to_owned();
    let versions = versions(about);
    let versions =
        if versions.is_empty() { String::new() } else { format!(" Versions: {versions}.") };
    let card = about["card"].as_str().map_or_else(String::new, |card| format!("{card}; "));
    format!(
        "{card}{}, {} cores, {} GiB, Linux {}; {} threads, device {}; commit {}{}; {}.{versions}",
        text("cpu"),
        about["cores"],
        about["memory_gib"],
        text("kernel"),
        about["threads"],
        text("device"),
        text("commit"),
        if about["dirty"] == true { " with uncommitted changes" } else { "" },
        text("date"),
    )
}

/// The name of the first card, as its driver says.
fn card() -> Option<String> {
    let query = ["--query-gpu=name", "--format=csv,noheader", "--id=0"];
    let output = Command::new("nvidia-smi").args(query).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).current_dir(checkout::root()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The value of the first line `key : value`.
fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim())
}

/// `24576000 kB` in GiB, rounded.
fn gib(kilobytes: &str) -> u64 {
    let number = kilobytes.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
    (number.unwrap_or_default() + (1 << 19)) >> 20
}

fn today() -> String {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    date(elapsed.as_secs() / 86_400)
}

/// The date of a day counted from 1970-01-01.
fn date(mut day: u64) -> String {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(31 + 28), "1970-03-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(20_454), "2026-01-01");
        assert_eq!(date(20_453), "2025-12-31");
    }

    #[test]
    fn another_program_or_machine_does_not_share_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peers.json");
        let about = json!({ "commit": "a", "threads": 2 });
        let kept = keep(&path, &about).unwrap();
        assert!(kept["date"].is_string());
        assert_eq!(keep(&path, &about).unwrap(), kept);
        let other = json!({ "commit": "b", "threads": 2 });
        let error = keep(&path, &other).unwrap_err().to_string();
        assert!(error.contains(r#"commit "a" and not "b""#) && error.contains("--out"), "{error}");
    }

    #[test]
    fn a_machine_is_read_from_what_the_kernel_says() {
        let text = "processor\t: 0\nmodel name\t: A processor\nmodel name\t: Another\n";
        assert_eq!(field(text, "model name"), Some("A processor"));
        assert_eq!(gib("25165824 kB"), 24);
        assert_eq!(gib(""), 0);
    }
}
