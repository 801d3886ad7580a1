//! Tensors as the vectors store them.

pub(crate) mod model;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tch::{Kind, Tensor};

pub(crate) fn vectors(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(folder)
}

pub(crate) fn expected(folder: &str) -> Value {
    serde_json::from_slice(&fs::read(vectors(folder).join("expected.json")).unwrap()).unwrap()
}

/// A tensor of numbers, `NaN` included.
pub(crate) fn tensor(value: &Value) -> Tensor {
    let number = |x: &Value| match x {
        Value::Bool(flag) => f64::from(u8::from(*flag)),
        _ => x.as_f64().unwrap_or(f64::NAN),
    };
    let numbers: Vec<f64> = value["numbers"].as_array().unwrap().iter().map(number).collect();
    let shape: Vec<i64> =
        value["shape"].as_array().unwrap().iter().map(|side| side.as_i64().unwrap()).collect();
    let kind = match value["type"].as_str().unwrap() {
        "float32" => Kind::Float,
        "int64" => Kind::Int64,
        "bool" => Kind::Bool,
        other => panic!("no vector is of type {other}"),
    };
    Tensor::from_slice(&numbers).reshape(shape).to_kind(kind)
}

/// The largest difference, relative to the largest number.
pub(crate) fn off(found: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(found.size(), expected.size());
    let [found, expected] = [found, expected].map(|x| x.to_kind(Kind::Double));
    let difference = (found - &expected).abs().max().double_value(&[]);
    difference / expected.abs().max().double_value(&[]).max(1.0)
}
