//! `report.tex`: tables for a paper, one per model, and the same as Markdown for a README.

use std::{collections::BTreeSet, fmt::Write as _};

use crate::{
    Cell, Estimate, MethodEntry, ModelEntry, Preset, RunManifest, Summary,
    format::{self, label},
    markdown,
    preset::{Column, Group, grouped},
    sections::{self, Section, Table},
    summary::cells_of,
};

/// So wide a table spans both columns of a paper; what is wider is continued below. In TeX's points.
const WIDTH: usize = 500;

/// A letter of the size that tables have, and the space around a column.
const LETTER: usize = 4;
const SPACE: usize = 7;

/// So many rows fill a page; further models have a table of their own.
const ROWS: usize = 45;

/// The same of rows with both sides of intervals, which are higher.
const HIGH_ROWS: usize = 38;

/// A model with its rows.
type ModelRows<'a> = (&'a ModelEntry, Vec<(&'a MethodEntry, &'a Cell)>);

/// A table as LaTeX, grouped by model, to be included in a document that loads `booktabs` and `graphicx`; of many metrics
/// a table for each family.
///
/// The best value of a column is bold and the second underlined only where the paired test, corrected for the whole
/// table, separates it from all other methods that follow in its model, controls aside. What is wider than the text is scaled to it; many columns are
/// continued below, many models in further tables. Letters that LaTeX's default encoding lacks are question marks, and a
/// comment at the top has the words that they stand in.
pub fn table_tex(manifest: &RunManifest, summary: &Summary, preset: Preset) -> String {
    settable(&tables_tex(manifest, summary, preset))
}

fn tables_tex(manifest: &RunManifest, summary: &Summary, preset: Preset) -> String {
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
        let spread = Spread::of(preset, &columns, &all);
        let mut caption = caption(manifest, summary, &all, preset, spread);
        let mut name = slug(&manifest.sweep);
        if let Some(title) = title {
            caption = format!("{}. {caption}", escape(title));
            name = format!("{name}-{}", slug(&title.to_lowercase()));
        }
        let parts = side_by_side(&columns, &all);
        let n_rows = match spread {
            Spread::Half => ROWS,
            Spread::Sides => HIGH_ROWS,
        };
        for (i, models) in paged(&models, n_rows / parts.len()).into_iter().enumerate() {
            let (caption, name) = match i {
                0 => (caption.clone(), name.clone()),
                _ => (
                    format!("Continued from table~\\ref{{tab:{name}}}."),
                    format!("{name}-{}", i + 1),
                ),
            };
            let of_columns = |columns: &&[Column]| {
                let has_names = manifest.models.len() > 1;
                scores(summary, models, columns, preset, spread, has_names)
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
    spread: Spread,
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
            line.extend(columns.iter().map(|column| {
                let Some(estimate) = column.estimate(cell) else { return "--".into() };
                value(&estimate, rank(summary, model, method, column), preset, spread)
            }));
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
    let mut tex = tables_tex(manifest, summary, Preset::All);
    for section in sections::of_run(manifest, summary) {
        section_tex(&mut tex, manifest, &section);
    }
    settable(&tex)
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
    let models = manifest.models.iter();
    let rows: Vec<(&MethodEntry, &Cell)> =
        models.flat_map(|model| cells_of(manifest, summary, &model.name)).collect();
    let intervals = match Spread::of(preset, &columns, &rows) {
        Spread::Half => HALF,
        Spread::Sides => HALF_OR_ENDS,
    };
    let mut md = format!(
        "{}, class explained: {}. {} Bold: better than every other method of its model by the paired test, controls aside.\n\n",
        markdown::escape(&manifest.dataset.name),
        manifest.target,
        preset.unit(summary.units(), intervals)
    );
    let mut line = |cells: &[String]| {
        let _ = writeln!(md, "| {} |", cells.join(" | "));
    };
    line(&head);
    line(&vec!["---".to_owned(); head.len()]);
    for model in &manifest.models {
        for (method, cell) in cells_of(manifest, summary, &model.name) {
            let mut cells = if has_models { vec![markdown::escape(&model.name)] } else { vec![] };
            cells.push(markdown::escape(&label(method)));
            cells.extend(columns.iter().map(|column| {
                let Some(estimate) = column.estimate(cell) else { return "–".into() };
                let number = preset.number(estimate.mean);
                let number = match rank(summary, model, method, column) {
                    Some(Rank::First) => format!("**{number}**"),
                    _ => number,
                };
                let interval = preset.interval(&estimate);
                interval.map_or(number.clone(), |interval| format!("{number} {interval}"))
            }));
            cells.push(cell.n.to_string());
            line(&cells);
        }
    }
    md
}

#[derive(Clone, Copy)]
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

/// How a table prints its intervals. In LaTeX all of them alike: two forms in one column are hard to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spread {
    /// As half of the width, which misstates none of them.
    Half,
    /// Both sides.
    Sides,
}

const HALF: &str = "after ± half of the 95 % interval's width";
const SIDES: &str =
    "raised and lowered, how far the 95 % interval reaches above and below the mean";
const HALF_OR_ENDS: &str = "after ± half of the 95 % interval's width, or in brackets its ends where they are not equally \
                            far from the mean";

impl Spread {
    fn of(preset: Preset, columns: &[Column], rows: &[(&MethodEntry, &Cell)]) -> Self {
        let mut estimates = rows
            .iter()
            .flat_map(|(_, cell)| columns.iter().filter_map(|column| column.estimate(cell)));
        if estimates.any(|estimate| preset.is_skewed(&estimate)) { Self::Sides } else { Self::Half }
    }
}

fn value(estimate: &Estimate, rank: Option<Rank>, preset: Preset, spread: Spread) -> String {
    let number = preset.number(estimate.mean);
    let number = match rank {
        Some(Rank::First) => format!("\\textbf{{{number}}}"),
        Some(Rank::Second) => format!("\\underline{{{number}}}"),
        None => number,
    };
    let printed = match spread {
        Spread::Half => {
            preset.half(estimate).map(|half| format!("{number}{{\\tiny\\,$\\pm$\\,{half}}}"))
        }
        Spread::Sides => preset
            .sides(estimate)
            .map(|[below, above]| format!("{number}$^{{+{above}}}_{{-{below}}}$")),
    };
    printed.unwrap_or(number)
}

fn caption(
    manifest: &RunManifest,
    summary: &Summary,
    rows: &[(&MethodEntry, &Cell)],
    preset: Preset,
    spread: Spread,
) -> String {
    let n = |of: fn(usize, usize) -> usize| {
        rows.iter().map(|(_, cell)| cell.n).reduce(of).unwrap_or_default()
    };
    let (least, most) = (n(usize::min), n(usize::max));
    let images = if least == most {
        format::counted(most, "image")
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
    let intervals = match spread {
        Spread::Half => HALF,
        Spread::Sides => SIDES,
    };
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
        format::protocol_names(manifest).join(", "),
        manifest.seeds(),
        preset.unit(summary.units(), intervals),
        manifest.cambench,
        versions.join(", "),
    ))
}

