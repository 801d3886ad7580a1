//! Graphs with maps as one more output. That these are Recipro-CAM's is a test of `cambench`, that runtimes take them one of
//! `cam-runtimes`.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "not every test uses all of it")]
mod support;

use std::fs;

use cam_onnx::{Evaluator, Hook, Network, OnnxFile, Options, Scale, hook};
use support::model::{FLOAT, HALF, Model, Value::Int, waves, whole};

#[test]
fn maps_are_of_what_goes_into_the_softmax_whatever_its_result_becomes() {
    let reshaped = Model::default()
        .stem("images")
        .head("GlobalMaxPool", "r", "logits")
        .weight("six", &whole(&[-1, 6]))
        .node("Softmax", "logits", "p", &[("axis", Int(1))])
        .node("Reshape", "p six", "scores", &[]);
    let cast = Model { is_half: true, ..Model::default() }
        .node("Cast", "images", "x", &[("to", Int(HALF))])
        .stem("x")
        .head("GlobalMaxPool", "r", "logits")
        .node("Softmax", "logits", "p", &[("axis", Int(1))])
        .node("Cast", "p", "scores", &[("to", Int(FLOAT))]);
    let folder = tempfile::tempdir().unwrap();
    let image = waves(&[1, 3, 16, 16]);
    for (name, model) in [("reshaped", reshaped), ("cast", cast)] {
        let path = model.write(folder.path(), name);
        let options = Options { input_side: Some(16), ..Options::default() };
        let network = Network::open(&path, &options).unwrap();
        assert_eq!((network.softmax(), network.logits_name()), (Some("p"), "logits"), "{name}");
        let what = Hook { scale: Scale::None, input_side: Some(16), ..Hook::default() };
        let hooked = folder.path().join("hooked.onnx");
        fs::write(&hooked, hook(&path, &what).unwrap().bytes).unwrap();
        let outputs = Evaluator::open(&hooked).unwrap().run(&[image.shallow_clone()]).unwrap();
        assert_eq!((outputs[0].size(), outputs[1].size()), (vec![1, 6], vec![1, 6, 4, 4]));
        // Probabilities are never less than zero.
        assert!(outputs[1].min().double_value(&[]) < 0.0, "{name}");
    }
}

#[test]
fn a_hooked_file_says_which_output_its_maps_are_of() {
    let outputs = ["main", "aux"].map(|name| (name, FLOAT)).to_vec();
    let model = Model { outputs, ..Model::default() }
        .stem("images")
        .head("GlobalAveragePool", "r", "main")
        .node("Neg", "main", "aux", &[]);
    let folder = tempfile::tempdir().unwrap();
    let path = model.write(folder.path(), "heads");
    let image = waves(&[1, 3, 16, 16]);
    let hooked = |logits: Option<&str>| {
        let logits = logits.map(str::to_owned);
        let what = Hook { scale: Scale::None, input_side: Some(16), logits, ..Hook::default() };
        let file = folder.path().join("hooked.onnx");
        fs::write(&file, hook(&path, &what).unwrap().bytes).unwrap();
        let maps = Evaluator::open(&file).unwrap().run(&[image.shallow_clone()]).unwrap().remove(2);
        let options = Options { input_side: Some(16), ..Options::default() };
        let output = Network::open(&file, &options).unwrap().output().clone();
        assert_eq!(OnnxFile::read(&file).unwrap().hooked.as_ref(), Some(&output.name));
        (output.name, output.is_guess, maps)
    };
    let (first, _, maps) = hooked(None);
    let (named, is_guess, negative) = hooked(Some("aux"));
    assert_eq!((&*first, &*named, is_guess), ("main", "aux", false));
    assert!(maps.abs().max().double_value(&[]) > 0.1);
    assert!((maps + negative).abs().max().double_value(&[]) < 1e-5);
    assert_eq!(OnnxFile::read(&path).unwrap().hooked, None);
}

#[test]
fn a_network_whose_images_meet_is_refused_with_the_reason() {
    // The first image's activations are added to all.
    let model = Model::default()
        .stem("images")
        .weight("first", &whole(&[0]))
        .node("Gather", "r first", "of_first", &[("axis", Int(0))])
        .node("Add", "r of_first", "sum", &[])
        .head("GlobalMaxPool", "sum", "scores");
    let folder = tempfile::tempdir().unwrap();
    let path = model.write(folder.path(), "meeting");
    for layer in ["r", "sum"] {
        let layer = Some(layer.to_owned());
        let error = hook(&path, &Hook { layer, input_side: Some(16), ..Hook::default() });
        let error = error.unwrap_err().to_string();
        assert!(error.contains("depends on the other images of its batch"), "{error}");
    }
}

#[test]
fn a_head_that_would_be_repeated_over_too_many_places_is_refused_before_it_takes_memory() {
    let model = Model { side: 1024, ..Model::default() };
    let model = model.stem("images").head("GlobalMaxPool", "r", "scores");
    let folder = tempfile::tempdir().unwrap();
    let path = model.write(folder.path(), "large");
    let layer = Some("r".to_owned());
    let error = hook(&path, &Hook { layer, ..Hook::default() }).unwrap_err().to_string();
    assert!(error.contains("has 256 x 256 places"), "{error}");
    assert!(error.contains("name a later layer of fewer places"), "{error}");
}
