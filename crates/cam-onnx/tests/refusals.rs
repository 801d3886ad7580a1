//! Files that must be refused: with an error that says why, no panic, and no more memory than they are worth.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "not every test uses all of it")]
mod support;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use cam_core::Classifier;
use cam_onnx::{INPUT, Network, Options};
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

/// Damages 10,000 files at random places, the same on every machine. `CAMBENCH_FUZZ_SECONDS` makes it go on for that long,
/// and `CAMBENCH_FUZZ_SEED` from another seed.
#[test]
fn no_damage_makes_it_panic() {
    let setting = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seconds = setting("CAMBENCH_FUZZ_SECONDS");
    let start = std::time::Instant::now();
    let goes_on = |n: usize| match seconds {
        Some(seconds) => start.elapsed().as_secs() < seconds,
        None => n < 10_000,
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("damaged.onnx");
    let originals: Vec<Vec<u8>> = files("networks")
        .iter()
        .chain(&files("operators"))
        .map(|file| fs::read(file).unwrap())
        .collect();
    let mut random = Random(setting("CAMBENCH_FUZZ_SEED").unwrap_or(7));
    let (mut n, mut n_accepted) = (0, 0);
    while goes_on(n) {
        let mut bytes = originals[random.below(originals.len())].clone();
        for _ in 0..=random.below(4) {
            damage(&mut bytes, &mut random);
        }
        fs::write(&file, &bytes).unwrap();
        n += 1;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let Ok(network) = open(&file) else { return false };
            let [height, width] = network.input_size();
            let image = Tensor::zeros([1, 3, height, width], (Kind::Float, Device::Cpu));
            let Ok(cut) = network.cut(INPUT) else { return false };
            assert_eq!(cut.logits(&image).size(), [1, network.n_classes()]);
            true
        }));
        if let Ok(is_accepted) = outcome {
            n_accepted += usize::from(is_accepted);
        } else {
            let kept = std::env::temp_dir().join("cambench-damaged.onnx");
            fs::write(&kept, &bytes).unwrap();
            panic!("a damaged file made it panic; it is at {}", kept.display());
        }
    }
    println!("{n} damaged files, {n_accepted} of them still networks");
    assert!(n_accepted > 0, "damage reaches nothing but the first check");
}

fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    if bytes.is_empty() {
        return;
    }
    let place = random.below(bytes.len());
    match random.below(5) {
        0 => bytes[place] ^= 1 << random.below(8),
        1 => bytes[place] = random.below(256) as u8,
        2 => drop(bytes.remove(place)),
        3 => bytes.insert(place, random.below(256) as u8),
        _ => {
            let end = (place + random.below(16)).min(bytes.len());
            let copy = bytes[place..end].to_vec();
            let to = random.below(bytes.len());
            bytes.splice(to..to, copy);
        }
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}

/// The largest resident memory of this process so far, in bytes.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}
