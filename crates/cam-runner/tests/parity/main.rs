//! Ours beside reference implementations, on the demo's photographs and on images of `IMAGENET_SAMPLES`: `cargo xtask
//! parity` made the vectors.
//!
//! A map's deviation is the largest difference of a pixel after both are min-max normalized at their own size, a score's
//! that of the numbers; of a case the largest of its images counts. Where `PARITY_RESULTS` names a file, the figures are
//! written there, as `cargo xtask parity` does; else those in `results/parity/parity.csv` must still be true.
//!
//! Needs the weights and photographs that `cargo xtask setup` lays into the cache. Without `IMAGENET_SAMPLES` its images are
//! left out.

#![expect(clippy::unwrap_used, reason = "a test may panic and says what it skips")]

#[allow(dead_code, reason = "the exporter uses the rest of it")]
mod cases;

use std::{collections::BTreeMap, env, fs, path::PathBuf, thread::available_parallelism};

use cam_core::{Classifier, Explained, Map, Subject, Target, min_max};
use cam_methods::AnyMethod;
use cam_metrics::AnyMetric;
use cam_models::{Loaded, set_threads};
use cam_results::adcc;
use cases::{Case, Image};
use serde::Deserialize;
use serde_json::Value;
use tch::{Device, Kind, Tensor};

/// What `make.py` wrote beside the maps.
#[derive(Deserialize)]
struct Vectors {
    versions: BTreeMap<String, String>,
    images: Vec<Seen>,
    scores: BTreeMap<String, Vec<f64>>,
    /// How far references are from themselves in double precision, where gates and poles magnify rounding.
    rounding: BTreeMap<String, f64>,
    /// Standard deviation of references with noise of their own, over seeds.
    noise: BTreeMap<String, f64>,
}

/// A photograph that the references saw.
#[derive(Deserialize)]
struct Seen {
    name: String,
    sha256: String,
    class: i64,
}

/// A case with what was measured.
struct Measured {
    case: Case,
    deviation: f64,
    /// The largest deviation that counts as agreement.
    bound: f64,
}

/// The largest deviation that counts as agreement.
fn bound(case: &Case, vectors: &Vectors, noise: f64) -> f64 {
    let of_kind = if AnyMethod::NAMES.contains(&case.of.as_str()) { 1e-4 } else { 1e-3 };
    let rounding = case.rounding.then(|| TIMES_ROUNDING * vectors.rounding[case.vectors()]);
    let noise = case
        .seeds
        .map(|n| TIMES_NOISE * (noise.hypot(vectors.noise[&case.id]) / f64::from(n).sqrt()));
    let allowed = [rounding, noise].into_iter().flatten();
    allowed.fold(case.bound.unwrap_or(of_kind), f64::max)
}

/// Ours rounds in other places than the reference does, not more.
const TIMES_ROUNDING: f64 = 2.0;

/// Means over seeds are compared, by the standard error of their difference.
const TIMES_NOISE: f64 = 4.0;

#[test]
fn methods_and_metrics_agree_with_their_references_where_they_are_meant_to() {
    // One long test, and nothing beside it.
    set_threads(available_parallelism().map_or(1, usize::from));
    let Some((model, images)) = cases::real() else {
        println!("skipped: weights or photographs are missing; run `cargo xtask setup`");
        return;
    };
    let folder = manifest_folder().join("tests/parity");
    let vectors: Vectors =
        serde_json::from_str(&fs::read_to_string(folder.join("vectors.json")).unwrap()).unwrap();
    let maps: BTreeMap<String, Tensor> =
        Tensor::read_safetensors(folder.join("vectors.safetensors")).unwrap().into_iter().collect();
    let is_whole = images.len() >= vectors.images.len();
    if !is_whole {
        println!("skipped: the images of IMAGENET_SAMPLES");
    }
    for (seen, image) in vectors.images.iter().zip(&images) {
        assert_eq!((&seen.name, &seen.sha256), (&image.name, &image.sha256), "other pixels");
        let cut = model.network.cut(model.backbone.layer()).unwrap();
        assert_eq!(cases::subject(&cut, image).class(), seen.class, "{}", image.name);
    }
    let measured: Vec<Measured> = Case::all()
        .into_iter()
        .map(|case| {
            let images = &images[..case.images.min(images.len())];
            let (deviation, noise) = match case.method() {
                Some(method) => {
                    let range = maps.get(&format!("{}.range", case.vectors()));
                    let maps = &maps[case.vectors()];
                    (map_deviation(&model, &case, &method, images, maps, range), 0.0)
                }
                None => score_deviation(&model, &case, images, &vectors.scores[case.vectors()]),
            };
            let bound = bound(&case, &vectors, noise);
            println!("{}: {deviation:.1e} of {bound:.1e}", case.id);
            Measured { case, deviation, bound }
        })
        .collect();
    for found in &measured {
        let Measured { case: Case { id, differs, .. }, deviation, bound } = found;
        assert_eq!(
            differs.is_some(),
            deviation.is_nan() || deviation > bound,
            "{id} deviates by {deviation:.1e}; {bound:.0e} counts as agreement"
        );
    }
    if let Some(file) = env::var_os("PARITY_RESULTS") {
        fs::write(file, figures(&measured, &vectors.versions)).unwrap();
    } else {
        let file = manifest_folder().join("../../results/parity/parity.csv");
        check(&fs::read_to_string(file).unwrap(), &measured, is_whole);
    }
}

const HEADER: &str = "case,of,layer,peer,version,images,bound,agrees,deviation";

