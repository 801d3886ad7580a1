//! Damage at random to small files of every kind, behind whatever checksums and lengths keep damage out.
//!
//! An ordinary test takes a fixed number of inputs from a fixed seed, a second or so for each target. `CAMBENCH_FUZZ_SECONDS`
//! makes it go on for that long, and `CAMBENCH_FUZZ_SEED` from another seed; `cargo xtask fuzz` does so for all of them. An
//! input that breaks the law is left in `target/tmp`, under the target's name.

use std::{
    env, fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    allocator::{peak_during, status},
    alone,
    files::{
        self, View, checkpoint, cut_run, floats, journal_line, journal_rows, npy, npy_header,
        photograph, png, run, safetensors, state_dict, vector, vectors,
    },
    loaders::{self, Answer},
    mutate::Mutator,
};

/// A kind of file, and a loader of it.
struct Target {
    name: &'static str,
    /// What is damaged.
    originals: Vec<Vec<u8>>,
    /// Words of the format.
    words: &'static [&'static str],
    /// Puts damaged bytes into a folder that is the same for all of them, with right checksums, and says what to load.
    place: fn(&Path, &[u8]) -> PathBuf,
    load: fn(&Path) -> Answer,
    /// The most that Rust code may hold at once, in MiB.
    limit: usize,
    /// How many inputs an ordinary test takes.
    n_inputs: usize,
}

/// A test for each target.
macro_rules! targets {
    ($($name:ident: $target:expr,)*) => {
        $(
            #[test]
            fn $name() {
                fuzz(&Target { name: stringify!($name), ..$target });
            }
        )*
    };
}

