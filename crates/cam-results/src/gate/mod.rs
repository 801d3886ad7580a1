//! The regression gate: did explanations get worse from one run to another?
//!
//! [`compare`] looks at every (model, method, metric) of the baseline and gives one [`Verdict`]. The rule: a change is
//! claimed only if it is *significant*, that is, its paired 95 % interval excludes 0 and its p-value, corrected for all
//! cells (Holm), is below 5 %; and it counts only if it is *larger than noise*, a threshold of practice that the user
//! sets. Runs that differ in more than weights, numbers formats or versions are [`NotComparable`]. A change is one of the
//! images that both runs scored, so scores that the new run lost are counted apart, as [`Unscored`] or as a [`Loss`] of
//! rows, and are a [`Fault`] of their own. A control explains nothing: that its scores moved says that the network did,
//! and is no fault.

mod baseline;
mod comparable;
mod comparison;
mod junit;
mod limits;
mod markdown;
mod uncompared;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

pub use baseline::{Baselines, is_run};
pub use comparable::NotComparable;
use comparable::Pairs;
pub use comparison::{
    Change, Classified, Comparison, Fault, Loss, OF_CONTROLS, Retargeted, Unscored, Verdict,
};
pub use junit::junit;
pub use limits::{Limits, Threshold};
pub use markdown::markdown;
pub use uncompared::Uncompared;

use crate::{
    Better, MethodEntry, ModelEntry, Record, Run, RunManifest, Status,
    classes::{Classes, is_same_class},
    stats::{Paired, Scores, Statistic, corrected},
    summary::adcc_parts,
};

/// One of two runs that are compared.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// What it is called.
    pub name: &'a str,
    /// What was run.
    pub manifest: &'a RunManifest,
    /// Its rows, in any order.
    pub records: &'a [Record],
}

impl<'a> Side<'a> {
    /// A run, under a name.
    pub fn of(name: &'a str, run: &'a Run) -> Self {
        Self { name, manifest: run.manifest(), records: run.records() }
    }
}

/// Checks that the numbers of two runs mean the same, before the second is made.
///
/// # Errors
/// Where they are not about the same thing, or a limit is on a metric that there is not.
pub fn check(base: &RunManifest, new: &RunManifest, limits: &Limits) -> Result<(), NotComparable> {
    comparable::check(base, new, limits).map(drop)
}

/// Compares a new run with a baseline.
///
/// # Errors
/// Where they are not about the same thing, or the baseline lacks rows or has no score at all.
pub fn compare(
    base: Side<'_>,
    new: Side<'_>,
    limits: &Limits,
) -> Result<Comparison, NotComparable> {
    let pairs = comparable::check(base.manifest, new.manifest, limits)?;
    comparable::check_whole(base)?;
    let new_records = with_values_of(new, base.manifest);
    let lost = lost_values(base, &pairs, &new_records);
    let scores = Scores::of_runs([
        (base.manifest, base.records),
        (&with_metrics_of(new.manifest, base.manifest), &new_records),
    ]);
    let cells = cells([base, new], &pairs);
    let metrics = metrics(base.manifest);
    let changes: Vec<(Change, Option<Paired>)> = cells
        .iter()
        .flat_map(|cell| metrics.iter().map(move |metric| (cell, metric)))
        .filter_map(|(cell, metric)| change(cell, metric, &scores, limits))
        .collect();
    if changes.iter().all(|(change, _)| change.is_control) {
        return Err(NotComparable::without_scores());
    }
    let differences = comparable::differences(base.manifest, new.manifest, &pairs);
    let differ_in_seed = base.manifest.seed != new.manifest.seed && differences.len() == 1;
    let n_images = base.manifest.images.len();
    let changes = judged(changes, limits, differ_in_seed);
    Ok(Comparison {
        base: base.name.to_owned(),
        new: new.name.to_owned(),
        measured: new.manifest.finished.as_ref().unwrap_or(&new.manifest.started).clone(),
        n_images,
        limits: limits.clone(),
        differences: pairs.names().into_iter().chain(differences).collect(),
        classified: classified(base, new, &pairs),
        retargeted: retargeted(base, new, &pairs),
        unscored: unscored(&lost, &changes, base.manifest),
        changes,
        losses: cells.iter().filter_map(|cell| loss(cell, n_images, limits)).collect(),
    })
}

/// A (model, method) of the baseline, and what both runs have of it.
struct Cell<'a> {
    model: &'a ModelEntry,
    method: &'a MethodEntry,
    /// Where it stands among the scores of both runs; `None` where the new one does not have it.
    places: (usize, Option<usize>),
    rows: [Rows; 2],
    /// How many images failed in the new run that did not in the baseline.
    newly_failed: usize,
}

