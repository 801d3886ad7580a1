//! What follows from a run and what does not, in plain sentences.

use super::{
    Beaten, Contrast, Difference, Item, beaten, beside_controls, controls::unbeaten,
    scores::ROUNDING,
};
use crate::{
    Better, Summary,
    format::number,
    pareto::{self, Price, Worth},
    summary::FEW_IMAGES,
};

/// Sentences that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// What they are about, where they need to be told from others: a model.
    pub title: Option<String>,
    /// Plain text, with names as they are printed; nothing is escaped.
    pub sentences: Vec<String>,
}

/// What can be concluded from a run, the most important first: which methods are cost-effective, who is best by every
/// metric, and what weakens that.
pub fn conclusions(summary: &Summary) -> Vec<Topic> {
    if let Some(nothing) = nothing(summary) {
        return vec![Topic { title: None, sentences: vec![nothing] }];
    }
    let mut topics = vec![];
    let worth = worth(summary);
    // The metrics of a model lie side by side.
    for of_model in summary.methods.chunk_by(|a, b| a.within == b.within) {
        let model = &of_model[0].within;
        let worth = worth.iter().filter(|(of, _)| of == model);
        let mut sentences: Vec<String> = worth.map(|(_, sentence)| sentence.clone()).collect();
        sentences.extend(of_model.iter().filter_map(|contrast| {
            let Best { sentence, beside } = best(contrast)?;
            let beside = beside.map_or(String::new(), |beside| format!(" {beside}"));
            Some(format!("{}: {sentence}{beside}", contrast.heading))
        }));
        topics.push(Topic {
            title: (summary.accuracies.len() > 1).then(|| model.clone()),
            sentences,
        });
    }
    topics.push(Topic {
        title: Some("Between models".to_owned()),
        sentences: between(&between_networks(summary)),
    });
    let mut of_all: Vec<String> = no_method_above(&summary.methods).into_iter().collect();
    of_all.extend(equal(&summary.methods));
    of_all.extend(too_few(summary));
    topics.push(Topic { title: None, sentences: of_all });
    topics.retain(|topic| !topic.sentences.is_empty());
    topics
}

/// That nothing can be concluded, where there are too few images for anything.
pub(crate) fn nothing(summary: &Summary) -> Option<String> {
    let most = means(summary).map(|(_, n)| n).max().unwrap_or(0);
    (most < FEW_IMAGES).then(|| {
        format!(
            "Nothing: no mean is over more than {}, and at least {FEW_IMAGES} are needed. The intervals and p-values \
             below only show what such a report looks like.",
            summary.counted_units(most)
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
        "Left out, because at least {} are needed for a conclusion: {who}.",
        summary.counted_units(FEW_IMAGES)
    ))
}

/// The names of all means in a report, and how many images, or classes, are behind each.
fn means(summary: &Summary) -> impl Iterator<Item = (String, usize)> + '_ {
    // A plan may leave a method out of a model.
    summary.cells.iter().filter(|cell| cell.n_rows() > 0).flat_map(|cell| {
        let measured = cell.metrics.iter().zip(&summary.metrics).zip(&cell.metrics_units);
        measured
            .filter(|((mean, _), _)| mean.is_some() || cell.n == 0)
            .map(|((_, metric), n)| (format!("{metric} of {}", cell.method), *n))
    })
}

/// What is said of a metric in one model, or under one method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Best {
    /// Who is best, controls aside, and by how much, or who is not significantly different.
    pub(crate) sentence: String,
    /// How the best one stands beside the controls.
    pub(crate) beside: Option<String>,
}

