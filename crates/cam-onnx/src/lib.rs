//! ONNX networks on libtorch, with gradients, cut at any tensor that every path to the logits goes through.
//!
//! A file becomes a graph of values and nodes (`graph.rs`), of which every node is a call of libtorch. The
//! graph is run once with a few images to learn its shapes (`analysis.rs`), then rewritten for speed (`passes.rs`), and cut
//! into two halves (`program.rs`): a [`cam_core::Classifier`] like any network of the zoo.
//!
//! ```no_run
//! use cam_core::Classifier;
//! use cam_onnx::{Network, Options};
//!
//! let network = Network::open("model.onnx".as_ref(), &Options::default())?;
//! let layer = network.default_layer().expect("a convolutional network");
//! let cut = network.cut(layer)?;
//! let image = tch::Tensor::zeros([1, 3, 224, 224], (tch::Kind::Float, tch::Device::Cpu));
//! assert_eq!(cut.logits(&image).size(), [1, network.n_classes()]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! An operator is a variant of `Op` and its name in `OPERATORS` (`ops/mod.rs`), and one `match` arm for reading it and one
//! for running it, in the file of `ops/` that it belongs to.

mod analysis;
mod attributes;
mod budget;
mod cuts;
mod error;
mod evaluate;
mod forms;
mod graph;
mod hook;
mod network;
mod ops;
mod passes;
mod program;
mod proto;
mod tensors;

use std::ops::RangeInclusive;

pub use cam_core::INPUT;
pub use error::{OnnxError, Problem, UnknownTensor};
pub use evaluate::{Evaluator, operators, read_tensor};
pub use forms::Form;
pub use hook::{Hook, HookError, Hooked, OnnxFile, Scale, hook};
pub use network::{Cut, CutPoint, DefaultLayer, Network, Options};

/// Versions of the operators that are read.
pub const OPSETS: RangeInclusive<i64> = 7..=28;
