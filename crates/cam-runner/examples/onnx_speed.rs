//! How fast a network from an ONNX file is beside the same one of the zoo:
//! `cargo run --release --example onnx_speed -- tf_efficientnet_lite0 FILE.onnx [ROUNDS]`.
//!
//! Turns are interleaved, and the best of each counts: batches of 16 forward, and Grad-CAM's forward and backward at the
//! default layer for one image.

#![expect(clippy::print_stdout, reason = "it is asked for a table")]

use std::{error::Error, path::Path, time::Instant};

use cam_core::Classifier;
use cam_models::{Options, WeightsChoice, load};
use cam_onnx::Network;
use tch::{Device, Kind, Tensor};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, file, rest @ ..] = &arguments[..] else {
        return Err("onnx_speed NAME FILE.onnx [ROUNDS]".into());
    };
    let rounds: u32 = rest.first().map_or(Ok(20), |rounds| rounds.parse())?;
    let zoo = load(name, &WeightsChoice::Default, &Options::default())?;
    let side = i64::from(zoo.preprocessing.crop);
    let options = cam_onnx::Options { input_side: Some(side), ..cam_onnx::Options::default() };
    let file = Network::open(Path::new(file), &options)?;
    let ours = zoo.network.cut(zoo.backbone.layer())?;
    let theirs = file.cut(file.default_layer().ok_or("it has no default layer")?)?;
    let images = Tensor::randn([16, 3, side, side], (Kind::Float, Device::Cpu));
    let off = tch::no_grad(|| {
        (ours.logits(&images) - theirs.logits(&images)).abs().max().double_value(&[])
    });
    println!("largest difference of a logit: {off:e}");

    let mut best = [[f64::INFINITY; 2]; 2];
    for _ in 0..rounds {
        for (place, cut) in [&ours as &dyn Classifier, &theirs].into_iter().enumerate() {
            let start = Instant::now();
            let _ = tch::no_grad(|| cut.logits(&images));
            best[0][place] = best[0][place].min(start.elapsed().as_secs_f64() / 16.0);
            let start = Instant::now();
            explained(cut, &images.narrow(0, 0, 1));
            best[1][place] = best[1][place].min(start.elapsed().as_secs_f64());
        }
    }
    for (what, [zoo, file]) in
        ["an image forward, 16 at a time", "a gradient at the layer"].iter().zip(best)
    {
        println!(
            "{what}: zoo {:.2} ms, file {:.2} ms, {:.2} of its speed",
            zoo * 1e3,
            file * 1e3,
            zoo / file
        );
    }
    Ok(())
}

/// A forward to the layer, and a backward to it.
fn explained(cut: &dyn Classifier, image: &Tensor) {
    let features = tch::no_grad(|| cut.features(image)).set_requires_grad(true);
    let score = cut.head(&features).select(1, 0).sum(Kind::Float);
    let _ = Tensor::run_backward(&[score], &[&features], false, false);
}
