//! Which layer to explain: every network that a sweep cuts at several layers, method by method and metric by metric.
//!
//! A layer of a network is a model of its own, so all differences are those of [`Summary::models`]: paired image by image,
//! and corrected for all of them.

use crate::{
    Cell, MethodEntry, ModelEntry, Preset, RunManifest, Summary,
    format::label,
    preset::{Group, grouped},
    sections::{Section, Table},
    stats::{Contrast, listed},
    summary::FEW_IMAGES,
};

/// The section of a report; nothing where no network is cut at several layers.
pub(crate) fn section(manifest: &RunManifest, summary: &Summary) -> Option<Section> {
    let networks = networks(manifest);
    let has_names = networks.len() > 1;
    let mut section = Section {
        name: "layers",
        title: "Which layer?".into(),
        note: note(summary, &networks)?,
        tables: vec![],
        remarks: vec![],
    };
    for layers in networks {
        let network = has_names.then_some(layers[0].network());
        let methods: Vec<Method<'_>> = manifest
            .methods
            .iter()
            .filter_map(|method| Method::of(method, &layers, summary))
            .collect();
        let (differing, same): (Vec<_>, Vec<_>) =
            methods.into_iter().partition(|method| !method.is_same_everywhere());
        let cells: Vec<(&MethodEntry, &Cell)> = summary
            .cells
            .iter()
            .filter(|cell| layers.iter().any(|layer| layer.name == cell.model))
            .filter_map(|cell| {
                Some((manifest.methods.iter().find(|m| m.name == cell.method)?, cell))
            })
            .collect();
        let columns = Preset::All.columns_of(manifest, summary, &cells);
        for group in grouped(columns).iter().filter(|_| !differing.is_empty()) {
            section.tables.push(Table {
                title: group.heading(network),
                head: head(group),
                rows: differing.iter().map(|method| method.row(group)).collect(),
            });
        }
        let of_network = network.map_or_else(String::new, |network| format!(" of {network}"));
        // Methods of which the same is to be said share a sentence.
        let mut said: Vec<(String, Vec<String>)> = vec![];
        for method in &differing {
            let (words, name) = (method.words(), label(method.entry));
            match said.iter_mut().find(|(known, _)| *known == words) {
                Some((_, names)) => names.push(name),
                None => said.push((words, vec![name])),
            }
        }
        section.remarks.extend(said.iter().map(|(words, names)| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            format!("{}{of_network}: {words}.", listed(&names))
        }));
        if !same.is_empty() {
            let names: Vec<String> = same.iter().map(|method| label(method.entry)).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let have = if names.len() == 1 { "has" } else { "have" };
            section.remarks.push(format!(
                "{} {have} the same scores at every layer{of_network}, and {have} no row.",
                listed(&names)
            ));
        }
    }
    Some(section)
}

/// The networks that are cut at several layers, each with those, in the order of the manifest. In joined runs one name may
/// be of two networks.
fn networks(manifest: &RunManifest) -> Vec<Vec<&ModelEntry>> {
    let is_same = |a: &ModelEntry, b: &ModelEntry| {
        let of = |model: &ModelEntry| {
            (model.weights.sha256.clone(), model.precision.clone(), model.preprocessing.clone())
        };
        a.network() == b.network() && of(a) == of(b)
    };
    let mut networks: Vec<Vec<&ModelEntry>> = vec![];
    for model in &manifest.models {
        match networks.iter_mut().find(|layers| is_same(layers[0], model)) {
            Some(layers) => layers.push(model),
            None => networks.push(vec![model]),
        }
    }
    networks.retain(|layers| layers.len() > 1);
    networks
}

/// What the table shows; `None` where there is no network to show.
fn note(summary: &Summary, networks: &[Vec<&ModelEntry>]) -> Option<String> {
    let grids: Vec<String> = networks
        .iter()
        .flatten()
        .map(|model| {
            let [_, height, width] = model.feature_shape;
            format!("{} {height} × {width}", model.layer)
        })
        .collect();
    let few_of = |cell: &Cell| cell.metrics_units.iter().any(|n| *n < FEW_IMAGES);
    let is_few = summary.cells.iter().any(|cell| cell.n_rows() > 0 && few_of(cell));
    let few = if is_few {
        let units = summary.counted_units(FEW_IMAGES);
        format!(" Fewer than {units} do not tell which layer to take.")
    } else {
        String::new()
    };
    (!grids.is_empty()).then(|| {
        format!(
            "The layer with the best mean under every method by every metric, and that mean in percent. It stands alone \
             where it is better than every other layer by the paired test on the same images, corrected for all \
             comparisons between models and layers. Layers that are not significantly different from it are named with it; it is in \
             parentheses where these are all others.{few} Maps of a deeper layer are coarser; cells of a map: {}.",
            grids.join(", ")
        )
    })
}