targets! {
    weights_pickle: Target {
        originals: vec![
            state_dict(&[View::default(), View { name: "fc.bias", shape: &[2], stride: &[1], offset: 4, ..View::default() }]),
            entry(&vector("cam-models/tiny-zip.pth"), "data.pkl"),
            entry(&vector("cam-models/tiny-nested.pth"), "data.pkl"),
        ],
        place: |folder, pickle| {
            let storages = ["0", "1", "2", "3"].map(|key| (key, floats(24)));
            let storages = storages.each_ref().map(|(key, bytes)| (*key, &bytes[..]));
            written(folder, "a.pth", &checkpoint(pickle, &storages))
        },
        load: loaders::weights,
        limit: 256,
        ..of_bytes(4000)
    },
    weights_archive: Target {
        originals: ["tiny-zip", "tiny-nested", "hostile-zip"]
            .map(|name| vector(&format!("cam-models/{name}.pth"))).to_vec(),
        place: |folder, bytes| written(folder, "a.pth", bytes),
        load: loaders::weights,
        limit: 256,
        ..of_bytes(4000)
    },
    weights_of_old: Target {
        originals: ["tiny-legacy", "hostile-legacy"]
            .map(|name| vector(&format!("cam-models/{name}.pth"))).to_vec(),
        place: |folder, bytes| written(folder, "a.pth", bytes),
        load: loaders::weights,
        limit: 256,
        ..of_bytes(4000)
    },
    weights_safetensors: Target {
        originals: vec![
            header(&vector("cam-models/tiny.safetensors")),
            br#"{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"F16","shape":[2],"data_offsets":[24,28]}}"#.to_vec(),
        ],
        words: &["{", "}", "[", "]", ",", ":", "\"", "\"F64\"", "\"BF16\"", "\"I64\"", "null", "\\u0000"],
        place: |folder, header| {
            let header = String::from_utf8_lossy(header);
            written(folder, "a.safetensors", &safetensors(&header, &floats(7)))
        },
        load: loaders::weights,
        limit: 64,
        ..of_bytes(4000)
    },
    onnx: Target {
        originals: ["networks", "operators"].iter().flat_map(|folder| onnx_files(folder)).collect(),
        place: |folder, bytes| written(folder, "a.onnx", bytes),
        load: loaders::onnx,
        limit: 512,
        ..of_bytes(4000)
    },
    image_jpeg: Target {
        originals: images("jpeg-"),
        place: |folder, bytes| written(folder, "a.jpg", bytes),
        load: loaders::image,
        limit: 1024,
        ..of_bytes(1000)
    },
    image_png: Target {
        originals: images("png-"),
        place: |folder, bytes| {
            let chunks = files::chunks(bytes);
            let chunks: Vec<_> = chunks.iter().map(|(kind, data)| (kind, &data[..])).collect();
            written(folder, "a.png", &png(&chunks))
        },
        load: loaders::image,
        limit: 1024,
        ..of_bytes(1000)
    },
    map_npy: Target {
        originals: ["'<f4'", "'|u1'", "'<f8'"].iter().flat_map(|descr| {
            ["False", "True"].map(|order| npy_header(descr.trim_matches('\''), order, "2, 3").into_bytes())
        }).collect(),
        words: &["'", "{", "}", "(", ")", ",", ":", "True", "None", "'<f2'", "'<i8'", "'|b1'", "\n"],
        place: |folder, header| {
            let header = String::from_utf8_lossy(header);
            written(folder, "a.npy", &npy(&header, &floats(6)))
        },
        load: loaders::map,
        limit: 256,
        ..of_bytes(4000)
    },
    sweep: Target {
        originals: sweeps(),
        words: YAML,
        place: |folder, bytes| written(folder, "sweep.yaml", bytes),
        load: loaders::sweep,
        limit: 64,
        ..of_bytes(2000)
    },
    data_manifest: Target {
        originals: vec![
            b"name: a\nroot: images\nlayout: files\nlimit: 3\nseed: 7\nexif: apply\n".to_vec(),
            b"root: images\nlayout: csv\ncsv: list.csv\nper_class: 1\n".to_vec(),
            b"root: images\nlayout: grid\ngrid: { side: 2, of: folders, seed: 1 }\n".to_vec(),
        ],
        words: YAML,
        place: |folder, bytes| {
            data_set(folder);
            written(folder, "data.yaml", bytes)
        },
        load: loaders::listing,
        limit: 64,
        ..of_bytes(2000)
    },
    data_list: Target {
        originals: vec![
            b"path,label,sha256,xmin,ymin,xmax,ymax\na.png,7,,1,2,30,40\nsub/b.png,n01440764,,,,,\n".to_vec(),
            b"ImageId,PredictionString\na,n01440764 1 2 30 40 n01440764 5 6 7 8\n".to_vec(),
        ],
        words: &[",", "\"", "\n", "\r\n", "..", "/", "\\", "NaN", "inf", "-", "path", "label", "xmin", "\0"],
        place: |folder, bytes| {
            data_set(folder);
            written(folder, "list.csv", bytes);
            written(folder, "data.yaml", b"root: images\nlayout: csv\ncsv: list.csv\n")
        },
        load: loaders::dataset,
        limit: 64,
        ..of_bytes(2000)
    },
    run_manifest: Target {
        originals: vec![serde_json::to_vec_pretty(&files::manifest()).unwrap()],
        words: JSON,
        place: |folder, bytes| {
            let run = made_once(folder, true);
            let damaged = run.join("manifest.json");
            fs::write(damaged, String::from_utf8_lossy(bytes).replacen("\"running\"", "\"finished\"", 1)).unwrap();
            run
        },
        load: loaders::run,
        limit: 256,
        ..of_bytes(300)
    },
    run_journal: Target {
        originals: vec![rows()],
        words: JSON,
        place: |folder, bytes| {
            let run = made_once(folder, false);
            let lines = bytes.split(|byte| *byte == b'\n').map(|row| journal_line("row", row));
            fs::write(run.join("journal.jsonl"), lines.collect::<Vec<_>>().concat()).unwrap();
            run
        },
        load: |folder| {
            let read = loaders::run(folder);
            loaders::continued(folder)?;
            read
        },
        limit: 256,
        ..of_bytes(300)
    },
    run_records: Target { originals: vec![table("records")], place: |f, b| placed(f, "records", b), ..of_tables() },
    run_curves: Target { originals: vec![table("curves")], place: |f, b| placed(f, "curves", b), ..of_tables() },
    run_maps: Target { originals: vec![table("maps")], place: |f, b| placed(f, "maps", b), ..of_tables() },
    shard_plan: Target {
        originals: vec![fs::read(cut_run(tempfile::tempdir().unwrap().path()).join("shards/plan.json")).unwrap()],
        words: JSON,
        place: |folder, bytes| {
            let run = cut_run(folder);
            fs::write(run.join("shards/plan.json"), bytes).unwrap();
            run
        },
        load: loaders::cut_run,
        limit: 256,
        ..of_bytes(300)
    },
    shard_failure: Target {
        originals: vec![br#"{"shard":1,"host":"here","message":"no space left"}"#.to_vec()],
        words: JSON,
        place: |folder, bytes| {
            let run = cut_run(folder);
            fs::create_dir_all(run.join("shards/failed")).unwrap();
            fs::write(run.join("shards/failed/000001.000000.7.json"), bytes).unwrap();
            run
        },
        load: loaders::cut_run,
        limit: 256,
        ..of_bytes(300)
    },
}

const YAML: &[&str] = &[
    "&a ",
    "*a",
    "<<: ",
    "!!binary ",
    "!x ",
    "---\n",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ": ",
    ",",
    "\"",
    "'",
    "|\n",
    ">\n",
    "\t",
    "\n",
    "  ",
    "#",
    "~",
    "true",
    "? ",
    "%YAML 1.2\n",
    "\0",
    "../",
    "${HOME}",
    "cam",
    "rise",
    "drop",
];

const JSON: &[&str] = &[
    "{", "}", "[", "]", ",", ":", "\"", "\"\"", "null", "true", "-", "\\u0000", "\\ud800", "\n",
    "[[[[", "finished", "running", "lower", "higher",
];

/// A target of plain bytes.
fn of_bytes(n_inputs: usize) -> Target {
    Target {
        name: "",
        originals: vec![],
        words: &[],
        place: |folder, bytes| written(folder, "a", bytes),
        load: |_| Err(String::new()),
        limit: 64,
        n_inputs,
    }
}

fn of_tables() -> Target {
    Target { load: loaders::run, limit: 512, ..of_bytes(500) }
}

fn written(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// An entry of a ZIP archive, by the end of its name.
fn entry(archive: &[u8], end: &str) -> Vec<u8> {
    use std::io::{Cursor, Read as _};
    let mut archive = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
    let names: Vec<String> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
    let name = names.iter().find(|name| name.ends_with(end)).unwrap();
    let mut bytes = vec![];
    archive.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// The header of a `.safetensors` file.
fn header(file: &[u8]) -> Vec<u8> {
    let (length, rest) = file.split_first_chunk().unwrap();
    rest[..u64::from_le_bytes(*length) as usize].to_vec()
}

/// Files of a folder whose names begin and end like this.
fn of_folder(folder: &Path, start: &str, end: &str) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_meant = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with(start) && name.ends_with(end)
    };
    let mut paths: Vec<PathBuf> = entries.filter(is_meant).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn onnx_files(folder: &str) -> Vec<Vec<u8>> {
    of_folder(&vectors(&format!("cam-onnx/{folder}")), "", ".onnx")
}

fn images(start: &str) -> Vec<Vec<u8>> {
    of_folder(&vectors("cam-data/images"), start, "g")
}

/// The small ones of the sweeps that come with the repository.
fn sweeps() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let mut sweeps = of_folder(&folder, "", ".yaml");
    sweeps.retain(|sweep| sweep.len() < 4096);
    sweeps
}

/// A folder of two images, where there is none yet.
fn data_set(folder: &Path) {
    let images = folder.join("images");
    if !images.exists() {
        fs::create_dir_all(images.join("sub")).unwrap();
        for name in ["a.png", "a.JPEG", "sub/b.png"] {
            fs::write(images.join(name), photograph()).unwrap();
        }
    }
}

/// A run of three images and two methods, where there is none yet.
fn made_once(folder: &Path, is_finished: bool) -> PathBuf {
    let path = folder.join("run");
    if !path.exists() {
        run(&path, is_finished);
        files::forget_hashes(&path);
    }
    path
}

/// The rows of a run, as a journal has them, a line each.
fn rows() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let run = run(&folder.path().join("run"), false);
    journal_rows(&fs::read(run.join("journal.jsonl")).unwrap()).join(&b'\n')
}

