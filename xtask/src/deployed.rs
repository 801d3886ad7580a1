//! `cargo xtask onnx-deployed`: explanations of a deployed network, where it runs, compared with the original's.
//!
//! EfficientNet-Lite0 with its real weights is hooked, converted to fp16, quantized to int8, and run by
//! `configs/deployed.yaml` in ONNX Runtime and OpenVINO, in every number format that each has. The first of these is the baseline, with which `cambench compare`
//! compares the others: the hook's map may lose one percent of its ADCC. Runs are kept below `results/onnx/runs`, so an
//! interrupted command continues.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::gate::sweep_of;
use crate::onnx::write;
use crate::peers::environment;
use crate::wheels::Part;
use crate::{checkout, run, setup};

/// The network, as `cargo xtask onnx-zoo` exports it.
const EXPORT: &str = "efficientnet_lite0.real";

/// The lines of `configs/deployed.yaml` that each variant has in its own way.
const FILE: &str = "onnx: hooked.onnx";
const RUNTIME: &str = "runtime: onnxruntime";

/// Name of the run, which file, and what runs it how. The first is what the others are compared with.
const VARIANTS: [(&str, &str, &str); 7] = [
    ("onnxruntime-f32", "hooked", "runtime: onnxruntime"),
    ("openvino-f32", "hooked", "runtime: openvino"),
    ("openvino-bf16", "hooked", "runtime: openvino\n    precision: bf16"),
    ("onnxruntime-fp16", "fp16", "runtime: onnxruntime"),
    ("openvino-fp16", "fp16", "runtime: openvino"),
    ("onnxruntime-int8", "int8", "runtime: onnxruntime"),
    ("openvino-int8", "int8", "runtime: openvino"),
];

/// How much of its mean ADCC a map may lose.
const MOST: &str = "adcc=1%";

/// Makes the files, runs and compares them.
pub(crate) fn command() -> Result<ExitCode> {
    setup::set_up(&[Part::OnnxRuntime, Part::OpenVino])?;
    let python = environment::onnx_python()?;
    let binary = run::build()?;
    let cache = checkout::cache()?;
    let export = cache.join("onnx-zoo").join(format!("{EXPORT}.onnx"));
    ensure!(export.exists(), "there is no {}; `cargo xtask onnx-zoo` makes it", export.display());
    let folder = checkout::root().join("results/onnx/runs");
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let [hooked, fp16, int8] =
        ["hooked", "fp16", "int8"].map(|name| folder.join(format!("{name}.onnx")));
    if !hooked.exists() {
        let mut hook = Command::new(&binary);
        hook.arg("hook").arg(&export).args(["--scale", "none", "-o"]).arg(&hooked);
        ensure!(hook.status()?.success(), "{} cannot be hooked", export.display());
    }
    let photographs = cache.join("photographs");
    converted(&python, "halve.py", &[hooked.as_os_str()], &fp16)?;
    let framing = ["224", "256", "0.498", "0.502"].map(OsStr::new);
    let quantized = [&[hooked.as_os_str(), photographs.as_os_str()], &framing[..]].concat();
    converted(&python, "quantize.py", &quantized, &int8)?;
    let sweep = fs::read_to_string(checkout::root().join("configs/deployed.yaml"))?;
    ensure!(
        sweep.contains(FILE) && sweep.contains(RUNTIME),
        "configs/deployed.yaml has not the lines `{FILE}` and `{RUNTIME}`"
    );
    let mut rows = vec![];
    for (name, file, runtime) in VARIANTS {
        let file = folder.join(format!("{file}.onnx"));
        let sweep =
            sweep.replace(FILE, &format!("onnx: {}", file.display())).replace(RUNTIME, runtime);
        sweep_of(&binary, &folder, name, &sweep)?;
        rows.push(Row {
            name,
            exit: compared(&binary, &folder, name)?,
            summary: lines_in(&fs::read_to_string(folder.join(name).join("summary.csv"))?),
            top1: top1_in(&fs::read_to_string(folder.join(name).join("report.md"))?)
                .unwrap_or("–")
                .to_owned(),
            runtime: runtime_of(&folder.join(name))?,
        });
    }
    let text = table(&rows);
    print!("{text}");
    write("deployed.md", &text)?;
    Ok(ExitCode::SUCCESS)
}

/// The network as one of `xtask/onnx`'s scripts converts it, unless it is there.
fn converted(python: &Path, script: &str, arguments: &[&OsStr], out: &Path) -> Result<()> {
    if out.exists() {
        return Ok(());
    }
    let unfinished = out.with_file_name("unfinished.onnx");
    let status = Command::new(python)
        .arg(checkout::root().join("xtask/onnx").join(script))
        .args(arguments)
        .arg(&unfinished)
        .stdin(Stdio::null())
        .status();
    ensure!(status.context("starting Python")?.success(), "{script} cannot make {}", out.display());
    fs::rename(&unfinished, out).with_context(|| format!("making {}", out.display()))
}

