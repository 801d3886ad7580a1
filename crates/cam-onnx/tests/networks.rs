//! Laws of networks from ONNX files, over small ones in every style that exporters have.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "not every test uses all of it")]
mod support;

use cam_core::Classifier;
use cam_onnx::{Evaluator, Form, INPUT, Network, Options};
use serde_json::Value;
use support::model::{
    FLOAT, HALF, Model,
    Value::{Int, Ints},
    waves, whole,
};
use support::{expected, off, tensor, vectors};
use tch::{Device, Kind, Tensor};

fn each(mut law: impl FnMut(&str, &Network, &Value)) {
    for entry in expected("networks")["networks"].as_array().unwrap() {
        let name = entry["name"].as_str().unwrap();
        law(name, &open(name), entry);
    }
}

/// Three of them, `[3, 3, 16, 16]`.
fn images() -> Tensor {
    tensor(&expected("networks")["images"])
}

fn open(name: &str) -> Network {
    let options = Options { input_side: Some(16), ..Options::default() };
    let file = vectors("networks").join(format!("{name}.onnx"));
    Network::open(&file, &options).unwrap_or_else(|error| panic!("{error}"))
}

/// A network that a test has written down.
fn built(model: &Model) -> Network {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { input_side: Some(model.side), ..Options::default() };
    let path = model.write(folder.path(), "built");
    Network::open(&path, &options).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn head_of_features_is_logits_at_every_cut_for_one_image_and_for_many() {
    each(|name, network, entry| {
        let _no_grad = tch::no_grad_guard();
        let (images, logits) = (images(), tensor(&entry["logits"]));
        let tolerance = entry["tolerance"].as_f64().unwrap();
        let mut n_maps = 0;
        for point in network.points().iter().filter(|point| point.is_map()) {
            n_maps += 1;
            let cut = network.cut(&point.name).unwrap();
            assert_eq!(cut.layer(), point.name);
            for n in [1, 3, 5] {
                let index: Vec<i64> = (0..n).map(|i| i % 3).collect();
                let index = Tensor::from_slice(&index);
                let images = images.index_select(0, &index);
                let before = images.copy();
                let (features, tokens) = cut.features_and_tokens(&images);
                assert_eq!(images, before, "{name} at {}: the image was written into", point.name);
                let is_input = point.name == network.points()[0].name;
                if !is_input {
                    let shape = point.map_shape().unwrap();
                    assert_eq!(features.size()[1..], shape, "{name} at {}", point.name);
                }
                let before = features.copy();
                let found = cut.head_with(&features, tokens.as_ref());
                assert_eq!(
                    features, before,
                    "{name} at {}: the head wrote into its input",
                    point.name
                );
                let off = off(&found, &logits.index_select(0, &index));
                assert!(off < tolerance, "{name} at {} with {n} images: off by {off}", point.name);
            }
        }
        assert!(n_maps > 1, "{name} has only {n_maps} cuts");
    });
}

#[test]
fn gradients_in_the_image_are_those_of_pytorch() {
    each(|name, network, entry| {
        let images = images().set_requires_grad(true);
        let score = network.cut(INPUT).unwrap().head(&images).select(1, 1).sum(Kind::Float);
        let found = Tensor::run_backward(&[score], &[&images], false, false);
        let off = off(&found[0], &tensor(&entry["gradient"]));
        let tolerance = entry["tolerance"].as_f64().unwrap();
        assert!(off < tolerance, "{name}: off by {off}");
    });
}

#[test]
fn gradients_at_the_default_cut_are_central_differences() {
    for name in ["excited", "tokens", "windows"] {
        let network = open(name);
        let cut = network.cut(network.default_layer().unwrap()).unwrap();
        let image = images().narrow(0, 0, 1);
        let (features, tokens) = tch::no_grad(|| cut.features_and_tokens(&image));
        let score = |features: &Tensor| {
            cut.head_with(features, tokens.as_ref()).select(1, 2).sum(Kind::Float)
        };
        let leaf = features.copy().set_requires_grad(true);
        let gradient = &Tensor::run_backward(&[score(&leaf)], &[&leaf], false, false)[0];
        for place in [0, 7, 40] {
            let _no_grad = tch::no_grad_guard();
            let step = Tensor::zeros(features.size(), (Kind::Float, Device::Cpu));
            let _ = step.view([-1]).get(place).fill_(1e-2);
            let difference = (score(&(&features + &step)) - score(&(&features - &step))) / 2e-2;
            let found = gradient.reshape([-1]).double_value(&[place]);
            assert!((difference.double_value(&[]) - found).abs() < 1e-3, "{name}, place {place}");
        }
    }
}

#[test]
fn a_transformer_is_cut_before_its_last_attention_and_its_tokens_are_the_images_own() {
    let _no_grad = tch::no_grad_guard();
    for (name, form) in [
        ("tokens", Form::Tokens { prefix: 1, height: 4, width: 4 }),
        ("registers", Form::Tokens { prefix: 3, height: 4, width: 4 }),
        ("windows", Form::ChannelsLast),
    ] {
        let network = open(name);
        let default = network.default().unwrap();
        assert!(default.is_last_blocks_input, "{name}");
        let place = network.points().iter().position(|point| point.name == default.layer).unwrap();
        assert_eq!(network.points()[place].form, Some(form), "{name}");
        // Behind the attention, the tensor is one again.
        let again = network.points()[place + 1..].iter().any(|point| point.form == Some(form));
        assert!(again, "{name} has no second place for a cut");
        let cut = network.cut(&default.layer).unwrap();
        let (features, tokens) = cut.features_and_tokens(&images());
        assert_eq!(features.size(), [3, 8, 4, 4], "{name}");
        let Form::Tokens { prefix, .. } = form else {
            assert!(tokens.is_none(), "{name}");
            continue;
        };
        let tokens = tokens.unwrap();
        assert_eq!(tokens.size(), [3, prefix, 8], "{name}");
        let logits = cut.head_with(&features, Some(&tokens));
        // One image's tokens serve for many copies of its activations.
        let copies = features.narrow(0, 1, 1).repeat([5, 1, 1, 1]);
        let found = cut.head_with(&copies, Some(&tokens.narrow(0, 1, 1)));
        assert!(off(&found, &logits.narrow(0, 1, 1).repeat([5, 1])) < 1e-5, "{name}");
        let zero = cut.head_with(&features, Some(&tokens.zeros_like()));
        assert!(off(&zero, &logits) > 1e-3, "{name}: its tokens do not reach the logits");
    }
}

#[test]
fn a_map_of_a_transformer_has_a_places_number_at_its_place() {
    // The patches' map, and the tokens that are made of it: the first cut with a class token, less the places' offsets.
    let _no_grad = tch::no_grad_guard();
    let network = open("tokens");
    let points = network.points();
    let patches = points.iter().position(|point| point.shape == [8, 4, 4]).unwrap();
    let rows = points.iter().find(|point| point.shape == [16, 8]).unwrap();
    let map = network.cut(&points[patches].name).unwrap().features(&images());
    assert_eq!(network.cut(&rows.name).unwrap().features(&images()), map);
}

#[test]
fn batches_are_opened_where_that_is_sure_and_images_run_one_by_one_where_not() {
    for name in ["excited_one", "tokens_one", "residual", "tokens", "registers", "windows"] {
        assert_eq!(open(name).fixed_batch(), None, "{name}");
    }
    assert_eq!(open("mixed").fixed_batch(), Some(1));
}

#[test]
fn images_that_meet_each_other_are_run_one_by_one() {
    for batch in [None, Some(1)] {
        // The first image is added to all of them, which changes nothing for the first alone.
        let model = Model { batch, ..Model::default() }
            .stem("images")
            .weight("first", &whole(&[0]))
            .node("Gather", "r first", "of_first", &[("axis", Int(0))])
            .node("Add", "r of_first", "sum", &[])
            .head("GlobalAveragePool", "sum", "scores");
        assert_eq!(built(&model).fixed_batch(), Some(1), "{batch:?}");
    }
}

#[test]
fn images_that_a_file_takes_together_stay_together_however_large_they_are() {
    let model = || {
        Model { batch: Some(4), side: 512, ..Model::default() }
            .weight("w", &waves(&[8, 3, 3, 3]))
            .node("Conv", "images w", "c", &[("pads", Ints(&[1, 1, 1, 1]))])
    };
    let paired = model()
        .weight("two", &whole(&[2, 16, 512, 512]))
        .weight("four", &whole(&[4, 8, 512, 512]))
        .node("Reshape", "c two", "pairs", &[])
        .node("Reshape", "pairs four", "again", &[])
        .head("GlobalAveragePool", "again", "scores");
    let plain = model().head("GlobalAveragePool", "c", "scores");
    let images = waves(&[4, 3, 512, 512]);
    let [found, expected] = [paired, plain].map(|model| {
        let network = built(&model);
        assert_eq!(network.fixed_batch(), Some(4));
        tch::no_grad(|| network.cut(INPUT).unwrap().logits(&images))
    });
    assert!(off(&found, &expected) < 1e-5);
}

#[test]
fn the_gradient_of_a_norm_is_zero_where_the_norm_is() {
    // Global response normalization, with a channel that never responds.
    let responds = Tensor::from_slice(&[1.0_f32, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
    let model = Model::default()
        .stem("images")
        .weight("responds", &responds.view([8, 1, 1]))
        .node("Mul", "r responds", "m", &[])
        .node("ReduceL2", "m", "norm", &[("axes", Ints(&[2, 3]))])
        .node("Mul", "m norm", "scaled", &[])
        .head("GlobalAveragePool", "scaled", "scores");
    let images = images().set_requires_grad(true);
    let score = built(&model).cut(INPUT).unwrap().head(&images).select(1, 1).sum(Kind::Float);
    let gradient = &Tensor::run_backward(&[score], &[&images], false, false)[0];
    let largest = gradient.abs().max().double_value(&[]);
    assert!(largest.is_finite() && largest > 0.0, "{largest}");
}

#[test]
fn outputs_that_nobody_uses_may_be_ones_that_are_not_supported() {
    let model = Model { opset: 9, ..Model::default() }
        .stem("images")
        .node("MaxPool", "r", "most indices", &[("kernel_shape", Ints(&[2, 2]))])
        .node("Dropout", "most", "kept mask", &[])
        .head("GlobalAveragePool", "kept", "scores");
    assert_eq!(built(&model).n_classes(), 6);
    let model = Model { outputs: vec![("scores", FLOAT), ("mask", FLOAT)], ..model };
    let folder = tempfile::tempdir().unwrap();
    let error = Network::open(&model.write(folder.path(), "mask"), &Options::default());
    let error = error.unwrap_err().to_string();
    assert!(error.contains("node `kept` (Dropout, opset 9): its mask is wanted"), "{error}");
}

#[test]
fn the_default_layer_is_the_last_map_before_pooling_and_a_pooled_linear_head_is_seen() {
    for name in
        ["residual", "residual_unfused", "residual_opset11", "residual_softmax", "residual_half"]
    {
        let network = open(name);
        let cut = network.cut(network.default_layer().unwrap()).unwrap();
        let image = images();
        let features = tch::no_grad(|| cut.features(&image));
        assert_eq!(features.size(), [3, 6, 4, 4], "{name}");
        let head =
            cut.pooled_linear_head().unwrap_or_else(|| panic!("{name} has a pooled linear head"));
        let mean = features.mean_dim(&[2_i64, 3][..], false, Kind::Float);
        let off = off(&mean.linear(&head.weight, Some(&head.bias)), &cut.head(&features));
        assert!(off < 1e-5, "{name}: off by {off}");
    }
    // Before the last attention there is more than pooling to come.
    let tokens = open("tokens");
    let cut = tokens.cut(tokens.default_layer().unwrap()).unwrap();
    assert!(cut.pooled_linear_head().is_none());
}

#[test]
fn of_several_outputs_the_one_that_is_named_holds_the_logits() {
    let heads = |outputs: [&'static str; 3]| {
        let model =
            Model { outputs: outputs.map(|name| (name, FLOAT)).to_vec(), ..Model::default() };
        model
            .stem("images")
            .head("GlobalAveragePool", "r", "main")
            .node("Neg", "main", "logits", &[])
            .node("Abs", "main", "aux", &[])
    };
    let folder = tempfile::tempdir().unwrap();
    let image = waves(&[1, 3, 16, 16]);
    let _no_grad = tch::no_grad_guard();
    let logits = |model: &Model, logits: Option<&str>| {
        let options = Options {
            input_side: Some(16),
            logits: logits.map(str::to_owned),
            ..Options::default()
        };
        let path = model.write(folder.path(), "heads");
        let network = Network::open(&path, &options)?;
        let output = network.output();
        let said = (output.name.clone(), output.others.join(" "));
        Ok::<_, cam_onnx::OnnxError>((network.cut("r").unwrap().logits(&image), said))
    };
    let named = heads(["main", "aux", "logits"]);
    let (by_name, said) = logits(&named, None).unwrap();
    assert_eq!(said, ("logits".to_owned(), "main aux".to_owned()));
    let (main, _) = logits(&named, Some("main")).unwrap();
    assert_eq!(by_name, -&main);
    let (aux, _) = logits(&named, Some("aux")).unwrap();
    assert_eq!(aux, main.abs());
    // A tensor that is no output cannot be asked for, and without a telling name the first is taken.
    let error = logits(&named, Some("r")).unwrap_err().to_string();
    assert!(error.contains("there is no output `r`"), "{error}");
    let (first, said) = logits(&heads(["aux", "main", "c"]), None).unwrap();
    assert_eq!((first, said), (aux, ("aux".to_owned(), "main c".to_owned())));
}

#[test]
fn a_softmax_is_cut_away_and_named() {
    assert!(open("residual_softmax").softmax().is_some());
    assert_eq!(open("residual").softmax(), None);
}

#[test]
fn a_sigmoid_at_the_end_is_named_and_left() {
    let logits = || Model::default().stem("images").head("GlobalMaxPool", "r", "logits");
    let network = built(&logits().node("Sigmoid", "logits", "scores", &[]));
    assert!(network.sigmoid().is_some());
    assert_eq!((network.softmax(), network.logits_name()), (None, "scores"));
    assert_eq!(built(&logits().node("Identity", "logits", "scores", &[])).sigmoid(), None);
}

#[test]
fn one_number_an_image_is_no_classifier() {
    let model = Model::default()
        .stem("images")
        .head("GlobalMaxPool", "r", "logits")
        .weight("last", &whole(&[-1]))
        .node("ReduceSum", "logits last", "scores", &[("keepdims", Int(1))]);
    let folder = tempfile::tempdir().unwrap();
    let path = model.write(folder.path(), "one");
    let options = Options { input_side: Some(model.side), ..Options::default() };
    let error = Network::open(&path, &options).unwrap_err().to_string();
    assert!(error.contains("one number an image"), "{error}");
}

#[test]
fn a_softmax_over_anything_but_the_classes_is_left() {
    let logits = || Model::default().stem("images").head("GlobalMaxPool", "r", "logits");
    let groups = logits()
        .weight("three", &whole(&[-1, 2, 3]))
        .weight("six", &whole(&[-1, 6]))
        .node("Reshape", "logits three", "groups", &[])
        .node("Softmax", "groups", "p", &[("axis", Int(2))])
        .node("Reshape", "p six", "scores", &[]);
    let images = logits().node("Softmax", "logits", "scores", &[("axis", Int(0))]);
    let image = waves(&[1, 3, 16, 16]);
    for model in [groups, images] {
        let network = built(&model);
        assert_eq!((network.softmax(), network.logits_name()), (None, "scores"));
        let folder = tempfile::tempdir().unwrap();
        let evaluator = Evaluator::open(&model.write(folder.path(), "whole")).unwrap();
        let expected = evaluator.run(&[image.shallow_clone()]).unwrap().remove(0);
        assert!(off(&network.cut(INPUT).unwrap().logits(&image), &expected) < 1e-6);
    }
}

#[test]
fn casts_to_half_precision_and_back_hide_no_pooled_linear_head() {
    let model = Model { is_half: true, ..Model::default() }
        .node("Cast", "images", "x", &[("to", Int(HALF))])
        .stem("x")
        .head("GlobalAveragePool", "r", "half")
        .node("Cast", "half", "scores", &[("to", Int(FLOAT))]);
    let network = built(&model);
    let cut = network.cut(network.default_layer().unwrap()).unwrap();
    assert_eq!(cut.layer(), "r");
    let head = cut.pooled_linear_head().unwrap();
    let features = tch::no_grad(|| cut.features(&images()));
    let mean = features.mean_dim(&[2_i64, 3][..], false, Kind::Float);
    assert!(off(&mean.linear(&head.weight, Some(&head.bias)), &cut.head(&features)) < 1e-5);
}

#[test]
fn files_of_weights_are_listed_beside_the_model() {
    let files = open("residual_external").files().to_vec();
    let names: Vec<_> = files.iter().filter_map(|file| file.file_name()?.to_str()).collect();
    assert_eq!(names, ["residual_external.onnx", "residual_external.data"]);
}

#[test]
fn tensors_that_are_no_cuts_are_refused_with_the_reason() {
    let network = open("residual");
    let error = network.cut("nothing").unwrap_err().to_string();
    assert!(error.contains("there is no tensor `nothing`"), "{error}");
    // Inside a residual branch.
    let inside = network.cut("/blocks/blocks.0/main/main.2/Relu_output_0").unwrap_err().to_string();
    assert!(inside.contains("ways around it"), "{inside}");
    let flat = network.points().iter().find(|point| !point.is_map()).unwrap();
    let error = network.cut(&flat.name).unwrap_err().to_string();
    assert!(error.contains("methods need [K, h, w]"), "{error}");
    let slip = network.default_layer().unwrap().to_lowercase();
    assert!(network.cut(&slip).unwrap_err().nearest.is_some());
}

#[test]
fn other_batch_sizes_change_nothing() {
    let network = open("excited");
    let cut = network.cut(INPUT).unwrap();
    assert!(cut.batch() >= 1 && cut.head_batch() >= 1);
    let cut = cut.with_batch(3, 7);
    assert_eq!((cut.batch(), cut.head_batch()), (3, 7));
}

#[test]
fn biases_and_levels_come_with_the_same_logits_and_gradients() {
    each(|name, network, entry| {
        let image = images().narrow(0, 0, 1);
        let (logits, tolerance) =
            (tensor(&entry["logits"]).narrow(0, 0, 1), entry["tolerance"].as_f64().unwrap());
        let cut = network.cut(network.default_layer().unwrap_or(INPUT)).unwrap();
        let leaf = image.copy().set_requires_grad(true);
        let (found, biases) = cut.logits_and_biases(&leaf);
        assert!(off(&found.detach(), &logits) < tolerance, "{name}");
        assert!(!biases.is_empty(), "{name} has no layers with biases");
        let score = found.select(1, 1).sum(Kind::Float);
        let inputs: Vec<&Tensor> = [&leaf].into_iter().chain(&biases).collect();
        let gradients = Tensor::run_backward(&[score], &inputs, false, false);
        let gradient = tensor(&entry["gradient"]).narrow(0, 0, 1);
        assert!(off(&gradients[0], &gradient) < tolerance, "{name}");

        for bias in biases.iter().filter(|bias| bias.dim() == 4) {
            let [_, channels, height, width] = bias.size()[..] else { unreachable!() };
            assert!(channels > 1 && height <= 16 && height == width, "{name}: {:?}", bias.size());
        }

        for point in network.points().iter().filter(|point| point.is_map()) {
            let (cut, what) =
                (network.cut(&point.name).unwrap(), format!("{name} at {}", point.name));
            let (found, levels) = cut.logits_and_levels(&image, 9);
            assert!(off(&found.detach(), &logits) < tolerance, "{what}");
            let rows: Vec<i64> = levels.iter().map(|level| level.size()[2]).collect();
            assert!(rows.windows(2).all(|pair| 2 * pair[1] >= 3 * pair[0]), "{what}: {rows:?}");
            let total = found.select(1, 1).sum(Kind::Float);
            let gradients = Tensor::run_backward(&[total], &levels, false, false);
            let (features, tokens) = cut.features_and_tokens(&image);
            assert!(off(&levels[0].detach(), &features) < tolerance, "{what}");
            let leaf = features.detach().set_requires_grad(true);
            let score = cut.head_with(&leaf, tokens.as_ref()).select(1, 1).sum(Kind::Float);
            let expected = Tensor::run_backward(&[score], &[&leaf], false, false).remove(0);
            assert!(off(&gradients[0], &expected) < tolerance, "{what}");
            assert_eq!(cut.logits_and_levels(&image, 1).1.len(), 1, "{what}");
            if Some(point.name.as_str()) == network.default_layer() {
                let n = if name.starts_with("residual") { 2 } else { 1 };
                assert_eq!(rows.len(), n, "{what}: {rows:?}");
            }
        }
    });
}
