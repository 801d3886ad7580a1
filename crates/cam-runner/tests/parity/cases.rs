//! The comparisons with reference implementations, and the images that they are made on.
//!
//! `cases.json` is read by three: the exporter (`examples/parity.rs`), the references (`xtask/parity/make.py`), and the
//! comparison (`main.rs`).

use std::path::{Path, PathBuf};

use cam_core::{Subject, Target, cache_folder, hex};
use cam_data::{Orientation, Photo};
use cam_methods::AnyMethod;
use cam_models::{Cut, Loaded, Options, WeightsChoice, load};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tch::Tensor;

/// One comparison.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// Name of its vectors.
    pub(crate) id: String,
    /// The method or metric of ours.
    pub(crate) of: String,
    /// Its options.
    pub(crate) options: Map<String, Value>,
    /// Where the network is cut.
    pub(crate) layer: String,
    /// The package that was asked, or `formula`.
    pub(crate) peer: String,
    /// What in it.
    pub(crate) what: String,
    /// How many of the images; those after the eighth are of `IMAGENET_SAMPLES`.
    pub(crate) images: usize,
    /// What of a random method is handed to the reference: its `images`, or its `masks`.
    #[serde(default)]
    pub(crate) hand: Option<Hand>,
    /// The method whose map a metric scores; Recipro-CAM's without.
    #[serde(default)]
    pub(crate) map: Option<String>,
    /// Which pixels the object takes in all images: left, top, right, bottom, where a metric asks.
    #[serde(default)]
    pub(crate) region: Option<[i64; 4]>,
    /// Over how many seeds a reference with noise of its own is averaged; so is ours, and both deviations from seed to seed are allowed for.
    #[serde(default)]
    pub(crate) seeds: Option<u32>,
    /// The case whose vectors it is compared with, where they are not its own.
    #[serde(default)]
    pub(crate) like: Option<String>,
    /// Whether the reference is in double precision, and its own rounding in single precision is allowed for.
    #[serde(default)]
    pub(crate) rounding: bool,
    /// Why it does not agree, where it is not meant to.
    #[serde(default)]
    pub(crate) differs: Option<String>,
    /// The largest deviation that counts as agreement, where it is not that of its kind.
    #[serde(default)]
    pub(crate) bound: Option<f64>,
}

/// What of a random method is handed to the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Hand {
    /// The images that it shows to the network.
    Images,
    /// The same where the image is 1 everywhere: the masks.
    Masks,
}

impl Case {
    /// All of them.
    pub(crate) fn all() -> Vec<Self> {
        serde_json::from_str(include_str!("cases.json")).expect("cases.json holds cases")
    }

    /// The name of the vectors.
    pub(crate) fn vectors(&self) -> &str {
        self.like.as_deref().unwrap_or(&self.id)
    }

    /// The method of ours with its options, where it is one.
    pub(crate) fn method(&self) -> Option<AnyMethod> {
        let method = AnyMethod::configure(&self.of, Value::from(self.options.clone()))?;
        Some(method.unwrap_or_else(|error| panic!("{}: {error}", self.id)))
    }
}

/// A photograph as the network gets it.
pub(crate) struct Image {
    /// Its file's name.
    pub(crate) name: String,
    /// SHA-256 of its pixels, resized and cropped.
    pub(crate) sha256: String,
    /// `[1, 3, H, W]`.
    pub(crate) tensor: Tensor,
}

/// One of so many images in `IMAGENET_SAMPLES` follows the demo's photographs.
const ONE_OF: usize = 10;

/// EfficientNet-Lite0, the demo's photographs, and behind them images of `IMAGENET_SAMPLES` where that is set; or nothing
/// where the demo is not set up.
pub(crate) fn real() -> Option<(Loaded, Vec<Image>)> {
    const FIRST: &str = "chelsea.png";
    let photographs = cache_folder().join("photographs");
    let weights = cache_folder().join("weights/efficientnet_lite0.pth");
    if !(weights.is_file() && photographs.is_dir()) {
        return None;
    }
    let model = load("tf_efficientnet_lite0", &WeightsChoice::Default, &Options::default())
        .expect("weights that are set up can be loaded");
    let mut paths = files(&photographs);
    paths.sort_by_key(|path| (!path.ends_with(FIRST), path.clone()));
    if let Some(samples) = std::env::var_os("IMAGENET_SAMPLES") {
        let mut samples = files(samples.as_ref());
        samples.sort();
        paths.extend(samples.into_iter().step_by(ONE_OF));
    }
    let images = paths.into_iter().map(|path| {
        let photo = Photo::open(&path, &model.preprocessing, Orientation::Ignore)
            .expect("a photograph that can be read");
        Image {
            name: path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            sha256: hex(&Sha256::digest(&photo.rgb)),
            tensor: photo.tensor(&model.preprocessing),
        }
    });
    let images = images.collect();
    Some((model, images))
}

/// What lies in a folder of images.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder of images");
    entries.map(|entry| entry.expect("an entry of a folder").path()).collect()
}

/// An image in the network, for its predicted class.
pub(crate) fn subject<'a>(cut: &'a Cut<'_>, image: &Image) -> Subject<'a> {
    // The seed of everything random.
    Subject::new(cut, image.tensor.shallow_clone(), Target::Predicted, 0)
}
