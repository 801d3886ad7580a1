//! `cargo xtask fuzz`: damage at random to files of every kind, for minutes each; `results/fuzz/log.md` says how it went.
//!
//! The targets are tests of `crates/cambench/tests/hostile_files`, which take a second each there. Here each is a process of its
//! own, as many at once as there are cores.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::{Usage, checkout, run, setup};

const HEAD: &str = "\
# Fuzzing

Written by `cargo xtask fuzz`. An input is a small file of the kind, damaged at one to five places by the seed's choice, with
its checksums and lengths made right again. *Read* are those that were still what they should be. A crash is a panic, an
abort, more than ten seconds, more memory than the target's limit, or an error that does not name the file. *Caught* are
panics inside of other libraries that became errors. *MiB at once* is the most that Rust code held for one input, *MiB of
the process* its peak with everything else, libtorch's libraries among it.

## Log

| Target | Seed | Inputs | Read | Caught | Seconds | Crashes | MiB at once | MiB of the process |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
";

/// What is asked for.
struct Options {
    /// For each target.
    seconds: u64,
    seed: u64,
    /// Beginnings of targets' names; all of them where there is none.
    names: Vec<String>,
}

/// Runs the targets, and writes the log.
pub(crate) fn command(args: &[String]) -> Result<ExitCode> {
    let Options { seconds, seed, names } = options(args)?;
    setup::set_up(&[])?;
    let binary = run::build_test("hostile_files")?;
    let is_meant = |target: &String| {
        names.is_empty() || names.iter().any(|name| target.starts_with(name.as_str()))
    };
    let targets: Vec<String> = targets(&binary)?.into_iter().filter(is_meant).collect();
    ensure!(!targets.is_empty(), "no target begins with {}", names.join(" or "));
    let (next, rows) = (Mutex::new(targets.into_iter()), Mutex::new(BTreeMap::new()));
    let n_workers = thread::available_parallelism().map_or(1, usize::from);
    let work = || -> Result<()> {
        loop {
            let Some(target) = next.lock().expect("nobody panics").next() else { return Ok(()) };
            let row = fuzzed(&binary, &target, seconds, seed)?;
            println!("{row}");
            rows.lock().expect("nobody panics").insert(target, row);
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..n_workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a worker does not panic"))
    })?;
    let rows = rows.into_inner().expect("nobody panics");
    let n_crashes = rows.values().filter(|row| column(row, CRASHES) != Some(0)).count();
    write_log(&checkout::root().join("results/fuzz/log.md"), rows)?;
    if n_crashes > 0 {
        bail!("{n_crashes} targets crashed; the inputs are in target/tmp");
    }
    Ok(ExitCode::SUCCESS)
}

fn options(args: &[String]) -> Result<Options> {
    let mut options = Options { seconds: 600, seed: 7, names: vec![] };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut number = || -> Result<u64> {
            let text = args.next().map(String::as_str).unwrap_or_default();
            Ok(text.parse().map_err(|_no_number| Usage(format!("{arg} needs a number")))?)
        };
        match arg.as_str() {
            "--minutes" => options.seconds = 60 * number()?,
            "--seconds" => options.seconds = number()?,
            "--seed" => options.seed = number()?,
            flag if flag.starts_with('-') => {
                return Err(Usage(format!("fuzz has no option {flag}")).into());
            }
            name => options.names.push(name.to_owned()),
        }
    }
    Ok(options)
}

/// The names of all targets, as the test's binary lists them.
fn targets(binary: &Path) -> Result<Vec<String>> {
    let output = Command::new(binary).args(["--list", "--format", "terse"]).output()?;
    ensure!(output.status.success(), "{} --list failed", binary.display());
    let list = String::from_utf8(output.stdout)?;
    let name = |line: &str| Some(line.strip_prefix("fuzz::")?.strip_suffix(": test")?.to_owned());
    Ok(list.lines().filter_map(name).collect())
}

/// Runs a target for so long: its row of the log.
fn fuzzed(binary: &Path, target: &str, seconds: u64, seed: u64) -> Result<String> {
    let output = Command::new(binary)
        .args(["--exact", &format!("fuzz::{target}"), "--nocapture"])
        .env("CAMBENCH_FUZZ_SECONDS", seconds.to_string())
        .env("CAMBENCH_FUZZ_SEED", seed.to_string())
        .current_dir(checkout::root())
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {}", binary.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let summary = said.lines().find_map(|line| line.split_once("fuzzed ")).map(|(_, json)| json);
    let Some(summary) = summary.filter(|_| output.status.success()) else {
        eprintln!("{target}: {}\n{said}{}", output.status, String::from_utf8_lossy(&output.stderr));
        return Ok(format!("| {target} | {seed} | | | | | 1 | | |"));
    };
    let summary: Value = serde_json::from_str(summary)?;
    let field = |name: &str| summary[name].to_string();
    Ok(format!(
        "| {target} | {seed} | {} | {} | {} | {} | 0 | {} | {} |",
        field("inputs"),
        field("read"),
        field("caught"),
        field("seconds"),
        field("peak_mib"),
        field("resident_mib"),
    ))
}

/// Where the columns of a row stand that are added up.
const INPUTS: usize = 2;
const SECONDS: usize = 5;
const CRASHES: usize = 6;

fn column(row: &str, at: usize) -> Option<u64> {
    row.split('|').nth(at + 1)?.trim().parse().ok()
}

/// Writes the rows, and those of other targets that stand there, with their sum.
fn write_log(path: &Path, rows: BTreeMap<String, String>) -> Result<()> {
    let mut all = BTreeMap::new();
    let before = fs::read_to_string(path).unwrap_or_default();
    for row in before.lines().filter(|row| column(row, CRASHES).is_some()) {
        let target = row.split('|').nth(1).unwrap_or_default().trim().to_owned();
        all.insert(target, row.to_owned());
    }
    all.extend(rows);
    let sum = |at: usize| all.values().filter_map(|row| column(row, at)).sum::<u64>();
    let total = format!(
        "\n{} targets: {} inputs in {} minutes, {} crashes.\n",
        all.len(),
        sum(INPUTS),
        sum(SECONDS) / 60,
        sum(CRASHES)
    );
    let rows: Vec<String> = all.into_values().collect();
    let text = format!("{HEAD}{}\n{total}", rows.join("\n"));
    fs::create_dir_all(path.parent().context("a path has a folder")?)?;
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_keeps_the_rows_of_other_targets_and_adds_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fuzz/log.md");
        let rows = |target: &str, inputs: u32| {
            let row = format!("| {target} | 7 | {inputs} | 3 | 0 | 120 | 0 | 5 | 400 |");
            BTreeMap::from([(target.to_owned(), row)])
        };
        write_log(&path, rows("png", 10)).unwrap();
        write_log(&path, rows("jpeg", 20)).unwrap();
        write_log(&path, rows("png", 30)).unwrap();
        let log = fs::read_to_string(&path).unwrap();
        assert!(log.starts_with(HEAD));
        assert!(log.ends_with("2 targets: 50 inputs in 4 minutes, 0 crashes.\n"), "{log}");
        assert_eq!(log.matches("| png |").count(), 1);
    }

    #[test]
    fn options_are_minutes_seed_and_names() {
        let of =
            |args: &[&str]| options(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>());
        let Options { seconds, seed, names } =
            of(&["run", "--minutes", "3", "--seed", "8"]).unwrap();
        assert_eq!((seconds, seed, names), (180, 8, vec!["run".to_owned()]));
        assert!(of(&["--minutes"]).is_err() && of(&["--hours", "1"]).is_err());
    }
}
