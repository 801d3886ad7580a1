//! A comparison as Markdown, fit for a comment on a pull request.

use std::{cmp::Reverse, fmt::Write as _};

use super::{
    Change, Comparison, Fault, Loss, Unscored, Verdict,
    comparison::{OF_CONTROLS, grown, heading},
};
use crate::{
    format::counted,
    markdown::{code, escape, table},
};

// How many bytes each part that may be long has: a comment on GitHub may have 65,536 characters in all.
const OF_CHANGED: usize = 26_000;
const OF_MOVED_CONTROLS: usize = 4_000;
const OF_UNSCORED: usize = 4_000;
const OF_LOSSES: usize = 8_000;
const OF_UNCHANGED: usize = 16_000;
const OF_DIFFERENCES: usize = 4_000;

/// The comparison: what it comes to, what changed, and the rest folded away.
pub fn markdown(comparison: &Comparison) -> String {
    let mut md = String::new();
    let count = |verdict| comparison.count(verdict);
    let _ = writeln!(md, "### {}\n", title(comparison));
    let counts: Vec<String> = Verdict::ALL
        .into_iter()
        .filter(|verdict| count(*verdict) > 0)
        .map(|verdict| format!("{} {}", count(verdict), verdict.as_str()))
        .collect();
    let _ = writeln!(
        md,
        "{} against the baseline {} on {}: {}{}.\n",
        code(&comparison.new),
        code(&comparison.base),
        counted(comparison.n_images, "image"),
        counts.join(", "),
        comparison.losses_in_words()
    );
    for classified in &comparison.classified {
        let _ = writeln!(md, "{}.\n", escape(&classified.to_string()));
    }
    for retargeted in &comparison.retargeted {
        let _ = writeln!(md, "Caution: {}.\n", escape(&retargeted.to_string()));
    }
    let mut controls = comparison.moved_controls();
    let (mut changed, rest): (Vec<&Change>, Vec<&Change>) =
        comparison.changes.iter().filter(|change| !change.is_moved_control()).partition(|change| {
            !matches!(change.verdict, Verdict::Unchanged | Verdict::WithinNoise)
        });
    if !changed.is_empty() {
        worst_first(&mut changed);
        rows(&mut md, &changed, OF_CHANGED);
    }
    if !comparison.unscored.is_empty() {
        unscored(&mut md, &comparison.unscored);
    }
    if !comparison.losses.is_empty() {
        losses(&mut md, &comparison.losses);
    }
    if !controls.is_empty() {
        let _ = writeln!(md, "{OF_CONTROLS}\n");
        worst_first(&mut controls);
        rows(&mut md, &controls, OF_MOVED_CONTROLS);
    }
    if let Some(sentence) = comparison.blind_spot() {
        let _ = writeln!(md, "{}\n", escape(&sentence));
    }
    if !rest.is_empty() {
        let _ = writeln!(
            md,
            "<details><summary>{} without a change that counts</summary>\n",
            rest.len()
        );
        rows(&mut md, &rest, OF_UNCHANGED);
        md.push_str("</details>\n\n");
    }
    if comparison.changes.iter().any(|change| change.seed_deviation.is_some()) {
        md.push_str(
            "Only the seeds differ. *Seed* is how far a mean moves with the seed alone, as one standard deviation.\n\n",
        );
    }
    if !comparison.differences.is_empty() {
        let differences: Vec<String> =
            comparison.differences.iter().map(|difference| escape(difference)).collect();
        let n = n_fitting(differences.iter().map(|text| text.len() + 2), OF_DIFFERENCES);
        let more = match differences.len() - n {
            0 => String::new(),
            n_more => format!("; and {n_more} more"),
        };
        let listed = differences[..n].join("; ");
        let _ = writeln!(md, "Different from the baseline: {listed}{more}.\n");
    }
    let limits = &comparison.limits;
    let drops: Vec<String> = limits
        .max_drop
        .iter()
        .map(|(metric, limit)| format!(", {limit} for {} to the worse", escape(metric)))
        .collect();
    let _ = writeln!(
        md,
        "Means in percent, over the images that both runs scored, or else all that the baseline did. A change counts if its \
         paired 95 % interval excludes 0, its p-value after Holm's correction for {} comparisons is below 0.05, and it is larger than {}{}.",
        comparison
            .changes
            .iter()
            .filter(|change| change.difference.is_some() && !change.is_control)
            .count(),
        limits.noise,
        drops.concat()
    );
    md
}

