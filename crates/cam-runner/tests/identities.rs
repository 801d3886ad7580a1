//! What must hold between methods and between batch sizes on real photographs in a real network.
//!
//! Needs the weights and photographs that `cargo xtask setup` lays into the cache.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may panic and says what it skips"
)]

use std::path::PathBuf;

use cam_core::{Classifier, Map, Subject, Target, cache_folder};
use cam_data::{Orientation, Photo};
use cam_methods::AnyMethod;
use cam_models::{Loaded, Options, WeightsChoice, load, set_threads};
use cam_runner::protocol::Protocol;
use serde_yaml::Value;
use tch::{Kind, Tensor};

/// EfficientNet-Lite0 and the photographs, or nothing where they are not set up.
fn real() -> Option<(Loaded, Vec<(String, Tensor)>)> {
    // Tests run side by side, one thread each.
    set_threads(1);
    let photographs = cache_folder().join("photographs");
    let weights = cache_folder().join("weights/efficientnet_lite0.pth");
    if !(weights.is_file() && photographs.is_dir()) {
        println!("skipped: {} holds no weights and photographs", cache_folder().display());
        return None;
    }
    let model =
        load("tf_efficientnet_lite0", &WeightsChoice::Default, &Options::default()).unwrap();
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(photographs).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let images = paths.into_iter().map(|path| {
        let photo = Photo::open(&path, &model.preprocessing, Orientation::Ignore).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, photo.tensor(&model.preprocessing))
    });
    let images = images.collect();
    Some((model, images))
}

