//! Every operator does what ONNX Runtime does.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "not every test uses all of it")]
mod support;

use std::collections::BTreeSet;

use cam_onnx::{Evaluator, operators};
use support::{expected, off, tensor, vectors};

#[test]
fn every_operator_has_a_vector_and_gives_what_onnx_runtime_gives() {
    let expected = expected("operators");
    let mut covered = BTreeSet::new();
    for case in expected["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        covered.insert(case["operator"].as_str().unwrap());
        let file = vectors("operators").join(format!("{name}.onnx"));
        let evaluator = Evaluator::open(&file).unwrap_or_else(|error| panic!("{error}"));
        let inputs: Vec<_> = case["inputs"].as_array().unwrap().iter().map(tensor).collect();
        let found = evaluator.run(&inputs).unwrap_or_else(|problem| panic!("{name}: {problem}"));
        let outputs = case["outputs"].as_array().unwrap();
        assert_eq!(found.len(), outputs.len(), "{name}");
        for (found, output) in found.iter().zip(outputs) {
            let output = tensor(output);
            assert_eq!((found.size(), found.kind()), (output.size(), output.kind()), "{name}");
            let off = off(found, &output);
            assert!(off < 1e-5, "{name}: off by {off}");
        }
    }
    let missing: Vec<_> = operators().iter().filter(|name| !covered.contains(*name)).collect();
    assert!(missing.is_empty(), "operators without a vector: {missing:?}");
    assert!(operators().is_sorted());
}
