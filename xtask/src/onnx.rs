//! `cargo xtask onnx-backend` and `cargo xtask onnx-zoo`: what of ONNX works, counted.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::peers::environment;
use crate::{checkout, run, setup};

/// Runs the ONNX project's test cases of single nodes.
pub(crate) fn backend() -> Result<ExitCode> {
    let folder = checkout::cache()?.join("onnx-backend");
    let rows = verified("backend", &folder, &[])?;
    let table = backend_table(&rows);
    print!("{table}");
    write("backend.md", &table)?;
    let has_failed = rows.iter().any(|row| row["status"] == "failed");
    Ok(if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Exports networks and compares them; with names only some of them, and no file is written.
pub(crate) fn zoo(names: &[String]) -> Result<ExitCode> {
    let folder = checkout::cache()?.join("onnx-zoo");
    let rows = verified("zoo", &folder, names)?;
    let table = zoo_table(&rows);
    print!("{table}");
    if names.is_empty() {
        write("zoo.md", &table)?;
        let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
        write("zoo.jsonl", &(lines.join("\n") + "\n"))?;
    }
    let is_good = |row: &Value| {
        let is_known = EXCEPTIONS.iter().any(|(name, _)| row["name"] == *name);
        row["reason"].is_string() || is_equal_within(row, if is_known { 1.1 } else { 1.0 })
    };
    Ok(if rows.iter().all(is_good) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Makes the cases with Python and looks at them with the example `verify`: its lines.
fn verified(what: &str, folder: &Path, names: &[String]) -> Result<Vec<Value>> {
    setup::set_up(&[])?;
    let python = environment::onnx_python()?;
    let script = checkout::root().join("xtask/onnx").join(match what {
        "backend" => "backend.py",
        _ => "export.py",
    });
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let status = Command::new(&python)
        .arg(script)
        .arg(folder)
        .args(names)
        .env("CAMBENCH_CACHE", checkout::cache()?)
        .stdin(Stdio::null())
        .status();
    ensure!(status.context("starting Python")?.success(), "the cases could not be made");
    let output = Command::new(run::build_example("verify")?)
        .arg(what)
        .arg(folder)
        .args(names)
        .stderr(Stdio::inherit())
        .output()
        .context("starting verify")?;
    ensure!(output.status.success(), "verify failed");
    let lines = String::from_utf8(output.stdout)?;
    Ok(lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

/// Writes a file of `results/onnx`.
pub(crate) fn write(name: &str, text: &str) -> Result<()> {
    let folder = checkout::root().join("results/onnx");
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
}

/// How many cases of every operator pass; why others do not.
fn backend_table(rows: &[Value]) -> String {
    let mut operators: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut total = [0; 3];
    let mut n_others = 0;
    for row in rows {
        let place = match row["status"].as_str() {
            Some("passed") => 0,
            Some("unsupported") => 1,
            Some("failed") => 2,
            _ => {
                n_others += 1;
                continue;
            }
        };
        total[place] += 1;
        let names = row["operators"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for name in names.filter(|name| *name != "Constant") {
            operators.entry(name).or_default()[place] += 1;
        }
        if place > 0 {
            let reason = row["reason"].as_str().unwrap_or_default();
            // What stands before the last colon says where.
            let reason = reason.rsplit(": ").next().unwrap_or(reason);
            *reasons.entry(reason.to_owned()).or_default() += 1;
        }
    }
    let [passed, unsupported, failed] = total;
    let mut text = format!(
        "# The ONNX project's test cases of single nodes\n\nMade by `cargo xtask onnx-backend` from the package `onnx` of \
         `xtask/onnx/requirements.txt`. {passed} cases pass, {unsupported} ask for something that is refused by name, \
         {failed} fail; {n_others} are of operators that are not supported. A case of several operators counts for each.\n\n\
         | Operator | passed | refused | failed |\n| --- | --- | --- | --- |\n"
    );
    for (operator, [passed, unsupported, failed]) in operators {
        let _ = writeln!(text, "| {operator} | {passed} | {unsupported} | {failed} |");
    }
    text.push_str("\nRefused or failed, and why:\n\n| cases | reason |\n| --- | --- |\n");
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(reason, n)| (std::cmp::Reverse(*n), reason.clone()));
    for (reason, n) in reasons {
        let _ = writeln!(text, "| {n} | {} |", reason.replace('|', "\\|"));
    }
    text
}

/// The largest difference that counts as equal, relative to the largest number.
const EQUAL: f64 = 1e-4;

/// Exports that are known to be further off, and why.
const EXCEPTIONS: [(&str, &str); 1] = [(
    "mobilenet_v2.dynamo",
    "its gradient lies 5 % beyond what the one small change of the image moves PyTorch's own by; the same network traced lies \
     within",
)];

/// Whether all numbers of a network agree. A gradient may differ as far as a small change of the image moves PyTorch's own,
/// for every layer rounds.
fn is_equal(row: &Value) -> bool {
    is_equal_within(row, 1.0)
}

/// The same, a gradient being so many times as far off.
fn is_equal_within(row: &Value, times: f64) -> bool {
    let kinks = row["kinks"].as_f64().unwrap_or(0.0);
    let is_below = |key: &str, most: f64| row[key].as_f64().is_none_or(|off| off < most);
    row["logits"].is_number()
        && ["logits", "cut_logits", "batch_logits"].iter().all(|key| is_below(key, EQUAL))
        && is_below("gradient", EQUAL.max(times * kinks))
}

fn zoo_table(rows: &[Value]) -> String {
    let exported = rows.iter().filter(|row| row["reason"].is_null()).count();
    let equal = rows.iter().filter(|row| is_equal(row)).count();
    let families: std::collections::BTreeSet<&str> = rows
        .iter()
        .filter(|row| is_equal(row))
        .filter_map(|row| row["name"].as_str()?.split('.').next())
        .collect();
    let mut text = format!(
        "# Exported networks\n\nMade by `cargo xtask onnx-zoo`: networks of torchvision and timm with seeded weights \
         (EfficientNet-Lite0 with its real ones), exported with PyTorch. {equal} of {exported} exports, of {} networks, give \
         ONNX Runtime's logits within {EQUAL:e} of the largest number, and PyTorch's gradients in double precision of a logit \
         in the image. `kinks` is how far the latter move, at a ReLU near zero or a maximum of near equals, when every pixel \
         moves by a hundred-thousandth; gradients count as given up to that, or {EQUAL:e} if it is more. \
         `batch` are the logits of five images at a time, `cut` those through the default layer, whose activations are given \
         with the class and register tokens beside them. `one` after a name means an export for a single image. Not counted, and known: {}.\n\n\
         ## Exports\n\n\
         | Export | opset | logits | cut | batch | gradient | kinks | default layer | cuts | pooled linear head |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        families.len(),
        EXCEPTIONS.map(|(name, why)| format!("{name} ({why})")).join("; ")
    );
    for row in rows {
        let off =
            |key: &str| row[key].as_f64().map_or("–".to_owned(), |off| format!("{off:.0e}"));
        let name = row["name"].as_str().unwrap_or_default();
        if let Some(reason) = row["reason"].as_str().or(row["error"].as_str()) {
            let _ = writeln!(
                text,
                "| {name} | {} | {} | | | | | | | |",
                row["opset"],
                reason.replace('|', "\\|")
            );
            continue;
        }
        let shape = row["shape"].as_array().map_or(String::new(), |shape| {
            let sides: Vec<String> = shape.iter().map(ToString::to_string).collect();
            format!(" {}", sides.join("×"))
        });
        let tokens = row["tokens"].as_u64().filter(|tokens| *tokens > 0);
        let shape = tokens.map_or_else(|| shape.clone(), |tokens| format!("{shape} + {tokens}"));
        let layer =
            row["layer"].as_str().map_or("–".to_owned(), |layer| format!("`{layer}`{shape}"));
        let pooled = if row["pooled_linear"] == true { "yes" } else { "no" };
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} | {} | {} | {} | {layer} | {} | {pooled} |",
            row["opset"],
            off("logits"),
            off("cut_logits"),
            off("batch_logits"),
            off("gradient"),
            off("kinks"),
            row["cuts"]
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cases_are_counted_for_each_of_their_operators() {
        let rows = [
            json!({ "operators": ["Add", "Relu"], "status": "passed", "reason": "" }),
            json!({ "operators": ["Add"], "status": "unsupported", "reason": "node `y` (Add): wrong | bad" }),
            json!({ "operators": ["If"], "status": "other operators", "reason": "If" }),
        ];
        let table = backend_table(&rows);
        assert!(table.contains("1 cases pass, 1 ask"), "{table}");
        assert!(table.contains("| Add | 1 | 1 | 0 |\n| Relu | 1 | 0 | 0 |"), "{table}");
        assert!(table.contains("| 1 | wrong \\| bad |"), "{table}");
        assert!(!table.contains("| If |"), "{table}");
    }

    #[test]
    fn an_export_is_equal_where_all_its_numbers_are() {
        assert!(is_equal(&json!({ "logits": 1e-6, "gradient": null })));
        assert!(!is_equal(&json!({ "logits": 1e-6, "gradient": 1e-3 })));
        assert!(is_equal(&json!({ "logits": 1e-6, "gradient": 1e-3, "kinks": 2e-3 })));
        assert!(!is_equal(&json!({ "logits": 1e-3, "gradient": 1e-3, "kinks": 1e-3 })));
        assert!(!is_equal(&json!({ "error": "no" })));
    }
}
