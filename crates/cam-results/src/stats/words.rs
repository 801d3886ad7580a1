//! What follows from a run and what does not, in plain sentences.

use std::collections::BTreeSet;

use super::{Contrast, Difference, below_controls, scores::ROUNDING};
use crate::{Summary, summary::FEW_IMAGES};

/// What can be concluded from a run, one sentence or two each, the most important first. Plain text, with names as they
/// are printed; nothing is escaped.
pub fn conclusions(summary: &Summary) -> Vec<String> {
    // A plan may leave a method out of a model.
    let there = summary.cells.iter().filter(|cell| cell.n_rows() > 0);
    let fewest = there.map(|cell| cell.n).min().unwrap_or(0);
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
    // The layers of one network have a section of their own.
    let between_networks = summary.models.iter().filter(|_| summary.n_networks() > 1);
    sentences.extend(between_networks.filter_map(|contrast| {
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
        format!("{} has the best mean and cannot be told from any other", name(best))
    } else {
        let names: Vec<&str> = with_best.iter().map(|i| name(*i)).collect();
        format!("{} cannot be told from {}", name(best), listed(&names))
    };
    let seen = if could > ROUNDING && could.is_finite() {
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
            // Every image's difference is rounding where one of that size would have been detected.
            if pair.difference.detectable <= ROUNDING && pair.difference.p >= 1.0 {
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

/// How many methods are named in a sentence; more are counted.
const FEW: usize = 3;

/// Which methods a metric does not put above the controls.
pub(crate) fn controls(methods: &[Contrast], with_model: bool) -> Vec<String> {
    let mut sentences = vec![];
    let below = below_controls(methods);
    for contrast in methods.iter().filter(|contrast| contrast.items.iter().any(|i| i.is_control)) {
        let here = below
            .iter()
            .filter(|below| below.model == contrast.within && below.heading == contrast.heading);
        // By control and by how it was missed, in the order in which they come.
        let mut groups: Vec<((&str, bool), Vec<&str>)> = vec![];
        for below in here {
            let key = (&*below.control, below.is_worse);
            match groups.iter_mut().find(|(other, _)| *other == key) {
                Some((_, methods)) => methods.push(&below.method),
                None => groups.push((key, vec![&below.method])),
            }
        }
        let n_methods = contrast.items.iter().filter(|item| !item.is_control).count();
        let groups: Vec<String> = groups
            .iter()
            .map(|((control, is_worse), methods)| {
                let how = if *is_worse { "worse than" } else { "not better than" };
                let who = match methods.len() {
                    1 => format!("{} is", methods[0]),
                    n if n <= FEW => format!("{} are", listed(methods)),
                    n if n == n_methods => format!("all {n} methods are"),
                    n => format!("{n} of {n_methods} methods are"),
                };
                format!("{who} {how} {control}")
            })
            .collect();
        if !groups.is_empty() {
            let model = if with_model { format!(" of {}", contrast.within) } else { String::new() };
            sentences.push(format!(
                "By {}{model}, not every method is shown to be better than the controls, which know nothing of the network: {}.",
                contrast.heading,
                groups.join("; ")
            ));
        }
    }
    sentences
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Record, summarize, testing::many_images};

    /// What is concluded of 60 images whose scores were changed.
    fn concluded(change: impl Fn(&mut Record)) -> String {
        let (manifest, mut records) = many_images(60);
        records.iter_mut().for_each(change);
        conclusions(&summarize(&manifest, &records)).join("\n")
    }

    #[test]
    fn who_is_best_is_said_with_by_how_much_and_who_is_not_with_what_would_have_been_seen() {
        let text = concluded(|record| {
            let drop = if record.method == "rise" { 0.1 } else { 0.4 };
            let wiggle = f64::from(record.image.as_bytes()[4]) / 1000.0;
            record.metrics[0] = Some(drop + if record.method == "cam" { wiggle } else { 0.0 });
        });
        assert!(text.contains("Drop ↓: RISE is best with 10.0, ahead of Recipro-CAM with 40.0 by 30.0 to 30.0 points."), "{text}");
        let equal = "has the best mean and cannot be told from any other. A difference of";
        assert!(text.contains(equal), "{text}");
    }

    #[test]
    fn methods_that_say_the_same_are_one_result() {
        let text = concluded(|record| {
            let of_image = f64::from(record.image.as_bytes()[4]) / 100.0;
            // Equal but for rounding.
            let rounding = if record.method == "cam" { 1e-7 } else { 0.0 };
            if record.method != "rise" {
                record.metrics.fill(Some(of_image + rounding));
            }
        });
        let same = "CAM and Recipro-CAM have the same scores on every image of resnet18";
        assert!(text.contains(same), "{text}");
        assert!(!text.contains("CAM and RISE have"), "{text}");
    }

    #[test]
    fn a_method_that_is_not_above_a_control_is_named() {
        let (mut manifest, mut records) = many_images(60);
        manifest.methods[2].method = "random".into();
        for record in &mut records {
            let drop =
                [("cam", 0.5), ("rise", 0.2)].iter().find(|(name, _)| record.method == *name);
            let of_image = f64::from(record.image.as_bytes()[4]) / 1000.0;
            record.metrics[0] = Some(drop.map_or(0.4, |(_, drop)| *drop) + of_image);
        }
        let text = conclusions(&summarize(&manifest, &records)).join("\n");
        let worse = "By Drop ↓, not every method is shown to be better than the controls, which know nothing of the network: CAM is worse than Recipro-CAM (recipro_cam).";
        assert!(text.contains(worse), "{text}");
        // Both methods below it are named; of many there would be a number.
        for record in &mut records {
            record.metrics[0] =
                record.metrics[0].map(|drop| if record.method == "rise" { 0.9 } else { drop });
        }
        let text = conclusions(&summarize(&manifest, &records)).join("\n");
        assert!(text.contains("CAM and RISE are worse than Recipro-CAM (recipro_cam)."), "{text}");
    }

    #[test]
    fn few_images_support_nothing() {
        let (manifest, records) = many_images(29);
        let sentences = conclusions(&summarize(&manifest, &records));
        assert_eq!(sentences.len(), 1);
        assert!(sentences[0].starts_with("Nothing: behind some means there are only 29 images"));
    }
}
