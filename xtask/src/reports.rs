//! `cargo xtask reports`: how long reports and a comparison of a large run take, and how much memory.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::{browse, checkout, growth, run};

/// What each may take.
const MAX_SECS: f64 = 10.0;
const MAX_MIB: f64 = 2048.0;

/// The formats of `cambench report`, and what each is.
const FORMATS: [(&str, &str); 5] = [
    ("csv", "the tables of means and of all comparisons"),
    ("md", "the report in Markdown"),
    ("tex", "the tables in LaTeX"),
    ("html", "the page"),
    ("plots", "the plots"),
];

/// Prints the seconds that a command took and the most memory that it had, in kilobytes.
const TIMED: &str = "\
import resource, subprocess, sys, time
start = time.monotonic()
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
";

/// Makes every report of 10,000 synthetic images under 20 methods and compares the run with itself, into
/// `results/scaling/reports.md`; an error where one of them takes more than it may.
pub(crate) fn command() -> Result<ExitCode> {
    let folder = checkout::root().join("target/reports/run");
    browse::synthetic_run(&folder)?;
    let binary = run::build()?;
    let out = folder.with_file_name("out");
    let mut md = format!(
        "# Reports of a large run\n\nMade by `cargo xtask reports`: 10,000 images that no network saw, 20 methods. Each is a \
         command of its own, which reads the records first. {}\n\n## Reports\n\n| What | s | Peak MiB |\n\
         | --- | ---: | ---: |\n",
        growth::machine()
    );
    let mut slow = vec![];
    let mut measure = |what: &str, command: &mut Command| -> Result<()> {
        let (secs, mib) = timed(command)?;
        writeln!(md, "| {what} | {secs:.1} | {mib:.0} |")?;
        if secs > MAX_SECS || mib > MAX_MIB {
            slow.push(what.to_owned());
        }
        Ok(())
    };
    for (format, what) in FORMATS {
        let mut report = Command::new(&binary);
        report.arg("report").arg(&folder).arg("--out").arg(&out).args(["--format", format]);
        measure(what, &mut report)?;
    }
    measure(
        "`cambench compare` with itself",
        Command::new(&binary).arg("compare").args([&folder; 2]),
    )?;
    let path = checkout::root().join("results/scaling/reports.md");
    fs::write(&path, &md).with_context(|| format!("writing {}", path.display()))?;
    print!("{md}");
    ensure!(
        slow.is_empty(),
        "more than {MAX_SECS} s or {MAX_MIB} MiB were taken by: {}",
        slow.join(", ")
    );
    Ok(ExitCode::SUCCESS)
}

/// The seconds that a command takes, and the most memory that it has, in MiB.
fn timed(command: &mut Command) -> Result<(f64, f64)> {
    let program = Path::new(command.get_program()).display().to_string();
    let mut python = Command::new("python3");
    python.args(["-c", TIMED]).arg(command.get_program()).args(command.get_args());
    let output = python.stderr(Stdio::inherit()).output().context("starting python3")?;
    ensure!(output.status.success(), "{program} ended with {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let &[secs, kb] = &numbers[..] else { anyhow::bail!("Python said `{text}`") };
    Ok((secs, kb / 1024.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_timed_and_its_memory_found_out() {
        let (secs, mib) = timed(Command::new("python3").args(["-c", "b'x' * (64 << 20)"])).unwrap();
        assert!(secs > 0.0 && mib > 60.0 && mib < 1024.0, "{secs} s, {mib} MiB");
        assert!(timed(&mut Command::new("false")).is_err());
    }
}
