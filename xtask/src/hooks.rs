//! `cargo xtask onnx-hooks`: hooked graphs in the runtimes that they are made for.

use std::fmt::Write as _;
use std::fs;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::onnx::write;
use crate::peers::{environment, machine};
use crate::{checkout, run, setup};

/// How far a map may be from ours, relative to its range, or to the largest logit where it hardly varies.
const EQUAL: f64 = 1e-5;

/// Networks whose maps are known to be further off, and why.
const EXCEPTIONS: [(&str, &str); 1] = [(
    "mobilenet_v3_large.trace",
    "its maps vary by less than a ten-thousandth of the logits, so that rounding in single precision moves two levels of 255",
)];

const RUNTIMES: [(&str, &str); 2] = [("onnxruntime", "ONNX Runtime"), ("openvino", "OpenVINO")];

/// Hooks exported networks and runs them; with names only some of them, and no file is written.
pub(crate) fn command(names: &[String]) -> Result<ExitCode> {
    setup::set_up(&[])?;
    let python = environment::onnx_python()?;
    let cache = checkout::cache()?;
    let folder = cache.join("onnx-hooks");
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let output = Command::new(python)
        .arg(checkout::root().join("xtask/onnx/hooks.py"))
        .args([run::build()?, run::build_example("recipro_maps")?, cache.join("onnx-zoo")])
        .arg(&folder)
        .args(names)
        .env("CAMBENCH_CACHE", &cache)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("starting Python")?;
    // Copies of the networks, which are made anew each time.
    fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    ensure!(output.status.success(), "the hooked graphs could not be run");
    let lines = String::from_utf8(output.stdout)?;
    let rows: Vec<Value> = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let (about, rows) = rows.split_first().context("Python said nothing")?;
    let text = table(about, rows);
    print!("{text}");
    if names.is_empty() {
        write("hooks.md", &text)?;
        write("hooks.jsonl", &lines)?;
    }
    Ok(if rows.iter().all(is_expected) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether a network's outputs are as they were, and its maps ours, in both runtimes.
fn is_good(row: &Value) -> bool {
    RUNTIMES.iter().all(|(runtime, _)| has_its_bits(row, runtime) && has_our_maps(&row[runtime]))
}

/// Whether it is good, or off as is known of it: by two levels.
fn is_expected(row: &Value) -> bool {
    let most = if EXCEPTIONS.iter().any(|(name, _)| row["name"] == *name) { 2.0 } else { 1.0 };
    RUNTIMES
        .iter()
        .all(|(runtime, _)| has_its_bits(row, runtime) && has_our_maps_within(&row[runtime], most))
}

/// Whether the maps are so relative to their range, too.
fn is_equal(row: &Value) -> bool {
    is_good(row) && RUNTIMES.iter().all(|(runtime, _)| is_within(&row[runtime]["maps"], EQUAL))
}

/// As the runtime takes the graph or, where it rewrites the hooked one otherwise, without that.
fn has_its_bits(row: &Value, runtime: &str) -> bool {
    row[runtime]["bits"] == true || row["unoptimized"][runtime]["bits"] == true
}

/// Rounding shows in the range of a map that hardly varies.
fn has_our_maps(found: &Value) -> bool {
    has_our_maps_within(found, 1.0)
}

fn has_our_maps_within(found: &Value, levels: f64) -> bool {
    (is_within(&found["maps"], EQUAL) || is_within(&found["maps_of_logits"], EQUAL))
        && is_within(&found["levels"], levels)
}

fn is_within(off: &Value, most: f64) -> bool {
    off.as_f64().is_some_and(|off| off <= most)
}

fn table(about: &Value, rows: &[Value]) -> String {
    let equal = rows.iter().filter(|row| is_equal(row)).count();
    let rounded = rows.iter().filter(|row| is_good(row)).count() - equal;
    let mut text = format!(
        "# Hooked networks\n\nMade by `cargo xtask onnx-hooks` from exports of `cargo xtask onnx-zoo`: what `cambench hook` \
         writes, in stock runtimes ({}), on random images, two at a time. {equal} of {} networks have, in both runtimes, \
         outputs that are bit by bit those of the graph before, and maps that are those of our Recipro-CAM (`score: logit`) \
         within {EQUAL:e} of a map's range where they are not scaled, and one level of 255 where they are. \
         {rounded} more have the former, and maps within {EQUAL:e} of the largest logit: these hardly vary, so the single \
         precision in which runtimes differ (`zoo.md` has it of the plain logits) is more of their range. Not counted, and \
         known: {}.\n\n\
         ## Outputs and maps\n\n\
         `logits`: bit-identical, or the largest difference relative to the largest logit. `maps`: the largest difference from \
         ours relative to a map's range, with `--scale none`; `of logits`: relative to the largest logit. `levels`: the \
         largest one with `--scale u8`. Three classes for each image.\n\n\
         | Export | layer | head | {} |\n| --- | --- | --- |{}\n",
        machine::versions(about),
        rows.len(),
        EXCEPTIONS.map(|(name, why)| format!("{name} ({why})")).join("; "),
        RUNTIMES
            .map(|(_, title)| format!("{title}: logits | maps | of logits | levels"))
            .join(" | "),
        " --- |".repeat(8)
    );
    for row in rows {
        let name = row["name"].as_str().unwrap_or_default();
        if let Some(error) = row["error"].as_str() {
            let _ = writeln!(text, "| {name} | {} | | | | | | | | | |", error.replace('|', "\\|"));
            continue;
        }
        let cells = RUNTIMES.map(|(runtime, _)| {
            let found = &row[runtime];
            format!(
                "{} | {} | {} | {}",
                logits_cell(row, runtime),
                off(&found["maps"]),
                off(&found["maps_of_logits"]),
                found["levels"]
            )
        });
        let _ = writeln!(
            text,
            "| {name} | `{}` {}×{} | {} | {} |",
            row["layer"].as_str().unwrap_or_default(),
            row["shape"][0],
            row["shape"][1],
            if row["pooled"] == true { "exact shortcut" } else { "repeated" },
            cells.join(" | ")
        );
    }
    let _ = write!(
        text,
        "\n## Time\n\nMilliseconds for one image on {} threads of {} ({} cores), and how many times that the graph takes that \
         also explains, all classes at once and scaled to u8: hooked by us, and with OpenVINO-XAI's own Recipro-CAM inserted \
         (at the layer of its choice; – where it was not tried or fails). Medians of interleaved turns on a machine that was \
         shared with other work: the ratios say something, the milliseconds little.\n\n\
         | Export | ONNX Runtime | hooked | OpenVINO | hooked | OpenVINO-XAI | turns |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
        about["threads"],
        about["cpu"].as_str().unwrap_or("an unknown processor"),
        about["cores"]
    );
    for row in rows.iter().filter(|row| row["error"].is_null()) {
        let seconds = |key: &str| row["seconds"][key].as_f64();
        let plain = |key: &str| {
            seconds(key).map_or("–".to_owned(), |seconds| format!("{:.1}", seconds * 1e3))
        };
        let ratio = |key: &str, plain: &str| match (seconds(key), seconds(plain)) {
            (Some(hooked), Some(plain)) => format!("{:.2}×", hooked / plain),
            _ => "–".to_owned(),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            row["name"].as_str().unwrap_or_default(),
            plain("onnxruntime"),
            ratio("onnxruntime_hooked", "onnxruntime"),
            plain("openvino"),
            ratio("openvino_hooked", "openvino"),
            ratio("openvino_xai", "openvino"),
            row["seconds"]["rounds"]
        );
    }
    text
}

/// Whether the logits are as they were.
fn logits_cell(row: &Value, runtime: &str) -> String {
    if row[runtime]["bits"] == true {
        return "identical".to_owned();
    }
    let off = off(&row[runtime]["logits"]);
    if has_its_bits(row, runtime) {
        format!("{off}; identical without the runtime's rewriting")
    } else {
        off
    }
}

fn off(value: &Value) -> String {
    value.as_f64().map_or("–".to_owned(), |off| format!("{off:.0e}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_hooked_graph_is_good_where_its_bits_and_its_maps_are() {
        let found = |bits: bool, maps: f64, levels: u64| json!({ "bits": bits, "logits": 1e-7, "maps": maps, "levels": levels });
        let rounded = json!({ "bits": true, "maps": 3e-3, "maps_of_logits": 2e-7, "levels": 1 });
        let (right, rewritten) = (found(true, 1e-6, 1), found(false, 1e-6, 0));
        assert!(is_good(&json!({ "onnxruntime": right, "openvino": right })));
        let row = json!({ "onnxruntime": right, "openvino": rounded });
        assert!(is_good(&row) && !is_equal(&row));
        let mut row = json!({ "onnxruntime": right, "openvino": rewritten });
        assert!(!is_good(&row));
        assert_eq!(logits_cell(&row, "openvino"), "1e-7");
        row["unoptimized"] = json!({ "openvino": right });
        assert!(is_good(&row));
        assert_eq!(
            logits_cell(&row, "openvino"),
            "1e-7; identical without the runtime's rewriting"
        );
        for wrong in [found(true, 1e-4, 1), found(true, 1e-6, 2), Value::Null] {
            assert!(!is_good(&json!({ "onnxruntime": right, "openvino": wrong })), "{wrong}");
        }
    }

    #[test]
    fn a_time_is_a_ratio_to_that_of_the_plain_graph() {
        let about = json!({ "versions": { "openvino": "1.2" }, "threads": 2, "cores": 2, "cpu": "A processor" });
        let row = json!({ "name": "net", "seconds": {
            "onnxruntime": 0.01, "onnxruntime_hooked": 0.02, "openvino": 0.004, "openvino_hooked": 0.005, "rounds": 9
        } });
        let text = table(&about, &[row, json!({ "name": "bad", "error": "a | b" })]);
        assert!(text.contains("| net | 10.0 | 2.00× | 4.0 | 1.25× | – | 9 |"), "{text}");
        assert!(text.contains("| bad | a \\| b |"), "{text}");
        assert!(text.contains("(openvino 1.2)") && text.contains("0 of 2 networks"), "{text}");
    }
}
