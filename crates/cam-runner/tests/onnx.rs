//! Sweeps over networks from ONNX files: everything runs on them, and a file gives what the zoo gives.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use cam_results::{Run, Status};
use cam_runner::Overrides;
use support::{METRICS, Workshop};

/// A network of a few kilobytes, for images of 16 pixels and 4 classes.
fn small(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../cam-onnx/tests/vectors/networks/{name}.onnx"))
}

const SMALL: &str = "preprocessing: { resize: 18, crop: 16 }";

fn sweep(models: &str, methods: &str) -> String {
    format!(
        "name: small\ndataset: {{ manifest: made.yaml }}\nmodels:\n{models}methods: {methods}\nmetrics: {METRICS}\n"
    )
}

fn entry(name: &str, more: &str) -> String {
    format!("  - {{ onnx: {}, {SMALL}{more} }}\n", small(name).display())
}

#[test]
fn methods_and_metrics_run_on_files_and_the_manifest_says_which() {
    let workshop = Workshop::with_photographs(2);
    std::fs::write(workshop.path("classes.txt"), "a\nb\nc\nd\n").unwrap();
    let classes = format!(", as: own, classes: {}", workshop.path("classes.txt").display());
    let others = ["tokens", "mixed", "registers", "windows"].map(|name| entry(name, "")).concat();
    let models = entry("residual", &classes) + &others;
    let methods = "[grad_cam, grad_cam_pp, layer_cam, score_cam, recipro_cam, ablation_cam, { name: rise, n_masks: 20 }, \
                   { name: integrated_gradients, n: 4 }, vit_recipro_cam, smooth_grad_cam_pp]";
    let plan = workshop.try_plan(&sweep(&models, methods), &Overrides::default()).unwrap();
    let run = workshop.run(&plan, "run");
    assert_eq!(run.records().len(), 5 * 2 * 10);
    for record in run.records() {
        assert_ne!(record.status, Status::Failed, "{record:?}");
    }
    assert!(run.records().iter().filter(|record| record.status == Status::Ok).count() > 60);
    let [own, tokens, ..] = &run.manifest().models[..] else { panic!("five models") };
    assert_eq!((own.name.as_str(), own.n_classes, own.feature_shape), ("own", 4, [6, 4, 4]));
    assert_eq!(own.architecture, "ONNX, opset 17");
    assert_eq!(own.weights.sha256, cam_models::sha256(&small("residual")).ok());
    assert_eq!((tokens.name.as_str(), tokens.feature_shape), ("tokens", [8, 4, 4]));
}

#[test]
fn what_is_wrong_with_an_entry_is_said_with_its_line() {
    let workshop = Workshop::with_photographs(1);
    let error = |models: &str, methods: &str| {
        workshop.try_plan(&sweep(models, methods), &Overrides::default()).err().unwrap().to_string()
    };
    let file = small("residual").display().to_string();
    let cases = [
        (format!("  - {{ onnx: {file}, weights: w.pth }}\n"), "brings its own weights"),
        (format!("  - {{ onnx: {file}, name: resnet18 }}\n"), "use `as` to name it in results"),
        (
            format!("  - {{ onnx: {file}, {SMALL}, precision: bf16 }}\n"),
            "`bf16` is for networks of the zoo",
        ),
        (format!("  - {{ onnx: {file}, {SMALL}, logits: aux }}\n"), "there is no output `aux`"),
        ("  - { name: resnet18, logits: aux }\n".to_string(), "name the file with `onnx`"),
        ("  - { onnx: own.pth }\n".to_string(), "own.pth is no ONNX file by its name"),
        ("  - { as: nothing }\n".to_string(), "an entry needs a `name`"),
        ("  - { name: resnet18, runtime: openvino }\n".to_string(), "name it with `onnx`"),
        (
            format!("  - {{ onnx: {file}, runtime: onnxruntime, precision: bf16 }}\n"),
            "`onnxruntime` does not compute in `bf16`",
        ),
        (
            format!("  - {{ onnx: {file}, runtime: openvino, layer: relu }}\n"),
            "shows no layer of a network",
        ),
        ("  - { onnx: missing.onnx, runtime: openvino }\n".to_string(), "missing.onnx"),
        ("  - { onnx: missing.onnx }\n".to_string(), "missing.onnx: cannot be read"),
        (
            format!("  - {{ onnx: {file}, {SMALL}, layer: nowhere }}\n"),
            "there is no tensor `nowhere`",
        ),
    ];
    for (models, expected) in cases {
        let error = error(&models, "[grad_cam]");
        assert!(error.contains(expected), "{error}");
    }
    let impossible = error(&entry("tokens", ""), "[cam]");
    assert!(impossible.contains("average pooling and one linear layer"), "{impossible}");
    let names = workshop.path("classes.txt");
    std::fs::write(&names, "a\nb\n").unwrap();
    let classes = error(&entry("residual", &format!(", classes: {}", names.display())), "[cam]");
    assert!(classes.contains("has 4 classes, and 2 are named"), "{classes}");
}