fn method(name: &str, options: &[(&str, Value)]) -> AnyMethod {
    let options = options.iter().map(|(key, value)| (Value::from(*key), value.clone()));
    let corrected = Protocol::by_name("corrected").unwrap();
    cam_runner::config::method(name, options.collect(), corrected).unwrap()
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

#[test]
fn on_a_pooled_linear_head_cam_grad_cam_and_recipro_cam_are_one_map_up_to_scale() {
    let Some((model, images)) = real() else { return };
    let cut = model.network.cut(model.backbone.layer()).unwrap();
    for (name, image) in images {
        let subject = Subject::new(&cut, image, Target::Predicted, 0);
        let map = |name: &str, options: &[(&str, Value)]| method(name, options).explain(&subject);
        let n_positions = 49.0;
        let head = cut.pooled_linear_head().expect("average pooling and one linear layer");
        let bias = head.bias.double_value(&[subject.class()]);

        let cam = map("cam", &[("relu", false.into())]);
        let scale = cam.abs().max().double_value(&[]);
        let recipro = map("recipro_cam", &[("score", "logit".into())]);
        let from_cam = &cam / n_positions + bias;
        let off = largest_difference(&recipro, &from_cam) * n_positions / scale;
        println!("{name}: recipro_cam is cam/N + b to {off:.1e} of the largest value");
        assert!(off < 1e-4, "{name}: {off}");

        // Completeness: what the positions say adds up to what the network says.
        let logit = subject.logits().double_value(&[0, subject.class()]);
        let sum = (&recipro - bias).sum(Kind::Double).double_value(&[]);
        assert!((sum - (logit - bias)).abs() < 1e-3, "{name}: {sum} and {}", logit - bias);

        let grad_cam = map("grad_cam", &[]);
        let off = largest_difference(&grad_cam, &(cam.relu() / n_positions)) * n_positions / scale;
        println!("{name}: grad_cam is relu(cam)/N to {off:.1e} of the largest value");
        assert!(off < 1e-4, "{name}: {off}");

        let off = largest_difference(&map("grad_cam_pp", &[]), &map("smooth_grad_cam_pp", &[]));
        assert!(off < 1e-4, "{name}: gradients are constant, so noise changes nothing; {off}");
    }
}

#[test]
fn batches_of_1_7_and_64_give_the_same_maps() {
    let Some((model, mut images)) = real() else { return };
    images.truncate(2);
    // Behind an inner stage nothing has a closed form, so every method really runs its batches.
    for layer in [model.backbone.layer(), "blocks.10"] {
        let is_inner = layer != model.backbone.layer();
        let cut = |batch| model.network.cut(layer).unwrap().with_batch(batch, batch);
        let cuts = [cut(1), cut(7), cut(64)];
        for (name, image) in &images {
            for method in AnyMethod::all() {
                let method = match method.name() {
                    // Hundreds of forwards for each map: one image at one layer is enough.
                    "score_cam" if is_inner || *name != images[0].0 => continue,
                    // Score-CAM's images, and several times as many.
                    "ss_cam" | "is_cam" => continue,
                    // These never look at a layer.
                    "rise"
                    | "occlusion"
                    | "saliency"
                    | "input_x_gradient"
                    | "full_grad"
                    | "integrated_gradients"
                    | "smooth_grad"
                    | "lime"
                    | "kernel_shap"
                    | "partition_shap"
                    | "extremal_perturbation"
                    | "random"
                    | "center_gaussian"
                    | "sobel"
                    | "all_ones"
                        if is_inner =>
                    {
                        continue;
                    }
                    // Smooth Grad-CAM++ has weights with poles, where 2 D2 + ΣF D3 is 0;
                    // near them the rounding of a gradient is magnified a thousandfold. Behind a pooled linear head
                    // gradients are constant, and there are none.
                    "smooth_grad_cam_pp" if is_inner => continue,
                    "rise" => self::method("rise", &[("n_masks", 70.into())]),
                    name @ ("lime" | "kernel_shap") => {
                        self::method(name, &[("n_samples", 70.into())])
                    }
                    "partition_shap" => self::method("partition_shap", &[("max_evals", 70.into())]),
                    name @ ("integrated_gradients" | "smooth_grad") => {
                        self::method(name, &[("n", 10.into())])
                    }
                    name @ "extremal_perturbation" => {
                        self::method(name, &[("iterations", 5.into())])
                    }
                    _ => method,
                };
                if !method.requirement().met_by(&cuts[0]) {
                    continue;
                }
                let maps = cuts.each_ref().map(|cut| {
                    let subject = Subject::new(cut, image.shallow_clone(), Target::Predicted, 0);
                    let raw = method.explain(&subject);
                    Map::made_by(&*method, &raw, subject.size()).unwrap().unit().shallow_clone()
                });
                let off = largest_difference(&maps[0], &maps[1])
                    .max(largest_difference(&maps[0], &maps[2]));
                println!("{name} {layer} {}: {off:.1e}", method.name());
                assert!(off < 1e-5, "{name} {layer} {}: {off}", method.name());
            }
        }
    }
}

#[test]
fn a_random_method_draws_the_same_whatever_the_number_of_threads() {
    let Some((model, mut images)) = real() else { return };
    let (name, image) = images.remove(0);
    for (method, layer) in [
        (self::method("rise", &[("n_masks", 24.into())]), model.backbone.layer()),
        (self::method("lime", &[("n_samples", 24.into())]), model.backbone.layer()),
        (self::method("kernel_shap", &[("n_samples", 24.into())]), model.backbone.layer()),
        (self::method("smooth_grad", &[("n", 4.into())]), model.backbone.layer()),
        // At the end of the network noise does not change its gradients.
        (self::method("smooth_grad_cam_pp", &[]), "conv_stem"),
    ] {
        let tolerance = match method.name() {
            // Where mean gradients have both signs, its weights have poles, which magnify rounding.
            "smooth_grad_cam_pp" => 0.1,
            // A pixel's gradient is a sum over all paths through the network, most of which cancel.
            "smooth_grad" => 1e-2,
            _ => 1e-4,
        };
        let cut = model.network.cut(layer).unwrap();
        let map = |threads, seed| {
            set_threads(threads);
            let subject = Subject::new(&cut, image.shallow_clone(), Target::Predicted, seed);
            let raw = method.explain(&subject);
            set_threads(1);
            Map::new(&raw, subject.size()).unwrap().unit().shallow_clone()
        };
        let one = map(1, 0);
        let off = largest_difference(&one, &map(3, 0));
        let of_seeds = largest_difference(&one, &map(1, 1));
        println!(
            "{name} {}: {off:.1e} with three threads, {of_seeds:.1e} with another seed",
            method.name()
        );
        assert!(off < tolerance && 3.0 * off < of_seeds, "{}: {off}", method.name());
        assert!(of_seeds > 1e-3, "{}: {of_seeds}", method.name());
    }
}