/// Letters, digits and hyphens: what a label may have everywhere.
fn slug(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

/// What pdfTeX's default encoding has no glyph for, and would end the compilation.
fn has_no_glyph(c: char) -> bool {
    let is_latin = ('\u{a0}'..='\u{17f}').contains(&c);
    !c.is_ascii() && (!is_latin || "«»ÐÞðþĄąĐđĘęĦħĮįĸĿŀŉŊŋŦŧŲųſ".contains(c))
}

/// A file with a question mark for every letter that has no glyph, and with a comment that says in which words, as names
/// that differ may be printed alike.
fn settable(tex: &str) -> String {
    let plain = tex.replace("\\_", "_");
    let words: BTreeSet<&str> = plain
        .split(|c: char| c.is_ascii_whitespace() || r"\{}$&,;:()".contains(c))
        .filter(|word| word.contains(has_no_glyph))
        .collect();
    if words.is_empty() {
        return tex.to_owned();
    }
    let words: Vec<&str> = words.into_iter().collect();
    format!(
        "% LaTeX's default encoding lacks letters of these words, which are printed as `?`: {}\n{}",
        words.join(", "),
        tex.replace(has_no_glyph, "?"),
    )
}

/// Text that LaTeX prints as it is, where it [has the letters](settable).
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
            '"' => escaped.push_str("''"),
            '`' => escaped.push_str("\\textasciigrave{}"),
            '↑' => escaped.push_str("$\\uparrow$"),
            '↓' => escaped.push_str("$\\downarrow$"),
            '±' => escaped.push_str("$\\pm$"),
            '×' => escaped.push_str("$\\times$"),
            '−' => escaped.push_str("$-$"),
            '–' => escaped.push_str("--"),
            _ if c.is_control() => escaped.push(' '),
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
        testing::{manifest, many_images, rows, with_all_sections},
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
    fn an_interval_that_one_number_would_misstate_has_both_sides() {
        // CAM is better than RISE, and RISE than Recipro-CAM, by 10 points of drop on every image.
        let (manifest, mut records) = many_images(60);
        for record in &mut records {
            let place = manifest.methods.iter().position(|method| record.method == method.name);
            let of_image = f64::from(record.image.as_bytes()[4]) / 1000.0;
            record.metrics.fill(Some(0.5));
            record.metrics[0] = Some(0.1 * place.unwrap() as f64 + of_image);
        }
        let mut summary = summarize(&manifest, &records);
        let estimate = |mean, lo, hi| Some(Estimate { mean, lo, hi });
        for cell in &mut summary.cells {
            cell.metrics.fill(estimate(0.5, 0.4, 0.6));
            cell.adcc = estimate(0.5, 0.4, 0.592);
        }
        let tables = |summary: &Summary| {
            let [tex, md] = [table_tex, table_md].map(|to| to(&manifest, summary, Preset::All));
            (tex, md)
        };
        // 10.0 and 9.2 differ by less than a tenth of the larger: half of 19.2 is near enough.
        let (tex, md) = tables(&summary);
        assert!(tex.contains("\\textbf{50.0}{\\tiny\\,$\\pm$\\,10.0} & "), "{tex}");
        assert!(tex.contains(" & 50.0{\\tiny\\,$\\pm$\\,9.6} & 60 "), "{tex}");
        assert!(!tex.contains("$^{"), "{tex}");
        assert!(
            tex.contains("Percent; after $\\pm$ half of the 95 \\% interval's width (boot"),
            "{tex}"
        );
        assert!(md.contains("| CAM | **50.0** ± 10.0 | 50.0 ± 10.0 |"), "{md}");
        assert!(md.contains("Percent; after ± half of the 95 % interval's width (boot"), "{md}");

        summary.cells[0].metrics[0] = estimate(0.046, 0.007, 0.151);
        // A share at 0; by rounding its interval begins above it.
        summary.cells[0].metrics[1] = estimate(0.0, 1e-19, 0.019);
        summary.cells[0].metrics[2] = estimate(0.3, f64::NAN, f64::NAN);
        let (tex, md) = tables(&summary);
        let cam = "CAM & \\textbf{4.6}$^{+10.5}_{-3.9}$ & 0.0$^{+1.9}_{-0.0}$ & 30.0 & 50.0$^{+10.0}_{-10.0}$ & ";
        assert!(tex.contains(cam), "{tex}");
        assert!(tex.contains("RISE & \\underline{50.0}$^{+10.0}_{-10.0}$ & "), "{tex}");
        assert!(tex.contains(" & 50.0$^{+9.2}_{-10.0}$ & 60 "), "{tex}");
        assert!(!tex.contains("\\pm"), "one form in one table: {tex}");
        assert!(tex.contains("Percent; raised and lowered, how far the 95 \\% interval"), "{tex}");
        let cam = "| CAM | **4.6** [0.7, 15.1] | 0.0 [0.0, 1.9] | 30.0 | 50.0 ± 10.0 | ";
        assert!(md.contains(cam) && md.contains(" | 50.0 ± 9.6 | 60 |"), "{md}");
        assert!(md.contains(" width, or in brackets its ends where they are not"), "{md}");
        // Without intervals there is nothing to explain.
        let poster = table_tex(&manifest, &summary, Preset::Poster);
        assert!(poster.contains("Percent. Bold") && !poster.contains("$^{"), "{poster}");
    }

    #[test]
    fn words_with_letters_that_latex_lacks_are_named_in_a_comment() {
        let (mut manifest, records) = many_images(2);
        manifest.dataset.name = "photos of 猫 and 犬_2 & é".into();
        manifest.methods[0].name = "cam_猫".into();
        let records: Vec<Record> = records
            .into_iter()
            .map(|record| match &*record.method {
                "cam" => Record { method: "cam_猫".into(), ..record },
                _ => record,
            })
            .collect();
        let summary = summarize(&manifest, &records);
        for tex in [table_tex(&manifest, &summary, Preset::All), report_tex(&manifest, &summary)] {
            let (first, rest) = tex.split_once('\n').unwrap();
            assert!(first.starts_with("% ") && first.ends_with("`?`: cam_猫, 犬_2, 猫"), "{first}");
            assert!(rest.contains("photos of ? and ?\\_2 \\& é"), "{rest}");
            assert!(rest.contains("\nCAM (cam\\_?) & ") && !rest.contains(has_no_glyph), "{rest}");
        }
        manifest.dataset.name = "photos".into();
        manifest.methods[0].name = "cam".into();
        let tex = table_tex(&manifest, &summary, Preset::All);
        assert!(tex.starts_with("% Made by cambench"), "{tex}");
    }

    #[test]
    fn nothing_in_a_name_is_a_command() {
        assert_eq!(
            escape("a_b & 50% $x$ {#1} \\input{/etc/passwd} ~^ <é> ↑ 猫"),
            "a\\_b \\& 50\\% \\$x\\$ \\{\\#1\\} \\textbackslash{}input\\{/etc/passwd\\} \\textasciitilde{}\\textasciicircum{} \
             \\textless{}é\\textgreater{} $\\uparrow$ 猫"
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
        // All that has a glyph, in one name after the other.
        let letters: Vec<String> = ('!'..='\u{250}').map(String::from).collect();
        for name in letters.chunks(60) {
            manifest.dataset.name = name.join(" ");
            compiled(&table_tex(&manifest, &summary, Preset::TorchCam));
        }

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
        let mut summary = summarize(&manifest, &records);
        // Five families of metrics, of two models and of the third; or of one model each, where rows are higher.
        for (hi, n_tables) in [(0.6, 10), (0.9, 15)] {
            let estimate = Some(Estimate { mean: 0.5, lo: 0.4, hi });
            for cell in &mut summary.cells {
                cell.metrics.fill(estimate);
                cell.adcc = estimate;
            }
            let tex = table_tex(&manifest, &summary, Preset::All);
            assert_eq!(tex.matches("\\begin{table*}").count(), n_tables);
            compiled(&tex);
        }
    }
}