/// A variant, and what is known of it.
struct Row {
    name: &'static str,
    /// Exit code of the comparison with the first one.
    exit: i32,
    /// Lines of `summary.csv`, by their columns.
    summary: Vec<Columns>,
    /// With its version.
    runtime: String,
    /// How many images it gives the right class, of how many.
    top1: String,
}

type Columns = BTreeMap<String, String>;

/// The exit code with which `cambench compare` ends.
fn compared(binary: &Path, folder: &Path, name: &str) -> Result<i32> {
    let status = Command::new(binary)
        .arg("compare")
        .args([folder.join(VARIANTS[0].0), folder.join(name)])
        .args(["--max-drop", MOST, "--fail-on", "regressed"])
        .stdout(Stdio::null())
        .status()?;
    let code = status.code().context("`cambench compare` was killed")?;
    ensure!(matches!(code, 0 | 10), "`cambench compare` ends with {code} for {name}");
    Ok(code)
}

fn runtime_of(run: &Path) -> Result<String> {
    let text = fs::read_to_string(run.join("manifest.json"))?;
    let manifest: Value = serde_json::from_str(&text)?;
    let runtime = manifest["models"][0]["architecture"].as_str().unwrap_or_default();
    Ok(runtime.trim_start_matches("in ").to_owned())
}

/// What stands between `top-1` and the sign of equality in a report.
fn top1_in(report: &str) -> Option<&str> {
    report.split_once(": top-1 ")?.1.split(" =").next()
}

/// The lines of a summary, whose cells hold neither commas nor quotes.
fn lines_in(summary: &str) -> Vec<Columns> {
    let mut lines = summary.lines().map(|line| line.split(',').map(str::to_owned));
    let names: Vec<String> = lines.next().into_iter().flatten().collect();
    lines.map(|line| names.iter().cloned().zip(line).collect()).collect()
}

fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "# Deployed\n\nMade by `cargo xtask onnx-deployed`: EfficientNet-Lite0 with its real weights, hooked by `cambench hook` \
         and run where it would be deployed, by `configs/deployed.yaml` on 100 images. fp16 is the hooked graph converted by \
         ONNX Runtime's own tools, and int8 quantized by them, weights by channel, activations by the range that the demo's \
         eight photographs make. Scores are percent with 95 % intervals; the ratio is that of the hook's mean ADCC to the first row's. `compare` is the exit code \
         of `cambench compare` with the first row, with `--max-drop {MOST} --fail-on regressed`: 0 passes, 10 fails. `hooks.md` has \
         times.\n\n\
         | runtime | numbers | top-1 | ADCC of the hook | ratio | drop | deletion | insertion | ADCC of RISE | ADCC of a \
         centered Gaussian | compare |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    );
    let first = rows.first().and_then(|row| number(row, "hooked", "adcc"));
    for row in rows {
        let score = |method: &str, metric: &str| match interval(row, method, metric) {
            Some([mean, lo, hi]) => format!("{mean:.1} [{lo:.1}, {hi:.1}]"),
            None => "–".to_owned(),
        };
        let ratio = number(row, "hooked", "adcc").zip(first).map(|(adcc, first)| adcc / first);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            row.runtime,
            row.name.split('-').next_back().unwrap_or_default(),
            row.top1,
            score("hooked", "adcc"),
            ratio.map_or("–".to_owned(), |ratio| format!("{:.2} %", 100.0 * ratio)),
            score("hooked", "drop"),
            score("hooked", "deletion"),
            score("hooked", "insertion"),
            score("rise", "adcc"),
            score("center_gaussian", "adcc"),
            row.exit,
        );
    }
    text
}

fn number(row: &Row, method: &str, column: &str) -> Option<f64> {
    let line = row.summary.iter().find(|line| line.get("method").is_some_and(|it| it == method));
    line?.get(column)?.parse().ok()
}

/// Mean, and both ends of its interval, in percent.
fn interval(row: &Row, method: &str, metric: &str) -> Option<[f64; 3]> {
    let number = |end: &str| Some(100.0 * number(row, method, &format!("{metric}{end}"))?);
    Some([number("")?, number("_lo")?, number("_hi")?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_what_the_summary_says_and_how_it_compares_with_the_first() {
        let row = |name, adcc: f64, exit| Row {
            name,
            exit,
            summary: lines_in(&format!(
                "method,adcc,adcc_lo,adcc_hi\nhooked,{adcc},0.7,0.9\nrise,,,\n"
            )),
            runtime: "A 1.2".to_owned(),
            top1: top1_in("network: top-1 9/10 = 0.900").unwrap_or_default().to_owned(),
        };
        let text = table(&[row("a-f32", 0.8, 0), row("a-int8", 0.6, 10)]);
        let first = "| A 1.2 | f32 | 9/10 | 80.0 [70.0, 90.0] | 100.00 % | – | – | – | – | – | 0 |";
        assert!(text.contains(first), "{text}");
        assert!(text.contains("| int8 | 9/10 | 60.0 [70.0, 90.0] | 75.00 % |"), "{text}");
        assert!(text.contains("| 10 |"), "{text}");
    }
}
