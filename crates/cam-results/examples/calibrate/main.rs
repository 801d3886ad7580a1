//! Whether intervals cover what they say and the gate fires as often as it says, by simulation on real runs' values.
//!
//! ```text
//! cargo run --release --example calibrate coverage RUN
//! cargo run --release --example calibrate ways RUN
//! cargo run --release --example calibrate alarms RUN RERUN RERUN...
//! cargo run --release --example calibrate power BASE WORSE...
//! ```
//!
//! - *Coverage*: 1000 times, 100 of the run's images are drawn with replacement; how often the interval of a mean, and of
//!   ADCC, holds the value over all images. *Ways*: the same of other intervals.
//! - *Alarms*: 1000 times, the images are split into two halves at random, whose images are paired at random; how often
//!   the gate claims any change between them. Then the same between every two of the reruns, which should differ in their
//!   seed alone.
//! - *Power*: 1000 times, some of the images are drawn with replacement; how often the gate claims that a worse run is
//!   worse than the baseline.
//!
//! Prints a Markdown report; `cargo xtask calibrate` and `cargo xtask gate` make the runs and keep the reports.

#![expect(clippy::print_stdout, reason = "an example prints")]

mod ways;

use std::{collections::BTreeMap, error::Error, path::Path};

use cam_results::{
    ImageEntry, Record, Run, RunManifest, Summary,
    gate::{self, Comparison, Limits, Side, Threshold, Verdict},
    summarize,
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use rayon::prelude::*;

const N_SETS: usize = 1000;
const N_IMAGES: usize = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let usage = "calibrate coverage|ways|alarms|power RUN...";
    let (what, folders) = args.split_first().ok_or(usage)?;
    let runs: Vec<Run> =
        folders.iter().map(|folder| Run::read(Path::new(folder))).collect::<Result<_, _>>()?;
    let (first, others) = runs.split_first().ok_or(usage)?;
    match what.as_str() {
        "coverage" => coverage(first),
        "ways" => ways::report(first),
        "alarms" => alarms(first, others)?,
        "power" => power(first, others),
        _ => return Err(usage.into()),
    }
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
                .map(move |record| Record { image: name(i).into(), ..(*record).clone() })
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

/// So many of so many places, with replacement. The same for the same set.
fn drawn_places(n: usize, of: usize, set: usize) -> Vec<usize> {
    let mut random = ChaCha8Rng::seed_from_u64(set as u64);
    (0..n).map(|_| random.next_u32() as usize % of).collect()
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
    let n_all = run.manifest().images.len();
    let covers = |set: usize| -> Vec<usize> {
        let drawn = Drawn::of(run, &drawn_places(N_IMAGES, n_all, set), set);
        let drawn = estimates(&summarize(&drawn.manifest, &drawn.records));
        // Of a metric that is the same for all images, all three are equal but for rounding.
        let covers = |[_, lo, hi]: [f64; 3], truth: f64| lo - 1e-12 <= truth && truth <= hi + 1e-12;
        let both = drawn.iter().zip(&truth);
        both.map(|(drawn, truth)| usize::from(covers(drawn.2, truth.2[0]))).collect()
    };
    let covered = (0..N_SETS)
        .into_par_iter()
        .map(covers)
        .reduce(|| vec![0; truth.len()], |a, b| a.iter().zip(&b).map(|(a, b)| a + b).collect());
    let mut rows: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for ((_, metric, _), covered) in truth.iter().zip(covered) {
        let percent = format!("{:.1}", 100.0 * covered as f64 / N_SETS as f64);
        rows.entry(metric).or_default().push(percent);
    }
    let methods: Vec<&str> = run.manifest().methods.iter().map(|method| &*method.name).collect();
    println!("# Coverage of 95 % intervals\n\n{MADE}\n");
    println!(
        "How often, in percent, the interval of a mean over {N_IMAGES} images covers the mean over all {n_all} that they \
         were drawn from with replacement, {N_SETS} times.\n\n## Coverage\n\n| Metric | {} |\n| --- |{}",
        methods.join(" | "),
        " ---: |".repeat(methods.len())
    );
    let metrics = run.manifest().metrics.iter().map(|metric| &*metric.name);
    for metric in metrics.chain(["adcc", "adcc_per_image"]) {
        if let Some(row) = rows.get(metric) {
            println!("| {metric} | {} |", row.join(" | "));
        }
    }
}

/// What made a report.
const MADE: &str = "Made by the example `calibrate` of `cam-results` from a run of `configs/calibration.yaml`; \
                    `cargo xtask calibrate` does both.";

/// Every significant change counts.
fn strict() -> Limits {
    Limits { noise: Threshold::Absolute(0.0), ..Limits::default() }
}

/// What many comparisons claim.
#[derive(Default)]
struct Claims {
    n: usize,
    /// Comparisons that claim any change.
    n_any: usize,
    n_cells: usize,
    /// Cells whose p-value is below 5 % before the correction.
    n_below: usize,
}

impl Claims {
    fn of(comparisons: impl IntoIterator<Item = Comparison>) -> Self {
        let mut claims = Self::default();
        for comparison in comparisons {
            let claimed = [Verdict::Regressed, Verdict::Improved];
            let p: Vec<f64> =
                comparison.changes.iter().filter_map(|c| Some(c.difference?.p)).collect();
            claims.n += 1;
            claims.n_any += usize::from(claimed.into_iter().any(|v| comparison.count(v) > 0));
            claims.n_cells += p.len();
            claims.n_below += p.iter().filter(|p| **p < 0.05).count();
        }
        claims
    }

    fn row(&self, what: &str) -> String {
        let share = |n: usize, of: usize| 100.0 * n as f64 / of.max(1) as f64;
        format!(
            "| {what} | {} | {} | {:.1} % | {:.1} % |",
            self.n,
            self.n_cells / self.n.max(1),
            share(self.n_any, self.n),
            share(self.n_below, self.n_cells)
        )
    }
}

fn alarms(run: &Run, reruns: &[Run]) -> Result<(), Box<dyn Error>> {
    println!("# False alarms of `cambench compare`\n\n{MADE}\n");
    println!(
        "Comparisons in which nothing differs but images, or seeds. Any claim: at most 5 % of comparisons should have one. \
         p below 0.05: before the correction, at most 5 % of cells should have it.\n\n## False alarms\n\n\
         | Between | Comparisons | Cells each | Any claim | p below 0.05 |\n| --- | ---: | ---: | ---: | ---: |"
    );
    let n_all = run.manifest().images.len();
    let halves = (0..N_SETS).into_par_iter().map(|set| {
        let mut random = ChaCha8Rng::seed_from_u64(set as u64);
        let mut places: Vec<usize> = (0..n_all).collect();
        for i in (1..n_all).rev() {
            places.swap(i, random.next_u32() as usize % (i + 1));
        }
        let (one, other) = places.split_at(n_all / 2);
        let [one, other] = [one, &other[..n_all / 2]].map(|places| Drawn::of(run, places, set));
        gate::compare(one.side(), other.side(), &strict())
    });
    let halves: Vec<Comparison> = halves.collect::<Result<_, _>>()?;
    println!("{}", Claims::of(halves).row("halves of the images, paired at random"));
    let pairs: Vec<Comparison> = (reruns.iter().enumerate())
        .flat_map(|(i, one)| reruns[i + 1..].iter().map(move |other| [one, other]))
        .map(|[one, other]| gate::compare(Side::of("", one), Side::of("", other), &strict()))
        .collect::<Result<_, _>>()?;
    let pairs = Claims::of(pairs);
    if pairs.n > 0 {
        println!("{}", pairs.row("runs with other seeds, of methods that draw"));
    }
    Ok(())
}

fn power(base: &Run, worse: &[Run]) {
    const SIZES: [usize; 3] = [20, 40, 60];
    println!("# Power of `cambench compare`\n\nMade by `cargo xtask gate`.\n");
    println!(
        "How often, in percent, some cell has regressed beyond the default limits, where so many images are drawn with \
         replacement from those of both runs, {N_SETS} times.\n\n## Power\n\n| Run | {} |\n| --- |{}",
        SIZES.map(|n| format!("{n} images")).join(" | "),
        " ---: |".repeat(SIZES.len())
    );
    let n_all = base.manifest().images.len();
    for run in worse {
        let seen = SIZES.map(|n| {
            let is_seen = |set: &usize| {
                let places = drawn_places(n, n_all, *set);
                let [base, run] = [base, run].map(|run| Drawn::of(run, &places, *set));
                gate::compare(base.side(), run.side(), &Limits::default())
                    .is_ok_and(|comparison| comparison.count(Verdict::Regressed) > 0)
            };
            let n_seen = (0..N_SETS).into_par_iter().filter(is_seen).count();
            format!("{:.1}", 100.0 * n_seen as f64 / N_SETS as f64)
        });
        let name = run.folder().file_name().unwrap_or_default().to_string_lossy();
        println!("| {name} | {} |", seen.join(" | "));
    }
}
