//! The official ONNX schema, compiled from `proto/onnx.proto` when this crate is built.

#![allow(
    clippy::all,
    clippy::pedantic,
    missing_docs,
    unreachable_pub,
    reason = "prost writes this code"
)]

include!(concat!(env!("OUT_DIR"), "/onnx.rs"));
