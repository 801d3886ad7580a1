//! Files that must be refused: with an error that says why, no panic, and no more memory than they are worth.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "not every test uses all of it")]
mod support;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use cam_onnx::{Network, Options};
use support::vectors;

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
        ("no_such_data", "cannot read"),
        ("text", "is no ONNX model, or is damaged"),
    ];
    for (name, expected) in cases {
        let error = open(&vectors("hostile").join(format!("{name}.onnx"))).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
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
