//! A run stays within the memory that it was given, under a hard limit on its address space.

#![cfg(target_os = "linux")]
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may panic, and says what it skips"
)]

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use cam_results::{Picture, Run, Status};

const MIB: u64 = 1 << 20;

/// Masks, gradients behind an inner layer, masked activations and curves: everything that comes in batches.
const SWEEP: &str = "\
name: memory
dataset: { manifest: data.yaml }
models:
  - { name: MODEL, weights: seeded, layer: LAYER }
methods: [{ name: rise, n_masks: 24 }, smooth_grad_cam_pp, recipro_cam]
metrics: [drop, { name: deletion, steps: 24 }]
";

/// What a finished run took.
struct Taken {
    /// Largest address space, in bytes.
    address_space: u64,
    /// Images a forward, as planned.
    batch: i64,
}

fn started(folder: &Path, memory: &str, limit: Option<u64>) -> Child {
    let cambench = env!("CARGO_BIN_EXE_cambench");
    let mut command = match limit {
        None => Command::new(cambench),
        Some(limit) => {
            let mut command = Command::new("prlimit");
            command.arg(format!("--as={limit}")).arg(cambench);
            command
        }
    };
    command
        .args(["run", "sweep.yaml", "--out", memory, "--memory", memory, "--device", "cpu"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs to the end; panics with what the run said where it fails.
fn run(folder: &Path, memory: &str, limit: Option<u64>) -> Taken {
    let mut child = started(folder, memory, limit);
    let status = format!("/proc/{}/status", child.id());
    let mut address_space = 0;
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmPeak:"));
        let kilobytes = peak.and_then(|peak| peak.split_whitespace().next()?.parse::<u64>().ok());
        address_space = address_space.max(1024 * kilobytes.unwrap_or_default());
        thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "--memory {memory}, limit {limit:?}: {said}");
    let manifest = fs::read_to_string(folder.join(memory).join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    Taken { address_space, batch: manifest["models"][0]["batch"].as_i64().unwrap() }
}

/// A folder of one photograph and a sweep.
fn workshop(sweep: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let rgb = (0..224 * 224 * 3_u32).map(|i| (i % 251) as u8).collect();
    fs::create_dir(folder.path().join("photos")).unwrap();
    fs::write(folder.path().join("photos/a.png"), Picture::new(224, 224, rgb).png()).unwrap();
    fs::write(folder.path().join("data.yaml"), "root: photos\nlayout: files\n").unwrap();
    fs::write(folder.path().join("sweep.yaml"), sweep).unwrap();
    folder
}

/// Whether the address space of a process can be limited here; says so where it cannot.
fn has_prlimit() -> bool {
    let is_there = Command::new("prlimit").arg("--version").output().is_ok();
    if !is_there {
        println!("skipped: there is no prlimit here");
    }
    is_there
}

#[test]
fn a_batch_that_gets_no_memory_is_a_failed_row_and_the_next_row_is_computed() {
    if !has_prlimit() {
        return;
    }
    // A network on images of 2048 pixels a side, and a user who has promised it more memory than there is.
    let folder = workshop(
        "name: promised\ndataset: { manifest: data.yaml }\nmodels:\n  - { name: tf_efficientnet_lite0, weights: seeded, \
         preprocessing: { resize: 2048, crop: 2048 } }\nmethods: [{ name: rise, n_masks: 16 }, grad_cam]\nmetrics: [drop]\n",
    );
    let one = run(folder.path(), "1MiB", None);
    // A batch of 14 images took 1.5 to 2.2 GiB more than one image where this was measured, and two runs of one image
    // were up to 150 MiB apart: threads reserve 64 MiB each, and malloc takes 256 MiB at a time.
    let output = started(folder.path(), "64GiB", Some(one.address_space + 768 * MIB))
        .wait_with_output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    let run = Run::read(&folder.path().join("64GiB")).unwrap();
    let [rise, grad_cam] = run.records() else { panic!("two rows were planned") };
    assert_eq!((rise.status, grad_cam.status), (Status::Failed, Status::Ok));
    let error = rise.error.as_deref().unwrap();
    assert!(
        error.starts_with("out of memory: ") && error.contains("MiB were asked for"),
        "{error}"
    );
    assert!(said.contains("1 of 2 rows failed"), "{said}");
}

#[test]
fn a_batch_takes_no_more_address_space_than_it_was_given() {
    if !has_prlimit() {
        return;
    }
    for (model, layer, memory) in [
        ("resnet50", "layer3", 700),
        ("vgg16", "features", 900),
        ("tf_efficientnet_lite0", "conv_head", 300),
    ] {
        let folder = workshop(&SWEEP.replace("MODEL", model).replace("LAYER", layer));
        // One image at a time: libraries, weights and everything else that is no batch.
        let one = run(folder.path(), "1MiB", None);
        assert_eq!(one.batch, 1, "{model}");
        let limit = one.address_space + memory * MIB;
        let many = run(folder.path(), &format!("{memory}MiB"), Some(limit));
        assert!(many.batch >= 4, "{model}: the memory is used, for {} images", many.batch);
        assert!(many.address_space <= limit);
    }
}
