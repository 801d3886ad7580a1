//! Why a sweep cannot be planned.

use std::path::PathBuf;

use cam_core::Requirement;
use cam_data::DataError;
use cam_models::{DeviceError, ModelError};

use crate::{
    config::ConfigError,
    guard::{Failure, failure},
    model::{FileModelError, LayerError},
};

/// Why a sweep cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The sweep file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data set.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A data set's manifest that is not there.
    #[error(
        "there is no `{}`: it is looked for in the working folder, then beside the sweep file",
        path.display()
    )]
    NoDataset {
        /// As the sweep names it.
        path: PathBuf,
    },
    /// The device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// There is nothing to compute.
    #[error("{}: no method is left for any model; see what `except` takes away", sweep.display())]
    NoRows {
        /// The sweep file.
        sweep: PathBuf,
    },
    /// How photographs are made a network's input.
    #[error("model `{model}`: preprocessing: {message}")]
    Preprocessing {
        /// Its name in results.
        model: String,
        /// What cannot be.
        message: String,
    },
    /// A network.
    #[error("model `{model}`: {source}")]
    Model {
        /// Its name in results.
        model: String,
        /// Why it cannot be had.
        source: ModelError,
    },
    /// A network from a file.
    #[error("model `{model}`: {source}")]
    File {
        /// Its name in results.
        model: String,
        /// Why it cannot be had.
        source: Box<FileModelError>,
    },
    /// A layer.
    #[error("model `{model}`: {source}")]
    Layer {
        /// Its name in results.
        model: String,
        /// Which layers there are.
        source: LayerError,
    },
    /// Two names of one layer.
    #[error("model `{model}`: `{first}` and `{second}` are the same layer; leave out one of them")]
    OneLayer {
        /// Its name in the sweep.
        model: String,
        /// One name.
        first: String,
        /// The other one.
        second: String,
    },
    /// A size of images.
    #[error("model `{model}` cannot take images of {side} x {side} pixels: {message}")]
    Size {
        /// Its name in results.
        model: String,
        /// The side of its images in pixels.
        side: i64,
        /// What went wrong.
        message: String,
    },
    /// A path that no manifest can hold.
    #[error(
        "a path that the sweep names cannot be written down ({0}); start in the folder of the sweep file, or rename its \
         folder"
    )]
    NotText(serde_json::Error),
    /// A device that answers nothing any more.
    #[error(
        "the device broke down: {what}; the row in hand is not written, and the same command tries it again"
    )]
    DeviceBroke {
        /// What it said.
        what: String,
    },
    /// TF32 without CUDA.
    #[error("model `{model}`: `tf32` needs a CUDA device; use `precision: f32` here")]
    NoTf32 {
        /// Its name in results.
        model: String,
    },
    /// TF32 beside single precision.
    #[error(
        "`tf32` and `f32` networks cannot run in one process; put them into two sweeps, or give all of them one precision"
    )]
    TwoPrecisions,
    /// A list of printed values.
    #[error("reference: {}: {message}", path.display())]
    Reference {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A list of class names.
    #[error("model `{model}`: {message}")]
    Classes {
        /// Its name in results.
        model: String,
        /// What is wrong.
        message: String,
    },
    /// A method that cannot explain a network.
    #[error(
        "method `{method}` needs {}, and `{model}` has none behind layer `{layer}`; leave the model out of the method \
         (`except: [{model}]`), or {remedy}",
        needs.needed()
    )]
    Impossible {
        /// What the method needs.
        needs: Requirement,
        /// What else can be done.
        remedy: &'static str,
        /// The method's name in results.
        method: String,
        /// The network's name in results.
        model: String,
        /// The layer.
        layer: String,
    },
    /// Something that a sweep names.
    #[error("{}{}: {source}", path.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
    Sweep {
        /// The sweep file.
        path: PathBuf,
        /// The line, counted from 1, where it is known.
        line: Option<usize>,
        /// What is wrong with it.
        source: Box<PlanError>,
    },
    /// Two images whose maps would be one file.
    #[error("method `{method}`: two images have the map {}; their names differ in the extension alone", map.display())]
    OneMap {
        /// The method's name in results.
        method: String,
        /// The file, relative to the folder of maps.
        map: PathBuf,
    },
    /// A folder of imported maps.
    #[error("method `{method}`: there is no folder {}", folder.display())]
    NoMaps {
        /// The method's name in results.
        method: String,
        /// Where its maps should be.
        folder: PathBuf,
    },
    /// An image without a label where labels are explained.
    #[error(
        "target: label needs a label for every image, and {image} has none; use `target: predicted`"
    )]
    Unlabeled {
        /// The first such image.
        image: String,
    },
    /// A collage whose class is not that of the cell to find.
    #[error(
        "collages (`layout: grid`) need `target: label`: the class to explain is that of the cell to find"
    )]
    CollageTarget,
    /// A network that cannot be randomized.
    #[error("method `{method}`: `{model}` cannot be randomized; leave out `network: randomized`")]
    NotRandomizable {
        /// The method's name in results.
        method: String,
        /// The network's name in results.
        model: String,
    },
    /// A manifest that says what cannot be meant.
    #[error("manifest.json is damaged: {message}")]
    Manifest {
        /// What is wrong with it.
        message: String,
    },
    /// Another program, or another device.
    #[error(
        "the run was planned by another program or for another device ({difference}); use the one that planned it, or plan \
         a new run"
    )]
    OtherProgram {
        /// The first field that differs, with both values.
        difference: String,
    },
    /// A list of images that has changed.
    #[error("{} has other images, or labels, than when the run was planned", root.display())]
    OtherImages {
        /// The folder of images.
        root: PathBuf,
    },
    /// Weights that have changed.
    #[error(
        "model `{model}`: its weights are another file than when the run was planned (SHA-256 {found}, not {planned})"
    )]
    OtherWeights {
        /// Its name in results.
        model: String,
        /// As planned.
        planned: String,
        /// As found.
        found: String,
    },
    /// Labels of ImageNet for a network of other classes.
    #[error(
        "{image} is labeled {label} by its WordNet id, as ImageNet counts, and model `{model}` has {n_classes} classes of its \
         own; name folders by these, and list them (`classes: FILE`) in the data set's manifest"
    )]
    NotImageNets {
        /// The first such image.
        image: String,
        /// Its class among ImageNet's.
        label: i64,
        /// The network's name in results.
        model: String,
        /// How many classes it has.
        n_classes: i64,
    },
    /// Folders that are counted in another order than the classes.
    #[error(
        "model `{model}`: folders are counted in the order of their names, so that `{folder}` would be labeled `{class}`; \
         give the data set the same list of names (`classes: FILE` in its manifest)"
    )]
    ClassOrder {
        /// The network's name in results.
        model: String,
        /// The first such folder.
        folder: String,
        /// The class at that place.
        class: String,
    },
    /// Names of classes that are not those of the network.
    #[error(
        "model `{model}`: the label {label} is `{name}` by the data set's `classes`, and the model calls it `{class}`; give \
         both one list, in the order of the logits"
    )]
    OtherClass {
        /// The network's name in results.
        model: String,
        /// The first such label.
        label: i64,
        /// The data set's name for it.
        name: String,
        /// The network's.
        class: String,
    },
    /// More or fewer names of classes than a network has classes.
    #[error(
        "model `{model}` has {n_classes} classes, and the data set's `classes` names {n_named}; with `target: label` they are to \
         be the same"
    )]
    OtherClasses {
        /// The network's name in results.
        model: String,
        /// How many are named.
        n_named: usize,
        /// How many there are.
        n_classes: i64,
    },
    /// A label that is no class.
    #[error("{image} is labeled {label}, and model `{model}` has only {n_classes} classes")]
    LabelTooLarge {
        /// The first such image.
        image: String,
        /// Its label.
        label: i64,
        /// The network's name in results.
        model: String,
        /// How many classes it has.
        n_classes: i64,
    },
}

impl PlanError {
    /// The error for a panic of a device that broke down; `None` for any other.
    pub fn of_panic(panic: &(dyn std::any::Any + Send)) -> Option<Self> {
        match failure(panic) {
            Failure::Device(what) => Some(Self::DeviceBroke { what }),
            Failure::Row(_) => None,
        }
    }

    /// Whether the device answers nothing any more, nor will it in this process; in a new one it may.
    pub fn is_broken_device(&self) -> bool {
        match self {
            Self::DeviceBroke { .. } => true,
            Self::Sweep { source, .. } => source.is_broken_device(),
            _ => false,
        }
    }
}