fn head(group: &Group) -> Vec<String> {
    let columns = group.columns.iter().map(|column| column.heading.clone());
    std::iter::once("Method".to_owned()).chain(columns).collect()
}

/// The layers of a network compared under one method.
struct Method<'a> {
    entry: &'a MethodEntry,
    /// One per metric; the items are called by their layers.
    contrasts: Vec<Contrast>,
}

impl<'a> Method<'a> {
    /// `None` where fewer than two layers have scores.
    fn of(entry: &'a MethodEntry, layers: &[&ModelEntry], summary: &Summary) -> Option<Self> {
        let layer_of = |model: &str| {
            let entry = layers.iter().find(|layer| layer.name == model)?;
            Some(entry.layer.clone())
        };
        let of_method = summary.models.iter().filter(|contrast| contrast.within == entry.name);
        let contrasts: Vec<Contrast> = of_method
            .map(|contrast| contrast.only(layer_of))
            .filter(|contrast| contrast.order().len() > 1)
            .collect();
        (!contrasts.is_empty()).then_some(Self { entry, contrasts })
    }

    /// Whether every image has the same scores at every layer, but for rounding.
    fn is_same_everywhere(&self) -> bool {
        let mut contrasts = self.contrasts.iter();
        contrasts.all(|contrast| contrast.pairs.iter().all(|pair| contrast.are_same(pair)))
    }

    fn row(&self, group: &Group) -> Vec<String> {
        let value = |heading: &str| {
            let contrast = self.contrasts.iter().find(|contrast| contrast.heading == heading)?;
            let (best, equal) = best(contrast)?;
            let mean = contrast.items[*contrast.order().first()?].estimate?.mean;
            let best = format!("{best} {:.1}", 100.0 * mean);
            Some(match equal {
                Equal::None => best,
                Equal::Some(others) => format!("{best} or {}", others.join(", ")),
                Equal::All => format!("({best})"),
            })
        };
        let values = group.columns.iter();
        let values = values.map(|column| value(&column.heading).unwrap_or_else(|| "–".to_owned()));
        std::iter::once(label(self.entry)).chain(values).collect()
    }

    /// Which layers are best by which metrics, and what cannot be told.
    fn words(&self) -> String {
        let mut best_by: Vec<(&str, Vec<&str>)> = vec![];
        let (mut parts, mut open) = (vec![], vec![]);
        for contrast in &self.contrasts {
            let heading = contrast.heading.as_str();
            match best(contrast) {
                None => {}
                Some((_, Equal::All)) => open.push(heading),
                Some((layer, Equal::Some(others))) => {
                    parts.push(format!("by {heading} it is {layer} or {}", others.join(", ")));
                }
                Some((layer, Equal::None)) => {
                    match best_by.iter_mut().find(|(name, _)| *name == layer) {
                        Some((_, metrics)) => metrics.push(heading),
                        None => best_by.push((layer, vec![heading])),
                    }
                }
            }
        }
        let best_by = best_by.iter().map(|(layer, metrics)| {
            format!("{layer} is better than every other layer by {}", listed(metrics))
        });
        let mut parts: Vec<String> = best_by.chain(parts).collect();
        if open.len() == self.contrasts.len() {
            parts.push(
                "by no metric is the best layer significantly different from any other".to_owned(),
            );
        } else if !open.is_empty() {
            parts.push(format!(
                "by {} the best is not significantly different from any other",
                listed(&open)
            ));
        }
        parts.join("; ")
    }
}

/// The layers that are not significantly different from the best one.
enum Equal<'a> {
    None,
    Some(Vec<&'a str>),
    All,
}

