//! The report's words and tables of what follows: conclusions, groups, differences, controls.

use std::fmt::Write as _;

use super::{BelowControl, Contrast, Difference, Ranks, Topic, below_controls, conclusions};
use crate::{
    Summary,
    format::p_value,
    markdown::{escape, table},
};

/// How many pairs of one metric are listed; `comparisons.csv` has all.
const N_PAIRS: usize = 100;

/// How many comparisons with controls are listed without an overview before them.
const N_BELOW: usize = 40;

/// What can be concluded, in sentences.
pub(crate) fn conclusions_md(md: &mut String, summary: &Summary) {
    let topics = conclusions(summary);
    if topics.is_empty() {
        return;
    }
    md.push_str("## What can be concluded\n\n");
    for Topic { title, sentences } in topics {
        let indent = match title {
            Some(title) => {
                let _ = writeln!(md, "- {}:", escape(&title));
                "  "
            }
            None => "",
        };
        for sentence in sentences {
            let _ = writeln!(md, "{indent}- {}", escape(&sentence));
        }
    }
    md.push_str(
        "\nDifferences are paired, image by image; where one is called better or best, the p-value is below 0.05 after correction for all \
         comparisons of its kind, between methods or between models, in this report. Controls are never called the best: \
         where one is as good as the best method, that metric alone does not show that the method explains anything.\n\n",
    );
}

/// Groups by letter, then every pair of every metric.
pub(crate) fn differences_md(md: &mut String, summary: &Summary) {
    if summary.methods.is_empty() && summary.models.is_empty() {
        return;
    }
    md.push_str("## Differences\n\n");
    md.push_str(
        "Two that share a letter in a column are not significantly different by that metric; the best of those that none is \
         significantly better than has an `a`. p-values are those of paired sign-flip permutation tests, corrected by Holm \
         for all comparisons of their kind in this report. *Detectable* is the smallest difference that the test finds \
         with 80 % power on this many images. The controls know nothing of the network.\n\n",
    );
    groups(md, "Method", &summary.methods, summary.accuracies.len() > 1);
    groups(md, "Model", &summary.models, true);
    not_above_controls(md, &summary.methods);
    for contrast in summary.methods.iter().chain(&summary.models) {
        pairs(md, contrast);
    }
}

/// Methods that are not significantly better than a control; in an overview, and folded, where there are many.
fn not_above_controls(md: &mut String, methods: &[Contrast]) {
    let below = below_controls(methods);
    if below.is_empty() {
        return;
    }
    let is_long = below.len() > N_BELOW;
    if is_long {
        below_overview(md, methods, &below);
        let _ =
            writeln!(md, "<details><summary>All {} of these comparisons</summary>\n", below.len());
    } else {
        md.push_str("Methods that are not significantly better than a control:\n\n");
    }
    let head = ["Model", "Metric", "Method", "Control", "Difference", "p"].map(str::to_owned);
    let rows = below.iter().map(|below| {
        let control = escape(&below.control);
        vec![
            escape(&below.model),
            escape(&below.heading),
            escape(&below.method),
            if below.is_worse { format!("{control} (better)") } else { control },
            below.difference.points(),
            p_value(below.difference.p_holm),
        ]
    });
    table(md, &head, rows);
    if is_long {
        md.push_str("</details>\n\n");
    }
}

/// One table per model: rows are methods, columns metrics, cells the numbers of controls.
fn below_overview(md: &mut String, methods: &[Contrast], below: &[BelowControl]) {
    let controls: Vec<&str> = {
        let items = methods.iter().flat_map(|contrast| &contrast.items);
        let mut controls: Vec<&str> = vec![];
        for item in items.filter(|item| item.is_control) {
            if !controls.contains(&item.label.as_str()) {
                controls.push(&item.label);
            }
        }
        controls
    };
    let numbered: Vec<String> = controls
        .iter()
        .enumerate()
        .map(|(i, control)| format!("{} {}", i + 1, escape(control)))
        .collect();
    let _ = writeln!(
        md,
        "Controls that a method is not significantly better than ({}); bold where the control is significantly better:\n",
        numbered.join(", ")
    );
    for of_one in methods.chunk_by(|a, b| a.within == b.within) {
        let model = &of_one[0].within;
        if methods.iter().any(|contrast| contrast.within != *model) {
            let _ = writeln!(md, "{}:\n", escape(model));
        }
        let mut head = vec!["Method".to_owned()];
        head.extend(of_one.iter().map(|contrast| escape(&contrast.heading)));
        let has_scores = |i: usize| of_one.iter().any(|one| one.items[i].estimate.is_some());
        let methods = of_one[0].items.iter().enumerate();
        let methods = methods.filter(|(i, item)| !item.is_control && has_scores(*i));
        let rows = methods.map(|(_, item)| {
            let cell = |heading: &str| {
                let of_cell = below.iter().filter(|below| {
                    (&below.model, below.heading.as_str(), &below.method)
                        == (model, heading, &item.label)
                });
                let numbers = of_cell.filter_map(|below| {
                    let number =
                        1 + controls.iter().position(|control| *control == below.control)?;
                    Some(if below.is_worse { format!("**{number}**") } else { number.to_string() })
                });
                numbers.collect::<Vec<_>>().join(" ")
            };
            let mut row = vec![escape(&item.label)];
            row.extend(of_one.iter().map(|contrast| cell(&contrast.heading)));
            row
        });
        table(md, &head, rows.collect::<Vec<_>>());
    }
}

