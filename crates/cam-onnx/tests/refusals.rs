//! Files that must be refused: with an error that says why, no panic, and no more memory than they are worth.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "not every test uses all of it")]
mod support;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use cam_onnx::{Network, Options};
use support::model::{
    Model,
    Value::{Int, Ints},
    message, whole,
};
use support::vectors;
use tch::{Device, Kind, Tensor};

fn open(path: &Path) -> Result<Network, String> {
    let options = Options { input_side: None, ..Options::default() };
    Network::open(path, &options).map_err(|error| error.to_string())
}

fn files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(vectors(folder)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "onnx"));
    files.sort();
    files
}

#[test]
fn every_hostile_file_is_refused_by_name_and_costs_little_memory() {
    let files = files("hostile");
    assert!(files.len() > 50, "only {} files", files.len());
    for file in files {
        let outcome = catch_unwind(AssertUnwindSafe(|| open(&file)));
        let outcome = outcome.unwrap_or_else(|_| panic!("{} made it panic", file.display()));
        let Err(error) = outcome else { panic!("{} was accepted", file.display()) };
        assert!(error.starts_with(&file.display().to_string()), "{error}");
    }
    if let Some(peak) = peak_memory() {
        // libtorch itself is half of it.
        assert!(peak < 2 << 30, "{peak} bytes at the peak");
    }
}

#[test]
fn messages_say_what_is_wrong_and_where() {
    let cases = [
        ("cycle", "is needed to make itself"),
        ("missing_input", "nothing makes its input `nothing`"),
        ("missing_output", "nothing makes the output `scores`"),
        ("no_output", "it has no output"),
        ("made_twice", "two nodes make `x`"),
        (
            "unknown_operator",
            "node `strange` (Frobnicate, opset 17): the operator is not supported",
        ),
        ("unknown_domain", "operators of `com.example` are not supported"),
        ("unknown_attribute", "(Relu, opset 17): attribute `wrong` is not supported"),
        ("wrong_attribute_type", "attribute `kernel_shape` is of type STRING and not INTS"),
        ("huge_fill", "is too large"),
        ("gray", "its input `images` has the shape [1, 1, 8, 8]"),
        ("old_opset", "its operators are of opset 3"),
        ("claims_two_gigabytes", "has 536870912 numbers, and there are 1 in the file"),
        ("climbs_out", "outside of the model's folder"),
        ("hides_climbing", "outside of the model's folder"),
        ("absolute_path", "outside of the model's folder"),
        ("no_such_data", "that file belongs beside the model"),
        ("text", "is no ONNX model, or is damaged"),
    ];
    for (name, expected) in cases {
        let error = open(&vectors("hostile").join(format!("{name}.onnx"))).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn what_is_made_on_the_way_is_bounded_one_by_one_and_together() {
    let model = || Model { batch: Some(1), side: 64, ..Model::default() };
    let many = |name: &str| [name].repeat(400).join(" ");
    let joined = model().node("Concat", &many("images"), "long", &[("axis", Int(2))]).node(
        "Concat",
        &many("long"),
        "x",
        &[("axis", Int(2))],
    );
    let looked_up = model()
        .weight("places", &Tensor::zeros([20_000, 1], (Kind::Int64, Device::Cpu)))
        .node("GatherND", "images places", "x", &[]);
    let normalized = model().node("LRN", "images", "x", &[("size", Int(1 << 16))]);
    // Each is allowed, and there is one too many.
    let together = model()
        .weight("large", &whole(&[1, 3, 6400, 6400]))
        .node("ReduceMean", "images", "mean", &[("axes", Ints(&[2, 3]))])
        .node("Expand", "mean large", "a", &[])
        .node("Expand", "mean large", "b", &[])
        .node("Expand", "mean large", "c", &[])
        .node("Expand", "mean large", "d", &[])
        .node("Sum", "a b c d", "x", &[]);
    let folder = tempfile::tempdir().unwrap();
    for (name, model) in [
        ("joined", joined),
        ("looked_up", looked_up),
        ("normalized", normalized),
        ("together", together),
    ] {
        let model = model.node("ReduceMean", "x", "p", &[("axes", Ints(&[2, 3]))]).node(
            "Flatten",
            "p",
            "scores",
            &[],
        );
        let error = open(&model.write(folder.path(), name)).unwrap_err();
        assert!(error.contains("too large"), "{error}");
    }
}

#[test]
fn a_file_of_more_nodes_than_a_network_has_is_refused_before_they_are_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("empty.onnx");
    // Nodes, and attributes of one.
    let node = message(1, &message(5, &[]).repeat(1_000_000));
    for nodes in [message(1, &[]).repeat(5_000_000), node] {
        fs::write(&file, message(7, &nodes)).unwrap();
        let error = open(&file).unwrap_err();
        assert!(error.contains("parts, and no more than 262144 are read"), "{error}");
    }
    let mut model = Model::default();
    for index in 0..40_000 {
        let before = if index == 0 { "images".to_owned() } else { format!("x{}", index - 1) };
        model = model.node("Relu", &before, &format!("x{index}"), &[]);
    }
    let error = open(&model.write(folder.path(), "long")).unwrap_err();
    assert!(error.contains("it has 40000 nodes, and no more than 32768 are read"), "{error}");
}

#[test]
fn a_file_cut_off_anywhere_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cut.onnx");
    let whole = fs::read(vectors("networks").join("residual.onnx")).unwrap();
    for end in (0..whole.len()).step_by(whole.len() / 60) {
        fs::write(&file, &whole[..end]).unwrap();
        assert!(open(&file).is_err(), "its first {end} bytes were accepted");
    }
}

#[test]
fn a_link_out_of_the_folder_is_not_followed() {
    #[cfg(unix)]
    {
        let folder = tempfile::tempdir().unwrap();
        let model = vectors("networks").join("residual_external.onnx");
        let copy = folder.path().join("model.onnx");
        fs::copy(model, &copy).unwrap();
        let data = vectors("networks").join("residual_external.data");
        std::os::unix::fs::symlink(data, folder.path().join("residual_external.data")).unwrap();
        let error = open(&copy).unwrap_err();
        assert!(error.contains("outside of the model's folder"), "{error}");
    }
}

/// The largest resident memory of this process so far, in bytes.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}
