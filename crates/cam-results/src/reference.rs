//! Printed values beside ours: the value, the printed one, the difference, and what was set otherwise.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Cell, RunManifest, Summary,
    format::{heading, label},
    sections::{Section, Table},
};

/// Values that someone printed for methods and models of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// The file that they are from.
    pub name: String,
    /// Of the file.
    pub sha256: String,
    /// One for every method in every model that has printed values.
    pub rows: Vec<Printed>,
}

/// What was printed for one method in one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Printed {
    /// The model's name in the sweep.
    pub model: String,
    /// The method's name in the sweep.
    pub method: String,
    /// The protocol that is nearest to how it was measured.
    pub protocol: String,
    /// A word on where it is from.
    pub source: String,
    /// Fractions, by the metric's name in the sweep, and `adcc`.
    pub values: BTreeMap<String, f64>,
    /// Every setting of the run that is another one there: `target predicted, printed: label`.
    pub differs: Vec<String>,
}

/// The section of a report; nothing where no values were printed.
pub(crate) fn section(manifest: &RunManifest, summary: &Summary) -> Option<Section> {
    let Reference { name, rows, .. } = manifest.reference.as_ref()?;
    let differences = distinct(rows);
    let columns: Vec<(&str, String)> = manifest
        .metrics
        .iter()
        .map(|metric| (metric.name.as_str(), heading(metric)))
        .chain([("adcc", "ADCC ↑".to_owned())])
        .filter(|(name, _)| rows.iter().any(|row| row.values.contains_key(*name)))
        .collect();
    let mut tables = vec![];
    for model in &manifest.models {
        let of_model: Vec<&Printed> = rows.iter().filter(|row| row.model == model.name).collect();
        if of_model.is_empty() {
            continue;
        }
        let random = if model.weights.seeded { ", random weights" } else { "" };
        let title = format!("{}{random}, beside printed values", model.name);
        let mut head = vec!["Method".to_owned()];
        head.extend(columns.iter().map(|(_, heading)| heading.clone()));
        head.push("Set otherwise".into());
        let body = of_model.iter().map(|row| {
            let method = manifest.methods.iter().find(|method| method.name == row.method);
            let cell = summary
                .cells
                .iter()
                .find(|cell| cell.model == row.model && cell.method == row.method);
            let mut cells = vec![method.map_or_else(String::new, label)];
            cells.extend(columns.iter().map(|(name, _)| {
                let ours = cell.and_then(|cell| mean(manifest, cell, name));
                beside(ours, row.values.get(*name).copied())
            }));
            cells.push(number_of(&differences, row));
            cells
        });
        let title = (manifest.models.len() > 1).then_some(title);
        tables.push(Table { title, head, rows: body.collect() });
    }
    let remarks = differences.iter().map(|(row, knobs)| {
        let knobs = if knobs.is_empty() { "nothing".to_owned() } else { knobs.join("; ") };
        let Printed { protocol, source, .. } = row;
        format!("Printed by {protocol}, {source}. Set otherwise here: {knobs}.")
    });
    Some(Section {
        name: "printed",
        title: "Beside printed values".into(),
        note: format!(
            "Ours / printed (difference), in percent; printed values are from {name}. The right column numbers the settings \
             below that are not those of the printed row; a difference means nothing without them."
        ),
        tables,
        remarks: remarks.collect(),
    })
}

/// Rows with a set of differences of their own, in order.
fn distinct(rows: &[Printed]) -> Vec<(&Printed, &[String])> {
    let mut found: Vec<(&Printed, &[String])> = vec![];
    for row in rows {
        if !found.iter().any(|(other, _)| is_alike(other, row)) {
            found.push((row, &row.differs));
        }
    }
    found
}

fn is_alike(a: &Printed, b: &Printed) -> bool {
    (&a.protocol, &a.source, &a.differs) == (&b.protocol, &b.source, &b.differs)
}

fn number_of(differences: &[(&Printed, &[String])], row: &Printed) -> String {
    let at = differences.iter().position(|(other, _)| is_alike(other, row));
    at.map_or_else(String::new, |at| (at + 1).to_string())
}

