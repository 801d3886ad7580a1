//! A comparison as Markdown, fit for a comment on a pull request.

use std::fmt::Write as _;

use super::{Change, Comparison, Verdict, heading};
use crate::report::{code, escape, table};

/// How many unchanged cells are listed: a comment may have 65,536 characters.
const N_LISTED: usize = 200;

/// The comparison: what it comes to, what changed, and the rest folded away.
pub fn markdown(comparison: &Comparison) -> String {
    let mut md = String::new();
    let count = |verdict| comparison.count(verdict);
    let title = match (count(Verdict::Regressed), count(Verdict::Missing)) {
        (0, 0) => "Explanations did not get worse",
        (0, _) => "Explanations are missing",
        _ => "Explanations got worse",
    };
    let _ = writeln!(md, "### {title}\n");
    let counts: Vec<String> = Verdict::ALL
        .into_iter()
        .filter(|verdict| count(*verdict) > 0)
        .map(|verdict| format!("{} {}", count(verdict), verdict.as_str()))
        .collect();
    let _ = writeln!(
        md,
        "{} against the baseline {} on {} images: {}.\n",
        code(&comparison.new),
        code(&comparison.base),
        comparison.n_images,
        counts.join(", ")
    );
    let (changed, rest): (Vec<&Change>, Vec<&Change>) = comparison
        .changes
        .iter()
        .partition(|change| !matches!(change.verdict, Verdict::Unchanged | Verdict::WithinNoise));
    if !changed.is_empty() {
        rows(&mut md, &changed);
    }
    if !comparison.losses.is_empty() {
        let head = ["Model", "Method", "Degenerate maps", "Failed rows"].map(str::to_owned);
        let before_and_now = |[old, new]: [usize; 2]| format!("{old} → {new}");
        let losses = comparison.losses.iter().map(|loss| {
            vec![
                escape(&loss.model),
                escape(&loss.method),
                before_and_now(loss.degenerate),
                before_and_now(loss.failed),
            ]
        });
        table(&mut md, &head, losses);
    }
    if let Some(Change { metric, method, difference: Some(difference), noise, .. }) =
        comparison.blindest()
    {
        let from = 100.0 * difference.detectable;
        let seen = if from.is_finite() {
            format!("is seen four times out of five only from {from:.2} points on")
        } else {
            "cannot be seen at all".to_owned()
        };
        let _ = writeln!(
            md,
            "So few images may hide something: a change of {} under {} {seen}, and {:.2} are allowed.\n",
            escape(metric),
            escape(method),
            100.0 * noise
        );
    }
    if !rest.is_empty() {
        let _ = writeln!(
            md,
            "<details><summary>{} without a change that counts</summary>\n",
            rest.len()
        );
        if rest.len() > N_LISTED {
            let _ = writeln!(md, "The first {N_LISTED}:\n");
        }
        rows(&mut md, &rest[..rest.len().min(N_LISTED)]);
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
        let _ = writeln!(md, "Different from the baseline: {}.\n", differences.join("; "));
    }
    let limits = &comparison.limits;
    let drops: Vec<String> = limits
        .max_drop
        .iter()
        .map(|(metric, limit)| format!(", {limit} for {} to the worse", escape(metric)))
        .collect();
    let _ = writeln!(
        md,
        "Means in percent. A change counts if its paired 95 % interval excludes 0, its p-value after Holm's correction for \
         {} comparisons is below 0.05, and it is larger than {}{}.",
        comparison.changes.iter().filter(|change| change.difference.is_some()).count(),
        limits.noise,
        drops.concat()
    );
    md
}

fn rows(md: &mut String, changes: &[&Change]) {
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
        let is_bad = matches!(change.verdict, Verdict::Regressed | Verdict::Missing);
        let (size, p, n) = change.difference.map_or(
            ("–".to_owned(), "–".to_owned(), "–".to_owned()),
            |difference| {
                let [mean, lo, hi] =
                    [difference.mean, difference.lo, difference.hi].map(|x| 100.0 * x);
                (
                    format!("{mean:+.2} [{lo:+.2}, {hi:+.2}]"),
                    crate::report::p_value(difference.p_holm),
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
    table(md, &head, rows);
}
