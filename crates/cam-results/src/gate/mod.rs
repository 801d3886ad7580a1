//! The regression gate: did explanations get worse from one run to another?
//!
//! [`compare`] looks at every (model, method, metric) of the baseline and gives one [`Verdict`]. The rule: a change is
//! claimed only if it is *significant*, that is, its paired 95 % interval excludes 0 and its p-value, corrected for all
//! cells (Holm), is below 5 %; and it counts only if it is *larger than noise*, a threshold of practice that the user
//! sets. Runs that differ in more than weights, numbers formats or versions are [`NotComparable`].

mod baseline;
mod comparable;
mod junit;
mod markdown;

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Serialize, Serializer};

pub use baseline::{Baselines, is_run};
pub use comparable::NotComparable;
pub use junit::junit;
pub use markdown::markdown;

use crate::{
    Better, Record, Run, RunManifest, Status, report,
    stats::{Difference, Paired, Scores, Statistic, corrected},
    summary::adcc_parts,
};

/// What counts as a change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Limits {
    /// A significant change up to this is within noise.
    pub noise: Threshold,
    /// For some metrics, by their names in the sweep or `adcc`: a significant change for the worse up to this is within
    /// noise.
    pub max_drop: BTreeMap<String, Threshold>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { noise: Threshold::Relative(0.02), max_drop: BTreeMap::new() }
    }
}

/// How large a change may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// A share of the baseline's mean: `2%`.
    Relative(f64),
    /// In the metric's own unit, a fraction: `0.01` is one point.
    Absolute(f64),
}

impl Threshold {
    /// In the metric's own unit, for this mean of the baseline.
    fn of(self, base: f64) -> f64 {
        match self {
            Self::Relative(share) => share * base.abs(),
            Self::Absolute(size) => size,
        }
    }
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| match text.trim().parse::<f64>() {
            Ok(number) if number >= 0.0 && number.is_finite() => Ok(number),
            _ => Err(format!(
                "`{text}` is neither a share of the baseline's mean (1%) nor a size (0.01 is one point)"
            )),
        };
        match text.strip_suffix('%') {
            Some(percent) => Ok(Self::Relative(number(percent)? / 100.0)),
            None => Ok(Self::Absolute(number(text)?)),
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Rounded, so that 0.07 is not 7.000000000000001 %.
            Self::Relative(share) => write!(f, "{}%", (share * 1e8).round() / 1e6),
            Self::Absolute(size) => write!(f, "{size}"),
        }
    }
}

impl Serialize for Threshold {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What became of one metric of one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Worse: significant, and larger than allowed.
    Regressed,
    /// The new run has no score, or not all of its rows.
    Missing,
    /// Better: significant, and larger than noise.
    Improved,
    /// Significant, and too small to matter.
    WithinNoise,
    /// No change is shown.
    Unchanged,
}

impl Verdict {
    /// All of them, the worst first.
    pub const ALL: [Self; 5] =
        [Self::Regressed, Self::Missing, Self::Improved, Self::WithinNoise, Self::Unchanged];

    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Regressed => "regressed",
            Self::Missing => "missing",
            Self::Improved => "improved",
            Self::WithinNoise => "within noise",
            Self::Unchanged => "unchanged",
        }
    }
}

/// Two runs, compared cell by cell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// What the baseline is called.
    pub base: String,
    /// What the new run is called.
    pub new: String,
    /// When the new run was finished, or started where it is not: an RFC 3339 time.
    pub measured: String,
    /// How many images both are about.
    pub n_images: usize,
    /// What counts as a change.
    pub limits: Limits,
    /// What differs and may: weights, number formats, versions, seeds. One sentence each.
    pub differences: Vec<String>,
    /// Every metric of every cell of the baseline, in its order.
    pub changes: Vec<Change>,
    /// Rows without a score, of every cell that has some.
    pub losses: Vec<Loss>,
}