/// A Parquet file of a run.
fn table(name: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let run = run(&folder.path().join("run"), true);
    fs::read(run.join(format!("{name}.parquet"))).unwrap()
}

/// A damaged Parquet file in a run whose other files are whole.
fn placed(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let run = made_once(folder, true);
    written(&run, &format!("{name}.parquet"), bytes);
    run
}

/// How long one input may take: so many times a tenth of a second in which this process was running.
const MAX_TICKS: usize = 100;

fn fuzz(target: &Target) {
    let _alone = alone();
    let setting = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seconds = setting("CAMBENCH_FUZZ_SECONDS");
    let goes_on = |n: usize, start: Instant| match seconds {
        Some(seconds) => start.elapsed().as_secs() < seconds,
        None => n < target.n_inputs,
    };
    let folder = tempfile::tempdir().unwrap();
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}", target.name));
    let mut mutator = Mutator::new(setting("CAMBENCH_FUZZ_SEED").unwrap_or(7), target.words);
    let begun = Arc::new(AtomicUsize::new(0));
    let _watch = Watch::over(&begun, kept.clone());
    let panics = Panics::listen();
    let (start, mut n_read, mut largest) = (Instant::now(), 0, 0);
    while goes_on(begun.load(Relaxed), start) {
        let bytes = mutator.damaged(&target.originals);
        // It is there even where this process ends.
        fs::write(&kept, &bytes).unwrap();
        let path = (target.place)(folder.path(), &bytes);
        begun.fetch_add(1, Relaxed);
        let (outcome, peak) =
            peak_during(|| catch_unwind(AssertUnwindSafe(|| (target.load)(&path))));
        largest = largest.max(peak);
        let where_ = format!("{}; the damaged bytes are in {}", panics.last(), kept.display());
        let answer = outcome.unwrap_or_else(|_| panic!("the loader panicked: {where_}"));
        assert!(peak >> 20 <= target.limit, "{} MiB were taken: {where_}", peak >> 20);
        match answer {
            Ok(_) => n_read += 1,
            Err(error) => {
                let folder = folder.path().to_str().unwrap();
                assert!(error.contains(folder), "`{error}` does not name the file: {where_}");
            }
        }
    }
    assert!(n_read > 0, "damage reaches nothing but the first check");
    fs::remove_file(&kept).unwrap();
    let summary: Value = json!({
        "target": target.name,
        "inputs": begun.load(Relaxed),
        "read": n_read,
        "seconds": start.elapsed().as_secs(),
        "peak_mib": largest >> 20,
        "resident_mib": status("VmHWM:") >> 20,
        "caught": panics.count(),
    });
    println!("fuzzed {summary}");
}

