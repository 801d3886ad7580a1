//! Tables that stand beside the scores, in words that every kind of report shows: which layer is best, how means move with
//! the seed, degenerate maps at their worst, and what others have printed.

use serde::Serialize;

use crate::{
    Cell, Estimate, Preset, RunManifest, Summary,
    format::label,
    layers,
    markdown::{escape, line, table},
    preset::{Group, grouped},
    reference,
};

/// A section of tables.
#[derive(Debug, Serialize)]
pub(crate) struct Section {
    /// A word to refer to it by.
    pub(crate) name: &'static str,
    pub(crate) title: String,
    /// What the numbers are.
    pub(crate) note: String,
    pub(crate) tables: Vec<Table>,
    /// Numbered, below the tables.
    pub(crate) remarks: Vec<String>,
}

/// A table of plain text.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    /// Of which model, where there are several.
    pub(crate) title: Option<String>,
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// Those that a run has something to say in.
pub(crate) fn of_run(manifest: &RunManifest, summary: &Summary) -> Vec<Section> {
    let all = [
        layers::section(manifest, summary),
        seeds(manifest, summary),
        worst(manifest, summary),
        reference::section(manifest, summary),
    ];
    all.into_iter().flatten().collect()
}

/// All of them as Markdown.
pub(crate) fn md(md: &mut String, manifest: &RunManifest, summary: &Summary) {
    for Section { title, note, tables, remarks, .. } in of_run(manifest, summary) {
        line(md, &format!("## {}\n", escape(&title)));
        line(md, &format!("{}\n", escape(&note)));
        for Table { title, head, rows } in tables {
            if let Some(title) = title {
                line(md, &format!("### {}\n", escape(&title)));
            }
            let escaped = |cells: &[String]| cells.iter().map(|cell| escape(cell)).collect();
            let head: Vec<String> = escaped(&head);
            table(md, &head, rows.iter().map(|row| escaped(row)));
        }
        for (number, remark) in remarks.iter().enumerate() {
            line(md, &format!("{}. {}", number + 1, escape(remark)));
        }
        if !remarks.is_empty() {
            md.push('\n');
        }
    }
}

/// How far means lie apart that differ by the seed alone, where runs of several seeds were joined.
fn seeds(manifest: &RunManifest, summary: &Summary) -> Option<Section> {
    let spread = summary.over_seeds.as_ref()?;
    let seeds: Vec<String> = spread.seeds.iter().map(u64::to_string).collect();
    let mut section = Section {
        name: "seeds",
        title: "Variation over seeds".into(),
        note: format!(
            "Standard deviation of a mean over the seeds {}, in points, beside half of its 95 % interval over images. What \
             the seed moves by less than rounding is left out. All other tables and plots are of seed {}.",
            seeds.join(", "),
            manifest.seed
        ),
        tables: vec![],
        remarks: vec![],
    };
    let points = |x: f64| format!("{:.2}", 100.0 * x);
    let both = |(deviation, estimate): (f64, Estimate)| {
        let half = estimate.half_width().map_or("–".to_owned(), points);
        format!("{} (± {half})", points(deviation))
    };
    for model in &manifest.models {
        let cells = summary.cells.iter().zip(&spread.deviations);
        let cells: Vec<(&Cell, &Vec<Option<f64>>)> = cells
            .filter(|(cell, deviations)| {
                cell.model == model.name && deviations.iter().any(Option::is_some)
            })
            .collect();
        let mut columns = Preset::All.columns(manifest, summary);
        columns.retain(|column| {
            column.place().is_some_and(|i| cells.iter().any(|(_, of)| of[i].is_some()))
        });
        for group in grouped(columns).iter().filter(|group| !group.columns.is_empty()) {
            let rows = cells.iter().map(|(cell, deviations)| {
                let values = group.columns.iter().map(|column| {
                    let deviation = column.place().and_then(|place| deviations[place]);
                    deviation.zip(column.estimate(cell)).map_or_else(|| "–".into(), both)
                });
                [title(manifest, cell)].into_iter().chain(values).collect()
            });
            section.tables.push(Table {
                title: group.heading((manifest.models.len() > 1).then_some(&model.name)),
                head: head(&["Method"], group, &[]),
                rows: rows.collect(),
            });
        }
    }
    if section.tables.is_empty() {
        section.note = format!(
            "No mean differs between the seeds {} by more than rounding.",
            seeds.join(", ")
        );
    }
    Some(section)
}

/// The means under the other policy for degenerate maps, where there are any.
fn worst(manifest: &RunManifest, summary: &Summary) -> Option<Section> {
    let cells = || summary.cells.iter().filter(|cell| cell.n_degenerate > 0);
    cells().next()?;
    let percent =
        |mean: Option<f64>| mean.map_or("–".to_owned(), |m| format!("{:.1}", 100.0 * m));
    let mut columns = Preset::All.columns(manifest, summary);
    columns.retain(|column| cells().any(|cell| column.worst(cell).is_some()));
    let tables = grouped(columns).into_iter().map(|group| {
        let rows = cells().map(|cell| {
            let counts = [cell.n, cell.n_degenerate, cell.n_failed].map(|n| n.to_string());
            [cell.model.clone(), title(manifest, cell)]
                .into_iter()
                .chain(group.columns.iter().map(|column| percent(column.worst(cell))))
                .chain(counts)
                .collect()
        });
        Table {
            title: group.heading(None),
            head: head(&["Model", "Method"], &group, &["n", "Degenerate", "Failed"]),
            rows: rows.collect(),
        }
    });
    Some(Section {
        name: "worst",
        title: "Scores with degenerate maps at their worst".into(),
        note: "The methods of degenerate maps once more, in percent: above, such maps are left out; here, each counts with \
               the worst score of every metric. Failed rows are in neither."
            .into(),
        tables: tables.collect(),
        remarks: vec![],
    })
}

/// A cell's method as tables call it.
fn title(manifest: &RunManifest, cell: &Cell) -> String {
    let method = manifest.methods.iter().find(|method| method.name == cell.method);
    method.map_or_else(|| cell.method.clone(), label)
}

fn head(before: &[&str], group: &Group, after: &[&str]) -> Vec<String> {
    let before = before.iter().map(|word| (*word).to_owned());
    let columns = group.columns.iter().map(|column| column.heading.clone());
    before.chain(columns).chain(after.iter().map(|word| (*word).to_owned())).collect()
}
