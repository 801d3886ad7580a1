//! What can be wrong with an ONNX file.

use std::io;
use std::path::PathBuf;

/// An ONNX file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct OnnxError {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    pub problem: Problem,
}

/// Why an ONNX model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// A file beside it that it keeps weights in cannot be read.
    #[error("its weights are in {}, which cannot be read: {source}{}", file.display(), if source.kind() == io::ErrorKind::NotFound {
        "; that file belongs beside the model, under the name that it was exported with"
    } else { "" })]
    Weights {
        /// That file.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The bytes are no ONNX model.
    #[error("is no ONNX model, or is damaged ({0}); export or copy it again")]
    Damaged(String),
    /// The parts of the graph do not fit together.
    #[error("the graph is wrong: {0}")]
    Graph(String),
    /// Another version of the operators than those that are known here.
    #[error("its operators are of opset {0}; opset {min} to {max} can be read, so export it again with one of those", min = crate::OPSETS.start(), max = crate::OPSETS.end())]
    Opset(i64),
    /// Something that is not supported here.
    #[error("node `{node}` ({operator}, opset {opset}): {what}")]
    Unsupported {
        /// The node's name, or its output's where it has none.
        node: String,
        /// The operator.
        operator: String,
        /// The version of the operators in the file.
        opset: i64,
        /// What is not supported, or wrong with the node.
        what: String,
    },
    /// The graph does not do what a classifier of photographs does.
    #[error("{0}")]
    Interface(String),
}

/// A tensor's name that the graph does not know, or at which it cannot be cut.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}{}; `cambench inspect` lists the tensors at which this network can be cut", cam_core::did_you_mean_aside(.nearest.as_deref()))]
pub struct UnknownTensor {
    /// What is wrong with the name.
    pub reason: String,
    /// The most similar name among the tensors at which the network can be cut.
    pub nearest: Option<String>,
}
