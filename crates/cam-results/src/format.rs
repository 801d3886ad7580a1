//! How names and numbers are printed, in whatever kind of report.

use std::collections::BTreeSet;

use crate::{Better, Cell, MethodEntry, MetricEntry, RunManifest, stats::Units};

/// `1 image`, `8 images`.
pub fn counted(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// The images of a run in words, as they count in its intervals: `8 images`, or `62 images of 31 classes` where classes are
/// drawn.
pub(crate) fn counted_images(manifest: &RunManifest) -> String {
    let images = counted(manifest.images.len(), "image");
    if !Units::of(&manifest.images).are_classes() {
        return images;
    }
    let labels = manifest.images.iter().filter_map(|image| image.label);
    let n_classes = labels.clone().collect::<BTreeSet<i64>>().len();
    match manifest.images.len() - labels.count() {
        0 => format!("{images} of {n_classes} classes"),
        n => format!("{images}, {n} without a label and the others of {n_classes} classes"),
    }
}

/// The protocols of the methods and metrics, each once.
pub(crate) fn protocol_names(manifest: &RunManifest) -> Vec<String> {
    let methods = manifest.methods.iter().map(|method| &method.protocol);
    let mut names: Vec<String> =
        methods.chain(manifest.metrics.iter().map(|metric| &metric.protocol)).cloned().collect();
    names.sort();
    names.dedup();
    names
}

/// Those that are not in the mean: `3 degenerate`, `2 failed`.
pub(crate) fn lost(cell: &Cell) -> Vec<String> {
    [(cell.n_degenerate, "degenerate"), (cell.n_failed, "failed")]
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{n} {what}"))
        .collect()
}

/// A metric as it heads a column or a panel: `Deletion ↓`.
pub(crate) fn heading(metric: &MetricEntry) -> String {
    let arrow = arrow(metric.better);
    format!("{} {arrow}", entry_label(&metric.title, &metric.name, &metric.metric))
}

/// Where good is.
pub(crate) fn arrow(better: Better) -> char {
    match better {
        Better::Higher => '↑',
        Better::Lower => '↓',
    }
}

/// A method as it stands in tables and plots: its title, and its name in the sweep where it has one of its own.
pub(crate) fn label(method: &MethodEntry) -> String {
    entry_label(&method.title, &method.name, &method.method)
}

fn entry_label(title: &str, name: &str, kind: &str) -> String {
    if name == kind { title.to_owned() } else { format!("{title} ({name})") }
}

/// A p-value as it is printed: `0.012`, or `< 0.0001`.
pub fn p_value(p: f64) -> String {
    if p < 1e-4 { "< 0.0001".into() } else { format!("{:.*}", if p < 0.01 { 4 } else { 3 }, p) }
}

/// A mean of counts: whole where it is.
pub(crate) fn number(mean: f64) -> String {
    let text = format!("{mean:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::manifest;

    #[test]
    fn a_method_with_a_name_of_its_own_shows_both() {
        let mut method = manifest().methods[1].clone();
        assert_eq!(label(&method), "RISE");
        method.name = "rise_500".into();
        assert_eq!(label(&method), "RISE (rise_500)");
    }
}
