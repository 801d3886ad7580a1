//! From a photograph's file to its class, against Python: see `make.py` in cam-data's vectors.

use std::{fs, path::Path};

use cam_core::{Classifier, cache_folder};
use cam_data::{Orientation, Photo};
use cam_models::{ModelError, Options, WeightsChoice, load};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    rows: Vec<Row>,
}

/// The five largest logits of a photograph, and their classes.
#[derive(Deserialize)]
struct Row {
    image: String,
    classes: Vec<i64>,
    logits: Vec<f64>,
}

#[test]
fn efficientnet_lite0_sees_in_the_demo_photographs_what_it_sees_in_python() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cam-data/tests/vectors/top1.json");
    let vectors: Vectors = serde_json::from_str(&fs::read_to_string(vectors).unwrap()).unwrap();
    assert_eq!(vectors.rows.len(), 8);

    let model = load("tf_efficientnet_lite0", &WeightsChoice::Default, &Options::default());
    let model = match model {
        Err(error @ ModelError::NotSetUp { .. }) => {
            println!("skipped: {error}");
            return;
        }
        model => model.unwrap(),
    };
    let cut = model.network.cut(model.backbone.layer()).unwrap();
    let photographs = cache_folder().join("photographs");
    let _no_grad = tch::no_grad_guard();
    for Row { image, classes, logits } in vectors.rows {
        let path = photographs.join(&image);
        if !path.is_file() {
            println!("skipped: there is no {}; run `cargo xtask setup`", path.display());
            continue;
        }
        let photo = Photo::open(&path, &model.preprocessing, Orientation::Ignore).unwrap();
        let found = cut.logits(&photo.tensor(&model.preprocessing));
        let differences: Vec<f64> = classes
            .iter()
            .zip(&logits)
            .map(|(&class, logit)| (found.double_value(&[0, class]) - logit).abs())
            .collect();
        let largest = differences.iter().copied().fold(0.0, f64::max);
        println!("{image}: class {}, logits off by {largest:.4} at most", classes[0]);
        assert_eq!(found.argmax(1, false).int64_value(&[0]), classes[0], "{image}");
        // Pixels that differ by a rounding in the JPEG decoder or in resizing.
        assert!(largest < TOLERANCE, "{image}: logits off by {largest}");
    }
}

const TOLERANCE: f64 = 0.05;
