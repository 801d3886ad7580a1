//! Runs that differ in their seed alone: how far their means lie apart.

use crate::{
    Record, RunManifest,
    join::is_same,
    manifest::MethodEntry,
    stats::{ROUNDING, Scores, Statistic},
    summary::adcc_parts,
};

/// How means move with the seed.
#[derive(Clone, Debug, PartialEq)]
pub struct OverSeeds {
    /// The seeds, in the order of the runs.
    pub seeds: Vec<u64>,
    /// The standard deviation of each mean over them, one per cell of the summary: the metrics, then ADCC. `None` where the
    /// seed does not move it by more than rounding, and where a run lacks it.
    pub deviations: Vec<Vec<Option<f64>>>,
}

impl OverSeeds {
    /// Of one run's manifest and the records of several seeds of it.
    pub(crate) fn of(manifest: &RunManifest, seeds: Vec<u64>, records: &[&[Record]]) -> Self {
        let scores: Vec<Scores> =
            records.iter().map(|records| Scores::of_run(manifest, records)).collect();
        let means = (0..manifest.metrics.len()).map(|metric| Some(Statistic::Mean(metric)));
        let statistics: Vec<Option<Statistic>> =
            means.chain([adcc_parts(manifest).map(Statistic::Adcc)]).collect();
        let n_cells = manifest.models.len() * manifest.methods.len();
        let deviations = (0..n_cells).map(|cell| {
            let of = |one: &Option<Statistic>| {
                deviation(scores.iter().map(|run| run.value(cell, (*one)?)))
            };
            statistics.iter().map(of).collect()
        });
        Self { seeds, deviations: deviations.collect() }
    }
}

/// Of two numbers or more; `None` where one is missing, or they are equal but for rounding.
fn deviation(means: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let means: Vec<f64> = means.collect::<Option<_>>()?;
    let n = means.len() as f64;
    let mean = means.iter().sum::<f64>() / n;
    let squares: f64 = means.iter().map(|value| (value - mean).powi(2)).sum();
    let deviation = (squares / (n - 1.0)).sqrt();
    (deviation > ROUNDING).then_some(deviation)
}

/// Whether two runs are one sweep with two seeds, made by one program.
pub(crate) fn differ_by_seed(a: &RunManifest, b: &RunManifest) -> bool {
    let is_same_network = a.models.len() == b.models.len()
        && a.models.iter().zip(&b.models).all(|(a, b)| is_same(a, b));
    let of = |run: &RunManifest| -> (Vec<MethodEntry>, _) {
        (run.methods.clone(), (run.metrics.clone(), run.images.clone()))
    };
    a.seed != b.seed
        && is_same_network
        && of(a) == of(b)
        && (&a.target, &a.protocol, &a.dataset.name) == (&b.target, &b.protocol, &b.dataset.name)
        && (&a.cambench, &a.commit, a.dirty, &a.versions)
            == (&b.cambench, &b.commit, b.dirty, &b.versions)
}
