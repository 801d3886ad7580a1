//! A run checked: what follows from its rows, and some of its rows computed again.

mod areas;
mod compare;

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    fmt,
    path::Path,
    sync::atomic::AtomicBool,
};

use cam_models::DeviceChoice;
use cam_results::{Key, Record, Row, Run, RunManifest, Status, TableCheck, adcc_of, summarize};
use serde::Serialize;

use self::compare::{Stored, compared, written};
use crate::{
    Event, Networks, Overrides, Plan, PlanError, Provenance, Sweep, run, seed::image_seed,
};

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// How many rows the run has; all of them were checked for what follows from them.
    pub n_rows: usize,
    /// How many of them were computed again.
    pub n_sampled: usize,
    /// Whether they had to be equal bit for bit: on the processor, at an equal version and number of threads.
    pub is_exact: bool,
    /// What is otherwise than when the run was made, and may change bits or the tables of means.
    pub differences: Vec<String>,
    /// What is not as it should be.
    pub mismatches: Vec<Mismatch>,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// Where: a row, or a file.
    pub place: String,
    /// What is wrong there.
    pub what: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// A run that cannot be computed again.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The manifest's sweep cannot be read.
    #[error("the manifest of {run} has a sweep that cannot be run again: {source}")]
    Sweep {
        /// The run's folder.
        run: String,
        /// Why.
        source: Box<crate::ConfigError>,
    },
    /// Data, weights or device are not there.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

impl VerifyError {
    /// As [`PlanError::is_broken_device`].
    pub fn is_broken_device(&self) -> bool {
        matches!(self, Self::Plan(error) if error.is_broken_device())
    }
}