fn mean(manifest: &RunManifest, cell: &Cell, name: &str) -> Option<f64> {
    if name == "adcc" {
        return cell.adcc.map(|adcc| adcc.mean);
    }
    let at = manifest.metrics.iter().position(|metric| metric.name == name)?;
    cell.metrics[at].map(|metric| metric.mean)
}

/// `22.1 / 21.51 (+0.6)`.
fn beside(ours: Option<f64>, printed: Option<f64>) -> String {
    let ours_text = ours.map_or_else(|| "–".to_owned(), |ours| format!("{:.1}", 100.0 * ours));
    let Some(printed) = printed else { return ours_text };
    let difference =
        ours.map_or_else(String::new, |ours| format!(" ({:+.1})", 100.0 * (ours - printed)));
    format!("{ours_text} / {:.2}{difference}", 100.0 * printed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        adcc, summarize,
        testing::{manifest, rows},
    };

    /// The poster's table as it is published beside this crate, in percent.
    const POSTER: &str = include_str!("../../../results/reference/recipro-table1.csv");

    /// The rows whose printed ADCC does not follow from their other printed values to within rounding.
    const OUTLIERS: [&str; 6] = [
        "vgg16 grad_cam",
        "vgg16 grad_cam_pp",
        "vgg16 smooth_grad_cam_pp",
        "resnet18 grad_cam",
        "resnet18 grad_cam_pp",
        "resnet50 smooth_grad_cam_pp",
    ];

    #[test]
    fn adcc_of_means_is_what_24_of_the_posters_30_rows_print() {
        let mut lines = POSTER.lines();
        let head: Vec<&str> = lines.next().unwrap().split(',').collect();
        let at = |name| head.iter().position(|column| *column == name).unwrap();
        let mut outliers = vec![];
        let mut n_rows = 0;
        for line in lines {
            let fields: Vec<&str> = line.split(',').collect();
            assert_eq!(fields.len(), head.len(), "{line}");
            let value = |name| fields[at(name)].parse::<f64>().unwrap();
            let name = format!("{} {}", fields[at("model")], fields[at("method")]);
            let printed = value("adcc");
            // ADCC rises with coherency and falls with the others, so the corners of the rounding box bound it.
            let percent = |half: f64| {
                let share = |name, half: f64| (value(name) + half) / 100.0;
                let parts = (share("coherency", half), share("complexity", -half));
                100.0 * adcc(parts.0, parts.1, share("drop", -half))
            };
            if !(percent(-0.005) - 0.005..=percent(0.005) + 0.005).contains(&printed) {
                outliers.push(name.clone());
            }
            assert!((percent(0.0) - printed).abs() < 0.045, "{name}");
            n_rows += 1;
        }
        assert_eq!((n_rows, outliers), (30, OUTLIERS.map(str::to_owned).to_vec()));
    }

    #[test]
    fn ours_stand_beside_the_printed_ones_with_what_was_set_otherwise() {
        let mut manifest = manifest();
        let printed = |method: &str, differs: &[&str]| Printed {
            model: "resnet18".into(),
            method: method.into(),
            protocol: "byun-2022".into(),
            source: "measured elsewhere".into(),
            values: [("drop", 0.2), ("adcc", 0.75)].map(|(k, v)| (k.to_owned(), v)).into(),
            differs: differs.iter().map(|text| (*text).to_owned()).collect(),
        };
        let rows_printed = vec![
            printed("cam", &["images 3, printed: 50000"]),
            printed("rise", &["images 3, printed: 50000"]),
            printed("recipro_cam", &[]),
        ];
        let records: Vec<_> = rows(&manifest).into_iter().map(|row| row.record).collect();
        let summary = summarize(&manifest, &records);
        assert!(section(&manifest, &summary).is_none(), "nothing was printed");
        manifest.reference =
            Some(Reference { name: "t.csv".into(), sha256: String::new(), rows: rows_printed });
        let mut md = String::new();
        crate::sections::md(&mut md, &manifest, &summary);
        insta::assert_snapshot!(&md[md.find("## Beside").unwrap()..]);
    }

    #[test]
    fn a_value_that_only_one_side_has_has_no_difference() {
        assert_eq!(beside(Some(0.221), Some(0.2151)), "22.1 / 21.51 (+0.6)");
        assert_eq!(beside(None, Some(0.2151)), "– / 21.51");
        assert_eq!(beside(Some(0.221), None), "22.1");
    }
}
