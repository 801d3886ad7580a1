//! The report's words and tables of what follows: conclusions, groups, differences, controls.

use std::fmt::Write as _;

use super::{Contrast, Difference, below_controls, conclusions};
use crate::{
    Summary,
    report::{escape, p_value, table},
};

/// How many pairs of one metric are listed; `comparisons.csv` has all.
const N_PAIRS: usize = 100;

/// What can be concluded, in sentences.
pub(crate) fn conclusions_md(md: &mut String, summary: &Summary) {
    let sentences = conclusions(summary);
    if sentences.is_empty() {
        return;
    }
    md.push_str("## What can be concluded\n\n");
    for sentence in sentences {
        let _ = writeln!(md, "- {}", escape(&sentence));
    }
    md.push_str(
        "\nDifferences are paired, image by image; a claim has a p-value below 0.05 after correction for all comparisons \
         of this report.\n\n",
    );
}

/// Groups by letter, then every pair of every metric.
pub(crate) fn differences_md(md: &mut String, summary: &Summary) {
    if summary.methods.is_empty() && summary.models.is_empty() {
        return;
    }
    md.push_str("## Differences\n\n");
    md.push_str(
        "Two that share a letter in a column cannot be told apart by that metric; `a` is with the best. p-values are of \
         paired sign-flip permutation tests, corrected by Holm for all comparisons of their kind in this report. \
         *Detectable* is the smallest difference that this many images would show four times out of five. The controls \
         know nothing of the network.\n\n",
    );
    groups(md, "Method", &summary.methods, summary.accuracies.len() > 1);
    groups(md, "Model", &summary.models, true);
    let below = below_controls(&summary.methods);
    if !below.is_empty() {
        md.push_str("Methods that are not shown to be better than a control:\n\n");
        let head = ["Model", "Metric", "Method", "Control", "Difference", "p"].map(str::to_owned);
        let rows = below.iter().map(|below| {
            let control = escape(&below.control);
            vec![
                escape(&below.model),
                escape(&below.heading),
                escape(&below.method),
                if below.is_worse { format!("{control} (better)") } else { control },
                points(&below.difference),
                p_value(below.difference.p_holm),
            ]
        });
        table(md, &head, rows);
    }
    for contrast in summary.methods.iter().chain(&summary.models) {
        pairs(md, contrast);
    }
}

/// One table per model (or method): rows are what is compared, columns are metrics, cells are letters.
fn groups(md: &mut String, what: &str, contrasts: &[Contrast], with_names: bool) {
    for of_one in contrasts.chunk_by(|a, b| a.within == b.within) {
        if with_names {
            let _ = writeln!(md, "{}:\n", escape(&of_one[0].within));
        }
        let mut head = vec![what.to_owned()];
        head.extend(of_one.iter().map(|contrast| escape(&contrast.heading)));
        let rows = (0..of_one[0].items.len()).map(|i| {
            let item = &of_one[0].items[i];
            let name = escape(&item.label);
            let mut row = vec![if item.is_control { format!("{name} (control)") } else { name }];
            row.extend(of_one.iter().map(|contrast| contrast.items[i].letters.clone()));
            row
        });
        table(md, &head, rows.collect::<Vec<_>>());
    }
}

fn pairs(md: &mut String, contrast: &Contrast) {
    if contrast.pairs.is_empty() {
        return;
    }
    let _ = writeln!(
        md,
        "<details><summary>{} of {}: every pair</summary>\n",
        escape(&contrast.heading),
        escape(&contrast.within)
    );
    if let Some(ranks) = &contrast.ranks {
        let _ = writeln!(
            md,
            "Friedman's test of equal ranks: p = {}. Average ranks {:.2} apart can be told apart (Nemenyi).\n",
            p_value(ranks.friedman_p),
            ranks.critical_difference
        );
    }
    if contrast.pairs.len() > N_PAIRS {
        let _ = writeln!(
            md,
            "The first {N_PAIRS} of {}; `comparisons.csv` has all of them.\n",
            contrast.pairs.len()
        );
    }
    let head = ["First", "Second", "First − second", "p", "p corrected", "Detectable", "n"];
    let rows = contrast.pairs.iter().take(N_PAIRS).map(|pair| {
        vec![
            escape(&contrast.items[pair.a].label),
            escape(&contrast.items[pair.b].label),
            points(&pair.difference),
            p_value(pair.difference.p),
            p_value(pair.difference.p_holm),
            detectable(&pair.difference),
            pair.difference.n.to_string(),
        ]
    });
    table(md, &head.map(str::to_owned), rows);
    md.push_str("</details>\n\n");
}

/// In points; a dash where so few images show no difference at all.
fn detectable(difference: &Difference) -> String {
    let points = 100.0 * difference.detectable;
    if points.is_finite() { format!("{points:.2}") } else { "–".into() }
}

/// `+3.1 [+1.9, +4.4]`, in points.
fn points(difference: &Difference) -> String {
    let [mean, lo, hi] = [difference.mean, difference.lo, difference.hi].map(|x| 100.0 * x);
    format!("{mean:+.2} [{lo:+.2}, {hi:+.2}]")
}
