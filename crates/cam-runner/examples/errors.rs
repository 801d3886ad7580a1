//! What faster ways of getting a number cost in accuracy, as Markdown for `results/speed`.
//!
//! `errors RUN` compares, within a run, every column and every model called `NAME.WAY` with `NAME`: the runs of
//! `configs/precision.yaml` and `configs/fewer-forwards.yaml`. `errors RUN OTHER` compares all rows and maps of two runs of
//! one sweep, which were made on two devices. `IMAGENET_SAMPLES=… errors rise` compares the variance of RISE's maps over
//! seeds with and without antithetic masks.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    error::Error,
    path::Path,
};

use cam_core::{Method, Subject, Target};
use cam_data::{Dataset, Limits, prefetch};
use cam_methods::{Rise, RiseSampling};
use cam_models::{Options, WeightsChoice, load};
use cam_results::{Key, Record, Run};
use tch::{Kind, Tensor};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let what = env::args().nth(1).ok_or("give a run's folder, or `rise`")?;
    if what == "rise" {
        return rise();
    }
    let run = Run::read(Path::new(&what))?;
    if let Some(other) = env::args().nth(2) {
        return devices(&run, &Run::read(Path::new(&other))?);
    }
    scores(&run);
    maps(&run)
}

const SCORES: &str = "| Method | Metric | Way | n | Mean | Difference of means | Mean of \\|differences\\| | Largest |\n\
                      | --- | --- | --- | ---: | ---: | ---: | ---: | ---: |";

/// What is said of values, one way and the other.
fn print_scores(method: &str, metric: &str, way: &str, both: &[(f64, f64)]) {
    let n = both.len() as f64;
    let mean = |of: &dyn Fn(&(f64, f64)) -> f64| both.iter().map(of).sum::<f64>() / n;
    let largest = both.iter().map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    println!(
        "| {method} | {metric} | {way} | {n} | {:.4} | {:+.5} | {:.5} | {largest:.4} |",
        mean(&|pair| pair.0),
        mean(&|pair| pair.1 - pair.0),
        mean(&|pair| (pair.1 - pair.0).abs()),
    );
}

/// What two runs say of the rows that both have, metric by metric, and their maps.
fn devices(run: &Run, other: &Run) -> Result<()> {
    let of = |run: &Run| -> BTreeMap<Key, Record> {
        run.records().iter().map(|record| (record.key(), record.clone())).collect()
    };
    let (ours, theirs) = (of(run), of(other));
    let both: Vec<(&Record, &Record)> =
        ours.iter().filter_map(|(key, row)| Some((row, theirs.get(key)?))).collect();
    let way = &other.manifest().device;
    println!(
        "## Scores of `{}` on {way}, against {}\n",
        other.manifest().sweep,
        run.manifest().device
    );
    println!(
        "| Metric | Of | Rows | Mean of \\|differences\\| | Largest | Where |\n| --- | --- | ---: | ---: | ---: | --- |"
    );
    let controls: BTreeSet<&str> = (run.manifest().methods.iter())
        .filter(|method| method.is_control())
        .map(|method| &*method.name)
        .collect();
    let kinds = [("methods", false), ("controls", true)];
    let metrics = run.manifest().metrics.iter().enumerate();
    for ((at, metric), (kind, is_control)) in metrics.flat_map(|at| kinds.map(|kind| (at, kind))) {
        let differences: Vec<(f64, &Record)> = (both.iter())
            .filter(|(row, _)| controls.contains(&*row.method) == is_control)
            .filter_map(|(a, b)| Some(((a.metrics[at]? - b.metrics[at]?).abs(), *a)))
            .collect();
        let Some((largest, row)) = differences.iter().max_by(|(a, _), (b, _)| a.total_cmp(b))
        else {
            continue;
        };
        let n = differences.len();
        let mean = differences.iter().map(|(difference, _)| difference).sum::<f64>() / n as f64;
        println!(
            "| {} | {kind} | {n} | {mean:.1e} | {largest:.1e} | {} |",
            metric.name, row.method
        );
    }
    let otherwise =
        both.iter().filter(|(a, b)| (a.status, a.target) != (b.status, b.target)).count();
    println!("\n{otherwise} of {} rows have another status or class.\n", both.len());
    let mut maps = BTreeMap::new();
    run.visit_maps(|key, map| {
        maps.insert(key.clone(), map.values.clone());
    })?;
    let mut correlations: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    other.visit_maps(|key, map| {
        if let Some(ours) = maps.get(key) {
            correlations
                .entry(key.method.clone())
                .or_default()
                .push(correlation(ours, &map.values));
        }
    })?;
    // A constant map correlates with nothing.
    correlations.retain(|_, values| values.iter().all(|value| !value.is_nan()));
    print_correlations(way, correlations.iter().map(|(name, values)| (&**name, values.clone())));
    Ok(())
}

/// Pearson's of two maps.
fn correlation(a: &[f32], b: &[f32]) -> f64 {
    let pair = Tensor::stack(&[Tensor::from_slice(a), Tensor::from_slice(b)], 0);
    pair.to_kind(Kind::Double).corrcoef().double_value(&[0, 1])
}

