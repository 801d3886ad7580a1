//! Milliseconds per image at batch 16, for `speed.sh`: one line a network.
//!
//! `cargo run --release -p cam-models --example speed [THREADS] [SECONDS] [NAME...]`

#![expect(clippy::print_stdout, reason = "an example speaks to the terminal")]

use std::time::Instant;

use cam_core::Classifier;
use cam_models::{Options, Precision, WeightsChoice, load, set_threads};
use tch::{Device, Kind, Tensor};

const BATCH: i64 = 16;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    set_threads(arguments.next().map_or(Ok(2), |threads| threads.parse())?);
    let seconds: f64 = arguments.next().map_or(Ok(5.0), |seconds| seconds.parse())?;
    let mut names: Vec<String> = arguments.collect();
    if names.is_empty() {
        names = ["tf_efficientnet_lite0", "resnet18", "resnet50"].map(str::to_owned).to_vec();
    }
    let _no_grad = tch::no_grad_guard();
    let images = Tensor::randn([BATCH, 3, 224, 224], (Kind::Float, Device::Cpu));
    for name in names {
        for (precision, label) in [(Precision::F32, "rust"), (Precision::Bf16, "rust_bf16")] {
            let options = Options { precision, input_side: Some(224), ..Options::default() };
            let model = load(&name, &WeightsChoice::Seeded(0), &options)?;
            let cut = model.network.cut(model.backbone.layer())?;
            let mut times = Vec::new();
            let start = Instant::now();
            while start.elapsed().as_secs_f64() < seconds || times.len() < 4 {
                let start = Instant::now();
                let _ = cut.logits(&images);
                times.push(start.elapsed().as_secs_f64() * 1e3 / BATCH as f64);
            }
            times.remove(0);
            times.sort_by(f64::total_cmp);
            println!("{label} {name} {:.3} {:.3}", times[times.len() / 2], times[0]);
        }
    }
    Ok(())
}
