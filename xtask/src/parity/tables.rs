//! What the documents say of parity, made of the figures that are committed.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Map, Value};

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

/// A row of `cambench list`.
type Row = Map<String, Value>;

/// The table of that name; `listed` are the rows of `cambench list methods` or `metrics`, `protocols` those of `list
/// protocols`.
pub(crate) fn table(root: &Path, name: &str, listed: &[Row], protocols: &[Row]) -> Result<String> {
    let figures = figures(root)?;
    match name {
        "methods" | "metrics" => agreement(root, listed, protocols, &figures),
        "differences" => Ok(differences(&figures)),
        "shown" => shown(root),
        _ => bail!("`parity {name}` is neither methods, metrics, differences nor shown"),
    }
}

fn figures(root: &Path) -> Result<Vec<Figure>> {
    let read =
        |path: &str| fs::read_to_string(root.join(path)).with_context(|| format!("reading {path}"));
    let cases: Vec<Value> =
        serde_json::from_str(&read(CASES)?).with_context(|| CASES.to_owned())?;
    let text = read(FIGURES)?;
    let lines: Vec<&str> = text.lines().skip(1).collect();
    ensure!(
        lines.len() == cases.len(),
        "{FIGURES} has other cases than {CASES}; run `cargo xtask parity`"
    );
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

/// Every method or metric with its protocols, oracles and references, and the largest deviation from those references.
fn agreement(root: &Path, listed: &[Row], protocols: &[Row], figures: &[Figure]) -> Result<String> {
    let mut table = "| Name | Protocols | Oracles | Compared with | Largest deviation |\n\
                     | --- | --- | --- | --- | ---: |\n"
        .to_owned();
    for row in listed {
        let name = text(row, "name");
        if name == "imported" {
            continue;
        }
        let agreeing: Vec<&Figure> =
            figures.iter().filter(|figure| figure.text("of") == name && figure.agrees).collect();
        let mut sources: Vec<String> = agreeing.iter().map(|figure| figure.source()).collect();
        sources.dedup();
        let deviation = agreeing.iter().map(|figure| figure.deviation).max_by(f64::total_cmp);
        let cells = [
            name.to_owned(),
            settings(name, protocols),
            oracles::of(root, name)?.join("; "),
            sources.join("; "),
            deviation.map_or_else(|| "–".to_owned(), number),
        ];
        let _ = writeln!(table, "| {} |", cells.join(" | "));
    }
    Ok(table)
}

/// The protocols that set a method or metric in their own way, beside `corrected`, which is the defaults.
fn settings(name: &str, protocols: &[Row]) -> String {
    let own = protocols.iter().filter_map(|protocol| {
        let settings = text(protocol, "settings").split("; ");
        let options = settings.filter_map(|entry| entry.strip_prefix(name)?.strip_prefix(' '));
        let options: Vec<&str> = options.collect();
        (!options.is_empty()).then(|| format!("{} {}", text(protocol, "name"), options.join(" ")))
    });
    ["corrected".to_owned()].into_iter().chain(own).collect::<Vec<_>>().join("; ")
}

fn text<'a>(row: &'a Row, key: &str) -> &'a str {
    row.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Where ours is not meant to agree.
fn differences(figures: &[Figure]) -> String {
    let mut table =
        "| Name | Not as | Deviation | Because |\n| --- | --- | ---: | --- |\n".to_owned();
    for figure in figures.iter().filter(|figure| !figure.agrees) {
        let (name, source, why) = (figure.text("of"), figure.source(), figure.text("differs"));
        let _ = writeln!(table, "| {name} | {source} | {} | {why} |", number(figure.deviation));
    }
    table
}

/// What was shown about other packages by running them.
fn shown(root: &Path) -> Result<String> {
    let text =
        fs::read_to_string(root.join(VECTORS)).with_context(|| format!("reading {VECTORS}"))?;
    let vectors: Value = serde_json::from_str(&text).with_context(|| VECTORS.to_owned())?;
    let mut table = "| What | Shown |\n| --- | --- |\n".to_owned();
    for row in vectors["shown"].as_array().context("nothing is shown")? {
        let text = |key: &str| row[key].as_str().unwrap_or_default();
        let _ = writeln!(table, "| {} | {} |", text("about"), text("shown"));
    }
    Ok(table)
}

/// Two digits that count.
fn number(value: f64) -> String {
    if value == 0.0 { "0".to_owned() } else { format!("{value:.1e}") }
}
