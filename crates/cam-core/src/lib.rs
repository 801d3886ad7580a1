//! The vocabulary of cambench: the one crate that every other one knows.
//!
//! Six words carry it. A [`Classifier`] is a network cut in two at the layer under explanation. A [`Subject`] is one
//! image in one classifier, with the class to explain. A [`Method`] turns a subject into a raw map, which becomes a
//! [`Map`]: normalized, at the image's size. A [`Metric`] turns an [`Explained`] subject into a number.
//!
//! Shapes are written `[N, K, h, w]`: capital `H, W` for the image, small `h, w` for the map. Scores are fractions.

mod allocator;
mod biases;
mod cache;
mod chunks;
mod classifier;
mod cost;
mod exported;
mod files;
mod fill;
mod fused;
mod hex;
mod impute;
mod map;
mod method;
mod metric;
pub mod options;
mod output;
mod preprocessing;
mod probe;
mod random;
mod registry;
mod squares;
mod subject;
mod suggest;
pub mod toy;

pub use allocator::keep_memory;
pub use biases::Biases;
pub use cache::cache_folder;
pub use chunks::{filled_up, filled_up_to, head_in_chunks, logits_in_chunks, usual_batch};
pub use classifier::{Classifier, Counted, PooledLinear};
pub use cost::Cost;
pub use exported::{ImageInput, LogitsOutput, Port, SALIENCY_MAP};
pub use files::{MAX_TEXT, open_file, read_file, read_text_file, read_yaml_file};
pub use fill::Fill;
pub use fused::{Activation, Geometry, Packed, Shortcut, fused_convolution};
pub use hex::hex;
pub use map::{Degenerate, Map, Upsampling, min_max, upsample};
pub use method::{About, FeatureShape, Method, Requirement};
pub use metric::{Better, Explained, Metric, Score};
pub use output::Output;
pub use preprocessing::{
    IMAGENET_MEAN, IMAGENET_STD, Interpolation, MAX_SIDE, Preprocessing, PreprocessingChoice,
    Resize,
};
pub use probe::{Order, Probe};
pub use random::rng;
pub use squares::{Square, Squares};
pub use subject::{Answer, Subject, Target};
pub use suggest::{is_slip_of, nearest, shortened, with_suggestion};

#[doc(hidden)]
pub mod __private {
    pub use serde;
}
