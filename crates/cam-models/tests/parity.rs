//! Names, shapes and logits against torchvision, `efficientnet_lite_pytorch` and timm: see `vectors/make.py`.

use std::collections::BTreeMap;
use std::path::Path;

use cam_core::Classifier;
use cam_models::{
    ModelError, Network, Options, Precision, WeightsChoice, ZOO, by_name, load, seeded,
};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor};

#[derive(Deserialize)]
struct Vectors {
    seed: u64,
    n_classes: i64,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    model: String,
    height: i64,
    width: i64,
    logits: Vec<f64>,
}

#[test]
fn parameters_have_the_names_shapes_and_order_of_the_original_library() {
    let mut expected: BTreeMap<String, Vec<(String, Vec<i64>)>> = BTreeMap::new();
    let mut model = String::new();
    for line in read("parameters.txt").lines() {
        if let Some(name) = line.strip_prefix('[') {
            model = name.trim_end_matches(']').to_owned();
            continue;
        }
        let mut words = line.split(' ');
        let (kind, module) = (words.next().unwrap(), words.next().unwrap());
        let shape: Vec<i64> = words.map(|word| word.parse().unwrap()).collect();
        let kinds = if kind == "norm" {
            vec!["weight", "bias", "running_mean", "running_var"]
        } else {
            vec![kind]
        };
        let parameters = expected.entry(model.clone()).or_default();
        parameters
            .extend(kinds.into_iter().map(|kind| (format!("{module}.{kind}"), shape.clone())));
    }
    for row in ZOO {
        for (naming, plan) in ["", "timm:"].into_iter().zip(row.plans(1000)) {
            let parameters: Vec<(String, Vec<i64>)> =
                plan.parameters().into_iter().map(|p| (p.name, p.shape)).collect();
            let expected =
                expected.remove(&format!("{naming}{}", row.name)).expect("a vector for every row");
            assert_eq!(parameters, expected, "{naming}{}", row.name);
        }
    }
    assert!(expected.is_empty(), "vectors without a row: {:?}", expected.keys());
}

#[test]
fn logits_of_every_row_agree_with_the_original_library() {
    let vectors: Vectors = serde_json::from_str(&read("logits.json")).unwrap();
    for row in ZOO {
        let name = row.name;
        let expected: Vec<&Row> =
            vectors.rows.iter().filter(|vector| vector.model == name).collect();
        assert!(!expected.is_empty(), "no vector of {name}");
        let plan = row.plan(vectors.n_classes);
        let network =
            Network::build(plan.clone(), &seeded(&plan, vectors.seed), &Options::default());
        let cut = network.cut(row.layer()).unwrap();
        for Row { height, width, logits, .. } in expected {
            let _no_grad = tch::no_grad_guard();
            let difference = relative_difference(&cut.logits(&image(*height, *width)), logits);
            println!("{name} {height}x{width}: {difference:.1e}");
            assert!(difference < 1e-4, "{name} at {height}x{width}: {difference}");
        }
    }
}

#[test]
fn published_weights_answer_as_in_python() {
    #[derive(Deserialize)]
    struct Real {
        #[serde(flatten)]
        row: Row,
        class: i64,
    }
    let rows: Vec<Real> = serde_json::from_str(&read("real.json")).unwrap();
    for Real { row, class } in rows {
        let model = match load(&row.model, &WeightsChoice::Default, &Options::default()) {
            Ok(model) => model,
            Err(error @ ModelError::NotSetUp { .. }) => {
                println!("skipped: {error}");
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        let _no_grad = tch::no_grad_guard();
        let cut = model.network.cut(model.backbone.layer()).unwrap();
        let logits = cut.logits(&image(row.height, row.width));
        let difference = relative_difference(&logits.narrow(1, 0, 20), &row.logits);
        println!("{}: {difference:.1e}", row.model);
        assert!(difference < 1e-4, "{}: {difference}", row.model);
        assert_eq!(logits.argmax(1, false).int64_value(&[0]), class);
    }
}

#[test]
fn bf16_stays_within_a_few_percent_of_single_precision() {
    let vectors: Vectors = serde_json::from_str(&read("logits.json")).unwrap();
    for name in ["tf_efficientnet_lite0", "resnet50"] {
        let row = by_name(name).unwrap();
        let expected = vectors.rows.iter().find(|vector| vector.model == name).unwrap();
        let plan = row.plan(vectors.n_classes);
        let options = Options { precision: Precision::Bf16, ..Options::default() };
        let network = Network::build(plan.clone(), &seeded(&plan, vectors.seed), &options);
        let cut = network.cut(row.layer()).unwrap();
        let images = image(expected.height, expected.width);
        let features = cut.features(&images);
        let logits = cut.head(&features);
        assert_eq!((features.kind(), logits.kind()), (Kind::Float, Kind::Float));
        let difference = relative_difference(&logits, &expected.logits);
        println!("{name}: {difference:.1e}");
        assert!((1e-6..0.05).contains(&difference), "{name}: {difference}");
    }
}

fn relative_difference(found: &Tensor, expected: &[f64]) -> f64 {
    let expected = Tensor::from_slice(expected).view([1, -1]);
    let largest = expected.abs().max().double_value(&[]);
    (found.to_kind(Kind::Double) - expected).abs().max().double_value(&[]) / largest
}

/// The image of `make.py`: SplitMix64 under the name `image` and seed 0, in `[-2, 2)`.
fn image(height: i64, width: i64) -> Tensor {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    let mix = |z: u64| {
        let z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    };
    let key =
        Sha256::digest("image")[..8].iter().rev().fold(0, |key, &byte| key << 8 | u64::from(byte));
    let base = mix(GOLDEN) ^ key;
    let values: Vec<f32> = (1..=(3 * height * width) as u64)
        .map(|n| (mix(base.wrapping_add(n.wrapping_mul(GOLDEN))) >> 40) as f32 / 16_777_216.0)
        .map(|unit| 4.0 * unit - 2.0)
        .collect();
    Tensor::from_slice(&values).view([1, 3, height, width]).to_device(Device::Cpu)
}

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
