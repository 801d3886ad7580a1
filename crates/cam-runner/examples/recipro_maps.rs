//! What `cargo xtask onnx-hooks` holds a hooked ONNX file against: Recipro-CAM's maps of some classes at the default layer,
//! `recipro_maps FILE.onnx IMAGES.npy MAPS.npy CLASS...`.
//!
//! Writes `[N, classes, h, w]`, and prints the layer and whether the head behind it is pooled and linear, as JSON.

#![expect(clippy::print_stdout, reason = "its line is read by xtask")]

use std::{env, error::Error, path::Path};

use cam_core::{Classifier, Method, Subject, Target};
use cam_methods::ReciproCam;
use cam_onnx::{Network, Options};
use serde_json::json;
use tch::Tensor;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [file, images, out, classes @ ..] = &arguments[..] else {
        return Err("recipro_maps FILE.onnx IMAGES.npy MAPS.npy CLASS...".into());
    };
    let classes: Vec<i64> = classes
        .iter()
        .map(|class| class.parse())
        .collect::<Result<_, std::num::ParseIntError>>()?;
    let images = Tensor::read_npy(images)?;
    let network = Network::open(Path::new(file), &Options::default())?;
    let layer = network.default_layer().ok_or("it has no default layer")?;
    let cut = network.cut(layer)?;
    let maps_of = |i: i64| {
        let map = |class: &i64| {
            let image = images.narrow(0, i, 1);
            let subject = Subject::new(&cut, image, Target::Class(*class), 0);
            ReciproCam::default().explain(&subject)
        };
        Tensor::stack(&classes.iter().map(map).collect::<Vec<_>>(), 0)
    };
    let maps: Vec<Tensor> = (0..images.size()[0]).map(maps_of).collect();
    Tensor::stack(&maps, 0).write_npy(out)?;
    println!("{}", json!({ "layer": layer, "pooled": cut.pooled_linear_head().is_some() }));
    Ok(())
}
