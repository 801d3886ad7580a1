//! `cargo xtask gate`: the regression gate as CI would use it, on real weights that are made worse step by step.
//!
//! `configs/gate.yaml` is run and saved as a baseline. Then the same again, the weights with noise of growing size, the
//! network in bf16, a sweep without one method, and one with another metric's options are compared with it, by the
//! binary, with its exit codes. Runs are kept below `results/gate/runs`, so an interrupted command continues; what was found
//! is written to `results/gate/gate.md`, and how often fewer images would have found it to `results/gate/power.md`. The
//! JUnit file of a comparison with failures is held against `xtask/checks/junit.xsd`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::peers::environment;
use crate::{checkout, run, setup};

/// Standard deviations of the noise, as shares of each tensor's own.
const NOISE: [&str; 6] = ["0.02", "0.03", "0.05", "0.1", "0.2", "0.3"];

const MODEL: &str = "  - { name: tf_efficientnet_lite0 }";

/// Runs and compares all of it; an error where the gate does not end as it should.
pub(crate) fn command() -> Result<ExitCode> {
    setup::set_up(&[])?;
    let binary = run::build()?;
    let degrade = run::build_example("degrade")?;
    let calibrate = run::build_example("calibrate")?;
    let folder = checkout::root().join("results/gate/runs");
    let sweep = fs::read_to_string(checkout::root().join("configs/gate.yaml"))?;
    ensure!(sweep.contains(MODEL), "configs/gate.yaml has no line `{MODEL}`");
    let gate = Gate { binary, degrade, folder: &folder };
    let model = |options: &str| {
        sweep.replace(MODEL, &format!("  - {{ name: tf_efficientnet_lite0, {options} }}"))
    };

    sweep_of(&gate.binary, &folder, "base", &sweep)?;
    gate.save_baseline()?;
    let weights = checkout::cache()?.join("weights/efficientnet_lite0.pth");
    let mut rows = vec![];
    let mut try_it = |what: &str, name: &str, sweep: &str, expected: Option<i32>| -> Result<()> {
        sweep_of(&gate.binary, &folder, name, sweep)?;
        let row = gate.compare(what, name)?;
        ensure!(
            expected.is_none_or(|code| code == row.exit_code),
            "{what}: `cambench compare` ends with {}, and should with {expected:?}",
            row.exit_code
        );
        rows.push(row);
        Ok(())
    };
    try_it("nothing", "again", &sweep, Some(0))?;
    try_it("bf16", "bf16", &model("precision: bf16"), None)?;
    for size in NOISE {
        let file = folder.join(format!("noise-{size}.safetensors"));
        gate.degrade(&weights, size, &file)?;
        let sweep = model(&format!("weights: {}", file.display()));
        let expected = (size == NOISE[NOISE.len() - 1]).then_some(10);
        let percent = 100.0 * size.parse::<f64>()?;
        try_it(&format!("noise of {percent} %"), &format!("noise-{size}"), &sweep, expected)?;
    }
    let without = sweep.replace("  - { name: recipro_cam }\n", "");
    try_it("a method left out", "without", &without, Some(5))?;
    let other = sweep.replace("steps: 28", "steps: 14");
    try_it("another protocol", "other", &other, Some(6))?;
    gate.check_junit()?;
    fs::write(checkout::root().join("results/gate/gate.md"), report(&rows))?;
    print!("{}", report(&rows));
    let runs: Vec<PathBuf> = ["base".to_owned()]
        .into_iter()
        .chain(NOISE.iter().map(|size| format!("noise-{size}")))
        .map(|name| folder.join(name))
        .collect();
    let power = said(Command::new(calibrate).arg("power").args(runs))?;
    fs::write(checkout::root().join("results/gate/power.md"), &power)?;
    print!("{power}");
    Ok(ExitCode::SUCCESS)
}

/// Runs a sweep into a folder below another one, or what is missing of it.
pub(crate) fn sweep_of(binary: &Path, folder: &Path, name: &str, sweep: &str) -> Result<()> {
    eprintln!("{name}");
    fs::create_dir_all(folder)?;
    let file = folder.join(format!("{name}.yaml"));
    fs::write(&file, sweep)?;
    let status = Command::new(binary)
        .current_dir(checkout::root())
        .arg("run")
        .arg(&file)
        .arg("--out")
        .arg(folder.join(name))
        .stdout(Stdio::null())
        .status()
        .with_context(|| format!("starting {}", binary.display()))?;
    ensure!(status.success(), "the run {name} ended with {status}");
    Ok(())
}

/// What a command prints.
pub(crate) fn said(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "{} failed", command.get_program().display());
    Ok(String::from_utf8(output.stdout)?)
}

struct Gate<'a> {
    binary: PathBuf,
    degrade: PathBuf,
    folder: &'a Path,
}

