//! Any graph, evaluated as it stands in its file: for tests of the operators.

use std::path::Path;

use prost::Message as _;
use prost::bytes::Bytes;
use tch::Tensor;

use crate::budget::Careful;
use crate::error::{OnnxError, Problem};
use crate::graph::{Graph, MAX_BYTES};
use crate::ops::OPERATORS;
use crate::proto::TensorProto;
use crate::tensors::{self, ExternalData};

/// A graph of any inputs and outputs, without a single pass over it.
#[derive(Debug)]
pub struct Evaluator {
    graph: Graph,
}

impl Evaluator {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// As [`crate::Network::open`], but for what only a classifier has.
    pub fn open(path: &Path) -> Result<Self, OnnxError> {
        Ok(Self { graph: Graph::open(path)? })
    }

    /// Names of the inputs, in the file's order.
    pub fn inputs(&self) -> Vec<&str> {
        self.graph.inputs.iter().map(|input| self.graph.names[input.value].as_str()).collect()
    }

    /// The outputs, in the file's order, of inputs in the file's order.
    ///
    /// # Errors
    ///
    /// An operator cannot take what it is given.
    pub fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, Problem> {
        let _careful = Careful::new();
        let values = self.graph.inputs.iter().map(|input| input.value);
        let given: Vec<_> = values.zip(inputs.iter().map(Tensor::shallow_clone)).collect();
        let outputs = &self.graph.outputs;
        let trace = self.graph.trace(&given, 1, &|value| outputs.contains(&value))?;
        let found = |value: &usize| {
            trace
                .tensors
                .get(value)
                .map(Tensor::shallow_clone)
                .or_else(|| self.graph.known(*value, 1))
        };
        let missing = || Problem::Graph("an output is missing".into());
        outputs.iter().map(|value| found(value).ok_or_else(missing)).collect()
    }
}

/// A tensor from a file that holds nothing else, as the ONNX project keeps its test vectors.
///
/// # Errors
///
/// The file cannot be read, or holds something else.
pub fn read_tensor(path: &Path) -> Result<Tensor, OnnxError> {
    let read = || -> Result<Tensor, Problem> {
        let bytes = cam_core::read_file(path, MAX_BYTES)?;
        let proto = TensorProto::decode(Bytes::from(bytes))
            .map_err(|error| Problem::Damaged(error.to_string()))?;
        tensors::tensor(&proto, &ExternalData::default())
    };
    read().map_err(|problem| OnnxError { path: path.to_path_buf(), problem })
}

/// Names of the operators that can be run, in alphabetic order.
pub fn operators() -> &'static [&'static str] {
    OPERATORS
}
