//! `report.tex`: tables for a paper, one per model, and the same as Markdown for a README.

use std::fmt::Write as _;

use crate::{
    Cell, MethodEntry, ModelEntry, Preset, RunManifest, Summary,
    beside::{self, Section, Table},
    preset::{Column, Group, grouped},
    report::{self, cells_of, label},
};

/// So wide a table spans both columns of a paper; what is wider is continued below. In TeX's points.
const WIDTH: usize = 500;

/// A letter of the size that tables have, and the space around a column.
const LETTER: usize = 4;
const SPACE: usize = 7;

/// So many rows fill a page; further models have a table of their own.
const ROWS: usize = 45;

/// A model with its rows.
type ModelRows<'a> = (&'a ModelEntry, Vec<(&'a MethodEntry, &'a Cell)>);

/// A table as LaTeX, grouped by model, to be included in a document that loads `booktabs` and `graphicx`; of many metrics
/// a table for each family.
///
/// The best value of a column is bold and the second underlined only where the paired test, corrected for the whole
/// table, separates it from all other methods that follow in its model, controls aside. What is wider than the text is scaled to it; many columns are
/// continued below, many models in further tables.
pub fn table_tex(manifest: &RunManifest, summary: &Summary, preset: Preset) -> String {
    let models: Vec<ModelRows<'_>> = manifest
        .models
        .iter()
        .map(|model| (model, cells_of(manifest, summary, &model.name).collect()))
        .collect();
    let all: Vec<(&MethodEntry, &Cell)> =
        models.iter().flat_map(|(_, rows)| rows.iter().copied()).collect();
    let columns = preset.columns_of(manifest, summary, &all);
    let mut tex = format!(
        "% Made by cambench {} from the records of {}. Needs \\usepackage{{booktabs,graphicx}}.\n",
        escape(&manifest.cambench),
        escape(&manifest.sweep),
    );
    for Group { title, columns } in grouped(columns) {
        let mut caption = caption(manifest, summary, &all, preset);
        let mut name = slug(&manifest.sweep);
        if let Some(title) = title {
            caption = format!("{}. {caption}", escape(title));
            name = format!("{name}-{}", slug(&title.to_lowercase()));
        }
        let parts = side_by_side(&columns, &all);
        for (i, models) in paged(&models, ROWS / parts.len()).into_iter().enumerate() {
            let (caption, name) = match i {
                0 => (caption.clone(), name.clone()),
                _ => (
                    format!("Continued from table~\\ref{{tab:{name}}}."),
                    format!("{name}-{}", i + 1),
                ),
            };
            let of_columns = |columns: &&[Column]| {
                let has_names = manifest.models.len() > 1;
                scores(summary, models, columns, preset, has_names)
            };
            let tabulars: Vec<String> = parts.iter().map(of_columns).collect();
            tex.push_str(&floating(&caption, &name, &tabulars.join("\n\\smallskip\n\n")));
        }
    }
    tex
}

/// The models of each table of at most so many rows; of at least one model.
fn paged<'a, 'b>(models: &'b [ModelRows<'a>], most: usize) -> Vec<&'b [ModelRows<'a>]> {
    let mut tables = vec![];
    let (mut start, mut n_rows) = (0, 0);
    for (i, (_, rows)) in models.iter().enumerate() {
        n_rows += rows.len() + 1;
        if n_rows > most && i > start {
            tables.push(&models[start..i]);
            (start, n_rows) = (i, rows.len() + 1);
        }
    }
    tables.push(&models[start..]);
    tables
}

/// The columns of each part of a table that is too wide for one.
fn side_by_side<'a>(columns: &'a [Column], rows: &[(&MethodEntry, &Cell)]) -> Vec<&'a [Column]> {
    let names = rows.iter().map(|(method, _)| label(method).chars().count()).max();
    let fixed = LETTER * (names.unwrap_or(0) + "10000".len()) + 2 * SPACE;
    let mut parts = vec![];
    let (mut start, mut width) = (0, fixed);
    for (i, column) in columns.iter().enumerate() {
        let own = LETTER * column.heading.chars().count().max("57.1 ± 7.0".len()) + SPACE;
        if width + own > WIDTH && i > start {
            parts.push(&columns[start..i]);
            (start, width) = (i, fixed);
        }
        width += own;
    }
    parts.push(&columns[start..]);
    parts
}

