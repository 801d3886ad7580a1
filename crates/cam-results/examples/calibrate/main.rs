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
    ImageEntry, MethodEntry, Record, Run, RunManifest, Summary,
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
/// How few images are tried beside those.
const FEWER: [usize; 2] = [60, 30];
/// Of how many images classes are made.
const CLASS_SIZE: usize = 4;

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

/// An image of a run by its place, and the class that it is drawn with.
#[derive(Clone, Copy)]
struct Place {
    image: usize,
    class: i64,
}

impl Drawn {
    /// These images, the first one called `<set>/0` and so on.
    fn of(run: &Run, places: &[Place], set: usize) -> Self {
        let by_image = records_by_image(run);
        let images = run.manifest().images.iter();
        let images: Vec<&Vec<&Record>> = images.map(|image| &by_image[&*image.image]).collect();
        Self::named(run.manifest(), places.iter().map(|p| (p.class, images[p.image])), set)
    }

    /// The records of images, each with its class.
    fn named<'a>(
        manifest: &RunManifest,
        drawn: impl Iterator<Item = (i64, &'a Vec<&'a Record>)>,
        set: usize,
    ) -> Self {
        let (mut images, mut records) = (vec![], vec![]);
        for (i, (class, rows)) in drawn.enumerate() {
            let name = format!("{set}/{i:04}");
            records.extend(
                rows.iter().map(|row| Record { image: name.as_str().into(), ..(*row).clone() }),
            );
            images.push(ImageEntry {
                image: name,
                sha256: None,
                label: Some(class),
                boxes: vec![],
            });
        }
        Self { records, manifest: RunManifest { images, ..manifest.clone() } }
    }

    /// The estimates of a method alone, without its comparisons with others, which take most of the time.
    fn estimates_of(&self, method: &MethodEntry) -> Vec<Estimated> {
        let manifest = RunManifest { methods: vec![method.clone()], ..self.manifest.clone() };
        let records = self.records.iter().filter(|record| record.method == method.name);
        let records: Vec<Record> = records.cloned().collect();
        estimates(&summarize(&manifest, &records))
    }

    fn side(&self) -> Side<'_> {
        Side { name: "", manifest: &self.manifest, records: &self.records }
    }
}

fn records_by_image(run: &Run) -> BTreeMap<&str, Vec<&Record>> {
    let mut by_image: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
    for record in run.records() {
        by_image.entry(&record.image).or_default().push(record);
    }
    by_image
}

/// So many of so many images, with replacement, each a class of its own. The same for the same set.
fn drawn_places(n: usize, of: usize, set: usize) -> Vec<Place> {
    let mut random = ChaCha8Rng::seed_from_u64(set as u64);
    let image = |_| random.next_u32() as usize % of;
    alone((0..n).map(image))
}

/// Images by their places, each a class of its own.
fn alone(images: impl IntoIterator<Item = usize>) -> Vec<Place> {
    images.into_iter().zip(0..).map(|(image, class)| Place { image, class }).collect()
}

/// As many classes as there are, with replacement, and all of their images.
fn drawn_classes(classes: &[Vec<usize>], set: usize) -> Vec<Place> {
    let mut random = ChaCha8Rng::seed_from_u64(set as u64);
    let class = |class| {
        let images = &classes[random.next_u32() as usize % classes.len()];
        images.iter().map(move |&image| Place { image, class: class as i64 })
    };
    (0..classes.len()).flat_map(class).collect()
}

/// Classes of so many images that are alike: neighbors by the first metric under the first method.
fn classes_of(n: usize, run: &Run) -> Vec<Vec<usize>> {
    let method = &run.manifest().methods[0].name;
    let of_method = run.records().iter().filter(|record| record.method == *method);
    let scores: BTreeMap<&str, f64> =
        of_method.filter_map(|record| Some((&*record.image, record.metrics[0]?))).collect();
    let images = run.manifest().images.iter().enumerate();
    let mut images: Vec<(f64, usize)> = images
        .map(|(i, image)| (scores.get(&*image.image).copied().unwrap_or(f64::INFINITY), i))
        .collect();
    images.sort_by(|a, b| a.0.total_cmp(&b.0));
    images.chunks_exact(n).map(|class| class.iter().map(|(_, image)| *image).collect()).collect()
}

/// Method, metric, mean and interval.
type Estimated = (String, String, [f64; 3]);

