//! Weights made worse: Gaussian noise on every convolution and linear layer, for `cargo xtask gate`.
//!
//! `degrade IN SIZE OUT.safetensors` adds noise with a standard deviation of `SIZE` times that of each tensor. The same
//! size gives the same weights.

use std::{env, error::Error, path::Path};

use cam_models::WeightsFile;
use tch::{Kind, Tensor};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [from, size, to] = &args[..] else { return Err("degrade IN SIZE OUT.safetensors".into()) };
    let size: f64 = size.parse()?;
    let file = WeightsFile::open(Path::new(from))?;
    tch::manual_seed(0);
    let mut tensors: Vec<(String, Tensor)> = vec![];
    for (name, shape) in file.shapes() {
        // Counters of batches, which inference does not know, are no floating-point numbers.
        if name.ends_with("num_batches_tracked") {
            continue;
        }
        let tensor = file.read(&name)?;
        // Kernels and matrices; biases and normalization stay as they are.
        let noisy = if shape.len() > 1 {
            let noise = Tensor::randn(&shape, (Kind::Float, tensor.device()));
            &tensor + noise * (size * tensor.std(false).double_value(&[]))
        } else {
            tensor
        };
        tensors.push((name, noisy));
    }
    Tensor::write_safetensors(&tensors, to)?;
    Ok(())
}