/// What is said of correlations of maps, by method.
fn print_correlations<'a>(way: &str, of_methods: impl Iterator<Item = (&'a str, Vec<f64>)>) {
    println!(
        "| Method | n | Mean correlation of maps, {way} | Smallest |\n| --- | ---: | ---: | ---: |"
    );
    for (method, correlations) in of_methods {
        let mean = correlations.iter().sum::<f64>() / correlations.len() as f64;
        let smallest = correlations.iter().copied().fold(1.0, f64::min);
        println!("| {method} | {} | {mean:.5} | {smallest:.5} |", correlations.len());
    }
    println!();
}

/// Every pair of a column with itself, computed the other way.
fn scores(run: &Run) {
    let manifest = run.manifest();
    println!("## Scores of `{}`\n", manifest.sweep);
    println!("{SCORES}");
    let metrics: Vec<&str> = manifest.metrics.iter().map(|metric| &*metric.name).collect();
    let models: Vec<&str> = manifest.models.iter().map(|model| &*model.name).collect();
    for method in &manifest.methods {
        for (at, metric) in metrics.iter().enumerate() {
            // Another metric of the same model, or the same metric of another model.
            let ways = (pairs(&metrics).filter(|(plain, ..)| plain == metric))
                .flat_map(|(_, way, name)| {
                    models.iter().map(move |model| (*model, *model, way, name))
                })
                .chain(
                    pairs(&models)
                        .filter(|_| !metric.contains('.'))
                        .map(|(plain, way, name)| (plain, way, *metric, name)),
                );
            for (model, other_model, other_metric, name) in ways {
                let other = metrics.iter().position(|m| *m == other_metric).unwrap_or(at);
                let of = |model: &str, at: usize| -> BTreeMap<&str, f64> {
                    let rows = run.records().iter();
                    let rows = rows.filter(|row| row.model == model && row.method == method.name);
                    rows.filter_map(|row: &Record| Some((&*row.image, row.metrics[at]?))).collect()
                };
                let (plain, short) = (of(model, at), of(other_model, other));
                let both: Vec<(f64, f64)> = plain
                    .iter()
                    .filter_map(|(image, value)| Some((*value, *short.get(image)?)))
                    .collect();
                print_scores(&method.name, metric, name, &both);
            }
        }
    }
    println!();
}

/// Pairs of `NAME` and `NAME.WAY`, with `WAY`.
fn pairs<'a>(names: &'a [&'a str]) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
    names.iter().filter_map(|name| {
        let (plain, way) = name.split_once('.')?;
        names.contains(&plain).then_some((plain, *name, way))
    })
}

/// Pearson's correlation of every map with the same one of the other model.
fn maps(run: &Run) -> Result<()> {
    let models: Vec<&str> = run.manifest().models.iter().map(|model| &*model.name).collect();
    let mut maps: BTreeMap<(String, String, String), Vec<f32>> = BTreeMap::new();
    run.visit_maps(|key, map| {
        maps.insert((key.model.clone(), key.method.clone(), key.image.clone()), map.values.clone());
    })?;
    for (plain, way, name) in pairs(&models) {
        print_correlations(
            name,
            run.manifest().methods.iter().map(|method| {
                let ours =
                    maps.iter().filter(|((model, of, _), _)| model == plain && *of == method.name);
                let pairs = ours.filter_map(|((_, of, image), map)| {
                    Some((map, maps.get(&(way.to_owned(), of.clone(), image.clone()))?))
                });
                (&*method.name, pairs.map(|(ours, other)| correlation(ours, other)).collect())
            }),
        );
    }
    Ok(())
}

/// The variance of a map's pixels over seeds, independent masks against half as many antithetic ones.
fn rise() -> Result<()> {
    const N_IMAGES: usize = 8;
    const N_SEEDS: u64 = 6;
    let model = load("tf_efficientnet_lite0", &WeightsChoice::Default, &Options::default())?;
    let cut = model.network.cut(model.backbone.layer())?;
    let limits = Limits { limit: Some(N_IMAGES), ..Limits::default() };
    let data = Dataset::load(Path::new("datasets/imagenet-samples.yaml"), &limits)?;
    let ways = [
        ("independent", Rise { n_masks: 256, ..Rise::default() }),
        (
            "antithetic",
            Rise { n_masks: 128, sampling: RiseSampling::Antithetic, ..Rise::default() },
        ),
    ];
    let mut variances = [0.0; 2];
    for (_, photo) in prefetch(data.items, &model.preprocessing, data.exif) {
        let image = photo?.photo.tensor(&model.preprocessing);
        for (variance, (_, rise)) in variances.iter_mut().zip(&ways) {
            let maps: Vec<Tensor> = (0..N_SEEDS)
                .map(|seed| {
                    let image = image.shallow_clone();
                    let map = rise.explain(&Subject::new(&cut, image, Target::Predicted, seed));
                    // Only differences between pixels are seen in a normalized map.
                    &map - map.mean(Kind::Float)
                })
                .collect();
            let over_seeds = Tensor::stack(&maps, 0).var_dim(&[0_i64][..], true, false);
            *variance += over_seeds.mean(Kind::Double).double_value(&[]) / N_IMAGES as f64;
        }
    }
    println!("## RISE over {N_SEEDS} seeds, {N_IMAGES} images\n");
    println!(
        "| Masks | Forwards | Mean variance of a pixel | Relative |\n| --- | ---: | ---: | ---: |"
    );
    for ((name, rise), variance) in ways.iter().zip(variances) {
        println!("| {name} | {} | {variance:.3e} | {:.2} |", rise.n_masks, variance / variances[0]);
    }
    Ok(())
}