/// Some columns of some models.
fn scores(
    summary: &Summary,
    models: &[ModelRows<'_>],
    columns: &[Column],
    preset: Preset,
    has_names: bool,
) -> String {
    let mut head = vec!["Method".to_owned()];
    head.extend(columns.iter().map(|column| escape(&column.heading)));
    head.push("$n$".into());
    let mut body = String::new();
    for (model, rows) in models {
        body.push_str("\\midrule\n");
        if has_names {
            body.push_str(&spanning(&model.name, head.len()));
        }
        // Those that know nothing of the network come last.
        let (controls, methods): (Vec<_>, Vec<_>) =
            rows.iter().partition(|(method, _)| method.is_control());
        for (method, cell) in methods.into_iter().chain(controls) {
            let mut line = vec![escape(&label(method))];
            line.extend(
                columns.iter().map(|column| value(summary, model, method, cell, column, preset)),
            );
            line.push(cell.n.to_string());
            if method.is_control() {
                line[0] = format!("\\textit{{{}}}", line[0]);
            }
            let _ = writeln!(body, "{} \\\\", line.join(" & "));
        }
    }
    tabular(&head, &body)
}

/// A table that floats; the caption and what it holds are LaTeX.
fn floating(caption: &str, name: &str, held: &str) -> String {
    format!(
        "\\begin{{table*}}[t]\n\\centering\n\\caption{{{caption}}}\n\\label{{tab:{name}}}\n\\footnotesize\n\
         \\setlength{{\\tabcolsep}}{{3.5pt}}\n{held}\\end{{table*}}\n",
    )
}

/// Rows of LaTeX under a head of LaTeX, scaled to the text where they are wider.
fn tabular(head: &[String], rows: &str) -> String {
    format!(
        "\\resizebox{{\\ifdim\\width>\\textwidth\\textwidth\\else\\width\\fi}}{{!}}{{%\n\
         \\begin{{tabular}}{{l{}}}\n\\toprule\n{} \\\\\n{rows}\\bottomrule\n\\end{{tabular}}}}\n",
        "r".repeat(head.len() - 1),
        head.join(" & "),
    )
}

/// A row that says of what those below it are.
fn spanning(title: &str, n_columns: usize) -> String {
    format!("\\multicolumn{{{n_columns}}}{{l}}{{\\textit{{{}}}}} \\\\\n", escape(title))
}

/// `report.tex`: everything that was measured, then a table each of what stands beside it.
pub fn report_tex(manifest: &RunManifest, summary: &Summary) -> String {
    let mut tex = table_tex(manifest, summary, Preset::All);
    for section in beside::sections(manifest, summary) {
        section_tex(&mut tex, manifest, &section);
    }
    tex
}

/// A section: one table for all models whose columns are the same. Remarks stand below the last.
fn section_tex(tex: &mut String, manifest: &RunManifest, section: &Section) {
    let escaped = |cells: &[String]| cells.iter().map(|cell| escape(cell)).collect::<Vec<_>>();
    let tables: Vec<&[Table]> = section.tables.chunk_by(|a, b| a.head == b.head).collect();
    for (i, parts) in tables.iter().enumerate() {
        let stop = if section.title.ends_with('?') { "" } else { "." };
        let caption = escape(&format!("{}{stop} {}", section.title, section.note));
        let number = if i == 0 { String::new() } else { format!("-{}", i + 1) };
        let name = format!("{}-{}{number}", slug(&manifest.sweep), section.name);
        let mut body = String::new();
        for Table { title, head, rows } in *parts {
            body.push_str("\\midrule\n");
            if let Some(title) = title {
                body.push_str(&spanning(title, head.len()));
            }
            for cells in rows {
                let _ = writeln!(body, "{} \\\\", escaped(cells).join(" & "));
            }
        }
        let mut held = tabular(&escaped(&parts[0].head), &body);
        let remarks = if i + 1 == tables.len() { &section.remarks[..] } else { &[] };
        for (number, remark) in remarks.iter().enumerate() {
            let remark = escape(remark);
            let _ =
                writeln!(held, "\n\\smallskip\\parbox{{\\textwidth}}{{{}. {remark}}}", number + 1);
        }
        tex.push_str(&floating(&caption, &name, &held));
    }
}

/// The same table as Markdown: all models in one, a line of what it is of before it.
pub fn table_md(manifest: &RunManifest, summary: &Summary, preset: Preset) -> String {
    let columns = preset.columns(manifest, summary);
    let has_models = manifest.models.len() > 1;
    let mut head: Vec<String> = if has_models { vec!["Model".into()] } else { vec![] };
    head.push("Method".into());
    head.extend(columns.iter().map(|column| column.heading.clone()));
    head.push("n".into());
    let mut md = format!(
        "{}, class explained: {}. {} Bold: better than every other method of its model by the paired test, controls aside.\n\n",
        report::escape(&manifest.dataset.name),
        manifest.target,
        preset.unit(if summary.by_class { "classes" } else { "images" })
    );
    let mut line = |cells: &[String]| {
        let _ = writeln!(md, "| {} |", cells.join(" | "));
    };
    line(&head);
    line(&vec!["---".to_owned(); head.len()]);
    for model in &manifest.models {
        for (method, cell) in cells_of(manifest, summary, &model.name) {
            let mut cells = if has_models { vec![report::escape(&model.name)] } else { vec![] };
            cells.push(report::escape(&label(method)));
            cells.extend(columns.iter().map(|column| {
                let Some(estimate) = column.estimate(cell) else { return "–".into() };
                let number = preset.number(estimate.mean);
                let number = match rank(summary, model, method, column) {
                    Some(Rank::First) => format!("**{number}**"),
                    _ => number,
                };
                preset.half(&estimate).map_or(number.clone(), |half| format!("{number} ± {half}"))
            }));
            cells.push(cell.n.to_string());
            line(&cells);
        }
    }
    md
}

enum Rank {
    First,
    Second,
}

/// Whether a method stands out in a column.
fn rank(
    summary: &Summary,
    model: &ModelEntry,
    method: &MethodEntry,
    column: &Column,
) -> Option<Rank> {
    let contrast = column.contrast(summary, &model.name)?;
    let is_it = |place: Option<usize>| place.is_some_and(|i| contrast.items[i].name == method.name);
    if is_it(contrast.first()) {
        Some(Rank::First)
    } else {
        is_it(contrast.second()).then_some(Rank::Second)
    }
}

fn value(
    summary: &Summary,
    model: &ModelEntry,
    method: &MethodEntry,
    cell: &Cell,
    column: &Column,
    preset: Preset,
) -> String {
    let Some(estimate) = column.estimate(cell) else { return "--".into() };
    let number = preset.number(estimate.mean);
    let number = match rank(summary, model, method, column) {
        Some(Rank::First) => format!("\\textbf{{{number}}}"),
        Some(Rank::Second) => format!("\\underline{{{number}}}"),
        None => number,
    };
    preset
        .half(&estimate)
        .map_or(number.clone(), |half| format!("{number}{{\\tiny\\,$\\pm$\\,{half}}}"))
}

fn caption(
    manifest: &RunManifest,
    summary: &Summary,
    rows: &[(&MethodEntry, &Cell)],
    preset: Preset,
) -> String {
    let n = |of: fn(usize, usize) -> usize| {
        rows.iter().map(|(_, cell)| cell.n).reduce(of).unwrap_or_default()
    };
    let (least, most) = (n(usize::min), n(usize::max));
    let images = if least == most {
        report::counted(most, "image")
    } else {
        format!("{least} to {most} images (column n)")
    };
    let models: Vec<String> = manifest
        .models
        .iter()
        .map(|model| {
            let ModelEntry { layer, weights, precision, .. } = model;
            format!("{} at {layer} ({}, {precision})", model.network(), weights.source)
        })
        .collect();
    let versions: Vec<String> =
        manifest.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let units = summary.units();
    let controls = if rows.iter().any(|(method, _)| method.is_control()) {
        " Italic: controls, which know nothing of the network, or nothing of what it learned."
    } else {
        ""
    };
    escape(&format!(
        "{}; {images} of {}; explained class: {}; protocols: {}; seed {}. {} Bold: better than every other method of its \
         model, controls aside, by the paired sign-flip test, corrected for the whole table (Holm); underlined: better \
         than every one but that.{controls} cambench {}, {}.",
        models.join("; "),
        manifest.dataset.name,
        manifest.target,
        report::protocol_names(manifest).join(", "),
        manifest.seeds(),
        preset.unit(units),
        manifest.cambench,
        versions.join(", "),
    ))
}

/// Letters, digits and hyphens: what a label may have everywhere.
fn slug(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

/// Text that LaTeX prints as it is.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => escaped.extend(['\\', c]),
            '\\' => escaped.push_str("\\textbackslash{}"),
            '~' => escaped.push_str("\\textasciitilde{}"),
            '^' => escaped.push_str("\\textasciicircum{}"),
            '<' => escaped.push_str("\\textless{}"),
            '>' => escaped.push_str("\\textgreater{}"),
            '|' => escaped.push_str("\\textbar{}"),
            '"' => escaped.push_str("\\textquotedbl{}"),
            '`' => escaped.push_str("\\textasciigrave{}"),
            '↑' => escaped.push_str("$\\uparrow$"),
            '↓' => escaped.push_str("$\\downarrow$"),
            '±' => escaped.push_str("$\\pm$"),
            '×' => escaped.push_str("$\\times$"),
            '−' => escaped.push_str("$-$"),
            '–' => escaped.push_str("--"),
            _ if c.is_control() => escaped.push(' '),
            // What pdfTeX's default encoding has no glyph for would end the compilation.
            _ if !c.is_ascii() && !('\u{a0}'..='\u{17f}').contains(&c) => escaped.push('?'),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Record, summarize, synthetic,
        testing::{manifest, rows, with_all_sections},
    };

    #[test]
    fn the_tables_stay_as_they_are() {
        let manifest = manifest();
        let records: Vec<Record> = rows(&manifest).into_iter().map(|row| row.record).collect();
        let summary = summarize(&manifest, &records);
        insta::assert_snapshot!("tex", table_tex(&manifest, &summary, Preset::All));
        let (manifest_beside, summary_beside) = with_all_sections();
        insta::assert_snapshot!("tex_beside", report_tex(&manifest_beside, &summary_beside));
        insta::assert_snapshot!("tex_poster", table_tex(&manifest, &summary, Preset::Poster));
        insta::assert_snapshot!("md_poster", table_md(&manifest, &summary, Preset::Poster));
        insta::assert_snapshot!("md_torch_cam", table_md(&manifest, &summary, Preset::TorchCam));
    }

    #[test]
    fn bold_and_underline_only_where_the_paired_test_separates() {
        // 60 images: the first method is clearly best, the others differ by noise alone.
        let (manifest, rows) = synthetic(60, 4);
        let records: Vec<Record> = rows.map(|row| row.record).collect();
        let tex = table_tex(&manifest, &summarize(&manifest, &records), Preset::All);
        let bold: Vec<&str> = tex.lines().filter(|line| line.contains("\\textbf")).collect();
        assert!(!bold.is_empty() && bold.iter().all(|line| line.starts_with("Method 0 ")), "{tex}");
        assert!(!tex.contains("\\underline"), "{tex}");
        let few = summarize(&manifest, &records[..8]);
        assert!(!table_tex(&manifest, &few, Preset::All).contains("\\textbf"));
    }

    #[test]
    fn nothing_in_a_name_is_a_command() {
        assert_eq!(
            escape("a_b & 50% $x$ {#1} \\input{/etc/passwd} ~^ <é> ↑ 猫"),
            "a\\_b \\& 50\\% \\$x\\$ \\{\\#1\\} \\textbackslash{}input\\{/etc/passwd\\} \\textasciitilde{}\\textasciicircum{} \
             \\textless{}é\\textgreater{} $\\uparrow$ ?"
        );
    }

    #[test]
    fn the_tables_compile_where_there_is_a_latex() {
        let latex = |args: &[&str], folder: &std::path::Path| {
            std::process::Command::new("pdflatex").args(args).current_dir(folder).output()
        };
        let folder = tempfile::tempdir().unwrap();
        if latex(&["--version"], folder.path()).is_err() {
            println!(
                "skipped: no pdflatex (Debian, Ubuntu: texlive-latex-base, texlive-latex-recommended)"
            );
            return;
        }
        let compiled = |table: &str| {
            let document = format!(
                "\\documentclass{{article}}\n\\usepackage{{booktabs,graphicx}}\n\\begin{{document}}\n{table}\\end{{document}}\n"
            );
            std::fs::write(folder.path().join("table.tex"), document).unwrap();
            let ended =
                latex(&["-interaction=nonstopmode", "-halt-on-error", "table.tex"], folder.path())
                    .unwrap();
            let said = String::from_utf8_lossy(&ended.stdout).into_owned();
            assert!(ended.status.success(), "{said}");
            // Neither wider than the text nor higher than the page.
            assert!(!said.contains("Overfull") && !said.contains("too large"), "{said}");
        };
        let (mut manifest, rows) = synthetic(40, 3);
        manifest.dataset.name = "50 % of \\input{x} & $y_1$ 猫".into();
        manifest.methods[2].method = "random".into();
        let records: Vec<Record> = rows.map(|row| row.record).collect();
        let summary = summarize(&manifest, &records);
        for preset in [Preset::All, Preset::Poster, Preset::TorchCam] {
            compiled(&table_tex(&manifest, &summary, preset));
        }
        let (beside, of_beside) = with_all_sections();
        compiled(&report_tex(&beside, &of_beside));

        // Three models, twenty methods, and twelve metrics.
        let (mut manifest, rows) = synthetic(40, 20);
        let mut records: Vec<Record> = rows.map(|row| row.record).collect();
        for name in ["net_2", "net_3"] {
            manifest.models.push(ModelEntry { name: name.into(), ..manifest.models[0].clone() });
            let of_first = records.iter().filter(|record| record.model == "net");
            let again: Vec<Record> =
                of_first.map(|record| Record { model: name.into(), ..record.clone() }).collect();
            records.extend(again);
        }
        for i in 0..6 {
            let mut metric = manifest.metrics[i].clone();
            metric.name = format!("{}_of_another_run", metric.name);
            metric.metric = metric.name.clone();
            manifest.metrics.push(metric);
        }
        for record in &mut records {
            record.metrics.extend_from_within(..);
        }
        let tex = table_tex(&manifest, &summarize(&manifest, &records), Preset::All);
        // Five families of metrics, of two models and of the third.
        assert_eq!(tex.matches("\\begin{table*}").count(), 10);
        compiled(&tex);
    }
}
