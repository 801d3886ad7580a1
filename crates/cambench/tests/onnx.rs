//! The command line on networks from ONNX files.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn small(name: &str) -> String {
    let folder: PathBuf =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../cam-onnx/tests/vectors/networks");
    folder.join(format!("{name}.onnx")).display().to_string()
}

fn cambench(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cambench")).args(args).output().unwrap()
}

fn said(output: &Output) -> (Option<i32>, String) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn inspect_shows_where_a_file_can_be_cut_and_where_its_softmax_is() {
    let output = cambench(&["inspect", &small("residual_softmax"), "--side", "16", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let layers = found["layers"].as_array().unwrap();
    let default: Vec<_> = layers.iter().filter(|layer| layer["is_default"] == true).collect();
    assert_eq!((default.len(), &default[0]["shape"]), (1, &serde_json::json!([6, 4, 4])));
    assert_eq!(default[0]["name"], found["default_layer"]);
    assert!(found["softmax"].is_string() && found["sigmoid"].is_null(), "{found}");
    let (_, text) = said(&cambench(&["inspect", &small("residual_softmax"), "--side", "16"]));
    assert!(text.contains("cut away: scores are its input"), "{text}");
    assert!(layers.len() > 5, "{found}");
    // Inside a residual branch is no cut.
    assert!(layers.iter().all(|layer| !layer["name"].as_str().unwrap().contains("main.2")));
}

#[test]
fn inspect_knows_the_zoo_and_says_what_it_does_not_know() {
    let (code, text) = said(&cambench(&["inspect", "resnet50"]));
    assert_eq!(code, Some(0), "{text}");
    let line = text.lines().find(|line| line.contains("<-")).unwrap();
    assert!(line.starts_with("layer4.2 ") && line.contains("[2048, 7, 7]"), "{line}");
    let (code, text) = said(&cambench(&["inspect", "resnet5O"]));
    assert!(code == Some(3) && text.contains("did you mean `resnet50`?"), "{text}");
    let (code, text) = said(&cambench(&["inspect", "missing.onnx"]));
    assert!(code == Some(3) && text.contains("missing.onnx: cannot be read"), "{text}");
}

#[test]
fn explain_takes_a_file_with_preprocessing_and_names_of_classes() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let pixels: Vec<u8> = (0..32 * 32 * 3).map(|i| ((i * i) % 251) as u8).collect();
    fs::write(path("a.png"), cam_results::Picture::new(32, 32, pixels).png()).unwrap();
    fs::write(path("classes.txt"), "ant\nbee\ncat\ndog\n").unwrap();
    let model = small("excited");
    let mut args =
        vec!["explain", "a.png", "--model", &model, "--method", "recipro_cam", "--class", "2"];
    args.extend([
        "--preprocessing",
        "{ resize: 18, crop: 16 }",
        "--classes",
        "classes.txt",
        "--json",
    ]);
    let output = Command::new(env!("CARGO_BIN_EXE_cambench"))
        .args(&args)
        .current_dir(folder.path())
        .output()
        .unwrap();
    let (code, text) = said(&output);
    assert_eq!(code, Some(0), "{text}");
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["class"], &found["class_name"]), (&2.into(), &"cat".into()));
    let map = tch::Tensor::read_npy(path("a.recipro_cam.npy")).unwrap();
    assert_eq!(map.size(), [16, 16]);
}

#[test]
fn a_hooked_file_has_recipro_cams_maps_beside_outputs_that_are_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "residual",
        "residual_opset11",
        "excited",
        "excited_one",
        "tokens",
        "tokens_opset14",
        "tokens_one",
        "registers",
        "windows",
        "residual_softmax",
    ] {
        for more in [&[][..], &["--gaussian"]] {
            let out = folder.path().join(format!("{name}.onnx"));
            let mut args =
                vec!["hook", "--side", "16", "--scale", "none", "-o", out.to_str().unwrap()];
            let model = small(name);
            args.push(&model);
            args.extend(more);
            let (code, text) = said(&cambench(&args));
            assert_eq!(code, Some(0), "{name}: {text}");
            let image = tch::Tensor::arange(3 * 256, (tch::Kind::Float, tch::Device::Cpu))
                .sin()
                .view([1, 3, 16, 16]);
            let run = |file: &str| {
                let evaluator = cam_onnx::Evaluator::open(Path::new(file)).unwrap();
                evaluator.run(&[image.shallow_clone()]).unwrap()
            };
            let (found, plain) = (run(out.to_str().unwrap()), run(&model));
            assert_eq!((found.len(), &found[0]), (2, &plain[0]), "{name}");
            let options =
                cam_onnx::Options { input_side: Some(16), ..cam_onnx::Options::default() };
            let network = cam_onnx::Network::open(Path::new(&model), &options).unwrap();
            let cut = network.cut(network.default_layer().unwrap()).unwrap();
            let method =
                cam_methods::ReciproCam { gaussian: !more.is_empty(), ..Default::default() };
            for class in 0..4 {
                let target = cam_core::Target::Class(class);
                let subject = cam_core::Subject::new(&cut, image.shallow_clone(), target, 0);
                let map = cam_core::Method::explain(&method, &subject);
                let difference = (map - found[1].get(0).get(class)).abs().max().double_value(&[]);
                assert!(difference < 1e-5, "{name}, class {class}: off by {difference}");
            }
        }
    }
    // A head that holds a token of one image cannot be repeated.
    let out = folder.path().join("no.onnx");
    let (code, text) = said(&cambench(&[
        "hook",
        &small("tokens_one"),
        "--layer",
        "/patches/Conv",
        "-o",
        out.to_str().unwrap(),
    ]));
    assert!(code == Some(3) && text.contains("export it with a dynamic batch"), "{text}");
    assert!(!out.exists());
    // Hooking what is hooked changes nothing.
    let once = folder.path().join("residual.onnx").display().to_string();
    let twice = folder.path().join("twice.onnx").display().to_string();
    let (code, text) = said(&cambench(&["hook", &once, "-o", &twice]));
    assert!(code == Some(0) && text.contains("already"), "{text}");
    assert_eq!(fs::read(&once).unwrap(), fs::read(&twice).unwrap());
    // But what is asked of it is not passed over, and no model is lost.
    let (code, text) = said(&cambench(&["hook", &once, "--class", "99", "-o", &twice]));
    assert!(code == Some(2) && text.contains("hook the file that it was made from"), "{text}");
    let (code, text) = said(&cambench(&["hook", &once, "-o", &once]));
    assert!(code == Some(2) && text.contains("is the model itself"), "{text}");
}