/// Who is best of those with enough images, and with whom.
pub(crate) fn best(whole: &Contrast) -> Option<Best> {
    let contrast = &whole.with_enough_images();
    let order = contrast.methods_in_order();
    let (&best, rest) = order.split_first()?;
    let beside = beside_controls(whole, contrast, best);
    let label = |i: usize| contrast.items[i].label.as_str();
    let percent = |i: usize| contrast.items[i].estimate.map_or(f64::NAN, |e| 100.0 * e.mean);
    // With the number of images where others have more.
    let mean = |i: usize| {
        let over = if contrast.has_fewer_images(i) {
            format!(" over {} images", contrast.items[i].n)
        } else {
            String::new()
        };
        format!("{:.1}{over}", percent(i))
    };
    let Some(&next) = rest.first() else {
        // One alone is not best, but may be better than a control.
        let sentence = format!("{} has {}.", label(best), mean(best));
        return beside.map(|beside| Best { sentence, beside: Some(beside) });
    };
    if contrast.first().is_some() {
        let difference = contrast.difference(best, next)?;
        let sentence = format!(
            "{} is best with {}; it is {} better than {} ({}){}.",
            label(best),
            mean(best),
            size(&difference),
            label(next),
            mean(next),
            common(contrast, best, next),
        );
        return Some(Best { sentence, beside });
    }
    let (compared, apart): (Vec<usize>, Vec<usize>) =
        rest.iter().copied().partition(|other| contrast.difference(best, *other).is_some());
    let alike: Vec<usize> =
        compared.iter().copied().filter(|other| !contrast.is_better(best, *other)).collect();
    let names = |places: &[usize]| listed(&places.iter().map(|i| label(*i)).collect::<Vec<_>>());
    let mut parts = vec![];
    if !alike.is_empty() {
        let others = match alike.len() {
            n if n <= FEW => names(&alike),
            n if n == rest.len() => format!("any of the {n} others"),
            n => format!("{n} of the {} others", rest.len()),
        };
        let all_have = |other: &usize| common(contrast, best, *other).is_empty();
        let which = if alike.iter().all(all_have) { "" } else { " on the images that both have" };
        parts.push(format!("is not significantly different from {others}{which}"));
    }
    if !apart.is_empty() {
        let others =
            if apart.len() <= FEW { names(&apart) } else { format!("{} others", apart.len()) };
        parts.push(format!("has too few images in common with {others} to be compared"));
    }
    // What would have been found of any of them.
    let detectable = alike.iter().filter_map(|other| contrast.difference(best, *other));
    let most = detectable.map(|difference| difference.detectable).fold(0.0, f64::max);
    let found = if most > ROUNDING && most.is_finite() {
        let at_most = if alike.len() > 1 { "at most " } else { "" };
        format!(" Detectable difference (80 % power): {at_most}{}.", points(most, most))
    } else {
        String::new()
    };
    // Of those that none is better than, the first need not have the best mean: another one's images may be easier.
    let goodness =
        |i: usize| if contrast.better == Better::Higher { percent(i) } else { -percent(i) };
    let parts = parts.join(", and ");
    let with_mean = |i: usize| format!("{} ({})", label(i), mean(i));
    let has_better_mean = |other: &usize| goodness(*other) > goodness(best);
    let is_beaten = |i: usize| order.iter().any(|other| contrast.is_better(*other, i));
    let also: Vec<String> = rest
        .iter()
        .filter(|other| has_better_mean(other) && !is_beaten(**other))
        .map(|other| with_mean(*other))
        .collect();
    let sentence = if !rest.iter().any(has_better_mean) {
        format!("{} has the best mean ({}) and {parts}.{found}", label(best), mean(best))
    } else if let Some((last, first)) = also.split_last() {
        let first: Vec<String> = [with_mean(best)].into_iter().chain(first.to_vec()).collect();
        let first = first.join(", ");
        format!(
            "None is significantly better than {first} or {last}. {} {parts}.{found}",
            label(best)
        )
    } else {
        format!("None is significantly better than {}, which {parts}.{found}", with_mean(best))
    };
    Some(Best { sentence, beside })
}

/// Which images two items are compared on, where one has others, too.
fn common(contrast: &Contrast, a: usize, b: usize) -> String {
    match contrast.difference(a, b) {
        Some(Difference { n, .. }) if [a, b].iter().any(|i| contrast.items[*i].n != n) => {
            format!(" on the {n} images that both have")
        }
        _ => String::new(),
    }
}

/// A difference's 95 % interval as a size, whichever way it goes.
fn size(difference: &Difference) -> String {
    let Difference { mean, lo, hi, .. } = *difference;
    if mean < 0.0 { points(-hi, -lo) } else { points(lo, hi) }
}

/// `1.1 to 2.3 points`, of shares; with as many digits as it takes to show that there is something.
fn points(least: f64, most: f64) -> String {
    let [least, most] = [least, most].map(|share| 100.0 * share);
    let digits = (1..4).find(|digits| 10_f64.powi(*digits) * most.abs() >= 1.0);
    let Some(digits) = digits else { return "less than 0.001 points".to_owned() };
    let digits = digits as usize;
    // The smaller end may lie beyond 0, and no zero is negative.
    let [least, most] = [least, most].map(|points| {
        let text = format!("{points:.digits$}");
        text.strip_prefix('-')
            .filter(|rest| rest.parse() == Ok(0.0))
            .map_or(text.clone(), str::to_owned)
    });
    if least == most { format!("{most} points") } else { format!("{least} to {most} points") }
}