/// One metric of one (model, method).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The model's name in the sweep.
    pub model: String,
    /// The method's name in the sweep.
    pub method: String,
    /// The metric's name in the sweep, or `adcc`.
    pub metric: String,
    /// Which direction is good.
    pub better: Better,
    /// What became of it.
    pub verdict: Verdict,
    /// The baseline's mean, a fraction.
    pub base: Option<f64>,
    /// The new mean.
    pub new: Option<f64>,
    /// New minus baseline, over the images that both scored, with interval and p-values.
    pub difference: Option<Difference>,
    /// Up to which size a change in this direction is noise, in the metric's own unit.
    pub noise: f64,
    /// How far the mean moves with the seed alone, as a standard deviation: where two runs differ in nothing but their
    /// seeds, an image's difference has twice the variance that one seed gives.
    pub seed_deviation: Option<f64>,
}

/// Rows of a (model, method) without a score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The model's name in the sweep.
    pub model: String,
    /// The method's name in the sweep.
    pub method: String,
    /// Degenerate maps of the baseline and of the new run.
    pub degenerate: [usize; 2],
    /// Failed rows of the baseline and of the new run.
    pub failed: [usize; 2],
}

impl Comparison {
    /// How many changes have a verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.changes.iter().filter(|change| change.verdict == verdict).count()
    }

    /// Whether some (model, method) has more degenerate maps than before.
    pub fn has_more_degenerate(&self) -> bool {
        self.losses.iter().any(|loss| loss.degenerate[1] > loss.degenerate[0])
    }

    /// The smallest change that would have been seen four times out of five, of the metric where that is largest
    /// compared with what is allowed; `None` where every change beyond noise would have been seen.
    pub fn blindest(&self) -> Option<&Change> {
        let blindness = |change: &&Change| {
            change.difference.map_or(0.0, |difference| difference.detectable / change.noise)
        };
        self.changes
            .iter()
            .filter(|change| blindness(change) > 1.0)
            .max_by(|a, b| blindness(a).total_cmp(&blindness(b)))
    }
}

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

/// Compares a new run with a baseline.
///
/// # Errors
/// Where they are not about the same thing.
pub fn compare(
    base: Side<'_>,
    new: Side<'_>,
    limits: &Limits,
) -> Result<Comparison, NotComparable> {
    let (old_manifest, new_manifest) = (base.manifest, new.manifest);
    comparable::check(old_manifest, new_manifest, limits)?;
    let scores = Scores::of_runs([
        (old_manifest, base.records),
        (&with_metrics_of(new_manifest, old_manifest), &with_values_of(new, old_manifest)),
    ]);
    let n_methods = old_manifest.methods.len();
    let n_old = old_manifest.models.len() * n_methods;
    let mut metrics: Vec<(Statistic, &str, Better)> = old_manifest
        .metrics
        .iter()
        .enumerate()
        .map(|(i, metric)| (Statistic::Mean(i), &*metric.name, metric.better))
        .collect();
    metrics.extend(
        adcc_parts(old_manifest).map(|parts| (Statistic::Adcc(parts), "adcc", Better::Higher)),
    );
    let differences = comparable::differences(old_manifest, new_manifest);
    let differ_in_seed = old_manifest.seed != new_manifest.seed && differences.len() == 1;
    let mut changes = vec![];
    let mut table: Vec<Paired> = vec![];
    let mut losses = vec![];
    let n_rows = rows_by_cell(new.records);
    for (m, model) in old_manifest.models.iter().enumerate() {
        for (k, method) in old_manifest.methods.iter().enumerate() {
            let old_cell = m * n_methods + k;
            // A name that is not there has no rows.
            let name = comparable::counterpart(new_manifest, model).map_or("", |new| &*new.name);
            let new_cell = place(new_manifest, name, &method.name).map(|i| n_old + i);
            let is_complete =
                n_rows.get(&(name, &*method.name)) == Some(&new_manifest.images.len());
            for (statistic, metric, better) in &metrics {
                let paired = new_cell
                    .filter(|_| is_complete)
                    .and_then(|new_cell| scores.difference(new_cell, old_cell, *statistic));
                let old = scores.value(old_cell, *statistic);
                // What the baseline has no score of cannot be lost.
                if old.is_none() {
                    continue;
                }
                table.extend(paired);
                let new = new_cell.and_then(|cell| scores.value(cell, *statistic));
                changes.push(Change {
                    model: model.name.clone(),
                    method: method.name.clone(),
                    metric: (*metric).to_owned(),
                    better: *better,
                    verdict: Verdict::Missing,
                    base: old,
                    new,
                    difference: paired.map(|paired| paired.difference),
                    noise: limits.noise.of(old.unwrap_or(0.0)),
                    seed_deviation: paired.filter(|_| differ_in_seed).map(|paired| {
                        paired.root_mean_square / (2.0 * paired.difference.n as f64).sqrt()
                    }),
                });
            }
            losses.extend(loss([base, new], [&model.name, name], &method.name));
        }
    }
    let mut corrected = corrected(&table).into_iter();
    for change in changes.iter_mut().filter(|change| change.difference.is_some()) {
        change.difference = corrected.next();
        judge(change, limits);
    }
    Ok(Comparison {
        base: base.name.to_owned(),
        new: new.name.to_owned(),
        measured: new_manifest.finished.as_ref().unwrap_or(&new_manifest.started).clone(),
        n_images: old_manifest.images.len(),
        limits: limits.clone(),
        differences,
        changes,
        losses,
    })
}

