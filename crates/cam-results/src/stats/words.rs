//! What follows from a run and what does not, in plain sentences.

use std::collections::BTreeSet;

use super::{Contrast, Difference, Item, below_controls, scores::ROUNDING};
use crate::{Summary, report::counted, summary::FEW_IMAGES};

/// What can be concluded from a run, one sentence or two each, the most important first. Plain text, with names as they
/// are printed; nothing is escaped.
pub fn conclusions(summary: &Summary) -> Vec<String> {
    if let Some(nothing) = nothing(summary) {
        return vec![nothing];
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
    if summary.n_networks() > 1 {
        sentences.extend(between(&summary.models));
    }
    sentences.extend(equal(&summary.methods));
    sentences.extend(controls(&summary.methods, n_models > 1));
    sentences.extend(too_few(summary));
    sentences
}

/// That nothing can be concluded, where there are too few images for anything.
pub(crate) fn nothing(summary: &Summary) -> Option<String> {
    let most = means(summary).map(|(_, n)| n).max().unwrap_or(0);
    (most < FEW_IMAGES).then(|| {
        format!(
            "Nothing: behind no mean there {} more than {}, and at least {FEW_IMAGES} are needed. The intervals and \
             p-values below show how such a report looks.",
            if most == 1 { "is" } else { "are" },
            counted(most, "image")
        )
    })
}

/// The means that nothing is concluded from, because there are too few images behind them.
pub(crate) fn too_few(summary: &Summary) -> Option<String> {
    let mut few: Vec<(String, usize)> = vec![];
    for (name, n) in means(summary).filter(|(_, n)| *n < FEW_IMAGES) {
        if few.iter().all(|(known, _)| *known != name) {
            few.push((name, n));
        }
    }
    let names: Vec<String> = few.iter().map(|(name, n)| format!("{name} ({n})")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let who = match names.len() {
        0 => return None,
        1..=FEW => listed(&names),
        n => format!("{n} means"),
    };
    Some(format!(
        "Left out, because at least {FEW_IMAGES} images are needed for a conclusion: {who}."
    ))
}

/// The names of all means in a report, and how many images are behind each.
fn means(summary: &Summary) -> impl Iterator<Item = (String, usize)> + '_ {
    // A plan may leave a method out of a model.
    summary.cells.iter().filter(|cell| cell.n_rows() > 0).flat_map(|cell| {
        let measured = cell.metrics.iter().zip(&summary.metrics).zip(&cell.metrics_n);
        measured
            .filter(|((mean, _), _)| mean.is_some() || cell.n == 0)
            .map(|((_, metric), n)| (format!("{metric} of {}", cell.method), *n))
    })
}

/// Who is best of those with enough images, and with whom.
pub(crate) fn best(contrast: &Contrast) -> Option<String> {
    let contrast = &contrast.with_enough_images();
    let order = contrast.order();
    let name = |i: usize| {
        let Item { label, is_control, .. } = &contrast.items[i];
        if *is_control { format!("{label} (a control)") } else { label.clone() }
    };
    let percent = |i: usize| contrast.items[i].estimate.map_or(f64::NAN, |e| 100.0 * e.mean);
    let (&best, rest) = order.split_first()?;
    let &next = rest.first()?;
    if contrast.first().is_some() {
        let Difference { mean, lo, hi, n, .. } = contrast.difference(best, next)?;
        let (near, far) = if mean < 0.0 { (-hi, -lo) } else { (lo, hi) };
        let has_all = [best, next].iter().all(|i| contrast.items[*i].n == n);
        let which = if has_all { String::new() } else { format!(" on the {n} images of both") };
        return Some(format!(
            "{} is best with {:.1}, ahead of {} with {:.1} by {:.1} to {:.1} points{which}.",
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
        let names: Vec<String> = with_best.iter().map(|i| name(*i)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
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

/// Which model is best, by every metric: under each method, or under how many of them where there are more than a few.
fn between(models: &[Contrast]) -> Vec<String> {
    let mut sentences = vec![];
    let mut headings: Vec<&str> = vec![];
    for contrast in models {
        if !headings.contains(&contrast.heading.as_str()) {
            headings.push(&contrast.heading);
        }
    }
    for heading in headings {
        let under = models.iter().filter(|contrast| contrast.heading == heading);
        let under: Vec<Contrast> = under
            .map(Contrast::with_enough_images)
            .filter(|contrast| contrast.order().len() > 1)
            .collect();
        if under.len() <= FEW {
            sentences.extend(under.iter().filter_map(|contrast| {
                Some(format!("{heading} under {}: {}", contrast.within, best(contrast)?))
            }));
            continue;
        }
        let mut firsts: Vec<(&str, usize)> = vec![];
        for contrast in &under {
            let Some(first) = contrast.first() else { continue };
            let name = contrast.items[first].label.as_str();
            match firsts.iter_mut().find(|(known, _)| *known == name) {
                Some((_, n)) => *n += 1,
                None => firsts.push((name, 1)),
            }
        }
        firsts.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        let n_none = under.len() - firsts.iter().map(|(_, n)| n).sum::<usize>();
        let mut parts: Vec<String> =
            firsts.iter().map(|(name, n)| format!("{name} under {n}")).collect();
        if n_none > 0 {
            parts.push(format!("none that can be told from every other under {n_none}"));
        }
        sentences.push(format!(
            "{heading}, the best model under {} methods: {}.",
            under.len(),
            parts.join(", ")
        ));
    }
    sentences
}

/// Methods with the same scores on every image are one result.
pub(crate) fn equal(methods: &[Contrast]) -> Vec<String> {
    let mut same: BTreeSet<(&str, usize, usize)> = BTreeSet::new();
    let mut different = BTreeSet::new();
    for contrast in methods {
        for pair in &contrast.pairs {
            let key = (&*contrast.within, pair.a, pair.b);
            if contrast.are_same(pair) {
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
    use crate::{
        Record, summarize,
        testing::{many_images, model, rows},
    };

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
    fn under_many_methods_the_best_models_are_counted() {
        let (mut manifest, _) = many_images(40);
        let renamed =
            |i: usize| crate::MethodEntry { name: format!("m{i}"), ..manifest.methods[0].clone() };
        manifest.methods = (0..5).map(renamed).collect();
        manifest.models = vec![model("one"), model("two"), model("three")];
        let mut records: Vec<Record> = rows(&manifest).into_iter().map(|row| row.record).collect();
        for (i, record) in records.iter_mut().enumerate() {
            // `two` is best under the first three methods; under the others they are alike but for noise.
            let is_better = &*record.model == "two" && record.method.as_bytes()[1] < b'3';
            let noise = (i as f64 * 1.7).sin() / 100.0;
            record.status = crate::Status::Ok;
            record.metrics = vec![Some(if is_better { 0.2 } else { 0.4 } + noise); 4];
        }
        let text = conclusions(&summarize(&manifest, &records)).join("\n");
        let counted = "Drop ↓, the best model under 5 methods: two under 3, none that can be told from every other under 2.";
        assert!(text.contains(counted), "{text}");
        assert!(!text.contains(" under m0:"), "{text}");
    }

    #[test]
    fn few_images_support_nothing() {
        let (manifest, records) = many_images(29);
        let sentences = conclusions(&summarize(&manifest, &records));
        assert_eq!(sentences.len(), 1);
        assert!(sentences[0].starts_with("Nothing: behind no mean there are more than 29 images"));
    }

    #[test]
    fn a_method_or_metric_with_few_images_is_left_out_and_the_others_are_concluded_from() {
        let text = concluded(|record| {
            let place: usize = record.image[..5].parse().unwrap();
            let drop = if record.method == "cam" { 0.1 } else { 0.4 };
            record.metrics[0] = Some(drop);
            // RISE says nothing on most images, and the second metric is not defined on most.
            if record.method == "rise" && place >= 5 {
                record.status = crate::Status::Degenerate;
            }
            record.metrics[1] = record.metrics[1].filter(|_| place < 12);
        });
        assert!(text.contains("Drop ↓: CAM is best with 10.0, ahead of Recipro-CAM"), "{text}");
        assert!(!text.contains("Deletion ↓:") && !text.contains("Nothing"), "{text}");
        assert!(text.contains("Left out, because at least 30 images are needed"), "{text}");
        assert!(!text.contains("RISE"), "{text}");
    }

    #[test]
    fn the_best_mean_of_a_method_that_is_worse_on_the_images_of_both_is_not_the_best() {
        // RISE says nothing on the twenty hard images, and is ten points worse than CAM on the others.
        let text = concluded(|record| {
            let place: usize = record.image[..5].parse().unwrap();
            let wiggle = (place as f64).sin() / 100.0;
            let hard = place < 20;
            let drop = match &*record.method {
                "cam" => 0.2 + if hard { 0.7 } else { 0.0 },
                "rise" => 0.3 + wiggle,
                _ => 0.95,
            };
            record.metrics[0] = Some(drop);
            if record.method == "rise" && hard {
                record.status = crate::Status::Degenerate;
            }
        });
        let ahead = "Drop ↓: CAM is best with 43.3, ahead of RISE with 30.0 by ";
        assert!(
            text.contains(ahead) && text.contains("points on the 40 images of both."),
            "{text}"
        );
    }

    #[test]
    fn methods_that_agree_where_both_have_a_score_are_not_the_same_if_one_has_more() {
        let text = concluded(|record| {
            let of_image = f64::from(record.image.as_bytes()[4]) / 100.0;
            record.metrics.fill(Some(of_image));
            if record.method == "rise" && record.image.as_bytes()[4] % 2 == 0 {
                record.status = crate::Status::Degenerate;
            }
        });
        assert!(text.contains("CAM and Recipro-CAM have the same scores"), "{text}");
        assert!(!text.contains("RISE have"), "{text}");
    }
}