/// Which methods are cost-effective in each model, by ADCC, else by the first metric. Names of models with a sentence each.
pub(crate) fn worth(summary: &Summary) -> Vec<(String, String)> {
    let of_model = |of_model: &[Contrast]| {
        let by = of_model.iter().find(|contrast| contrast.metric == "adcc").or(of_model.first())?;
        let contrast = by.with_enough_images();
        let n_priced = pareto::priced(summary, &contrast, Price::Passes).len();
        if n_priced < 2 {
            return None;
        }
        let worth = pareto::worth(summary, by, Price::Passes);
        let place = |name: &String| contrast.items.iter().position(|item| item.name == *name);
        let bests: Vec<usize> =
            worth.iter().filter_map(|worth| place(worth.methods.first()?)).collect();
        let part = |(i, Worth { cost, methods }): (usize, &Worth)| {
            let best = bests[i];
            let Item { label, estimate, .. } = &contrast.items[best];
            let mut said = vec![format!("{:.1}", estimate.map_or(f64::NAN, |e| 100.0 * e.mean))];
            let alike: Vec<&str> = methods[1..]
                .iter()
                .filter_map(|name| Some(contrast.items[place(name)?].label.as_str()))
                .collect();
            match alike.len() {
                0 => {}
                1 => said.push(format!(
                    "{}, at the same cost, is not significantly different",
                    alike[0]
                )),
                n => {
                    let who = if n <= FEW { listed(&alike) } else { format!("{n} others") };
                    said.push(format!("{who}, at the same cost, are not significantly different"));
                }
            }
            if let Some(before) = i.checked_sub(1).map(|before| bests[before])
                && let Some(difference) = contrast.difference(best, before)
            {
                let (by, which) = (size(&difference), common(&contrast, best, before));
                said.push(format!("{by} better than {}{which}", contrast.items[before].label));
            }
            let unbeaten = unbeaten(&contrast, best);
            if !unbeaten.is_empty() {
                let controls = if unbeaten.len() == 1 { "control" } else { "controls" };
                let who = listed(&unbeaten);
                said.push(format!("not significantly better than the {controls} {who}"));
            }
            let noun = if *cost > 1.0 { "passes" } else { "pass" };
            format!("{label} with {} {noun} per image ({})", number(*cost), said.join("; "))
        };
        let parts: Vec<String> = worth.iter().enumerate().map(part).collect();
        let n_worth: usize = worth.iter().map(|worth| worth.methods.len()).sum();
        let known =
            if n_priced < contrast.methods_in_order().len() { " of known cost" } else { "" };
        let rest = match (worth.len(), n_priced - n_worth) {
            (_, 0) => String::new(),
            (1, _) => format!(" No other method{known} is significantly better."),
            _ => format!(
                " No other method{known} is significantly better than every method that costs no more."
            ),
        };
        // Each has commas of its own.
        let parts = match &parts[..] {
            [first @ .., last] if !first.is_empty() => format!("{}, and {last}", first.join(", ")),
            parts => parts.concat(),
        };
        let sentence = format!("Cost-effective by {}: {parts}.{rest}", contrast.heading);
        Some((contrast.within.clone(), sentence))
    };
    summary.methods.chunk_by(|a, b| a.within == b.within).filter_map(of_model).collect()
}

/// The models under every method that is no control; none where all are layers of one network, which have a section of
/// their own.
pub(crate) fn between_networks(summary: &Summary) -> Vec<Contrast> {
    let is_control = |name: &str| {
        let items = summary.methods.iter().flat_map(|contrast| &contrast.items);
        items.filter(|item| item.is_control).any(|item| item.name == name)
    };
    let models = summary.models.iter().filter(|contrast| !is_control(&contrast.within));
    models.filter(|_| summary.n_networks() > 1).cloned().collect()
}

/// Models that are compared, as they are printed, and the metric as it heads a column.
type Set = (Vec<String>, String);