/// The rule.
fn judge(change: &mut Change, limits: &Limits) {
    let Some(difference) = &change.difference else { return };
    let is_worse = (difference.mean > 0.0) != (change.better == Better::Higher);
    let limit = limits.max_drop.get(&change.metric).filter(|_| is_worse).unwrap_or(&limits.noise);
    change.noise = limit.of(change.base.unwrap_or(0.0));
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
fn place(manifest: &RunManifest, model: &str, method: &str) -> Option<usize> {
    let model = manifest.models.iter().position(|entry| entry.name == model)?;
    let method = manifest.methods.iter().position(|entry| entry.name == method)?;
    Some(model * manifest.methods.len() + method)
}

/// How many rows each (model, method) has.
fn rows_by_cell(records: &[Record]) -> BTreeMap<(&str, &str), usize> {
    let mut n_rows = BTreeMap::new();
    for record in records {
        *n_rows.entry((&*record.model, &*record.method)).or_default() += 1;
    }
    n_rows
}

/// `models` are the names of one model on both sides.
fn loss(sides: [Side<'_>; 2], models: [&str; 2], method: &str) -> Option<Loss> {
    let count = |status: Status| {
        [0, 1].map(|i| {
            let of_cell = |record: &&Record| {
                record.status == status && record.model == models[i] && record.method == method
            };
            sides[i].records.iter().filter(of_cell).count()
        })
    };
    let (degenerate, failed) = (count(Status::Degenerate), count(Status::Failed));
    (degenerate != [0, 0] || failed != [0, 0]).then(|| Loss {
        model: models[0].to_owned(),
        method: method.to_owned(),
        degenerate,
        failed,
    })
}

/// A metric as it heads a column, by its name.
fn heading(change: &Change) -> String {
    let arrow = report::arrow(change.better);
    format!("{} {arrow}", change.metric)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{manifest, many_images, model};

    /// A run of 60 images whose scores were moved.
    struct Made {
        manifest: RunManifest,
        records: Vec<Record>,
    }

    impl Made {
        fn new() -> Self {
            let (manifest, records) = many_images(60);
            Self { manifest, records }
        }

        /// Adds to a metric of a method, by their places, more on every other image.
        fn with(mut self, method: &str, metric: usize, shift: f64) -> Self {
            let of_method = self.records.iter_mut().filter(|record| record.method == method);
            for (i, record) in of_method.enumerate() {
                if let Some(value) = &mut record.metrics[metric] {
                    *value += shift * (0.5 + (i % 2) as f64);
                }
            }
            self
        }

        fn side<'a>(&'a self, name: &'a str) -> Side<'a> {
            Side { name, manifest: &self.manifest, records: &self.records }
        }
    }

    fn gate(new: &Made) -> Comparison {
        gate_with(new, &Limits::default())
    }

    fn gate_with(new: &Made, limits: &Limits) -> Comparison {
        let base = Made::new();
        compare(base.side("base"), new.side("new"), limits).unwrap()
    }

    fn verdict(comparison: &Comparison, method: &str, metric: &str) -> Verdict {
        let is_it = |change: &&Change| change.method == method && change.metric == metric;
        comparison.changes.iter().find(is_it).unwrap().verdict
    }

    #[test]
    fn a_run_is_unchanged_against_itself() {
        let comparison = gate(&Made::new());
        // Three methods, four metrics and ADCC.
        assert_eq!(comparison.count(Verdict::Unchanged), 15);
        assert!(comparison.changes.iter().all(|c| c.difference.unwrap().p_holm >= 1.0));
        assert!(comparison.differences.is_empty() && comparison.losses.is_empty());
    }

    #[test]
    fn what_got_worse_has_regressed_in_either_direction_of_a_metric() {
        // More drop is worse; more coherency is better.
        let worse = gate(&Made::new().with("cam", 0, 0.05).with("rise", 2, -0.05));
        assert_eq!(verdict(&worse, "cam", "drop"), Verdict::Regressed);
        assert_eq!(verdict(&worse, "cam", "adcc"), Verdict::Regressed);
        assert_eq!(verdict(&worse, "rise", "coherency"), Verdict::Regressed);
        assert_eq!(verdict(&worse, "recipro_cam", "drop"), Verdict::Unchanged);
        let better = gate(&Made::new().with("cam", 0, -0.05).with("rise", 2, 0.05));
        assert_eq!(verdict(&better, "cam", "drop"), Verdict::Improved);
        assert_eq!(verdict(&better, "rise", "coherency"), Verdict::Improved);
        assert_eq!(better.count(Verdict::Regressed), 0);
    }

    #[test]
    fn a_change_counts_only_beyond_the_limit_of_its_direction() {
        // Clear, and one per cent of a mean around a half.
        let worse = Made::new().with("cam", 0, 0.005);
        assert_eq!(verdict(&gate(&worse), "cam", "drop"), Verdict::WithinNoise);
        let limits = |metric: &str, size: &str| Limits {
            max_drop: [(metric.to_owned(), size.parse().unwrap())].into(),
            ..Limits::default()
        };
        let strict = gate_with(&worse, &limits("drop", "0.001"));
        assert_eq!(verdict(&strict, "cam", "drop"), Verdict::Regressed);
        // A limit to the worse does not make an improvement count.
        let better = gate_with(&Made::new().with("cam", 0, -0.005), &limits("drop", "0.001"));
        assert_eq!(verdict(&better, "cam", "drop"), Verdict::WithinNoise);
        let lenient = gate_with(&Made::new().with("cam", 0, 0.05), &limits("drop", "50%"));
        assert_eq!(verdict(&lenient, "cam", "drop"), Verdict::WithinNoise);
    }

    #[test]
    fn noise_that_favors_nobody_is_no_change() {
        let mut noisy = Made::new();
        for (i, record) in noisy.records.iter_mut().enumerate() {
            let sign = if i / 3 % 2 == 0 { 0.05 } else { -0.05 };
            record.metrics.iter_mut().flatten().for_each(|value| *value += sign);
        }
        assert_eq!(gate(&noisy).count(Verdict::Unchanged), 15);
    }

    #[test]
    fn what_the_new_run_does_not_have_is_missing() {
        let mut without_method = Made::new();
        without_method.manifest.methods.remove(1);
        without_method.records.retain(|record| record.method != "rise");
        let comparison = gate(&without_method);
        assert_eq!(comparison.count(Verdict::Missing), 5);
        assert_eq!(verdict(&comparison, "rise", "adcc"), Verdict::Missing);

        let mut without_metric = Made::new();
        without_metric.manifest.metrics.remove(2);
        for record in &mut without_metric.records {
            record.metrics.remove(2);
        }
        let comparison = gate(&without_metric);
        assert_eq!(verdict(&comparison, "cam", "coherency"), Verdict::Missing);
        // Without coherency there is no ADCC.
        assert_eq!(verdict(&comparison, "cam", "adcc"), Verdict::Missing);
        assert_eq!(verdict(&comparison, "cam", "complexity"), Verdict::Unchanged);

        let mut without_a_row = Made::new();
        without_a_row.records.remove(0);
        assert_eq!(verdict(&gate(&without_a_row), "cam", "drop"), Verdict::Missing);
    }

    #[test]
    fn more_degenerate_maps_are_counted_and_the_rest_is_compared() {
        let mut degenerate = Made::new();
        for record in degenerate.records.iter_mut().filter(|r| r.method == "rise").take(5) {
            record.status = Status::Degenerate;
            record.metrics.fill(None);
        }
        let comparison = gate(&degenerate);
        assert!(comparison.has_more_degenerate());
        assert_eq!(comparison.losses[0].degenerate, [0, 5]);
        let of_rise = comparison.changes.iter().find(|change| change.method == "rise").unwrap();
        assert_eq!((of_rise.verdict, of_rise.difference.unwrap().n), (Verdict::Unchanged, 55));
    }

    #[test]
    fn runs_about_other_things_are_refused_by_name() {
        type Change = fn(&mut RunManifest);
        let changes: [(Change, &str); 8] = [
            (|m| m.target = "label".into(), "the class that is explained was predicted, is label"),
            (
                |m| m.models[0].layer = "layer3".into(),
                "the layer of resnet18 was layer4, is layer3",
            ),
            (|m| m.methods[1].options = json!({ "n_masks": 9 }), "the options of rise"),
            (
                |m| m.methods[1].protocol = "raw".into(),
                "the protocol of rise was corrected, is raw",
            ),
            (|m| m.metrics[1].options = json!({ "steps": 9 }), "the options of deletion"),
            (
                |m| m.metrics[0].protocol = "raw".into(),
                "the protocol of drop was corrected, is raw",
            ),
            (|m| drop(m.images.pop()), "the baseline has 60 images, the new run 59"),
            (|m| m.images[7].sha256 = Some("0".into()), "is another file than it was"),
        ];
        let base = Made::new();
        for (change, message) in changes {
            let mut new = Made::new();
            change(&mut new.manifest);
            let error =
                compare(base.side("base"), new.side("new"), &Limits::default()).unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
        }
        let limits = Limits {
            max_drop: [("adc".to_owned(), Threshold::Absolute(0.1))].into(),
            ..Limits::default()
        };
        let error = compare(base.side("base"), base.side("base"), &limits).unwrap_err();
        assert!(error.to_string().contains("complexity, adcc"), "{error}");
    }

    #[test]
    fn a_layer_is_compared_with_the_same_layer_whether_or_not_the_other_run_has_more() {
        let two_layers = |made: &mut Made| {
            let renamed: crate::Name = "resnet18@layer4".into();
            made.manifest.models[0].name = renamed.to_string();
            let inner = crate::ModelEntry {
                name: "resnet18@layer3".into(),
                layer: "layer3".into(),
                ..made.manifest.models[0].clone()
            };
            made.manifest.models.insert(0, inner);
            made.records.iter_mut().for_each(|record| record.model = renamed.clone());
            let inner = made.records.iter().map(|record| Record {
                model: "resnet18@layer3".into(),
                layer: "layer3".into(),
                metrics: record.metrics.iter().map(|value| value.map(|v| v / 2.0)).collect(),
                ..record.clone()
            });
            made.records.extend(inner.collect::<Vec<_>>());
        };
        let one = Made::new();
        let mut two = Made::new();
        two_layers(&mut two);
        let limits = Limits::default();
        let both = compare(two.side("base"), two.side("new"), &limits).unwrap();
        assert_eq!((both.changes.len(), both.count(Verdict::Unchanged)), (30, 30));
        let more = compare(one.side("base"), two.side("new"), &limits).unwrap();
        assert_eq!((more.changes.len(), more.count(Verdict::Unchanged)), (15, 15));
        let fewer = compare(two.side("base"), one.side("new"), &limits).unwrap();
        let missing = fewer.changes.iter().filter(|change| change.verdict == Verdict::Missing);
        assert!(missing.clone().all(|change| change.model == "resnet18@layer3"));
        assert_eq!((missing.count(), fewer.count(Verdict::Unchanged)), (15, 15));
        let mut other = Made::new();
        two_layers(&mut other);
        other = other.with("cam", 0, 0.1);
        let worse = compare(one.side("base"), other.side("new"), &limits).unwrap();
        assert_eq!(verdict(&worse, "cam", "drop"), Verdict::Regressed);
    }

    #[test]
    fn weights_and_versions_may_differ_and_are_named() {
        let mut new = Made::new();
        new.manifest.models[0].weights.sha256 = Some("0123456789abcdef".into());
        new.manifest.models[0].precision = "bf16".into();
        new.manifest.seed = 7;
        new.manifest.models.push(model("another"));
        let comparison = gate(&new);
        assert_eq!(
            comparison.differences,
            [
                "weights of resnet18: f37072fd47e8, now 0123456789ab",
                "precision of resnet18: f32, now bf16",
                "seed: 0, now 7"
            ]
        );
    }

    #[test]
    fn what_the_seed_alone_moves_is_told_where_only_seeds_differ() {
        let mut new = Made::new();
        for (i, record) in new.records.iter_mut().enumerate() {
            // By ±0.06 on every image: one seed's share is 0.06 / √2, and of a mean of 60, 0.06 / √120.
            let sign = if i / 3 % 2 == 0 { 0.06 } else { -0.06 };
            record.metrics[0] = record.metrics[0].map(|value| value + sign);
        }
        assert_eq!(gate(&new).changes[0].seed_deviation, None);
        new.manifest.seed = 1;
        let comparison = gate(&new);
        let deviation = comparison.changes[0].seed_deviation.unwrap();
        assert!((deviation - 0.06 / 120.0_f64.sqrt()).abs() < 1e-12, "{deviation}");
        assert_eq!(comparison.changes[1].seed_deviation, Some(0.0));
        assert!(markdown(&comparison).contains("| Seed |"));
    }

    #[test]
    fn thresholds_are_read_and_written() {
        let parse = |text: &str| text.parse::<Threshold>();
        assert_eq!(parse("2%"), Ok(Threshold::Relative(0.02)));
        assert_eq!(parse("0.01"), Ok(Threshold::Absolute(0.01)));
        for text in ["2%", "0.01", "0%", "0.5%", "7%"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        for wrong in ["", "%", "-1%", "much", "NaN", "inf"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_comment_on_a_pull_request_stays_as_it_is() {
        let mut new = Made::new().with("cam", 0, 0.05);
        new.manifest.methods.remove(1);
        new.records.retain(|record| record.method != "rise");
        insta::assert_snapshot!(markdown(&gate(&new)));
    }

    #[test]
    fn the_junit_file_stays_as_it_is() {
        let mut new = Made::new().with("cam", 0, 0.05);
        new.manifest.methods.remove(1);
        new.records.retain(|record| record.method != "rise");
        insta::assert_snapshot!(junit(&gate(&new), &[Verdict::Regressed]));
    }

    #[test]
    fn markup_in_names_stays_text() {
        let name = "<b>\"x\"&|`";
        let mut base = Made::new();
        base.manifest.methods[0].name = name.into();
        base.records.iter_mut().filter(|r| r.method == "cam").for_each(|r| r.method = name.into());
        let comparison = compare(base.side(name), base.side("new"), &Limits::default()).unwrap();
        let xml = junit(&comparison, &[Verdict::Unchanged]);
        assert!(xml.contains("&lt;b&gt;&quot;x&quot;&amp;|`") && !xml.contains("<b>"), "{xml}");
        assert!(!markdown(&comparison).contains("<b>"));
    }

    #[test]
    fn the_baseline_may_be_without_adcc() {
        let mut base = Made::new();
        base.manifest.metrics[2].metric = "another".into();
        let comparison = compare(base.side("base"), base.side("new"), &Limits::default()).unwrap();
        assert!(comparison.changes.iter().all(|change| change.metric != "adcc"));
        assert_eq!(manifest().metrics.len(), base.manifest.metrics.len());
    }
}