/// The layer with the best mean, and those that are not significantly different from it.
fn best(contrast: &Contrast) -> Option<(&str, Equal<'_>)> {
    let order = contrast.order();
    let name = |i: usize| contrast.items[i].label.as_str();
    let (&best, rest) = order.split_first()?;
    let equal = rest.iter().filter(|other| !contrast.is_better(best, **other));
    let equal: Vec<&str> = equal.map(|other| name(*other)).collect();
    let equal = match equal.len() {
        0 => Equal::None,
        n if n == rest.len() => Equal::All,
        _ => Equal::Some(equal),
    };
    Some((name(best), equal))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Record, Store, report_html, report_tex, sections, stats, summarize,
        testing::{many_images, model, rows},
    };

    /// 40 images at three layers of one network and at the only one of another. CAM: `late` has the least drop, and `mid`
    /// and `early` have the same but for noise; by coherency all are alike. RISE does not look at the layer.
    fn swept() -> (RunManifest, Vec<Record>) {
        let (mut manifest, _) = many_images(40);
        let at = |layer: &str, side: i64| ModelEntry {
            layer: layer.into(),
            feature_shape: [64, side, side],
            ..model(&crate::name_at("net", layer))
        };
        manifest.models = vec![at("early", 28), at("mid", 14), at("late", 7), model("other")];
        manifest.methods.truncate(2);
        let mut records: Vec<Record> = rows(&manifest).into_iter().map(|row| row.record).collect();
        for (i, record) in records.iter_mut().enumerate() {
            let image: usize = record.image[..5].parse().unwrap();
            let wave = |k: usize| ((image * 7 + k) as f64 * 0.61).sin();
            let is_cam = record.method == "cam";
            let place = ["early", "mid", "late"].iter().position(|layer| record.layer == *layer);
            let noise = if is_cam { 0.05 * wave(3 + 5 * i) } else { 0.0 };
            let drop = if is_cam { [0.4, 0.4, 0.2][place.unwrap_or(0)] } else { 0.5 };
            let complexity = if is_cam { [0.3, 0.2, 0.1][place.unwrap_or(0)] } else { 0.5 };
            record.status = crate::Status::Ok;
            (record.label, record.predicted) = (Some(1), Some(image as i64 % 2));
            record.error = None;
            record.metrics = [drop, 0.5 - drop / 2.0, 0.6 + noise, complexity + 0.02 * wave(1)]
                .map(|value| Some(value + noise + 0.1 * wave(0)))
                .to_vec();
        }
        (manifest, records)
    }

    fn text(manifest: &RunManifest, records: &[Record]) -> String {
        let mut md = String::new();
        sections::md(&mut md, manifest, &summarize(manifest, records));
        md
    }

    #[test]
    fn which_layer_is_best_is_said_by_metric_with_those_that_it_cannot_be_told_from() {
        let (mut manifest, mut records) = swept();
        insta::assert_snapshot!(text(&manifest, &records));
        let tex = report_tex(&manifest, &summarize(&manifest, &records));
        assert!(
            tex.contains("\\label{tab:table1-layers}")
                && tex.contains("CAM & late 19.8 & mid 29.8 or early"),
            "{tex}"
        );

        // Other weights are another network.
        let mut other = manifest.clone();
        other.models[0].weights.sha256 = None;
        other.models[2].weights.sha256 = Some("other".into());
        assert_eq!(text(&other, &records), "");

        // One layer of each network is nothing to choose from.
        manifest.models.drain(..2);
        records.retain(|record| record.layer == "late" || record.model == "other");
        assert_eq!(text(&manifest, &records), "");
    }

    #[test]
    fn a_network_at_several_layers_is_named_once_where_layers_do_not_matter() {
        let (mut manifest, mut records) = swept();
        manifest.models.pop();
        records.retain(|record| record.model != "other");
        manifest.models.iter_mut().for_each(|model| model.weights.seeded = true);
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::create_or_continue(folder.path(), manifest.clone()).unwrap();
        let rows =
            records.into_iter().map(|record| crate::Row { record, curves: vec![], map: None });
        store.append_all(&rows.collect::<Vec<_>>()).unwrap();
        let run = store.finish("2026-01-02T04:00:00Z").unwrap();
        let summary = run.summarize();
        let md = crate::report_md(&run, &summary, &[]);
        for once in ["net has random weights", "net: top-1 ", "### net at `mid`\n\n| Method | Drop"]
        {
            assert_eq!(md.matches(once).count(), 1, "{once}: {md}");
        }
        // What is said of layers stands in their section.
        let titles: Vec<_> =
            stats::conclusions(&summary).into_iter().filter_map(|topic| topic.title).collect();
        assert!(titles.iter().any(|title| title == "net@mid"), "{titles:?}");
        assert!(!titles.iter().any(|title| title == "Between models"), "{titles:?}");
        let html = report_html(&run, &summary, &[], &[]).unwrap();
        for words in [
            "<details id=\"layers\" open>",
            "late is better than every other layer by",
            "at mid</span>",
        ] {
            assert!(html.contains(words), "{words}");
        }
    }
}
