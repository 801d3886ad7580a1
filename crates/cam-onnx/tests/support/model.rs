//! ONNX files of a few nodes, written down by a test. The format is written by hand, because the tests of another crate, which
//! knows no schema, build such files too.

use std::fs;
use std::path::{Path, PathBuf};

use tch::{Device, Kind, Tensor};

/// Numbers of the schema for element types.
pub(crate) const FLOAT: i64 = 1;
pub(crate) const INT64: i64 = 7;
pub(crate) const HALF: i64 = 10;

/// An attribute's value.
pub(crate) enum Value<'a> {
    Int(i64),
    Ints(&'a [i64]),
    Text(&'a str),
}

use Value::{Int, Ints};

/// A graph that makes `scores` of `images`, `[N, 3, side, side]`. Nodes have no names.
pub(crate) struct Model {
    pub(crate) opset: i64,
    pub(crate) ir: i64,
    /// N; any number where `None`.
    pub(crate) batch: Option<i64>,
    pub(crate) side: i64,
    /// Whether weights of floats are kept in half precision.
    pub(crate) is_half: bool,
    /// Names and element types.
    pub(crate) outputs: Vec<(&'static str, i64)>,
    pub(crate) nodes: Vec<u8>,
    pub(crate) weights: Vec<(String, Tensor)>,
}

impl Default for Model {
    fn default() -> Self {
        let (opset, ir, batch, side, is_half) = (17, 8, None, 16, false);
        let outputs = vec![("scores", FLOAT)];
        Self { opset, ir, batch, side, is_half, outputs, nodes: vec![], weights: vec![] }
    }
}

impl Model {
    /// One more node; names are divided by spaces, and `-` is an input that is left out.
    pub(crate) fn node(
        mut self,
        operator: &str,
        inputs: &str,
        outputs: &str,
        attributes: &[(&str, Value<'_>)],
    ) -> Self {
        let mut node = vec![];
        for name in inputs.split_whitespace() {
            node.extend(message(1, name.trim_matches('-').as_bytes()));
        }
        for name in outputs.split_whitespace() {
            node.extend(message(2, name.as_bytes()));
        }
        node.extend(message(4, operator.as_bytes()));
        for (name, value) in attributes {
            let mut attribute = message(1, name.as_bytes());
            attribute.extend(match value {
                Int(value) => [number(3, *value), number(20, 2)].concat(),
                Value::Text(text) => [message(4, text.as_bytes()), number(20, 3)].concat(),
                Ints(values) => {
                    let values = values.iter().flat_map(|value| number(8, *value));
                    values.chain(number(20, 7)).collect()
                }
            });
            node.extend(message(5, &attribute));
        }
        self.nodes.extend(message(1, &node));
        self
    }

    /// One more weight.
    pub(crate) fn weight(mut self, name: &str, tensor: &Tensor) -> Self {
        self.weights.push((name.to_owned(), tensor.shallow_clone()));
        self
    }

    /// A convolution and a ReLU: `r`, `[N, 8, side / 4, side / 4]`.
    pub(crate) fn stem(self, images: &str) -> Self {
        self.weight("w", &waves(&[8, 3, 3, 3]))
            .weight("b", &waves(&[8]))
            .node(
                "Conv",
                &format!("{images} w b"),
                "c",
                &[("strides", Ints(&[4, 4])), ("pads", Ints(&[1, 1, 1, 1]))],
            )
            .node("Relu", "c", "r", &[])
    }

    /// A pooling of 8 channels, and a linear layer for 6 classes.
    pub(crate) fn head(self, pooling: &str, from: &str, to: &str) -> Self {
        self.weight("linear", &waves(&[6, 8]))
            .weight("offset", &waves(&[6]))
            .node(pooling, from, "pooled", &[])
            .node("Flatten", "pooled", "flat", &[])
            .node("Gemm", "flat linear offset", to, &[("transB", Int(1))])
    }

    /// The file's bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut graph = self.nodes.clone();
        graph.extend(message(2, b"graph"));
        let side = |length: Option<i64>| {
            let length = length.map_or_else(|| message(2, b"N"), |length| number(1, length));
            message(1, &length)
        };
        let sides = [self.batch, Some(3), Some(self.side), Some(self.side)];
        let sides: Vec<u8> = sides.into_iter().flat_map(side).collect();
        graph.extend(message(11, &info("images", FLOAT, Some(&sides))));
        for (name, tensor) in &self.weights {
            let is_float = tensor.kind() == Kind::Float;
            let kind = if self.is_half && is_float { Kind::Half } else { tensor.kind() };
            let tensor = tensor.to_kind(kind).contiguous();
            let element_type = match kind {
                Kind::Float => FLOAT,
                Kind::Half => HALF,
                Kind::Int64 => INT64,
                other => panic!("no test has weights of type {other:?}"),
            };
            let mut bytes = vec![0; tensor.numel() * kind.elt_size_in_bytes()];
            tensor.copy_data_u8(&mut bytes, tensor.numel());
            let dims: Vec<u8> =
                tensor.size().into_iter().flat_map(|side| number(1, side)).collect();
            let parts = [number(2, element_type), message(8, name.as_bytes()), message(9, &bytes)];
            graph.extend(message(5, &[dims, parts.concat()].concat()));
            // Until IR version 3 weights are inputs, too.
            if self.ir < 4 {
                let size = tensor.size();
                let sides: Vec<u8> = size.into_iter().map(Some).flat_map(side).collect();
                graph.extend(message(11, &info(name, element_type, Some(&sides))));
            }
        }
        for (name, element_type) in &self.outputs {
            graph.extend(message(12, &info(name, *element_type, None)));
        }
        let operators = number(2, self.opset);
        [number(1, self.ir), message(7, &graph), message(8, &operators)].concat()
    }

    /// The file in a folder.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(format!("{name}.onnx"));
        fs::write(&path, self.bytes()).unwrap();
        path
    }
}

/// Numbers that go up and down.
pub(crate) fn waves(shape: &[i64]) -> Tensor {
    let n = shape.iter().product::<i64>();
    (Tensor::arange(n, (Kind::Float, Device::Cpu)) * 0.7).sin().reshape(shape) * 0.4
}

/// Whole numbers, as shapes and indices are.
pub(crate) fn whole(numbers: &[i64]) -> Tensor {
    Tensor::from_slice(numbers)
}

/// What is said of an input or output; an open shape where there are no sides.
fn info(name: &str, element_type: i64, sides: Option<&[u8]>) -> Vec<u8> {
    let shape = sides.map(|sides| message(2, sides)).unwrap_or_default();
    let tensor = message(1, &[number(1, element_type), shape].concat());
    [message(1, name.as_bytes()), message(2, &tensor)].concat()
}

/// A field that is a message, a text or bytes.
pub(crate) fn message(field: u64, bytes: &[u8]) -> Vec<u8> {
    [varint(8 * field + 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// A field that is a whole number.
fn number(field: u64, value: i64) -> Vec<u8> {
    [varint(8 * field), varint(value as u64)].concat()
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut digits = vec![];
    while number >= 128 {
        digits.push((number % 128 + 128) as u8);
        number /= 128;
    }
    digits.push(number as u8);
    digits
}
