//! Runs that differ in their seed alone: how far their means lie apart.

use crate::{
    Record, RunManifest, Status, adcc, adcc_parts, join::is_same, manifest::MethodEntry,
    stats::ROUNDING,
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
        let means: Vec<Vec<Vec<Option<f64>>>> =
            records.iter().map(|records| means(manifest, records)).collect();
        let n_cells = manifest.models.len() * manifest.methods.len();
        let deviations = (0..n_cells).map(|cell| {
            let columns = 0..=manifest.metrics.len();
            columns.map(|column| deviation(means.iter().map(|means| means[cell][column]))).collect()
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

/// `[model × method][metric]`, ADCC last: the means that a summary has.
fn means(manifest: &RunManifest, records: &[Record]) -> Vec<Vec<Option<f64>>> {
    let n_metrics = manifest.metrics.len();
    let n_cells = manifest.models.len() * manifest.methods.len();
    let mut sums = vec![vec![(0.0, 0_u32); n_metrics]; n_cells];
    for record in records.iter().filter(|record| record.status == Status::Ok) {
        let model = manifest.models.iter().position(|model| model.name == record.model);
        let method = manifest.methods.iter().position(|method| method.name == record.method);
        let (Some(model), Some(method)) = (model, method) else { continue };
        let cell = &mut sums[model * manifest.methods.len() + method];
        for ((sum, n), value) in cell.iter_mut().zip(&record.metrics) {
            if let Some(value) = value.filter(|value| value.is_finite()) {
                (*sum, *n) = (*sum + value, *n + 1);
            }
        }
    }
    let parts = adcc_parts(manifest);
    sums.into_iter()
        .map(|cell| {
            let mut means: Vec<Option<f64>> =
                cell.into_iter().map(|(sum, n)| (n > 0).then(|| sum / f64::from(n))).collect();
            means.push(parts.and_then(|[coherency, complexity, drop]| {
                Some(adcc(means[coherency]?, means[complexity]?, means[drop]?))
            }));
            means
        })
        .collect()
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
