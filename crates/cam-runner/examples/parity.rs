//! Hands to the reference implementations of `cargo xtask parity` what ours see: `parity FOLDER [METHOD]...`, for all
//! methods and metrics or for some.
//!
//! Writes the networks' inputs (`images.safetensors`) and their classes (`images.json`), and for every case of a random
//! method and every image what the method shows to the network (`CASE.IMAGE.safetensors`), and the network's random weights
//! (`random.safetensors`).

use std::{cell::RefCell, env, error::Error, fs, path::Path};

use cam_core::{Classifier, PooledLinear};
use cam_models::seeded;
use cases::{Case, Hand, Image};
use serde_json::json;
use tch::Tensor;

#[allow(dead_code, reason = "the comparison uses the rest of it")]
#[path = "../tests/parity/cases.rs"]
mod cases;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let folder = args.next().ok_or("usage: parity FOLDER [METHOD]...")?;
    let folder = Path::new(&folder);
    let only: Vec<String> = args.collect();
    let is_asked = |case: &Case| only.is_empty() || only.contains(&case.of);
    let (model, images) = cases::real().ok_or("there are no weights: run `cargo xtask setup`")?;
    let tensors: Vec<&Tensor> = images.iter().map(|image| &image.tensor).collect();
    let inputs = Tensor::cat(&tensors, 0).contiguous();
    Tensor::write_safetensors(&[("images", inputs)], folder.join("images.safetensors"))?;
    // Turned around as where a network is randomized.
    let random: Vec<(String, Tensor)> = seeded(model.network.plan(), !0).into_iter().collect();
    Tensor::write_safetensors(&random, folder.join("random.safetensors"))?;
    let mut about = vec![];
    for (i, image) in images.iter().enumerate() {
        let cut = model.network.cut(model.backbone.layer())?;
        let class = cases::subject(&cut, image).class();
        about.push(json!({ "name": image.name, "sha256": image.sha256, "class": class }));
        for case in Case::all().iter().filter(|case| i < case.images && is_asked(case)) {
            let (Some(hand), Some(method)) = (case.hand, case.method()) else { continue };
            let cut = model.network.cut(&case.layer)?;
            let seen = match hand {
                Hand::Images => image.tensor.shallow_clone(),
                Hand::Masks => image.tensor.ones_like(),
            };
            let recorder = Recorder { inner: &cut, seen: RefCell::default() };
            let image = Image { tensor: seen, name: String::new(), sha256: String::new() };
            let _ = method.explain(&cases::subject(&cut, &image).through(&recorder));
            let shown = Tensor::cat(&recorder.seen.into_inner(), 0).contiguous();
            let file = folder.join(format!("{}.{i}.safetensors", case.id));
            Tensor::write_safetensors(&[("images", shown)], file)?;
        }
    }
    fs::write(folder.join("images.json"), serde_json::to_string_pretty(&about)?)?;
    Ok(())
}

/// A classifier that keeps all images it is shown.
struct Recorder<'a> {
    inner: &'a dyn Classifier,
    seen: RefCell<Vec<Tensor>>,
}

impl Classifier for Recorder<'_> {
    fn features(&self, images: &Tensor) -> Tensor {
        self.seen.borrow_mut().push(images.copy());
        self.inner.features(images)
    }

    fn head(&self, features: &Tensor) -> Tensor {
        self.inner.head(features)
    }

    fn batch(&self) -> i64 {
        self.inner.batch()
    }

    fn head_batch(&self) -> i64 {
        self.inner.head_batch()
    }

    fn pooled_linear_head(&self) -> Option<&PooledLinear> {
        self.inner.pooled_linear_head()
    }
}
