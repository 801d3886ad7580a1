//! Micro-benchmarks of what a sweep spends its time on: `cargo bench --workspace --bench hot_parts`.
//!
//! From pixels to scores on EfficientNet-Lite0 with seeded weights, which no download is needed for. `framework` runs on
//! a network of a few numbers, so that what is left is ours: batching, counting, sharing, bookkeeping.

use std::fs;

use cam_core::toy::Toy;
use cam_core::{Classifier, Explained, Fill, Map, Subject, Target, upsample};
use cam_data::{Orientation, Photo};
use cam_methods::AnyMethod;
use cam_metrics::AnyMetric;
use cam_models::{Loaded, Options, WeightsChoice, load};
use divan::{Bencher, black_box, counter::ItemsCount};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

const MODEL: &str = "tf_efficientnet_lite0";
const SEED: u64 = 0;

fn main() {
    divan::main();
}

fn network() -> Loaded {
    load(MODEL, &WeightsChoice::Seeded(SEED), &Options::default()).expect("a network of the zoo")
}

/// `[n, 3, 224, 224]`, channels-last as photographs are.
fn images(n: i64) -> Tensor {
    tch::manual_seed(SEED as i64);
    Tensor::randn([n, 224, 224, 3], (Kind::Float, Device::Cpu)).permute([0, 3, 1, 2])
}

fn method(name: &str, options: &Value) -> AnyMethod {
    AnyMethod::configure(name, options).expect("a method's name").expect("its options")
}

/// Images a second through the whole network.
#[divan::bench(args = [1, 16], min_time = 1)]
fn forward(bencher: Bencher<'_, '_>, batch: i64) {
    let loaded = network();
    let cut = loaded.network.cut(loaded.backbone.layer()).expect("its layer");
    let images = images(batch);
    bencher.counter(ItemsCount::new(batch as usize)).bench_local(|| {
        let _no_grad = tch::no_grad_guard();
        cut.logits(black_box(&images))
    });
}

/// Masked activations a second through the head: half of the network, where there is no closed form.
#[divan::bench(args = ["blocks.3", "blocks.5"], min_time = 1)]
fn head(bencher: Bencher<'_, '_>, layer: &str) {
    const BATCH: i64 = 16;
    let loaded = network();
    let cut = loaded.network.cut(layer).expect("a layer");
    let _no_grad = tch::no_grad_guard();
    let features = cut.features(&images(BATCH));
    bencher.counter(ItemsCount::new(BATCH as usize)).bench_local(|| cut.head(black_box(&features)));
}

/// A map of one image, from the clean pass on.
#[divan::bench(
    args = ["grad_cam", "recipro_cam", "layer_cam", "saliency", "rise", "lime"],
    min_time = 1
)]
fn map(bencher: Bencher<'_, '_>, name: &str) {
    let options = match name {
        "rise" => json!({ "n_masks": 32 }),
        "lime" => json!({ "n_samples": 32 }),
        _ => json!({}),
    };
    let method = method(name, &options);
    let loaded = network();
    let cut = loaded.network.cut(loaded.backbone.layer()).expect("its layer");
    let image = images(1);
    bencher.bench_local(|| {
        let subject = Subject::new(&cut, image.shallow_clone(), Target::Predicted, SEED);
        method.explain(black_box(&subject))
    });
}

/// What cambench adds to a network's own time: a map and its scores where the network costs nothing.
#[divan::bench(args = ["drop", "deletion", "coherency", "complexity", "road"])]
fn framework(bencher: Bencher<'_, '_>, name: &str) {
    let toy = Toy::network_a().with_batch(16);
    let method = method("grad_cam", &json!({}));
    let metric = AnyMetric::by_name(name).expect("a metric's name");
    let subject = Subject::new(&toy, Toy::waves(224, 224), Target::Predicted, SEED);
    let map = Map::new(&method.explain(&subject), subject.size()).expect("a map");
    bencher.bench_local(|| {
        let explained = Explained::new(&subject, &map, Some(&*method));
        explained.prepare([&*metric]);
        metric.score(black_box(&explained))
    });
}

/// A map of 7 × 7 at the image's size.
#[divan::bench]
fn upsampling(bencher: Bencher<'_, '_>) {
    let small = images(1).narrow(1, 0, 1).view([224, 224]).narrow(0, 0, 7).narrow(1, 0, 7);
    bencher.bench_local(|| upsample(black_box(&small), [224, 224]));
}

/// What stands where a pixel does not.
#[divan::bench(args = ["blur", "mean"])]
fn fill(bencher: Bencher<'_, '_>, fill: &str) {
    let fill = if fill == "blur" { Fill::Blur } else { Fill::Mean };
    let image = images(1);
    bencher.bench_local(|| fill.image(black_box(&image)).contiguous());
}

/// From a file's bytes to the network's input.
#[divan::bench]
fn photograph(bencher: Bencher<'_, '_>) {
    let path = cam_core::cache_folder().join("photographs/chelsea.png");
    let bytes = fs::read(&path).expect("the demo's photographs: `cargo xtask setup` gets them");
    let preprocessing = network().preprocessing;
    bencher.bench_local(|| {
        let photo =
            Photo::from_bytes(black_box(&bytes), &path, &preprocessing, Orientation::Ignore);
        photo.expect("a photograph").tensor(&preprocessing)
    });
}