/// The worst that is to be said.
fn title(comparison: &Comparison) -> &'static str {
    if comparison.has(Fault::Regressed) {
        "Explanations got worse"
    } else if comparison.has(Fault::Missing) {
        "Explanations are missing"
    } else if comparison.has(Fault::Degenerate) {
        "More maps are degenerate"
    } else if comparison.blind_spot().is_some() {
        "Explanations did not get worse, as far as these images can show"
    } else {
        "Explanations did not get worse"
    }
}

/// By verdict, then by size as a multiple of what is allowed.
fn worst_first(changes: &mut [&Change]) {
    let size = |change: &Change| {
        change.difference.map_or(0.0, |difference| (difference.mean / change.noise).abs())
    };
    changes.sort_by(|a, b| a.verdict.cmp(&b.verdict).then(size(b).total_cmp(&size(a))));
}

fn unscored(md: &mut String, unscored: &[Unscored]) {
    let mut unscored: Vec<&Unscored> = unscored.iter().collect();
    unscored.sort_by_key(|unscored| Reverse(unscored.n));
    let head = ["Model", "Method", "Metric", "Scores lost"].map(str::to_owned);
    let rows = unscored.iter().map(|Unscored { model, method, metric, n, n_images }| {
        let lost = format!("**{n} of {n_images}**");
        vec![escape(model), escape(method), escape(metric), lost]
    });
    table_up_to(md, &head, rows.collect(), OF_UNSCORED);
}

fn losses(md: &mut String, losses: &[Loss]) {
    let mut losses: Vec<&Loss> = losses.iter().collect();
    losses.sort_by_key(|loss| Reverse(loss.growth()));
    let head = ["Model", "Method", "Degenerate maps", "Failed rows", "Missing rows"];
    let head = head.map(str::to_owned);
    let before_and_now = |counts: [usize; 2]| {
        let [old, new] = counts;
        if grown(counts) > 0 { format!("**{old} → {new}**") } else { format!("{old} → {new}") }
    };
    let rows = losses.iter().map(|loss| {
        vec![
            escape(&loss.model),
            escape(&loss.method),
            before_and_now(loss.degenerate),
            before_and_now(loss.failed),
            if loss.missing > 0 { format!("**{}**", loss.missing) } else { "0".to_owned() },
        ]
    });
    table_up_to(md, &head, rows.collect(), OF_LOSSES);
}

/// A table of as many rows as so many bytes have room for, and how many are left out.
fn table_up_to(md: &mut String, head: &[String], mut rows: Vec<Vec<String>>, n_bytes: usize) {
    let lengths = rows.iter().map(|row| row.iter().map(|cell| cell.len() + 3).sum::<usize>() + 2);
    let n = n_fitting(lengths, n_bytes);
    let n_more = rows.len() - n;
    rows.truncate(n);
    table(md, head, rows);
    if n_more > 0 {
        let _ = writeln!(md, "{n_more} more are left out; `cambench compare --json` has all.\n");
    }
}

/// How many texts of these lengths, the first ones, are no longer than that together.
fn n_fitting(lengths: impl Iterator<Item = usize>, most: usize) -> usize {
    let sums = lengths.scan(0_usize, |sum, length| {
        *sum += length;
        Some(*sum)
    });
    sums.take_while(|sum| *sum <= most).count()
}

fn rows(md: &mut String, changes: &[&Change], n_bytes: usize) {
    let head = ["Verdict", "Model", "Method", "Metric", "Baseline", "Now", "Change", "p", "n"];
    let mut head = head.map(str::to_owned).to_vec();
    let with_seed = changes.iter().any(|change| change.seed_deviation.is_some());
    if with_seed {
        head.push("Seed".into());
    }
    let percent =
        |mean: Option<f64>| mean.map_or("–".to_owned(), |mean| format!("{:.2}", 100.0 * mean));
    let rows = changes.iter().map(|change| {
        let verdict = change.verdict.as_str();
        let is_bad = change.fault().is_some();
        let (size, p, n) = change.difference.map_or(
            ("–".to_owned(), "–".to_owned(), "–".to_owned()),
            |difference| {
                (
                    difference.points(),
                    crate::format::p_value(difference.p_holm),
                    difference.n.to_string(),
                )
            },
        );
        let mut row = vec![
            if is_bad { format!("**{verdict}**") } else { verdict.to_owned() },
            escape(&change.model),
            escape(&change.method),
            escape(&heading(change)),
            percent(change.base),
            percent(change.new),
            size,
            p,
            n,
        ];
        if with_seed {
            row.push(
                change
                    .seed_deviation
                    .map_or("–".to_owned(), |seed| format!("±{:.2}", 100.0 * seed)),
            );
        }
        row
    });
    table_up_to(md, &head, rows.collect(), n_bytes);
}
