//! Whether intervals cover what they say and the gate fires as often as it says, by simulation on a run's own values.
//!
//! ```text
//! cargo run --release --example calibrate RUN [RERUN RERUN...]
//! ```
//!
//! 1. Coverage: 1000 times, 100 of the run's images are drawn with replacement; how often the interval of a mean, and of
//!    ADCC, holds the value over all images.
//! 2. False alarms on halves: 1000 times, the images are split into two halves at random, whose images are paired at
//!    random; how often the gate claims any change between them.
//! 3. False alarms on reruns: between every two of the reruns, which should differ in their seed alone.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::{collections::BTreeMap, path::Path};

use cam_results::{
    ImageEntry, Record, Result, Run, RunManifest, Summary,
    gate::{self, Limits, Side, Threshold},
    summarize,
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

const N_RUNS: usize = 1000;
const N_IMAGES: usize = 100;

fn main() -> Result<()> {
    let runs: Vec<Run> = std::env::args()
        .skip(1)
        .map(|folder| Run::read(Path::new(&folder)))
        .collect::<Result<_>>()?;
    let Some((first, others)) = runs.split_first() else {
        println!("usage: calibrate RUN [RERUN RERUN...]");
        return Ok(());
    };
    coverage(first);
    halves(first);
    reruns(others);
    Ok(())
}

/// A run of some images of another one, under new names.
struct Drawn {
    manifest: RunManifest,
    records: Vec<Record>,
}

impl Drawn {
    /// The images at these places, the first one called `<set>/0` and so on.
    fn of(run: &Run, places: &[usize], set: usize) -> Self {
        let manifest = run.manifest();
        let mut by_image: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
        for record in run.records() {
            by_image.entry(&record.image).or_default().push(record);
        }
        let name = |i: usize| format!("{set}/{i:04}");
        // A class of its own for every image, as in the whole.
        let images = (0..places.len()).map(|i| ImageEntry {
            image: name(i),
            sha256: None,
            label: Some(i as i64),
            boxes: vec![],
        });
        let records = places.iter().enumerate().flat_map(|(i, place)| {
            by_image[&*manifest.images[*place].image]
                .iter()
                .map(move |record| Record { image: name(i), ..(*record).clone() })
        });
        Self {
            records: records.collect(),
            manifest: RunManifest { images: images.collect(), ..manifest.clone() },
        }
    }

    fn side(&self) -> Side<'_> {
        Side { name: "", manifest: &self.manifest, records: &self.records }
    }
}

/// Every estimate of a summary: method, metric, mean and interval.
fn estimates(summary: &Summary) -> Vec<(String, String, [f64; 3])> {
    let mut estimates = vec![];
    for cell in &summary.cells {
        let metrics = summary.metrics.iter().zip(&cell.metrics);
        let all = metrics
            .map(|(name, estimate)| (&**name, estimate))
            .chain([("adcc", &cell.adcc), ("adcc_per_image", &cell.adcc_per_image)]);
        for (name, estimate) in all {
            if let Some(e) = estimate {
                estimates.push((cell.method.clone(), name.to_owned(), [e.mean, e.lo, e.hi]));
            }
        }
    }
    estimates
}

fn coverage(run: &Run) {
    let truth = estimates(&summarize(run.manifest(), run.records()));
    let mut covered = vec![0_usize; truth.len()];
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let n_all = run.manifest().images.len();
    for set in 0..N_RUNS {
        let places: Vec<usize> =
            (0..N_IMAGES).map(|_| random.next_u32() as usize % n_all).collect();
        let drawn = Drawn::of(run, &places, set);
        let summary = summarize(&drawn.manifest, &drawn.records);
        for (covered, (estimate, truth)) in
            covered.iter_mut().zip(estimates(&summary).iter().zip(&truth))
        {
            // Of a metric that is the same for all images, all three are equal but for rounding.
            let [_, lo, hi] = estimate.2;
            *covered += usize::from(lo - 1e-12 <= truth.2[0] && truth.2[0] <= hi + 1e-12);
        }
    }
    println!(
        "## Coverage of 95 % intervals\n\n| Method | Metric | Covered |\n| --- | --- | ---: |"
    );
    for ((method, metric, _), covered) in truth.iter().zip(covered) {
        println!("| {method} | {metric} | {:.1} % |", 100.0 * covered as f64 / N_RUNS as f64);
    }
}

/// Every significant change counts.
fn strict() -> Limits {
    Limits { noise: Threshold::Absolute(0.0), ..Limits::default() }
}

fn halves(run: &Run) {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let n_all = run.manifest().images.len();
    let mut n_alarms = 0;
    for set in 0..N_RUNS {
        let mut places: Vec<usize> = (0..n_all).collect();
        for i in (1..n_all).rev() {
            places.swap(i, random.next_u32() as usize % (i + 1));
        }
        let (one, other) = places.split_at(n_all / 2);
        let [one, other] = [one, &other[..n_all / 2]].map(|places| Drawn::of(run, places, set));
        n_alarms += usize::from(is_alarm(one.side(), other.side()) == Some(true));
    }
    println!(
        "\n## False alarms\n\nOn halves: {:.1} % of {N_RUNS} comparisons claim any change.",
        100.0 * n_alarms as f64 / N_RUNS as f64
    );
}

fn reruns(runs: &[Run]) {
    let mut n_pairs = 0;
    let mut n_alarms = 0;
    for (i, one) in runs.iter().enumerate() {
        for other in &runs[i + 1..] {
            if let Some(is_alarm) = is_alarm(Side::of("", one), Side::of("", other)) {
                n_pairs += 1;
                n_alarms += usize::from(is_alarm);
            }
        }
    }
    if n_pairs > 0 {
        println!(
            "On reruns with other seeds: {n_alarms} of {n_pairs} comparisons claim any change."
        );
    }
}

/// Whether any change is claimed; `None` where the two cannot be compared.
fn is_alarm(base: Side<'_>, new: Side<'_>) -> Option<bool> {
    let comparison = gate::compare(base, new, &strict()).ok()?;
    let claimed = [gate::Verdict::Regressed, gate::Verdict::Improved];
    Some(claimed.into_iter().any(|verdict| comparison.count(verdict) > 0))
}
