//! Every operator does what ONNX Runtime does.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "not every test uses all of it")]
mod support;

use std::collections::BTreeSet;

use cam_onnx::{Evaluator, operators};
use support::model::{Model, Value::Text, whole};
use support::{expected, off, tensor, vectors};
use tch::{Device, Kind, Tensor};

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

/// What the node of a vector makes of other inputs.
fn run(name: &str, inputs: &[Tensor]) -> Tensor {
    let file = vectors("operators").join(format!("{name}.onnx"));
    Evaluator::open(&file).unwrap().run(inputs).unwrap().remove(0)
}

#[test]
fn the_least_whole_number_divided_by_minus_one_is_itself_and_traps_no_processor() {
    for (least, kind) in [(i64::MIN, Kind::Int64), (i64::from(i32::MIN), Kind::Int)] {
        let [x, y] = [[least, 7, -7], [-1, -1, 2]].map(|list| whole(&list).to_kind(kind));
        let expected = whole(&[least, -7, -3]).to_kind(kind);
        assert_eq!(run("div_whole", &[x, y]), expected);
    }
    // 255 is -1 only to a byte.
    let [x, y] = [[255, 200], [255, 3]].map(|list| whole(&list).to_kind(Kind::Uint8));
    assert_eq!(run("div_whole", &[x, y]), whole(&[1, 66]).to_kind(Kind::Uint8));
}

#[test]
fn a_shape_without_sides_is_a_single_number() {
    let filled = run("constant_of_shape", &[Tensor::zeros([0], (Kind::Int64, Device::Cpu))]);
    assert_eq!((filled.size(), filled.int64_value(&[])), (vec![], 4));
}

#[test]
fn a_slice_backwards_from_before_the_first_entry_begins_with_it() {
    let line = Tensor::arange(5, (Kind::Float, Device::Cpu));
    let bounds = [-20, -30, 0, -1].map(|bound| whole(&[bound]));
    let inputs: Vec<Tensor> = [line].into_iter().chain(bounds).collect();
    assert_eq!(run("slice_backwards", &inputs), Tensor::from_slice(&[0.0_f32]));
}

#[test]
fn the_nearest_cell_is_that_of_the_exact_quotient() {
    let exact = |side: i64, target: i64| -> Vec<i64> {
        (0..target).map(|place| place * side / target).collect()
    };
    let cells = |resized: &Tensor| {
        Vec::<i64>::try_from(resized.select(2, 0).reshape([-1]).to_kind(Kind::Int64)).unwrap()
    };
    let line = |side: i64| Tensor::arange(side, (Kind::Float, Device::Cpu)).view([1, 1, 1, side]);
    // By scales, which are a hair more or less than what they stand for; for these, in 32-bit floats, the quotient is exact.
    for (side, scale, target) in
        [(10, 1.6, 16), (35, 1.6, 56), (10, 1.2, 12), (10, 0.7, 7), (20, 0.7, 14)]
    {
        let scales = Tensor::from_slice(&[1.0, 1.0, 1.0, scale]).to_kind(Kind::Float);
        let found = run("resize_floor", &[line(side), scales]);
        assert_eq!(cells(&found), exact(side, target), "{side} by {scale}");
    }
    let folder = tempfile::tempdir().unwrap();
    for side in [10, 49] {
        for target in 1..130 {
            let floor = [
                ("coordinate_transformation_mode", Text("asymmetric")),
                ("nearest_mode", Text("floor")),
            ];
            let model = Model { side, ..Model::default() }
                .weight("sizes", &whole(&[1, 1, 1, target]))
                .node("Resize", "images - - sizes", "scores", &floor);
            let file = model.write(folder.path(), "resize");
            let found = Evaluator::open(&file).unwrap().run(&[line(side)]).unwrap().remove(0);
            assert_eq!(cells(&found), exact(side, target), "{side} to {target}");
        }
    }
}