/// Which model is best, by every metric: under each method, or under how many of them where there are more than a few.
fn between(models: &[Contrast]) -> Vec<String> {
    // Models that are not comparable are in sets of their own.
    let of = |contrast: &Contrast| -> Set {
        let names = contrast.items.iter().map(|item| item.label.clone());
        (names.collect::<Vec<_>>(), contrast.heading.clone())
    };
    let mut sets: Vec<(Set, Vec<Contrast>)> = vec![];
    for contrast in models {
        let enough = contrast.with_enough_images();
        if enough.order().len() < 2 {
            continue;
        }
        let set = of(contrast);
        match sets.iter_mut().find(|(known, _)| *known == set) {
            Some((_, under)) => under.push(enough),
            None => sets.push((set, vec![enough])),
        }
    }
    let n_sets = {
        let mut names: Vec<&Vec<String>> = sets.iter().map(|((names, _), _)| names).collect();
        names.dedup();
        names.len()
    };
    let mut sentences = vec![];
    for ((names, heading), under) in &sets {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let among = if n_sets > 1 { format!(", among {}", listed(&names)) } else { String::new() };
        if under.len() <= FEW {
            sentences.extend(under.iter().filter_map(|contrast| {
                let Best { sentence, .. } = best(contrast)?;
                Some(format!("{heading} under {}{among}: {sentence}", contrast.within))
            }));
            continue;
        }
        let mut firsts: Vec<(&str, usize)> = vec![];
        for contrast in under {
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
        match (parts.len(), n_none) {
            (_, 0) => {}
            (0, _) => parts.push("none under any of them".to_owned()),
            (_, n) => parts.push(format!("none under the other {n}")),
        }
        sentences.push(format!(
            "{heading}{among}, significantly best model under {} methods: {}.",
            under.len(),
            parts.join(", ")
        ));
    }
    sentences
}

/// Methods with the same scores on every image are one result.
pub(crate) fn equal(methods: &[Contrast]) -> Vec<String> {
    let mut sentences = vec![];
    for of_model in methods.chunk_by(Contrast::is_beside) {
        let items = &of_model[0].items;
        let same = |a: usize, b: usize| {
            of_model.iter().all(|contrast| {
                let pair = contrast.pairs.iter().find(|pair| (pair.a, pair.b) == (a, b));
                pair.is_none_or(|pair| contrast.are_same(pair))
            }) && of_model.iter().any(|contrast| contrast.difference(a, b).is_some())
        };
        let mut left: Vec<usize> = (0..items.len()).collect();
        while let Some(&first) = left.first() {
            let (group, others): (Vec<usize>, Vec<usize>) =
                left.into_iter().partition(|i| *i == first || same(first, *i));
            left = others;
            if group.len() > 1 {
                let names: Vec<&str> = group.iter().map(|i| items[*i].label.as_str()).collect();
                sentences.push(format!(
                    "{} have the same scores on every image of {}, up to rounding: they are one result.",
                    listed(&names),
                    of_model[0].within
                ));
            }
        }
    }
    sentences
}

/// How many methods are named in a sentence; more are counted.
const FEW: usize = 3;

/// The metrics by which no method of any model is significantly better than a certain control.
pub(crate) fn no_method_above(methods: &[Contrast]) -> Option<String> {
    let mut metrics: Vec<(String, Vec<String>)> = vec![];
    for Beaten { heading, control, by, .. } in beaten(methods, false) {
        if !by.is_empty() {
            continue;
        }
        match metrics.iter_mut().find(|(known, _)| *known == heading) {
            Some((_, controls)) => controls.push(control),
            None => metrics.push((heading, vec![control])),
        }
    }
    let of_metric = |(i, (heading, controls)): (usize, &(String, Vec<String>))| {
        let controls = controls.join(" or ");
        if i == 0 {
            format!("By {heading}, no method is significantly better than {controls}")
        } else {
            format!("by {heading}, than {controls}")
        }
    };
    let metrics: Vec<String> = metrics.iter().enumerate().map(of_metric).collect();
    let these =
        if metrics.len() == 1 { "This metric alone does" } else { "These metrics alone do" };
    (!metrics.is_empty()).then(|| {
        format!(
            "{}. {these} not show that a method explains anything: a control knows nothing of the network, or nothing \
             of what it learned.",
            metrics.join("; ")
        )
    })
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
        testing::{beside_a_control, many_images, model, rows},
    };

    /// What is concluded of 60 images whose scores were changed.
    fn concluded(change: impl Fn(&mut Record)) -> String {
        let (manifest, mut records) = many_images(60);
        records.iter_mut().for_each(change);
        text(&summarize(&manifest, &records))
    }

    fn text(summary: &Summary) -> String {
        let topics = conclusions(summary).into_iter();
        topics.flat_map(|topic| topic.sentences).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn who_is_best_is_said_with_by_how_much_and_who_is_not_with_the_detectable_difference() {
        let text = concluded(|record| {
            let drop = if record.method == "rise" { 0.1 } else { 0.4 };
            let wiggle = f64::from(record.image.as_bytes()[4]) / 1000.0;
            record.metrics[0] = Some(drop + if record.method == "cam" { wiggle } else { 0.0 });
        });
        assert!(
            text.contains(
                "Drop ↓: RISE is best with 10.0; it is 30.0 points better than Recipro-CAM (40.0)."
            ),
            "{text}"
        );
        let equal = "and is not significantly different from CAM and Recipro-CAM. Detectable difference (80 % power): at most";
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
    fn the_best_is_a_method_and_how_it_stands_beside_the_controls_is_said() {
        let none = "By Drop ↓, no method is significantly better than Recipro-CAM (recipro_cam)";
        let is_said = |text: &str| text.lines().any(|line| line.starts_with(none));
        let text = self::text(&beside_a_control(0.5, 0.7, 0.4));
        let best = "Drop ↓: CAM is best with 55.2; it is 20.0 points better than RISE (75.2). Of the controls, Recipro-CAM (recipro_cam) is better.";
        assert!(text.contains(best), "{text}");
        assert!(is_said(&text), "{text}");
        let text = self::text(&beside_a_control(0.2, 0.7, 0.4));
        let best = "it is 50.0 points better than RISE (75.2). Better than the control Recipro-CAM (recipro_cam).";
        assert!(text.contains(best), "{text}");
        assert!(!is_said(&text), "{text}");
    }

    #[test]
    fn the_cheapest_and_whatever_is_better_than_all_that_costs_no_more_is_cost_effective() {
        let (mut manifest, mut records) = many_images(60);
        manifest.metrics.truncate(1);
        for record in &mut records {
            record.metrics.truncate(1);
            record.adcc_per_image = None;
            (record.forwards, record.head_forwards, record.backwards) = match &*record.method {
                "cam" => (1, 0, 0),
                "rise" => (4000, 0, 0),
                _ => (1, 49, 0),
            };
        }
        let mut worth_with = |rise: f64, recipro_cam: f64| {
            for record in &mut records {
                let of_image = f64::from(record.image.as_bytes()[4]) / 1000.0;
                let drop = match &*record.method {
                    "cam" => 0.4,
                    "rise" => rise,
                    _ => recipro_cam,
                };
                record.metrics[0] = Some(drop + of_image - 0.0525);
            }
            let summary = summarize(&manifest, &records);
            worth(&summary).remove(0).1
        };
        assert_eq!(
            worth_with(0.1, 0.5),
            "Cost-effective by Drop ↓: CAM with 1 pass per image (40.0), and RISE with 4000 passes per image (10.0; 30.0 \
             points better than CAM). No other method is significantly better than every method that costs no more."
        );
        assert_eq!(
            worth_with(0.3, 0.2),
            "Cost-effective by Drop ↓: CAM with 1 pass per image (40.0), and Recipro-CAM with 50 passes per image (20.0; \
             20.0 points better than CAM). No other method is significantly better than every method that costs no more."
        );
        assert_eq!(
            worth_with(0.4, 0.4),
            "Cost-effective by Drop ↓: CAM with 1 pass per image (40.0). No other method is significantly better."
        );
    }

    #[test]
    fn a_small_difference_is_given_with_the_digits_that_it_has() {
        assert_eq!(points(0.011, 0.0231), "1.1 to 2.3 points");
        assert_eq!(points(0.000_11, 0.000_42), "0.01 to 0.04 points");
        assert_eq!(points(-0.000_01, 0.001), "0.0 to 0.1 points");
        assert_eq!(points(0.000_001, 0.000_002), "less than 0.001 points");
        assert_eq!(points(0.3, 0.3), "30.0 points");
    }

    #[test]
    fn of_many_methods_those_that_are_not_significantly_different_from_the_best_are_counted() {
        let (mut manifest, _) = many_images(40);
        let renamed =
            |i: usize| crate::MethodEntry { name: format!("m{i}"), ..manifest.methods[0].clone() };
        manifest.methods = (0..6).map(renamed).collect();
        let mut records: Vec<Record> = rows(&manifest).into_iter().map(|row| row.record).collect();
        let mut concluded = |n_worse: u8| {
            for (i, record) in records.iter_mut().enumerate() {
                let is_worse = record.method.as_bytes()[1] - b'0' < n_worse;
                let noise = (i as f64 * 1.7).sin() / 100.0;
                record.status = crate::Status::Ok;
                record.metrics = vec![Some(if is_worse { 0.9 } else { 0.4 } + noise); 4];
            }
            text(&summarize(&manifest, &records))
        };
        assert!(
            concluded(0).contains("and is not significantly different from any of the 5 others. ")
        );
        assert!(
            concluded(1).contains("and is not significantly different from 4 of the 5 others. ")
        );
        assert!(!concluded(2).contains("others."), "three are named");
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
        let text = text(&summarize(&manifest, &records));
        let counted = "Drop ↓, significantly best model under 5 methods: two under 3, none under the other 2.";
        assert!(text.contains(counted), "{text}");
        assert!(!text.contains(" under m0:"), "{text}");
    }

    #[test]
    fn few_images_support_nothing() {
        let (manifest, records) = many_images(29);
        let text = text(&summarize(&manifest, &records));
        assert_eq!(text.lines().count(), 1);
        assert!(text.starts_with("Nothing: no mean is over more than 29 images, and"));
    }

    #[test]
    fn where_classes_are_drawn_few_classes_support_nothing_however_many_images_they_have() {
        let concluded_of = |n_classes: i64| {
            let (mut manifest, mut records) = many_images(310);
            for (i, image) in manifest.images.iter_mut().enumerate() {
                image.label = Some(i as i64 / 10);
            }
            for record in &mut records {
                let place: i64 = record.image[..5].parse().unwrap();
                if place / 10 >= n_classes {
                    record.status = crate::Status::Failed;
                }
            }
            text(&summarize(&manifest, &records))
        };
        let few = concluded_of(29);
        assert!(few.starts_with("Nothing: no mean is over more than 29 classes, and"), "{few}");
        assert!(!concluded_of(31).contains("Nothing"));
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
        assert!(
            text.contains(
                "Drop ↓: CAM is best with 10.0; it is 30.0 points better than Recipro-CAM"
            ),
            "{text}"
        );
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
        let best = "Drop ↓: CAM is best with 43.3; it is ";
        assert!(
            text.contains(best)
                && text
                    .contains(" points better than RISE (30.0) on the 40 images that both have."),
            "{text}"
        );
    }

    #[test]
    fn of_several_that_none_is_better_than_the_best_mean_is_not_called_so_where_easier_images_have_a_better_one()
     {
        // As above, with two methods that do not differ significantly.
        let text = concluded(|record| {
            let place: usize = record.image[..5].parse().unwrap();
            let wiggle = (place as f64).sin() / 100.0;
            let hard = place < 20;
            let drop = match &*record.method {
                "rise" => 0.3 + wiggle,
                "cam" => 0.2 + if hard { 0.7 } else { 0.0 },
                _ => 0.201 + if hard { 0.7 } else { 0.0 } + (place as f64).cos() / 100.0,
            };
            record.metrics[0] = Some(drop);
            if record.method == "rise" && hard {
                record.status = crate::Status::Degenerate;
            }
        });
        let none = "Drop ↓: None is significantly better than CAM (43.3), which is not significantly different from Recipro-CAM.";
        assert!(text.contains(none), "{text}");
    }

    #[test]
    fn a_method_with_far_fewer_images_does_not_have_the_best_mean_but_its_number_of_images() {
        let with = |rise: f64| {
            let (manifest, mut records) = many_images(80);
            for record in &mut records {
                let place: usize = record.image[..5].parse().unwrap();
                let easy = place < 32;
                let noise = (place as f64 * 1.7).sin() / 10.0;
                let drop = match &*record.method {
                    "rise" => rise,
                    "cam" => 0.3 + noise,
                    _ => 0.6,
                };
                record.metrics[0] = Some(drop - if easy { 0.2 } else { 0.0 });
                if record.method == "rise" && !easy {
                    record.status = crate::Status::Failed;
                }
            }
            text(&summarize(&manifest, &records))
        };
        let alike = with(0.3);
        let none = "Drop ↓: None is significantly better than CAM (22.";
        assert!(alike.contains(none), "{alike}");
        let which = ") or RISE (10.0 over 32 images). CAM is not significantly different from RISE on the images that both have.";
        assert!(alike.contains(which), "{alike}");
        let better = with(0.2);
        assert!(
            better.contains("Drop ↓: RISE is best with 0.0 over 32 images; it is "),
            "{better}"
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
