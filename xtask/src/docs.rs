//! `cargo xtask docs`: the tables in the Markdown files, written from what the binary lists and from runs' reports.
//!
//! A table stands between two lines, each on its own:
//!
//! ```text
//! <!-- begin generated: list methods -->
//! <!-- end generated: list methods -->
//! ```
//!
//! `list NAME` is what `cambench list NAME` says; `results PATH#HEADING` is the first table of the report at PATH (below that
//! heading); `conclusions PATH` is what that report says can be concluded; `parity NAME` is what `cargo xtask parity` found.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Map, Value};

use crate::{checkout, parity, run, setup};

/// The files that may have generated parts.
const FILES: [&str; 4] = ["README.md", "ARCHITECTURE.md", "METHODOLOGY.md", "CONTRIBUTING.md"];

/// Writes the tables; with `check` only says which files would change, and fails if one would.
pub(crate) fn command(check: bool) -> Result<ExitCode> {
    setup::set_up(&[])?;
    let binary = run::build()?;
    let root = checkout::root();
    let generate = |what: &str| match what.split_once(' ') {
        Some(("list", name)) => list(&binary, name),
        Some(("results", path)) => results(&root, path),
        Some(("conclusions", path)) => conclusions(&root, path),
        Some(("parity", name)) => {
            let listed = if name == "metrics" { name } else { "methods" };
            parity::table(&root, name, &rows(&binary, listed)?, &rows(&binary, "protocols")?)
        }
        _ => bail!(
            "`{what}` is neither `list NAME`, `parity NAME`, `results PATH` nor `conclusions PATH`"
        ),
    };
    let mut is_current = true;
    for file in FILES {
        let path = root.join(file);
        let text =
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let new = splice(&text, generate).with_context(|| path.display().to_string())?;
        if new == text {
            continue;
        }
        is_current = false;
        if check {
            eprintln!("{file} is out of date; run `cargo xtask docs`");
        } else {
            fs::write(&path, new).with_context(|| format!("writing {}", path.display()))?;
            eprintln!("{file} written");
        }
    }
    Ok(if is_current || !check { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Replaces what stands between each pair of markers by what `generate` makes of the markers' words.
fn splice(text: &str, mut generate: impl FnMut(&str) -> Result<String>) -> Result<String> {
    let mut new = String::new();
    let mut lines = text.lines().enumerate();
    while let Some((i, line)) = lines.next() {
        new.push_str(line);
        new.push('\n');
        let Some(what) = marker(line, "begin") else { continue };
        let end = lines
            .by_ref()
            .map(|(_, line)| line)
            .find(|line| marker(line, "begin").is_some() || marker(line, "end").is_some())
            .filter(|line| marker(line, "end") == Some(what));
        let end = end.with_context(|| format!("line {}: `{what}` begins and has no end", i + 1))?;
        let generated = generate(what).with_context(|| format!("line {}: `{what}`", i + 1))?;
        // The empty lines are part of it: Markdown ends an HTML comment's block only there.
        new.extend(["\n", generated.trim_end(), "\n\n", end, "\n"]);
    }
    Ok(new)
}

/// The words of a marker line.
fn marker<'a>(line: &'a str, kind: &str) -> Option<&'a str> {
    line.trim()
        .strip_prefix("<!-- ")?
        .strip_prefix(kind)?
        .strip_prefix(" generated: ")?
        .strip_suffix(" -->")
}

/// The table of `cambench list NAME`.
fn list(binary: &Path, name: &str) -> Result<String> {
    table(&rows(binary, name)?)
}

/// The rows of `cambench list NAME`.
fn rows(binary: &Path, name: &str) -> Result<Vec<Map<String, Value>>> {
    let output = Command::new(binary)
        .args(["list", name, "--json"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("starting {}", binary.display()))?;
    ensure!(output.status.success(), "`cambench list {name} --json` failed");
    serde_json::from_slice(&output.stdout).with_context(|| {
        format!("reading `cambench list {name} --json`, which must be an array of objects")
    })
}

/// A Markdown table with a column for each key, in the first row's order.
fn table(rows: &[Map<String, Value>]) -> Result<String> {
    let keys: Vec<&String> = rows.first().context("nothing is listed")?.keys().collect();
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut table = line(keys.iter().map(|key| heading(key)).collect());
    table.push_str(&line(vec!["---".to_owned(); keys.len()]));
    for row in rows {
        ensure!(
            row.keys().eq(keys.iter().copied()),
            "one row has other keys than the first: {row:?}"
        );
        table.push_str(&line(row.values().map(cell).collect()));
    }
    Ok(table)
}

fn heading(key: &str) -> String {
    let words = key.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(is_so) => (if *is_so { "yes" } else { "no" }).to_owned(),
        Value::String(text) => text.replace('|', "\\|").replace('\n', " "),
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

/// The first table of a report, below its first `## ` heading, with a line that says where it is from.
fn results(root: &Path, path: &str) -> Result<String> {
    let (path, heading) = path.split_once('#').unwrap_or((path, ""));
    let report = fs::read_to_string(root.join(path)).with_context(|| format!("reading {path}"))?;
    let table = first_table(&report, heading)
        .with_context(|| format!("{path} has no table below a heading `## {heading}`"))?;
    Ok(format!("From [`{path}`]({path}):\n\n{table}"))
}

/// The sentences of a report on what can be concluded.
fn conclusions(root: &Path, path: &str) -> Result<String> {
    let report = fs::read_to_string(root.join(path)).with_context(|| format!("reading {path}"))?;
    first_block(&report, "What can be concluded", "- ")
        .with_context(|| format!("{path} does not say what can be concluded"))
}

fn first_table(report: &str, heading: &str) -> Option<String> {
    first_block(report, heading, "|")
}

/// The first lines that all begin alike, below the first heading that begins so.
fn first_block(report: &str, heading: &str, beginning: &str) -> Option<String> {
    let heading = format!("## {heading}");
    let lines = report.lines().skip_while(|line| !line.starts_with(&heading));
    let block: Vec<&str> = lines
        .skip_while(|line| !line.starts_with(beginning))
        .take_while(|line| line.trim_start().starts_with(beginning))
        .collect();
    (!block.is_empty()).then(|| block.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Title\n<!-- begin generated: list methods -->\nold\n<!-- end generated: list methods -->\nend\n";

    #[test]
    fn what_is_between_the_markers_is_replaced_and_nothing_else() {
        let new = splice(TEXT, |what| Ok(format!("<{what}>\n"))).unwrap();
        assert_eq!(
            new,
            "# Title\n<!-- begin generated: list methods -->\n\n<list methods>\n\n\
             <!-- end generated: list methods -->\nend\n"
        );
        assert_eq!(splice(&new, |what| Ok(format!("<{what}>\n"))).unwrap(), new);
    }

    #[test]
    fn text_without_markers_stays_as_it_is() {
        let text = "a\n\n`<!-- begin generated: x -->` in a sentence\n";
        assert_eq!(splice(text, |_| bail!("not asked")).unwrap(), text);
    }

    #[test]
    fn a_marker_without_its_end_is_an_error_with_its_line() {
        for text in [
            "a\n<!-- begin generated: list x -->\n",
            "a\n<!-- begin generated: list x -->\n<!-- end generated: list y -->\n",
            "a\n<!-- begin generated: list x -->\n<!-- begin generated: list x -->\n<!-- end generated: list x -->\n",
        ] {
            let error = splice(text, |_| Ok(String::new())).unwrap_err().to_string();
            assert_eq!(error, "line 2: `list x` begins and has no end");
        }
    }

    #[test]
    fn rows_become_a_table_in_their_keys_order() {
        let rows: Vec<Map<String, Value>> = serde_json::from_str(
            r#"[{"name": "rise", "top_1": 75.1, "needs": ["a", "b"], "ok": true, "note": "x|y"},
                {"name": "cam", "top_1": null, "needs": [], "ok": false, "note": ""}]"#,
        )
        .unwrap();
        assert_eq!(
            table(&rows).unwrap(),
            "| Name | Top 1 | Needs | Ok | Note |\n| --- | --- | --- | --- | --- |\n\
             | rise | 75.1 | a, b | yes | x\\|y |\n| cam |  |  | no |  |\n"
        );
        assert!(table(&[]).is_err());
        let uneven: Vec<Map<String, Value>> =
            serde_json::from_str(r#"[{"a": 1}, {"b": 1}]"#).unwrap();
        assert!(table(&uneven).unwrap_err().to_string().contains("other keys"));
    }

    #[test]
    fn a_reports_first_table_is_the_one_below_a_heading_or_below_the_named_one() {
        let root = tempfile::tempdir().unwrap();
        let report = "# Run\n\n| a |\n\n## Scores\n\ntext\n\n| b |\n| - |\n| 1 |\n\n| c |\n";
        fs::write(root.path().join("report.md"), report).unwrap();
        let text = results(root.path(), "report.md").unwrap();
        assert_eq!(text, "From [`report.md`](report.md):\n\n| b |\n| - |\n| 1 |");
        assert!(results(root.path(), "other.md").is_err());
        fs::write(root.path().join("two.md"), format!("{report}\n## The rest\n\n| d |\n")).unwrap();
        let text = results(root.path(), "two.md#The rest").unwrap();
        assert_eq!(text, "From [`two.md`](two.md):\n\n| d |");
        assert!(results(root.path(), "two.md#None").is_err());
        assert_eq!(first_table("| a |\n", ""), None);
    }

    #[test]
    fn what_a_report_concludes_is_its_list_of_sentences() {
        let root = tempfile::tempdir().unwrap();
        let report =
            "# Run\n\n- no\n\n## What can be concluded\n\n- one\n  - two\n\ntext\n\n- no\n";
        fs::write(root.path().join("report.md"), report).unwrap();
        assert_eq!(conclusions(root.path(), "report.md").unwrap(), "- one\n  - two");
        fs::write(root.path().join("silent.md"), "# Run\n\n- no\n").unwrap();
        assert!(conclusions(root.path(), "silent.md").is_err());
    }
}