/// The cells of the baseline, in its order.
fn cells<'a>([base, new]: [Side<'a>; 2], pairs: &Pairs<'_>) -> Vec<Cell<'a>> {
    let (old_rows, new_rows) = (rows_by_cell(base.records), rows_by_cell(new.records));
    let newly_failed = newly_failed([base, new], pairs);
    let rows = |rows: &HashMap<(&str, &str), Rows>, model: &str, method: &str| {
        rows.get(&(model, method)).copied().unwrap_or_default()
    };
    let n_old = base.manifest.models.len() * base.manifest.methods.len();
    let methods = || base.manifest.methods.iter();
    let entries = base.manifest.models.iter().flat_map(|m| methods().map(move |k| (m, k)));
    let cell = |(place, (model, method)): (usize, (&'a ModelEntry, &'a MethodEntry))| {
        // A name that is not there has no rows.
        let name = pairs.new_of(model).map_or("", |new| &*new.name);
        let new_place = place_of(new.manifest, name, &method.name).map(|i| n_old + i);
        let old_rows = rows(&old_rows, &model.name, &method.name);
        let new_rows = rows(&new_rows, name, &method.name);
        let newly_failed =
            newly_failed.get(&(&*model.name, &*method.name)).copied().unwrap_or_default();
        let places = (place, new_place);
        Cell { model, method, places, rows: [old_rows, new_rows], newly_failed }
    };
    entries.enumerate().map(cell).collect()
}

/// A metric of the baseline, or ADCC.
struct Metric<'a> {
    statistic: Statistic,
    name: &'a str,
    better: Better,
}

/// The metrics of the baseline in its order, and ADCC where it has one.
fn metrics(base: &RunManifest) -> Vec<Metric<'_>> {
    let own = base.metrics.iter().enumerate().map(|(i, metric)| Metric {
        statistic: Statistic::Mean(i),
        name: &metric.name,
        better: metric.better,
    });
    let adcc = adcc_parts(base).map(|parts| Metric {
        statistic: Statistic::Adcc(parts),
        name: "adcc",
        better: Better::Higher,
    });
    own.chain(adcc).collect()
}

/// One metric of a cell, not yet judged, with what it is judged by on the images that both runs scored: `None` of that
/// where there are none. What the baseline has no score of cannot be lost, and is no change.
fn change(
    cell: &Cell<'_>,
    metric: &Metric<'_>,
    scores: &Scores,
    limits: &Limits,
) -> Option<(Change, Option<Paired>)> {
    let Cell { model, method, places: (old_place, new_place), .. } = *cell;
    let own = scores.value(old_place, metric.statistic)?;
    let paired = new_place.and_then(|place| scores.difference(place, old_place, metric.statistic));
    let (new, old) =
        paired.map_or((None, own), |Paired { means: [new, old], .. }| (Some(new), old));
    let change = Change {
        model: model.name.clone(),
        method: method.name.clone(),
        is_control: method.is_control(),
        metric: metric.name.to_owned(),
        better: metric.better,
        verdict: Verdict::Missing,
        base: Some(old),
        new,
        difference: None,
        noise: limits.noise.of(old),
        seed_deviation: None,
    };
    Some((change, paired))
}

/// The changes with their verdicts: p-values are corrected for all of them, those of methods and of controls apart.
fn judged(
    changes: Vec<(Change, Option<Paired>)>,
    limits: &Limits,
    differ_in_seed: bool,
) -> Vec<Change> {
    let of = |are_controls: bool| {
        let changes = changes.iter().filter(|(change, _)| change.is_control == are_controls);
        let table: Vec<Paired> = changes.filter_map(|(_, paired)| *paired).collect();
        corrected(&table).into_iter()
    };
    let (mut of_methods, mut of_controls) = (of(false), of(true));
    let judged = |(mut change, paired): (Change, Option<Paired>)| {
        if let Some(paired) = paired {
            let corrected = if change.is_control { &mut of_controls } else { &mut of_methods };
            change.difference = corrected.next();
            change.seed_deviation = differ_in_seed
                .then(|| paired.root_mean_square / (2.0 * paired.difference.n as f64).sqrt());
            judge(&mut change, limits);
        }
        change
    };
    changes.into_iter().map(judged).collect()
}

