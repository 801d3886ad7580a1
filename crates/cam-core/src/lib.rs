//! The vocabulary of cambench: the one crate that every other one knows.
//!
//! Six words carry it. A [`Classifier`] is a network cut in two at the layer under explanation. A [`Subject`] is one
//! image in one classifier, with the class to explain. A [`Method`] turns a subject into a raw map, which becomes a
//! [`Map`]: normalized, at the image's size. A [`Metric`] turns an [`Explained`] subject into a number.
//!
//! What several crates share beside these words lies in folders: `engine`, `perturb` and `text`.
//!
//! Shapes are written `[N, K, h, w]`: capital `H, W` for the image, small `h, w` for the map. Scores are fractions.

mod classifier;
mod cost;
mod engine;
mod explained;
mod exported;
mod map;
mod method;
mod metric;
mod output;
mod perturb;
mod preprocessing;
mod random;
mod registry;
mod subject;
mod text;
pub mod toy;

pub use classifier::{Classifier, Counted, INPUT, PooledLinear};
pub use cost::Cost;
pub use engine::{
    Activation, Biases, Geometry, Packed, Shortcut, USUAL_MEMORY, filled_up, filled_up_to,
    fused_convolution, head_in_chunks, keep_memory, logits_in_chunks, usual_batch,
};
pub use explained::Explained;
pub use exported::{ImageInput, LogitsOutput, Port, SALIENCY_MAP};
pub use map::{Degenerate, Map, Upsampling, min_max, upsample};
pub use method::{About, FeatureShape, Method, Requirement};
pub use metric::{Better, Metric, Score};
pub use output::Output;
pub use perturb::{Fill, Order, Probe, Square, Squares};
pub use preprocessing::{
    CropError, IMAGENET_MEAN, IMAGENET_STD, Interpolation, MAX_SIDE, Preprocessing,
    PreprocessingChoice, Resize,
};
pub use random::{method_rng, metric_rng};
pub use subject::{Answer, Subject, Target};
pub use text::{
    MAX_TEXT, cache_folder, did_you_mean, did_you_mean_aside, hex, is_slip_of, nearest, open_file,
    options, read_file, read_text_file, read_yaml_file, shortened, with_suggestion,
};

#[doc(hidden)]
pub mod __private {
    pub use serde;
}