/// Checks all rows of a run for what follows from them, and computes `n_sampled` of them again; `seed` draws which, and
/// `provenance` is of the program that does.
///
/// # Errors
/// Where the run's images, weights or device are not there any more, or the device breaks down. That they are others is a
/// mismatch.
pub fn verify(
    run: &Run,
    provenance: &Provenance,
    n_sampled: usize,
    seed: u64,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<Verification, VerifyError> {
    let manifest = run.manifest();
    let mut mismatches = follow_from_rows(run);
    let plan = planned_again(run, provenance, on_event)?;
    let mut differences = differences(manifest, plan.manifest());
    if run.is_baseline() {
        differences.push("means, curves and maps, which a baseline does not keep".into());
    } else if run.n_missing() == 0 {
        tables(run, plan.manifest(), &mut mismatches, &mut differences);
    }
    let is_exact = is_exact(manifest, plan.manifest());
    mismatches.extend(sources(manifest, plan.manifest()));
    let sample = sample(run.records(), n_sampled, seed);
    let stored = Stored::of(run, &sample, &mut mismatches);
    let again = compute(&plan, &sample, on_event)?;
    let mut n_computed = 0;
    for record in &sample {
        let place = record.key().to_string();
        let Some(row) = again.get(&record.key()) else {
            let what =
                "could not be computed again: what it is made of is not there any more".into();
            mismatches.push(Mismatch { place, what });
            continue;
        };
        n_computed += 1;
        let wrong = compared(record, row, &manifest.metrics, is_exact);
        // What is beside a row of another kind is of another kind, too.
        let beside = if record.status == row.record.status {
            stored.compared(&record.key(), row, is_exact)
        } else {
            vec![]
        };
        for what in wrong.into_iter().chain(beside) {
            mismatches.push(Mismatch { place: place.clone(), what });
        }
    }
    Ok(Verification {
        n_rows: run.records().len(),
        n_sampled: n_computed,
        is_exact,
        differences,
        mismatches,
    })
}

/// What must follow from a run's own rows: per-image ADCC, scores only where there is a map.
fn follow_from_rows(run: &Run) -> Vec<Mismatch> {
    let manifest = run.manifest();
    let mut mismatches = vec![];
    for record in run.records() {
        let mut wrong = |what: String| {
            mismatches.push(Mismatch { place: record.key().to_string(), what });
        };
        if record.status != Status::Ok && record.metrics.iter().any(Option::is_some) {
            wrong(format!("is {} and has scores", record.status.as_str()));
        }
        if let Some(expected) = adcc_of(manifest, record)
            && record.adcc_per_image.is_none_or(|stored| (stored - expected).abs() > 1e-9)
        {
            wrong(format!(
                "its adcc_per_image is {}, and follows as {expected}",
                written(record.adcc_per_image)
            ));
        }
    }
    mismatches
}

/// Whether the tables of means and of differences follow from the records. How intervals and p-values are computed is a
/// matter of the program: one that another build made is held to its means alone.
fn tables(
    run: &Run,
    now: &RunManifest,
    mismatches: &mut Vec<Mismatch>,
    differences: &mut Vec<String>,
) {
    let (old, folder) = (run.manifest(), run.folder());
    let summary = summarize(old, run.records());
    let is_same_build = (&old.cambench, &old.commit) == (&now.cambench, &now.commit);
    let checks = [
        ("summary.csv", summary.check(folder)),
        ("comparisons.csv", summary.check_comparisons(folder)),
    ];
    for (table, check) in checks {
        let what = match check {
            Ok(TableCheck::Same) => continue,
            Ok(TableCheck::OtherStatistics) if !is_same_build => {
                let what = "whose intervals, p-values or columns this program makes otherwise";
                differences.push(format!("{table}, {what}"));
                continue;
            }
            Ok(_) => "does not follow from the records".into(),
            Err(error) => error.to_string(),
        };
        mismatches.push(Mismatch { place: table.into(), what });
    }
}

/// The run's plan, made again from its manifest.
fn planned_again(
    run: &Run,
    provenance: &Provenance,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<Plan, VerifyError> {
    let manifest = run.manifest();
    let text = manifest.config_resolved.to_string();
    let path = run.folder().join("manifest.json");
    let sweep = Sweep::parse(&text, &path).map_err(|source| VerifyError::Sweep {
        run: run.folder().display().to_string(),
        source: Box::new(source),
    })?;
    let device = manifest.device.split(' ').next().unwrap_or("cpu");
    let overrides = Overrides {
        // Where that device is not there, the one that is will do, and be named.
        device: device.parse().unwrap_or(DeviceChoice::Auto),
        threads: Some(manifest.threads),
        ..Overrides::default()
    };
    // Paths in the manifest count from where the run was started, as this command is.
    Ok(Plan::new(sweep, &text, Path::new("manifest.json"), &overrides, provenance, on_event)?)
}

/// A card adds up gradients in the order in which its blocks happen to end.
fn is_exact(old: &RunManifest, new: &RunManifest) -> bool {
    old.device.starts_with("cpu")
        && (&old.cambench, &old.device, old.threads, &old.versions)
            == (&new.cambench, &new.device, new.threads, &new.versions)
}

fn differences(old: &RunManifest, new: &RunManifest) -> Vec<String> {
    let mut differences = vec![];
    let mut say = |what: &str, old: &str, new: &str| {
        if old != new {
            differences.push(format!("{what} {old}, now {new}"));
        }
    };
    let commit = |manifest: &RunManifest| manifest.commit.clone().unwrap_or("unknown".into());
    say("cambench", &old.cambench, &new.cambench);
    say("commit", &commit(old), &commit(new));
    say("device", &old.device, &new.device);
    say("threads", &old.threads.to_string(), &new.threads.to_string());
    for (name, version) in &old.versions {
        say(name, version, new.versions.get(name).map_or("none", String::as_str));
    }
    differences
}

/// Weights and images that are others than those that the run names.
fn sources(old: &RunManifest, new: &RunManifest) -> Vec<Mismatch> {
    let mut mismatches = vec![];
    for (old, new) in old.models.iter().zip(&new.models) {
        if old.weights.sha256 != new.weights.sha256 {
            mismatches.push(Mismatch {
                place: format!("weights of {}", old.name),
                what: "are another file than the run names".into(),
            });
        }
    }
    let now: BTreeMap<_, _> =
        new.images.iter().map(|image| (&image.image, &image.sha256)).collect();
    for image in &old.images {
        let what = match now.get(&image.image) {
            Some(hash) if **hash == image.sha256 => continue,
            Some(_) => "is another file than the run names",
            None => "is not in the data set any more",
        };
        mismatches.push(Mismatch { place: image.image.clone(), what: what.into() });
    }
    mismatches
}

/// Rows drawn by a hash of their keys, in the run's order.
fn sample(records: &[Record], n: usize, seed: u64) -> Vec<&Record> {
    let mut drawn: Vec<(u64, usize)> = records
        .iter()
        .enumerate()
        .map(|(i, record)| (image_seed(seed, &record.key().to_string()), i))
        .collect();
    drawn.sort_unstable();
    drawn.truncate(n);
    drawn.sort_unstable_by_key(|(_, i)| *i);
    drawn.into_iter().map(|(_, i)| &records[i]).collect()
}

/// The sampled rows, computed again.
fn compute(
    plan: &Plan,
    sample: &[&Record],
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<BTreeMap<Key, Row>, PlanError> {
    let wanted: BTreeSet<Key> = sample.iter().map(|record| record.key()).collect();
    let missing = run::missing(plan, |key| !wanted.contains(key));
    let mut rows = BTreeMap::new();
    let keep = |computed: &[Row]| {
        rows.extend(computed.iter().map(|row| (row.record.key(), row.clone())));
        Ok::<_, Infallible>(())
    };
    let (networks, stop) = (&mut Networks::default(), &AtomicBool::new(false));
    let (computed, Ok(()), _) = run::compute(plan, &missing, keep, networks, stop, on_event);
    computed?;
    Ok(rows)
}