/// One table per model (or method): rows are what is compared, columns are metrics, cells are letters. What has none, as it
/// has no score there, is left out.
fn groups(md: &mut String, what: &str, contrasts: &[Contrast], with_names: bool) {
    for of_one in contrasts.chunk_by(Contrast::is_beside) {
        let has_letters = |i: &usize| of_one.iter().any(|one| !one.items[*i].letters.is_empty());
        let compared: Vec<usize> = (0..of_one[0].items.len()).filter(has_letters).collect();
        if compared.is_empty() {
            continue;
        }
        if with_names {
            let _ = writeln!(md, "{}:\n", escape(&of_one[0].within));
        }
        let mut head = vec![what.to_owned()];
        head.extend(of_one.iter().map(|contrast| escape(&contrast.heading)));
        let rows = compared.into_iter().map(|i| {
            let item = &of_one[0].items[i];
            let name = escape(&item.label);
            let mut row = vec![if item.is_control { format!("{name} (control)") } else { name }];
            row.extend(of_one.iter().map(|contrast| contrast.items[i].letters.clone()));
            row
        });
        table(md, &head, rows);
    }
}

/// Whether ranks differ by this metric alone, and who is not ranked.
fn friedman(contrast: &Contrast, ranks: &Ranks) -> String {
    let p = p_value(ranks.friedman_p);
    let is = if p.starts_with('<') { "" } else { "= " };
    let units = if ranks.by_class { "classes" } else { "images" };
    let apart = if ranks.differ() {
        format!(" Average ranks {:.2} apart differ (Nemenyi).", ranks.critical_difference)
    } else {
        String::new()
    };
    let others = (0..contrast.items.len()).filter(|item| !ranks.items.contains(item));
    let others: Vec<&str> = others.map(|item| &*contrast.items[item].label).collect();
    let others = match others.len() {
        0 => String::new(),
        _ => format!(" Not ranked, with far fewer images: {}.", escape(&others.join(", "))),
    };
    format!(
        "Friedman's test of equal ranks over {} {units}, of this metric alone: p {is}{p}.{apart}{others}",
        ranks.n
    )
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
        let _ = writeln!(md, "{}\n", friedman(contrast, ranks));
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
            pair.difference.points(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{summarize, testing::many_images};

    #[test]
    fn what_has_no_letter_has_no_row_and_where_nothing_has_one_there_is_no_table() {
        let (manifest, records) = many_images(60);
        let mut methods = summarize(&manifest, &records).methods;
        let written = |methods: &[Contrast]| {
            let mut md = String::new();
            groups(&mut md, "Method", methods, true);
            md
        };
        // By one metric RISE has a score.
        for (i, contrast) in methods.iter_mut().enumerate() {
            for (j, item) in contrast.items.iter_mut().enumerate() {
                item.letters = if i > 0 && j == 1 { String::new() } else { "a".into() };
            }
        }
        assert!(written(&methods).contains("\n| RISE | a |  |"), "{}", written(&methods));
        methods[0].items[1].letters.clear();
        let md = written(&methods);
        assert!(!md.contains("RISE"), "{md}");
        assert!(md.starts_with("resnet18:\n\n| Method | Drop ↓ |"), "{md}");
        assert!(md.contains("\n| CAM | a") && md.contains("\n| Recipro-CAM | a"), "{md}");
        for item in methods.iter_mut().flat_map(|contrast| &mut contrast.items) {
            item.letters.clear();
        }
        assert_eq!(written(&methods), "");
    }

    #[test]
    fn many_comparisons_with_controls_are_an_overview_and_folded_below_it() {
        let (mut manifest, mut records) = many_images(60);
        manifest.methods[2].method = "random".into();
        for record in &mut records {
            let drop = if record.method == "cam" { 0.5 } else { 0.4 };
            let of_image = f64::from(record.image.as_bytes()[4]) / 1000.0;
            record.metrics[0] = Some(drop + of_image);
        }
        let drop = summarize(&manifest, &records).methods.swap_remove(0);
        let written = |n: usize| {
            let named = |i| Contrast { heading: format!("Drop {i}"), ..drop.clone() };
            let mut md = String::new();
            not_above_controls(&mut md, &(0..n).map(named).collect::<Vec<_>>());
            md
        };
        // Two methods beside one control: CAM is worse, RISE the same.
        let short = written(2);
        assert!(short.starts_with("Methods that are not significantly better"), "{short}");
        assert!(!short.contains("<details>"), "{short}");
        let long = written(21);
        assert!(long.contains("(1 Recipro-CAM (recipro_cam))"), "{long}");
        assert!(long.contains("| Method | Drop 0 | Drop 1 |"), "{long}");
        assert!(
            long.contains("| CAM | **1** | **1** |") && long.contains("| RISE | 1 | 1 |"),
            "{long}"
        );
        assert!(long.contains("<details><summary>All 42 of these comparisons</summary>"), "{long}");
        assert_eq!(long.matches("| resnet18 | Drop 20 |").count(), 2, "{long}");
    }
}
