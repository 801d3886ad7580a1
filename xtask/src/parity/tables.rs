//! What the documents say of parity, made of the figures that are committed.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::{CASES, FIGURES, VECTORS, oracles};

/// One comparison with what was measured.
struct Figure {
    case: Value,
    version: String,
    agrees: bool,
    deviation: f64,
}

impl Figure {
    fn text(&self, key: &str) -> &str {
        self.case[key].as_str().unwrap_or_default()
    }

    /// The package with its version, or where the formula is from.
    fn source(&self) -> String {
        match (self.text("peer"), self.version.as_str()) {
            ("formula", _) => format!("re-stated: {}", self.text("what")),
            ("grad-cam", version) => format!("pytorch-grad-cam {version}: {}", self.text("what")),
            (peer, version) => format!("{peer} {version}: {}", self.text("what")),
        }
    }
}

/// The table of that name; `listed` are the rows of `cambench list methods` and `list metrics`.
pub(crate) fn table(root: &Path, name: &str, listed: &[serde_json::Map<String, Value>]) -> Result<String> {
    let figures = figures(root)?;
    match name {
        "methods" | "metrics" => agreement(root, listed, &figures),
        "differences" => Ok(differences(&figures)),
        "shown" => shown(root),
        _ => bail!("`parity {name}` is neither methods, metrics, differences nor shown"),
    }
}

fn figures(root: &Path) -> Result<Vec<Figure>> {
    let read = |path: &str| fs::read_to_string(root.join(path)).with_context(|| format!("reading {path}"));
    let cases: Vec<Value> = serde_json::from_str(&read(CASES)?).with_context(|| CASES.to_owned())?;
    let text = read(FIGURES)?;
    let lines: Vec<&str> = text.lines().skip(1).collect();
    ensure!(lines.len() == cases.len(), "{FIGURES} has other cases than {CASES}; run `cargo xtask parity`");
    cases
        .into_iter()
        .zip(lines)
        .map(|(case, line)| {
            let fields: Vec<&str> = line.split(',').collect();
            ensure!(
                fields.len() == 9 && Some(fields[0]) == case["id"].as_str(),
                "{FIGURES}: `{line}` is not of the case {}; run `cargo xtask parity`",
                case["id"]
            );
            Ok(Figure {
                case,
                version: fields[4].to_owned(),
                agrees: fields[7] == "true",
                deviation: fields[8].parse().with_context(|| format!("{FIGURES}: `{line}`"))?,
            })
        })
        .collect()
}

/// Every method or metric with its oracles, its references and the largest deviation from those that it agrees with.
fn agreement(
    root: &Path,
    listed: &[serde_json::Map<String, Value>],
    figures: &[Figure],
) -> Result<String> {
    let mut table =
        "| Name | Oracles | Compared with | Largest deviation |\n| --- | --- | --- | ---: |\n".to_owned();
    for row in listed {
        let name = row.get("name").and_then(Value::as_str).context("a row without a name")?;
        if name == "imported" {
            continue;
        }
        let agreeing: Vec<&Figure> = figures
            .iter()
            .filter(|figure| figure.text("of") == name && figure.agrees)
            .collect();
        let sources: Vec<String> = agreeing.iter().map(|figure| figure.source()).collect();
        let deviation = agreeing
            .iter()
            .map(|figure| figure.deviation)
            .max_by(f64::total_cmp)
            .map_or_else(|| "–".to_owned(), number);
        let oracles = oracles::of(root, name)?.join("; ");
        table += &format!("| {name} | {oracles} | {} | {deviation} |\n", sources.join("; "));
    }
    Ok(table)
}

/// Where ours is not meant to agree.
fn differences(figures: &[Figure]) -> String {
    let mut table = "| Name | Not as | Deviation | Because |\n| --- | --- | ---: | --- |\n".to_owned();
    for figure in figures.iter().filter(|figure| !figure.agrees) {
        let (name, source, why) = (figure.text("of"), figure.source(), figure.text("differs"));
        table += &format!("| {name} | {source} | {} | {why} |\n", number(figure.deviation));
    }
    table
}

/// What was shown about other packages by running them.
fn shown(root: &Path) -> Result<String> {
    let text = fs::read_to_string(root.join(VECTORS)).with_context(|| format!("reading {VECTORS}"))?;
    let vectors: Value = serde_json::from_str(&text).with_context(|| VECTORS.to_owned())?;
    let mut table = "| What | Shown |\n| --- | --- |\n".to_owned();
    for row in vectors["shown"].as_array().context("nothing is shown")? {
        let text = |key: &str| row[key].as_str().unwrap_or_default();
        table += &format!("| {} | {} |\n", text("about"), text("shown"));
    }
    Ok(table)
}

/// Two digits that count.
fn number(value: f64) -> String {
    if value == 0.0 { "0".to_owned() } else { format!("{value:.1e}") }
}