/// The figures as a table.
fn figures(measured: &[Measured], versions: &BTreeMap<String, String>) -> String {
    let line = |found: &Measured| {
        let Case { id, of, layer, peer, images, .. } = &found.case;
        let version = versions.get(package(peer)).map_or("", String::as_str);
        let (bound, agrees) = (found.bound, found.case.differs.is_none());
        format!(
            "{id},{of},{layer},{peer},{version},{images},{bound:.1e},{agrees},{:.2e}",
            found.deviation
        )
    };
    let lines = measured.iter().map(line);
    [HEADER.to_owned()].into_iter().chain(lines).map(|line| line + "\n").collect()
}

/// What a peer is called where packages are installed.
fn package(peer: &str) -> &str {
    if peer == "torch-cam" { "torchcam" } else { peer }
}

/// That no committed figure has moved by more than what counts as agreement. The largest deviation of fewer images may be
/// smaller.
fn check(committed: &str, measured: &[Measured], is_whole: bool) {
    let mut lines = committed.lines();
    assert_eq!(lines.next(), Some(HEADER));
    assert_eq!(lines.clone().count(), measured.len(), "run `cargo xtask parity`");
    for (line, found) in lines.zip(measured) {
        let fields: Vec<&str> = line.split(',').collect();
        let (id, deviation) = (fields[0], fields[8].parse::<f64>().unwrap());
        assert_eq!(id, found.case.id, "run `cargo xtask parity`");
        let moved = found.deviation - deviation;
        let moved = if is_whole { moved.abs() } else { moved };
        // Committed with three digits, and where two differ on purpose, by a number that other processors round otherwise.
        let allowed = found.bound + 0.05 * deviation;
        assert!(moved <= allowed, "{id}: {deviation:e} is now {:e}", found.deviation);
    }
}

fn manifest_folder() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

/// The largest difference of any image's normalized map.
fn map_deviation(
    model: &Loaded,
    case: &Case,
    method: &AnyMethod,
    images: &[Image],
    theirs: &Tensor,
    range: Option<&Tensor>,
) -> f64 {
    let cut = model.network.cut(&case.layer).unwrap();
    let deviation = |(i, image): (usize, &Image)| {
        let subject = cases::subject(&cut, image);
        let theirs = theirs.get(i as i64);
        let mut ours = method.explain(&subject);
        let is_sampled = range.is_some();
        if is_sampled {
            ours = cam_core::upsample(&ours, subject.size());
        }
        let mut ours = min_max(&ours).unwrap();
        let theirs = match range {
            None => min_max(&theirs).unwrap(),
            Some(range) => {
                ours = ours.slice(0, 3, None, 7).slice(1, 3, None, 7);
                let range = range.get(i as i64);
                (theirs - range.get(0)) / (range.get(1) - range.get(0))
            }
        };
        assert_eq!(ours.size(), theirs.size(), "{}", case.id);
        (ours - theirs).abs().max().double_value(&[])
    };
    images.iter().enumerate().map(deviation).fold(0.0, largest)
}

/// The largest difference of any image's score, of means over seeds where there are some; and the largest deviation of ours
/// over these.
fn score_deviation(model: &Loaded, case: &Case, images: &[Image], theirs: &[f64]) -> (f64, f64) {
    let cut = model.network.cut(&case.layer).unwrap();
    assert_eq!(theirs.len(), case.images, "{}", case.id);
    let n = case.seeds.unwrap_or(1);
    let deviation = |(image, theirs): (&Image, &f64)| {
        let ours: Vec<f64> =
            (0..n).map(|seed| score_of(&cut, case, image, u64::from(seed))).collect();
        let mean = ours.iter().sum::<f64>() / f64::from(n);
        let squares: f64 = ours.iter().map(|value| (value - mean).powi(2)).sum();
        ((mean - theirs).abs(), (squares / f64::from(n.max(2) - 1)).sqrt())
    };
    let pairs = images.iter().zip(theirs).map(deviation);
    pairs.fold((0.0, 0.0), |a, b| (largest(a.0, b.0), largest(a.1, b.1)))
}

fn score_of(cut: &dyn Classifier, case: &Case, image: &Image, seed: u64) -> f64 {
    let method = AnyMethod::by_name(case.map.as_deref().unwrap_or("recipro_cam")).unwrap();
    let mut subject = Subject::new(cut, image.tensor.shallow_clone(), Target::Predicted, seed);
    if let Some([left, top, right, bottom]) = case.region {
        let region = Tensor::zeros(subject.size(), (Kind::Bool, Device::Cpu));
        let _ = region.narrow(0, top, bottom - top).narrow(1, left, right - left).fill_(1);
        subject = subject.with_region(region);
    }
    let map = Map::new(&method.explain(&subject), subject.size()).unwrap();
    score(case, &Explained::new(&subject, &map, Some(&*method)))
}

fn score(case: &Case, explained: &Explained<'_>) -> f64 {
    let of = |name: &str, options: Value| {
        let metric = AnyMetric::configure(name, options).unwrap().unwrap();
        metric.score(explained).unwrap().value
    };
    if case.of == "adcc" {
        let [coherency, complexity, drop] =
            ["coherency", "complexity", "drop"].map(|name| of(name, serde_json::json!({})));
        return adcc(coherency, complexity, drop);
    }
    of(&case.of, Value::from(case.options.clone()))
}

/// The larger of two; not a number where one is none.
fn largest(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

#[test]
fn every_case_is_of_something_that_exists_and_has_a_name_of_its_own() {
    let cases = Case::all();
    for (i, case) in cases.iter().enumerate() {
        let is_known = case.method().is_some()
            || case.of == "adcc"
            || AnyMetric::configure(&case.of, Value::from(case.options.clone()))
                .is_some_and(|metric| metric.is_ok());
        assert!(is_known, "{}: no {} with these options", case.id, case.of);
        assert!(!cases[..i].iter().any(|other| other.id == case.id), "{} twice", case.id);
    }
}
