//! What follows from a run and what does not, in plain sentences.

use std::collections::BTreeSet;

use super::{Contrast, Difference, below_controls};
use crate::{Summary, summary::FEW_IMAGES};

/// What can be concluded from a run, one sentence or two each, the most important first. Plain text, with names as they
/// are printed; nothing is escaped.
pub fn conclusions(summary: &Summary) -> Vec<String> {
    let fewest = summary.cells.iter().map(|cell| cell.n).min().unwrap_or(0);
    if fewest < FEW_IMAGES {
        return vec![format!(
            "Nothing: behind some means there {} only {fewest} image{}, and at least {FEW_IMAGES} are needed. The intervals and \
             p-values below show how such a report looks.",
            if fewest == 1 { "is" } else { "are" },
            if fewest == 1 { "" } else { "s" }
        )];
    }
    let mut sentences = vec![];
    let n_models = summary.accuracies.len();
    let within = |contrast: &Contrast| {
        if n_models > 1 {
            format!("{}, {}", contrast.within, contrast.heading)
        } else {
            contrast.heading.clone()
        }
    };
    sentences.extend(
        summary.methods.iter().filter_map(|c| Some(format!("{}: {}", within(c), best(c)?))),
    );
    sentences.extend(summary.models.iter().filter_map(|contrast| {
        Some(format!("{} under {}: {}", contrast.heading, contrast.within, best(contrast)?))
    }));
    sentences.extend(equal(&summary.methods));
    sentences.extend(controls(&summary.methods, n_models > 1));
    sentences
}

/// Who is best, and with whom.
pub(crate) fn best(contrast: &Contrast) -> Option<String> {
    let order = contrast.order();
    let name = |i: usize| contrast.items[i].label.as_str();
    let percent = |i: usize| contrast.items[i].estimate.map_or(f64::NAN, |e| 100.0 * e.mean);
    let (&best, rest) = order.split_first()?;
    let &next = rest.first()?;
    if contrast.first().is_some() {
        let Difference { lo, hi, .. } = contrast.difference(best, next)?;
        let (near, far) = (lo.abs().min(hi.abs()), lo.abs().max(hi.abs()));
        return Some(format!(
            "{} is best with {:.1}, ahead of {} with {:.1} by {:.1} to {:.1} points.",
            name(best),
            percent(best),
            name(next),
            percent(next),
            100.0 * near,
            100.0 * far
        ));
    }
    let with_best: Vec<usize> =
        rest.iter().copied().filter(|other| !contrast.is_better(best, *other)).collect();
    let could = with_best
        .iter()
        .filter_map(|other| contrast.difference(best, *other))
        .map(|difference| difference.detectable)
        .fold(0.0, f64::max);
    let who = if with_best.len() == rest.len() && rest.len() > 1 {
        "no two at the top can be told apart".to_owned()
    } else {
        let names: Vec<&str> = with_best.iter().map(|i| name(*i)).collect();
        format!("{} cannot be told from {}", name(best), listed(&names))
    };
    let seen = if could > 0.0 && could.is_finite() {
        format!(
            " A difference of {:.1} points would have been seen four times out of five.",
            100.0 * could
        )
    } else {
        String::new()
    };
    Some(format!("{who}.{seen}"))
}

/// Methods with the same scores on every image are one result.
pub(crate) fn equal(methods: &[Contrast]) -> Vec<String> {
    let mut same: BTreeSet<(&str, usize, usize)> = BTreeSet::new();
    let mut different = BTreeSet::new();
    for contrast in methods {
        for pair in &contrast.pairs {
            let key = (&*contrast.within, pair.a, pair.b);
            // Every image's difference is 0 where nothing at all could have been detected.
            if pair.difference.detectable == 0.0 && pair.difference.p >= 1.0 {
                same.insert(key);
            } else {
                different.insert(key);
            }
        }
    }
    let name = |within: &str, i: usize| {
        let contrast = methods.iter().find(|contrast| contrast.within == within);
        contrast.map_or(String::new(), |contrast| contrast.items[i].label.clone())
    };
    same.difference(&different)
        .map(|(within, a, b)| {
            let [a, b] = [*a, *b].map(|i| name(within, i));
            format!(
                "{a} and {b} have the same scores on every image of {within}: one result, not two."
            )
        })
        .collect()
}

/// Which methods a metric does not put above the controls.
pub(crate) fn controls(methods: &[Contrast], with_model: bool) -> Vec<String> {
    let mut sentences = vec![];
    let below = below_controls(methods);
    for contrast in methods.iter().filter(|contrast| contrast.items.iter().any(|i| i.is_control)) {
        let here = below
            .iter()
            .filter(|below| below.model == contrast.within && below.heading == contrast.heading);
        let pairs: Vec<String> = here
            .map(|below| {
                let how = if below.is_worse { "worse than" } else { "not better than" };
                format!("{} is {how} {}", below.method, below.control)
            })
            .collect();
        if !pairs.is_empty() {
            let model = if with_model { format!(" of {}", contrast.within) } else { String::new() };
            sentences.push(format!(
                "By {}{model}, not every method is shown to be better than the controls, which know nothing of the network: {}.",
                contrast.heading,
                listed(&pairs.iter().map(String::as_str).collect::<Vec<_>>())
            ));
        }
    }
    sentences
}

/// `a`, `a and b`, `a, b and c`.
fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