/// Networks of which the number of rightly classified images is not what it was, over images whose label is the same class.
fn classified(base: Side<'_>, new: Side<'_>, pairs: &Pairs<'_>) -> Vec<Classified> {
    let labels = |side: Side<'_>| -> BTreeMap<String, i64> {
        let images = side.manifest.images.iter();
        images.filter_map(|image| Some((image.image.clone(), image.label?))).collect()
    };
    let (before, now) = (labels(base), labels(new));
    let predicted = |side: Side<'_>, model: &ModelEntry| -> BTreeMap<String, i64> {
        let own = side.records.iter().filter(|record| record.model == model.name);
        own.filter_map(|record| Some((record.image.to_string(), record.predicted?))).collect()
    };
    let of = |(old, now_model): (&ModelEntry, &ModelEntry)| {
        let (old_answers, new_answers) = (predicted(base, old), predicted(new, now_model));
        let [of_old, of_new] = [old, now_model].map(|model| Classes::of(&model.classes));
        let (mut n, mut n_right) = (0, [0, 0]);
        for (image, label) in &before {
            let Some(new_label) = now.get(image) else { continue };
            if !is_same_class([(&of_old, Some(*label)), (&of_new, Some(*new_label))]) {
                continue;
            }
            let (Some(old_answer), Some(new_answer)) =
                (old_answers.get(image), new_answers.get(image))
            else {
                continue;
            };
            n += 1;
            n_right[0] += usize::from(old_answer == label);
            n_right[1] += usize::from(new_answer == new_label);
        }
        let network = old.network().to_owned();
        (n_right[0] != n_right[1]).then_some(Classified { network, n_right, n })
    };
    networks(pairs).into_iter().filter_map(of).collect()
}

/// Networks of which another class is explained than before, for some images. Where labels are explained, they are the
/// same classes, or the runs cannot be compared.
fn retargeted(base: Side<'_>, new: Side<'_>, pairs: &Pairs<'_>) -> Vec<Retargeted> {
    fn targets<'a>(side: Side<'a>, model: &ModelEntry) -> BTreeMap<&'a str, i64> {
        let own = side.records.iter().filter(|record| record.model == model.name);
        own.filter_map(|record| Some((&*record.image, record.target?))).collect()
    }
    let of = |(old, now_model): (&ModelEntry, &ModelEntry)| {
        let (before, now) = (targets(base, old), targets(new, now_model));
        let [of_old, of_new] = [old, now_model].map(|model| Classes::of(&model.classes));
        let common = before.iter().filter_map(|(image, class)| Some((*class, *now.get(image)?)));
        let same = common
            .map(|(before, now)| is_same_class([(&of_old, Some(before)), (&of_new, Some(now))]));
        let same: Vec<bool> = same.collect();
        let n_changed = same.iter().filter(|is| !**is).count();
        let network = old.network().to_owned();
        (n_changed > 0).then_some(Retargeted { network, n_changed, n: same.len() })
    };
    networks(pairs).into_iter().filter_map(of).collect()
}

/// One model of each network, of the baseline and of the new run: all layers of a network classify alike.
fn networks<'a>(pairs: &Pairs<'a>) -> Vec<(&'a ModelEntry, &'a ModelEntry)> {
    let mut seen = BTreeSet::new();
    pairs.models().filter(|(old, _)| seen.insert(old.network())).collect()
}

/// The rule.
fn judge(change: &mut Change, limits: &Limits) {
    let Some(difference) = &change.difference else { return };
    let is_worse = (difference.mean > 0.0) != (change.better == Better::Higher);
    change.noise = limits.of(&change.metric, is_worse).of(change.base_mean());
    let is_significant =
        difference.is_significant() && !(difference.lo <= 0.0 && 0.0 <= difference.hi);
    change.verdict = if !is_significant {
        Verdict::Unchanged
    } else if difference.mean.abs() <= change.noise {
        Verdict::WithinNoise
    } else if is_worse {
        Verdict::Regressed
    } else {
        Verdict::Improved
    };
}

/// The new run's manifest with the metrics of the old one: what else was measured does not matter.
fn with_metrics_of(new: &RunManifest, old: &RunManifest) -> RunManifest {
    RunManifest { metrics: old.metrics.clone(), ..new.clone() }
}

/// The new run's records with the columns of the old one.
fn with_values_of(new: Side<'_>, old: &RunManifest) -> Vec<Record> {
    let columns: Vec<Option<usize>> = old
        .metrics
        .iter()
        .map(|metric| new.manifest.metrics.iter().position(|other| other.name == metric.name))
        .collect();
    let records = new.records.iter().map(|record| Record {
        metrics: columns.iter().map(|column| column.and_then(|i| record.metrics[i])).collect(),
        ..record.clone()
    });
    records.collect()
}

/// The place of a cell among those of a run.
fn place_of(manifest: &RunManifest, model: &str, method: &str) -> Option<usize> {
    let model = manifest.models.iter().position(|entry| entry.name == model)?;
    let method = manifest.methods.iter().position(|entry| entry.name == method)?;
    Some(model * manifest.methods.len() + method)
}

