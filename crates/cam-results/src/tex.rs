//! `report.tex`: tables for a paper, one per model, and the same as Markdown for a README.

use std::fmt::Write as _;

use crate::{
    Cell, MethodEntry, ModelEntry, Preset, RunManifest, Summary,
    beside::{self, Section, Table},
    preset::{Column, Group, grouped},
    report::{self, cells_of, label},
    stats::CONTROLS,
};

/// A table as LaTeX, grouped by model, to be included in a document that loads `booktabs`.
///
/// The best value of a column is bold and the second underlined only where the paired test, corrected for the whole
/// table, separates it from all that follow in its model.
pub fn table_tex(manifest: &RunManifest, summary: &Summary, preset: Preset) -> String {
    let groups: Vec<(&ModelEntry, Vec<(&MethodEntry, &Cell)>)> = manifest
        .models
        .iter()
        .map(|model| (model, cells_of(manifest, summary, &model.name).collect()))
        .collect();
    let all: Vec<(&MethodEntry, &Cell)> =
        groups.iter().flat_map(|(_, rows)| rows.iter().copied()).collect();
    let columns = preset.columns_of(manifest, summary, &all);
    let tables = grouped(columns).into_iter().map(|Group { title, columns }| {
        let mut caption = caption(manifest, summary, &all, preset);
        let mut name = slug(&manifest.sweep);
        if let Some(title) = title {
            caption = format!("{}. {caption}", escape(title));
            name = format!("{name}-{}", slug(&title.to_lowercase()));
        }
        let mut head = vec!["Method".to_owned()];
        head.extend(columns.iter().map(|column| escape(&column.heading)));
        head.push("$n$".into());
        let mut tex = begin(&caption, &name, &head);
        for (model, rows) in &groups {
            tex.push_str("\\midrule\n");
            if groups.len() > 1 {
                tex.push_str(&spanning(&model.name, head.len()));
            }
            // Those that know nothing of the network come last.
            let (controls, methods): (Vec<_>, Vec<_>) =
                rows.iter().partition(|(method, _)| is_control(method));
            for (method, cell) in methods.into_iter().chain(controls) {
                let mut line = vec![escape(&label(method))];
                line.extend(
                    columns
                        .iter()
                        .map(|column| value(summary, model, method, cell, column, preset)),
                );
                line.push(cell.n.to_string());
                if is_control(method) {
                    line[0] = format!("\\textit{{{}}}", line[0]);
                }
                let _ = writeln!(tex, "{} \\\\", line.join(" & "));
            }
        }
        tex + "\\bottomrule\n\\end{tabular}\n\\end{table*}\n"
    });
    let made_by = format!(
        "% Made by cambench {} from the records of {}. Needs \\usepackage{{booktabs}}.\n",
        escape(&manifest.cambench),
        escape(&manifest.sweep)
    );
    made_by + &tables.collect::<Vec<_>>().join("\n")
}

/// A table up to its first rule; the caption and the head are LaTeX.
fn begin(caption: &str, name: &str, head: &[String]) -> String {
    format!(
        "\\begin{{table*}}[t]\n\\centering\n\\caption{{{caption}}}\n\\label{{tab:{name}}}\n\\footnotesize\n\
         \\setlength{{\\tabcolsep}}{{3.5pt}}\n\\begin{{tabular}}{{l{}}}\n\\toprule\n{} \\\\\n",
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
        let caption = escape(&format!("{}. {}", section.title, section.note));
        let number = if i == 0 { String::new() } else { format!("-{}", i + 1) };
        let name = format!("{}-{}{number}", slug(&manifest.sweep), section.name);
        tex.push('\n');
        tex.push_str(&begin(&caption, &name, &escaped(&parts[0].head)));
        for Table { title, head, rows } in *parts {
            tex.push_str("\\midrule\n");
            if let Some(title) = title {
                tex.push_str(&spanning(title, head.len()));
            }
            for cells in rows {
                let _ = writeln!(tex, "{} \\\\", escaped(cells).join(" & "));
            }
        }
        tex.push_str("\\bottomrule\n\\end{tabular}\n");
        let remarks = if i + 1 == tables.len() { &section.remarks[..] } else { &[] };
        for (number, remark) in remarks.iter().enumerate() {
            let remark = escape(remark);
            let _ =
                writeln!(tex, "\n\\smallskip\\parbox{{\\textwidth}}{{{}. {remark}}}", number + 1);
        }
        tex.push_str("\\end{table*}\n");
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
        "{}, class explained: {}. {} Bold: better than every other method of its model by the paired test.\n\n",
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

fn is_control(method: &MethodEntry) -> bool {
    CONTROLS.contains(&&*method.method)
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
        .map(|ModelEntry { name, layer, weights, precision, .. }| {
            format!("{name} at {layer} ({}, {precision})", weights.source)
        })
        .collect();
    let versions: Vec<String> =
        manifest.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let units = if summary.by_class { "classes" } else { "images" };
    let controls = if rows.iter().any(|(method, _)| is_control(method)) {
        " Italic: controls, which know nothing of the network."
    } else {
        ""
    };
    escape(&format!(
        "{}; {images} of {}; explained class: {}; protocols: {}; seed {}. {} Bold: better than every other method of its \
         model by the paired sign-flip test, corrected for the whole table (Holm); underlined: better than every one but \
         that.{controls} cambench {}, {}.",
        models.join("; "),
        manifest.dataset.name,
        manifest.target,
        report::protocol_names(manifest).join(", "),
        manifest.seed,
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
        let (mut manifest, rows) = synthetic(40, 3);
        manifest.dataset.name = "50 % of \\input{x} & $y_1$ 猫".into();
        manifest.methods[2].method = "random".into();
        let records: Vec<Record> = rows.map(|row| row.record).collect();
        let summary = summarize(&manifest, &records);
        let (beside, of_beside) = with_all_sections();
        let presets = [Preset::All, Preset::Poster, Preset::TorchCam];
        let tables = presets.map(|preset| table_tex(&manifest, &summary, preset));
        for table in tables.into_iter().chain([report_tex(&beside, &of_beside)]) {
            let document = format!(
                "\\documentclass{{article}}\n\\usepackage{{booktabs}}\n\\begin{{document}}\n{table}\\end{{document}}\n"
            );
            std::fs::write(folder.path().join("table.tex"), document).unwrap();
            let ended =
                latex(&["-interaction=nonstopmode", "-halt-on-error", "table.tex"], folder.path())
                    .unwrap();
            assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
        }
    }
}
