//! Backbones as ordered, named stages, and their weights.
//!
//! A backbone is data: a [`Plan`] of stages, made from one row of the [`ZOO`]. With weights it is a [`Network`], which
//! [`Network::cut`] turns into a [`cam_core::Classifier`] at any stage. [`load`] is the front door:
//!
//! ```no_run
//! use cam_core::Classifier;
//! use cam_models::{Options, WeightsChoice, load};
//!
//! let model = load("tf_efficientnet_lite0", &WeightsChoice::Default, &Options::default())?;
//! let cut = model.network.cut(model.backbone.layer())?;
//! let image = tch::Tensor::zeros([1, 3, 224, 224], (tch::Kind::Float, tch::Device::Cpu));
//! assert_eq!(cut.features(&image).size(), [1, 1280, 7, 7]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A backbone of a known family is one row in `zoo.rs`; a family is one file in `families/` and one variant of
//! [`Architecture`], whose `match`es the compiler then asks for.

mod device;
pub mod families;
mod network;
pub mod plan;
mod weights;
mod zoo;

pub use device::{DeviceChoice, DeviceError, Multiply, default_memory, device, set_threads};
pub use network::{Cut, Network, Options, Parameters, Precision};
pub use plan::{Plan, UnknownLayer};
pub use weights::{
    Caches, DownloadError, Loaded, Mismatch, ModelError, Progress, WeightsChoice, WeightsFile,
    load, load_from, seeded, sha256,
};
pub use zoo::{Architecture, Backbone, PublishedWeights, Source, UnknownModel, ZOO, by_name};
