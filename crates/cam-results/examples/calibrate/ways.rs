//! Other intervals of a mean, beside the one that summaries have.

use cam_results::{Run, Status};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use crate::{MADE, N_IMAGES, N_SETS, drawn_places};

const N_RESAMPLES: usize = 2000;

const WAYS: [&str; 6] = [
    "percentiles",
    "percentiles at the levels of Student's t (Hesterberg 2015)",
    "bias-corrected and accelerated percentiles, BCa (Efron 1987)",
    "percentile-t, bootstrap-t (Efron 1982)",
    "Student's t",
    "Student's t without skewness (Hall 1992)",
];

/// What became of one way in one column: how often it covered the truth, and how wide it was.
type Tally = [(usize, f64); WAYS.len()];

/// The coverage of every way over all columns of a run that vary.
pub(crate) fn report(run: &Run) {
    let columns = columns(run);
    let tallies: Vec<Tally> = columns.par_iter().map(|column| tally(column)).collect();
    println!("# Ways to an interval\n\n{MADE}\n");
    println!(
        "Coverage of 95 % intervals in percent, as in `coverage.md`, over the {} means (of every method by every metric) that \
         vary; width beside that of plain percentiles.\n\n## Ways\n\n\
         | Way | Lowest | Highest | Below 93 | Above 97 | Width |\n| --- | ---: | ---: | ---: | ---: | ---: |",
        columns.len()
    );
    for (way, name) in WAYS.iter().enumerate() {
        let covered: Vec<f64> =
            tallies.iter().map(|tally| 100.0 * tally[way].0 as f64 / N_SETS as f64).collect();
        let width = tallies.iter().map(|tally| tally[way].1 / tally[0].1).sum::<f64>();
        println!(
            "| {name} | {:.1} | {:.1} | {} | {} | {:.2} |",
            covered.iter().copied().fold(f64::INFINITY, f64::min),
            covered.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            covered.iter().filter(|covered| **covered < 93.0).count(),
            covered.iter().filter(|covered| **covered > 97.0).count(),
            width / tallies.len() as f64
        );
    }
}

/// The values of every method by every metric and by the per-image ADCC, where they vary and no image lacks one.
fn columns(run: &Run) -> Vec<Vec<f64>> {
    let manifest = run.manifest();
    let mut columns = vec![];
    for method in &manifest.methods {
        let records =
            || run.records().iter().filter(|r| r.method == method.name && r.status == Status::Ok);
        for metric in 0..=manifest.metrics.len() {
            let values: Vec<f64> = records()
                .filter_map(|record| {
                    record.metrics.get(metric).copied().unwrap_or(record.adcc_per_image)
                })
                .collect();
            let varies = values.iter().any(|value| (value - values[0]).abs() > 1e-6);
            if varies && values.len() == manifest.images.len() {
                columns.push(values);
            }
        }
    }
    columns
}

fn tally(column: &[f64]) -> Tally {
    let truth = mean(column);
    let mut tally = [(0, 0.0); WAYS.len()];
    for set in 0..N_SETS {
        let values: Vec<f64> = drawn_places(N_IMAGES, column.len(), set)
            .iter()
            .map(|place| column[place.image])
            .collect();
        for ((covered, width), (lo, hi)) in tally.iter_mut().zip(intervals(&values, set)) {
            *covered += usize::from(lo - 1e-12 <= truth && truth <= hi + 1e-12);
            *width += hi - lo;
        }
    }
    tally
}

/// The intervals of a mean, in the order of [`WAYS`].
fn intervals(values: &[f64], set: usize) -> [(f64, f64); WAYS.len()] {
    let n = values.len() as f64;
    let center = mean(values);
    let moment = |power| values.iter().map(|v| (v - center).powi(power)).sum::<f64>() / n;
    let variance = moment(2);
    if variance < 1e-20 {
        return [(center, center); WAYS.len()];
    }
    let skewness = moment(3) / variance.powf(1.5);
    let normal = Normal::standard();
    let z = normal.inverse_cdf(0.975);
    let t = StudentsT::new(0.0, 1.0, n - 1.0).expect("degrees of freedom").inverse_cdf(0.975);

    let mut random = ChaCha8Rng::seed_from_u64(!set as u64);
    let mut means = Vec::with_capacity(N_RESAMPLES);
    let mut distances = Vec::with_capacity(N_RESAMPLES);
    for _ in 0..N_RESAMPLES {
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..values.len() {
            let away = values[random.next_u32() as usize % values.len()] - center;
            sum += away;
            squares += away * away;
        }
        let away = sum / n;
        let error = ((squares / n - away * away).max(1e-20) / n).sqrt();
        means.push(center + away);
        distances.push(away / error);
    }
    means.sort_unstable_by(f64::total_cmp);
    distances.sort_unstable_by(f64::total_cmp);
    let within = |level: f64| (quantile(&means, level), quantile(&means, 1.0 - level));
    let tail = 0.025;

    let expanded = normal.cdf(-t * (n / (n - 1.0)).sqrt());
    let below = means.iter().filter(|mean| **mean < center).count() as f64;
    let equal = means.iter().filter(|mean| (**mean - center).abs() < 1e-15).count() as f64;
    let bias = normal.inverse_cdf(((below + equal / 2.0) / N_RESAMPLES as f64).clamp(1e-3, 0.999));
    let acceleration = skewness / (6.0 * n.sqrt());
    let corrected = |z: f64| normal.cdf(bias + (bias + z) / (1.0 - acceleration * (bias + z)));

    let plug_in = (variance / n).sqrt();
    let error = (variance / (n - 1.0)).sqrt();
    // The inverse of Hall's transformation, which takes the skewness out of a t statistic.
    let skewed = |t: f64| {
        if skewness.abs() < 1e-9 {
            return t;
        }
        let inner = 1.0 + skewness * (t / n.sqrt() - skewness / (6.0 * n));
        3.0 / skewness * (inner.cbrt() - 1.0) * n.sqrt()
    };
    [
        within(tail),
        within(expanded),
        (quantile(&means, corrected(-z)), quantile(&means, corrected(z))),
        // A resample of equal values is infinitely far; no end is beyond the farthest mean.
        (
            (center - quantile(&distances, 1.0 - tail) * plug_in).max(means[0]),
            (center - quantile(&distances, tail) * plug_in).min(means[N_RESAMPLES - 1]),
        ),
        (center - t * error, center + t * error),
        (center - skewed(t) * error, center - skewed(-t) * error),
    ]
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The quantile of sorted values, interpolated linearly between neighbors.
fn quantile(sorted: &[f64], level: f64) -> f64 {
    let at = level.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}