/// What the gate said.
struct Row {
    what: String,
    exit_code: i32,
    /// `None` where nothing was compared.
    comparison: Option<Value>,
}

impl Gate<'_> {
    fn save_baseline(&self) -> Result<()> {
        let status = Command::new(&self.binary)
            .args(["baseline", "save", "gate", "--replace"])
            .arg(self.folder.join("base"))
            .arg("--baselines")
            .arg(self.folder.join("baselines"))
            .status()?;
        ensure!(status.success(), "the baseline cannot be saved");
        Ok(())
    }

    fn degrade(&self, weights: &Path, size: &str, to: &Path) -> Result<()> {
        let status = Command::new(&self.degrade).arg(weights).arg(size).arg(to).status()?;
        ensure!(status.success(), "the weights cannot be degraded");
        Ok(())
    }

    /// Whether the JUnit files of the worst network, of a run without one method, and of one that cannot be compared are
    /// valid.
    fn check_junit(&self) -> Result<()> {
        let python = environment::checks_python()?;
        let schema = checkout::root().join("xtask/checks/junit.xsd");
        for name in ["noise-0.3", "without", "other"] {
            let file = self.folder.join(format!("{name}.xml"));
            // It ends with a code of failure.
            Command::new(&self.binary)
                .args(["compare", "gate"])
                .arg(self.folder.join(name))
                .arg("--baselines")
                .arg(self.folder.join("baselines"))
                .args(["--fail-on", "regressed", "--junit"])
                .arg(&file)
                .stdout(Stdio::null())
                .status()?;
            let script = "import sys, xmlschema; xmlschema.validate(*sys.argv[1:])";
            let status =
                Command::new(&python).args(["-c", script]).args([&file, &schema]).status()?;
            ensure!(status.success(), "{} is not valid by {}", file.display(), schema.display());
        }
        Ok(())
    }

    fn compare(&self, what: &str, name: &str) -> Result<Row> {
        let output = Command::new(&self.binary)
            .args(["compare", "gate"])
            .arg(self.folder.join(name))
            .arg("--baselines")
            .arg(self.folder.join("baselines"))
            .arg("--json")
            .stderr(Stdio::inherit())
            .output()?;
        let exit_code = output.status.code().context("`cambench compare` was killed")?;
        let comparison = serde_json::from_slice(&output.stdout).ok();
        Ok(Row { what: what.to_owned(), exit_code, comparison })
    }
}

/// Where the gate fired first, and how often a network is right, among all that it says.
fn report(rows: &[Row]) -> String {
    let mut md = String::from(
        "# The gate on degraded weights\n\nMade by `cargo xtask gate`.\n\n## What the gate says\n\n\
         | Changed | Exit code | Regressed | Improved | Within noise | Unchanged | Missing | ADCC, Recipro-CAM | Deletion, Recipro-CAM | Right |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for Row { what, exit_code, comparison } in rows {
        let _ = write!(md, "| {what} | {exit_code} |");
        let changes = comparison.as_ref().and_then(|comparison| comparison["changes"].as_array());
        for verdict in ["regressed", "improved", "within_noise", "unchanged", "missing"] {
            let count = changes.map(|changes| {
                changes.iter().filter(|change| change["verdict"] == verdict).count()
            });
            let _ = write!(md, " {} |", count.map_or("–".to_owned(), |n| n.to_string()));
        }
        for metric in ["adcc", "deletion"] {
            let size = changes.and_then(|changes| {
                let is_it = |change: &&Value| {
                    change["method"] == "recipro_cam" && change["metric"] == metric
                };
                let difference = &changes.iter().find(is_it)?["difference"];
                let [mean, lo, hi] =
                    ["mean", "lo", "hi"].map(|key| difference[key].as_f64().map(|x| 100.0 * x));
                Some(format!("{:+.2} [{:+.2}, {:+.2}]", mean?, lo?, hi?))
            });
            let _ = write!(md, " {} |", size.unwrap_or_else(|| "–".to_owned()));
        }
        let right = comparison.as_ref().map_or_else(|| "–".to_owned(), right);
        let _ = writeln!(md, " {right} |");
    }
    if let Some(first) = rows.iter().find(|row| row.exit_code == 10) {
        let _ = writeln!(md, "\nThe gate fires first at {}.", first.what);
    }
    md.push_str(
        "\nJUnit files of comparisons with failures, and of one that is not possible, are valid by `xtask/checks/junit.xsd`.\n",
    );
    md
}

/// How many images are classified as labeled, where that is not as before.
fn right(comparison: &Value) -> String {
    let classified = &comparison["classified"][0];
    match (&classified["n_right"][0], &classified["n_right"][1], &classified["n"]) {
        (Value::Number(before), Value::Number(now), Value::Number(n)) => {
            format!("{now} of {n}, was {before}")
        }
        _ => "as before".to_owned(),
    }
}