#[test]
fn a_deployed_network_is_swept_by_methods_that_need_its_answers_alone() {
    let workshop = Workshop::with_photographs(2);
    let hook = cam_onnx::Hook { input_side: Some(16), ..cam_onnx::Hook::default() };
    let hooked = workshop.path("hooked.onnx");
    std::fs::write(&hooked, cam_onnx::hook(&small("residual"), &hook).unwrap().bytes).unwrap();
    for runtime in ["onnxruntime", "openvino"] {
        let models =
            format!("  - {{ onnx: {}, runtime: {runtime}, as: own, {SMALL} }}\n", hooked.display());
        let methods = "[hooked, { name: rise, n_masks: 20 }, { name: lime, n_samples: 20 }, sobel]";
        let plan = match workshop.try_plan(&sweep(&models, methods), &Overrides::default()) {
            Err(error) if error.to_string().contains("cannot be loaded") => {
                println!("skipped: {runtime} is not set up");
                continue;
            }
            plan => plan.unwrap(),
        };
        let run = workshop.run(&plan, runtime);
        assert_eq!(run.records().len(), 2 * 4);
        for record in run.records() {
            assert_ne!(record.status, Status::Failed, "{record:?}");
        }
        let [own] = &run.manifest().models[..] else { panic!("one model") };
        assert_eq!((own.layer.as_str(), own.feature_shape), ("input", [3, 16, 16]));
        assert!(own.architecture.starts_with("in O"), "{}", own.architecture);
        let refused = |models: &str, method: &str| {
            let plan = workshop.try_plan(&sweep(models, method), &Overrides::default());
            plan.err().unwrap().to_string()
        };
        let error = refused(&models, "[grad_cam]");
        assert!(error.contains("method `grad_cam` needs gradients, and `own` has none"), "{error}");
        let plain = format!("  - {{ onnx: {}, {SMALL}, as: own }}\n", hooked.display());
        let error = refused(&plain, "[hooked]");
        assert!(error.contains("needs maps that the network gives itself"), "{error}");
    }
}

#[test]
fn efficientnet_lite0_from_a_file_has_the_maps_and_metrics_of_the_one_of_the_zoo() {
    let file = cam_core::cache_folder().join("onnx-zoo/efficientnet_lite0.real.onnx");
    let weights = cam_models::Caches::from_env();
    let options = cam_models::Options::default();
    let is_there = cam_models::load_from(
        &weights,
        "tf_efficientnet_lite0",
        &cam_models::WeightsChoice::Default,
        &options,
        &mut |_| {},
    )
    .is_ok();
    if !file.exists() || !is_there {
        println!(
            "skipped: `cargo xtask onnx-zoo efficientnet_lite0` makes the file, `cargo xtask setup` brings the weights"
        );
        return;
    }
    let workshop = Workshop::with_photographs(2);
    let preprocessing = "{ resize: 256, crop: 224, interpolation: bicubic, mean: [0.498, 0.498, 0.498], std: [0.502, 0.502, 0.502] }";
    let models = format!(
        "  - {{ name: tf_efficientnet_lite0, as: zoo, preprocessing: {preprocessing} }}\n  - {{ onnx: {}, as: file, preprocessing: \
         {preprocessing} }}\n",
        file.display()
    );
    let methods = "[cam, grad_cam, grad_cam_pp, recipro_cam, { name: rise, n_masks: 20 }]";
    let plan = workshop.try_plan(&sweep(&models, methods), &Overrides::default()).unwrap();
    let run = workshop.run(&plan, "run");
    let (zoo, file) = (rows(&run, "zoo"), rows(&run, "file"));
    assert_eq!((zoo.len(), file.len()), (10, 10));
    for (key, zoo) in &zoo {
        let file = &file[key];
        assert_eq!(zoo.len(), file.len(), "{key}");
        for (zoo, file) in zoo.iter().zip(file) {
            assert!((zoo - file).abs() < 1e-4, "{key}: {zoo} and {file}");
        }
    }
}

/// Everything that was measured, by method and image: metrics, confidence, and the map scaled to at most 1.
fn rows(run: &Run, model: &str) -> BTreeMap<String, Vec<f64>> {
    let mut rows = BTreeMap::new();
    for record in run.records().iter().filter(|record| record.model == model) {
        let numbers = record.metrics.iter().flatten().copied().chain(record.confidence);
        rows.insert(format!("{} {}", record.method, record.image), numbers.collect::<Vec<f64>>());
    }
    run.visit_maps(|key, map| {
        if key.model == model {
            let most = map.values.iter().fold(0.0_f64, |most, x| most.max(f64::from(*x).abs()));
            let row = rows.get_mut(&format!("{} {}", key.method, key.image)).unwrap();
            row.extend(map.values.iter().map(|x| f64::from(*x) / most));
        }
    })
    .unwrap();
    rows
}