/// Every estimate of a summary.
fn estimates(summary: &Summary) -> Vec<Estimated> {
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

/// In how many of the sets the interval of each estimate holds what it is over all images.
fn covered(
    run: &Run,
    truth: &[Estimated],
    draw: impl Fn(usize) -> Vec<Place> + Sync,
) -> Vec<usize> {
    let covers = |set: usize| -> Vec<usize> {
        let drawn = Drawn::of(run, &draw(set), set);
        let methods = drawn.manifest.methods.iter();
        let drawn: Vec<Estimated> = methods.flat_map(|method| drawn.estimates_of(method)).collect();
        // Of a metric that is the same for all images, all three are equal but for rounding.
        let covers = |[_, lo, hi]: [f64; 3], truth: f64| lo - 1e-12 <= truth && truth <= hi + 1e-12;
        let both = drawn.iter().zip(truth);
        both.map(|(drawn, truth)| usize::from(covers(drawn.2, truth.2[0]))).collect()
    };
    (0..N_SETS)
        .into_par_iter()
        .map(covers)
        .reduce(|| vec![0; truth.len()], |a, b| a.iter().zip(&b).map(|(a, b)| a + b).collect())
}

fn percent(n: usize) -> String {
    format!("{:.1}", 100.0 * n as f64 / N_SETS as f64)
}

fn coverage(run: &Run) {
    let truth = estimates(&summarize(run.manifest(), run.records()));
    let n_all = run.manifest().images.len();
    let metrics = run.manifest().metrics.iter().map(|metric| &*metric.name);
    let metrics: Vec<&str> = metrics.chain(["adcc", "adcc_per_image"]).collect();
    let head = |first: &str| {
        println!(
            "| {first} | {} |\n| --- |{}",
            metrics.join(" | "),
            " ---: |".repeat(metrics.len())
        );
    };
    println!("# Coverage of 95 % intervals\n\n{MADE}\n");
    println!(
        "How often, in percent, the interval of a mean over {N_IMAGES} images covers the mean over all {n_all} that they \
         were drawn from with replacement, {N_SETS} times.\n\n## Coverage\n"
    );
    head("Method");
    let of_images = covered(run, &truth, |set| drawn_places(N_IMAGES, n_all, set));
    for method in &run.manifest().methods {
        let of = |metric: &&str| {
            let is_it = |(a, b, _): &Estimated| (a, &**b) == (&method.name, *metric);
            truth.iter().position(is_it).map_or("–".to_owned(), |i| percent(of_images[i]))
        };
        println!(
            "| {} | {} |",
            method.name,
            metrics.iter().map(of).collect::<Vec<_>>().join(" | ")
        );
    }
    let classes = classes_of(CLASS_SIZE, run);
    println!(
        "\n## Coverage of few images, and of classes\n\nThe lowest and the highest of all methods, where images differ. \
         Images of a class are neighbors by the first metric under the first method, and so very much alike.\n"
    );
    head("Drawn");
    let row = |what: &str, covered: &[usize]| {
        let of = |metric: &&str| {
            let all = truth.iter().zip(covered);
            let vary = all
                .filter(|((_, name, [mean, lo, hi]), _)| name == metric && lo < mean && mean < hi);
            let counts: Vec<usize> = vary.map(|(_, n)| *n).collect();
            match (counts.iter().min(), counts.iter().max()) {
                (Some(least), Some(most)) => format!("{} to {}", percent(*least), percent(*most)),
                _ => "–".to_owned(),
            }
        };
        println!("| {what} | {} |", metrics.iter().map(of).collect::<Vec<_>>().join(" | "));
    };
    row(&format!("{N_IMAGES} images"), &of_images);
    for n in FEWER {
        row(&format!("{n} images"), &covered(run, &truth, |set| drawn_places(n, n_all, set)));
    }
    let what = format!("{} classes of {CLASS_SIZE}", classes.len());
    row(&what, &covered(run, &truth, |set| drawn_classes(&classes, set)));
}

/// What made a report.
const MADE: &str =
    "Made by `cargo xtask calibrate` from the scores in `results/baselines/published-lite0`.";

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
            // Controls are corrected by themselves, and no fault.
            let changes = comparison.changes.iter().filter(|change| !change.is_control);
            let p: Vec<f64> = changes.filter_map(|change| Some(change.difference?.p)).collect();
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
        let [one, other] = [one, &other[..n_all / 2]]
            .map(|places| Drawn::of(run, &alone(places.iter().copied()), set));
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
        let mixed = Claims::of(mixed(reruns)?);
        println!("{}", mixed.row("the same, with two seeds drawn for each image"));
    }
    Ok(())
}

/// Comparisons of runs that differ in their seed alone, where for each image two of the seeds are drawn.
fn mixed(reruns: &[Run]) -> Result<Vec<Comparison>, gate::NotComparable> {
    let by_image: Vec<BTreeMap<&str, Vec<&Record>>> = reruns.iter().map(records_by_image).collect();
    let manifest = reruns[0].manifest();
    let compared = (0..N_SETS).into_par_iter().map(|set| {
        let mut random = ChaCha8Rng::seed_from_u64(set as u64);
        let mut draw = |n: usize| random.next_u32() as usize % n;
        let seeds = manifest.images.iter().map(|_| {
            let one = draw(reruns.len());
            [one, (one + 1 + draw(reruns.len() - 1)) % reruns.len()]
        });
        let seeds: Vec<[usize; 2]> = seeds.collect();
        let side = |which: usize| {
            let images = manifest.images.iter().zip(&seeds).zip(0..);
            let rows = images
                .map(|((image, seeds), class)| (class, &by_image[seeds[which]][&*image.image]));
            Drawn::named(manifest, rows, set)
        };
        let [one, other] = [side(0), side(1)];
        gate::compare(one.side(), other.side(), &strict())
    });
    compared.collect()
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