/// Ends the process where one input takes too long: nothing else can be done about it.
struct Watch(Arc<AtomicBool>);

impl Watch {
    fn over(begun: &Arc<AtomicUsize>, kept: PathBuf) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (ended, begun) = (Arc::clone(&is_over), Arc::clone(begun));
        thread::spawn(move || {
            let (mut last, mut ticks) = (0, 0);
            while !ended.load(Relaxed) {
                thread::sleep(Duration::from_millis(100));
                let now = begun.load(Relaxed);
                ticks = if now == last { ticks + 1 } else { 0 };
                last = now;
                if ticks > MAX_TICKS {
                    println!("an input takes more than ten seconds: {}", kept.display());
                    std::process::abort();
                }
            }
        });
        Self(is_over)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Panics, which are counted and not printed: loaders catch those of other libraries, thousands of them.
struct Panics(Arc<Mutex<(usize, String)>>);

impl Panics {
    fn listen() -> Self {
        let heard = Arc::new(Mutex::new((0, String::new())));
        let told = Arc::clone(&heard);
        std::panic::set_hook(Box::new(move |panic| {
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            *told = (told.0 + 1, panic.to_string());
        }));
        Self(heard)
    }

    fn last(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("{}", self.last());
        } else {
            drop(std::panic::take_hook());
        }
    }
}