/// Rows of a (model, method).
#[derive(Clone, Copy, Default)]
struct Rows {
    n: usize,
    degenerate: usize,
    failed: usize,
}

/// The rows of each (model, method), in one pass: there may be a thousand of these, and a million of those.
fn rows_by_cell(records: &[Record]) -> HashMap<(&str, &str), Rows> {
    let mut cells: HashMap<(&str, &str), Rows> = HashMap::new();
    for record in records {
        let rows = cells.entry((&*record.model, &*record.method)).or_default();
        rows.n += 1;
        rows.degenerate += usize::from(record.status == Status::Degenerate);
        rows.failed += usize::from(record.status == Status::Failed);
    }
    cells
}

/// How many images of each (model, method) failed in the new run and not in the baseline; by the baseline's names.
fn newly_failed<'a>(
    [base, new]: [Side<'a>; 2],
    pairs: &Pairs<'_>,
) -> HashMap<(&'a str, &'a str), usize> {
    let failed = new.records.iter().filter(|record| record.status == Status::Failed);
    let failed: HashSet<(&str, &str, &str)> =
        failed.map(|record| (&*record.model, &*record.method, &*record.image)).collect();
    let names = new_names(base, pairs);
    let mut cells = HashMap::new();
    for record in base.records.iter().filter(|record| record.status != Status::Failed) {
        let name = names.get(&*record.model);
        if name.is_some_and(|name| failed.contains(&(*name, &*record.method, &*record.image))) {
            *cells.entry((&*record.model, &*record.method)).or_default() += 1;
        }
    }
    cells
}

/// What the models of the baseline that the new run has are called there.
fn new_names<'a>(base: Side<'a>, pairs: &Pairs<'a>) -> HashMap<&'a str, &'a str> {
    let models = base.manifest.models.iter();
    models.filter_map(|model| Some((&*model.name, &*pairs.new_of(model)?.name))).collect()
}

/// Of how many images the new run has no score where the baseline has one and the map is fine on both sides, for each
/// (model, method, metric) with any; by the baseline's names.
type Lost<'a> = BTreeMap<(&'a str, &'a str, usize), usize>;

fn lost_values<'a>(base: Side<'a>, pairs: &Pairs<'_>, new_records: &[Record]) -> Lost<'a> {
    let fine = new_records.iter().filter(|record| record.status == Status::Ok);
    let fine: HashMap<(&str, &str, &str), &Record> =
        fine.map(|record| ((&*record.model, &*record.method, &*record.image), record)).collect();
    let names = new_names(base, pairs);
    let mut lost = BTreeMap::new();
    for record in base.records {
        let place = names.get(&*record.model).map(|name| (*name, &*record.method, &*record.image));
        let Some(new) = place.and_then(|place| fine.get(&place)) else { continue };
        for (i, (before, now)) in record.metrics.iter().zip(&new.metrics).enumerate() {
            if before.is_some() && now.is_none() {
                *lost.entry((&*record.model, &*record.method, i)).or_default() += 1;
            }
        }
    }
    lost
}

/// What is lost of metrics that have scores left in both runs: the others are changes that are missing.
fn unscored(lost: &Lost<'_>, changes: &[Change], base: &RunManifest) -> Vec<Unscored> {
    let left = changes.iter().filter(|change| change.verdict != Verdict::Missing);
    let left: HashSet<(&str, &str, &str)> =
        left.map(|change| (&*change.model, &*change.method, &*change.metric)).collect();
    let unscored = lost.iter().filter_map(|((model, method, metric), n)| {
        let metric = &base.metrics[*metric].name;
        left.contains(&(*model, *method, &**metric)).then(|| Unscored {
            model: (*model).to_owned(),
            method: (*method).to_owned(),
            metric: metric.clone(),
            n: *n,
            n_images: base.images.len(),
        })
    });
    unscored.collect()
}

/// What a cell of so many images of the baseline has no score of; `None` where it has all scores.
fn loss(cell: &Cell<'_>, n_images: usize, limits: &Limits) -> Option<Loss> {
    let degenerate = cell.rows.map(|rows| rows.degenerate);
    let failed = cell.rows.map(|rows| rows.failed);
    // Without any row, the changes of the cell are missing.
    let [old, new] = cell.rows.map(|rows| rows.n);
    let missing = if new > 0 { old.saturating_sub(new) } else { 0 };
    (degenerate != [0, 0] || failed != [0, 0] || missing > 0).then(|| Loss {
        model: cell.model.name.clone(),
        method: cell.method.name.clone(),
        degenerate,
        failed,
        newly_failed: cell.newly_failed,
        missing,
        tolerated: (limits.noise.of(1.0) * n_images as f64).floor() as usize,
    })
}

#[cfg(test)]
mod tests;
