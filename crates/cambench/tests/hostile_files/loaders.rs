//! Every loader, reading what lies at a path and all that can be had from it.

use std::{fs, path::Path, process::Command};

use cam_core::{Classifier, Interpolation, Preprocessing, Resize};
use cam_data::{Dataset, Limits, Orientation, Photo, prefetch};
use cam_models::WeightsFile;
use cam_onnx::{INPUT, Network};
use cam_results::{
    Run, RunManifest, ShardPlan, Status, Store, gate::Baselines, report_md, shards::progress,
};
use cam_runner::{Sweep, read_map};
use tch::{Device, Kind, Tensor};

/// What was read, in words, or what the loader says is wrong.
pub(crate) type Answer = Result<String, String>;

pub(crate) const PREPROCESSING: Preprocessing = Preprocessing {
    resize: Resize::Shorter(48),
    crop: 40,
    interpolation: Interpolation::Bilinear,
    mean: [0.0; 3],
    std: [1.0; 3],
};

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// A file of weights, and every tensor in it.
pub(crate) fn weights(path: &Path) -> Answer {
    let read = WeightsFile::open(path).map_err(text).and_then(|file| {
        let mut read = vec![];
        for (name, shape) in file.shapes() {
            let _ = file.read(&name).map_err(text)?;
            read.push(format!("`{name}` {shape:?}"));
        }
        Ok(read.join(", "))
    });
    let folder = Path::new("executed-by-a-pickle");
    assert!(!folder.exists(), "{} has been executed", path.display());
    read
}

/// An image, as it lies and turned upright.
pub(crate) fn image(path: &Path) -> Answer {
    Photo::open(path, &PREPROCESSING, Orientation::Apply).map_err(text)?;
    let photo = Photo::open(path, &PREPROCESSING, Orientation::Ignore).map_err(text)?;
    assert_eq!(photo.rgb.len(), 3 * 40 * 40);
    Ok("its pixels".into())
}

/// An image that is squashed to a square.
pub(crate) fn squashed(path: &Path) -> Answer {
    let preprocessing = Preprocessing { resize: Resize::Exact([256, 256]), ..PREPROCESSING };
    Photo::open(path, &preprocessing, Orientation::Ignore).map_err(text)?;
    Ok("its pixels".into())
}

/// A data set by its manifest, and its images.
pub(crate) fn dataset(manifest: &Path) -> Answer {
    let dataset = Dataset::load(manifest, &Limits::default()).map_err(text)?;
    let names: Vec<String> = dataset.items.iter().map(|item| format!("`{}`", item.image)).collect();
    for (_, photo) in prefetch(dataset.items, &PREPROCESSING, dataset.exif) {
        photo.map_err(text)?;
    }
    Ok(names.join(", "))
}

/// A data set whose images are not looked at.
pub(crate) fn listing(manifest: &Path) -> Answer {
    let dataset = Dataset::load(manifest, &Limits::default()).map_err(text)?;
    Ok(format!("{} images", dataset.items.len()))
}

/// A sweep file.
pub(crate) fn sweep(path: &Path) -> Answer {
    let (sweep, _) = Sweep::read(path).map_err(text)?;
    Ok(format!("{} methods, {} metrics", sweep.methods.len(), sweep.metrics.len()))
}

/// A map that another tool made.
pub(crate) fn map(path: &Path) -> Answer {
    let map = read_map(path)?;
    let numbers: Vec<f32> = Vec::try_from(map.view([-1])).map_err(text)?;
    Ok(format!("{:?}, {} numbers", map.size(), numbers.len()))
}

/// A network from an ONNX file, and what it says of a blank image.
pub(crate) fn onnx(path: &Path) -> Answer {
    let options = cam_onnx::Options { input_side: None, ..cam_onnx::Options::default() };
    let network = Network::open(path, &options).map_err(text)?;
    let [height, width] = network.input_size();
    let image = Tensor::zeros([1, 3, height, width], (Kind::Float, Device::Cpu));
    if let Ok(cut) = network.cut(INPUT) {
        assert_eq!(cut.logits(&image).size(), [1, network.n_classes()]);
    }
    Ok(format!("{} classes", network.n_classes()))
}

/// A run's folder: records, curves, maps, and what a report makes of them.
pub(crate) fn run(folder: &Path) -> Answer {
    let run = Run::read(folder).map_err(text)?;
    let (mut n_curves, mut n_maps) = (0, 0);
    run.visit_curves(|_, _| n_curves += 1).map_err(text)?;
    run.visit_maps(|_, map| {
        assert_eq!(map.values.len(), map.height as usize * map.width as usize);
        n_maps += 1;
    })
    .map_err(text)?;
    let failed = run.records().iter().filter(|record| record.status == Status::Failed).count();
    assert!(!report_md(&run, &run.summarize(), &[]).is_empty());
    Ok(format!(
        "{} of {} rows ({failed} failed), {n_curves} curves, {n_maps} maps",
        run.records().len(),
        run.manifest().n_rows()
    ))
}

/// A run that is cut into shards, and how far they are.
pub(crate) fn cut_run(folder: &Path) -> Answer {
    let read = run(folder)?;
    let manifest = RunManifest::read(folder).map_err(text)?;
    let plan = ShardPlan::read(folder, &manifest).map_err(text)?;
    let progress = progress(folder, &plan, false).map_err(text)?;
    let there = progress.missing().map(|shard| plan.shards[shard].n_rows()).sum::<usize>();
    assert_eq!(progress.n_committed_rows + there, manifest.n_rows());
    Ok(format!("{read}, {} of {} shards", progress.n_committed, progress.n_shards))
}

/// An unfinished run that is continued.
pub(crate) fn continued(folder: &Path) -> Answer {
    let manifest = RunManifest::read(folder).map_err(text)?;
    let store = Store::create_or_continue(folder, manifest).map_err(text)?;
    Ok(format!("{} rows, {} lines dropped", store.n_rows(), store.n_dropped()))
}

/// A folder of baselines: each of them, and a new one of the run beside them.
pub(crate) fn baselines(folder: &Path) -> Answer {
    let baselines = Baselines::of(folder.join("baselines"));
    let names = baselines.names().map_err(text)?;
    for name in &names {
        Run::read(&baselines.path(name)).map_err(text)?;
    }
    // A case that is about a name brings it in a file.
    let name = fs::read_to_string(folder.join("name")).unwrap_or_else(|_| "new".into());
    baselines.save(&name, &folder.join("run"), false).map_err(text)?;
    Ok(format!("{} of them, and a new one", names.len()))
}

/// The whole program on the sweep at a path, started in the sweep's folder.
pub(crate) fn program(sweep: &Path) -> Answer {
    program_in(sweep.parent().unwrap(), sweep)
}

/// The same, started in another folder.
pub(crate) fn program_elsewhere(sweep: &Path) -> Answer {
    program_in(Path::new("/"), sweep)
}

fn program_in(current: &Path, sweep: &Path) -> Answer {
    let folder = sweep.parent().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_cambench"))
        .args(["run", "--device", "cpu", "--max-failed", "100%", "--out"])
        .arg(folder.join("out"))
        .arg(sweep)
        .current_dir(current)
        .env("OMP_WAIT_POLICY", "passive")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("panicked at"), "{said}");
    if output.status.code() == Some(0) {
        let run = Run::read(&folder.join("out")).map_err(text)?;
        let row = |record: &cam_results::Record| match &record.error {
            None => format!("`{}` {}", record.image, record.status.as_str()),
            Some(error) => format!("`{}` {}: {error}", record.image, record.status.as_str()),
        };
        return Ok(run.records().iter().map(row).collect::<Vec<_>>().join("; "));
    }
    let error = said.lines().find_map(|line| line.split_once("error: ")).map(|(_, error)| error);
    let code = output.status.code().map_or("a signal".into(), |code| format!("code {code}"));
    Err(format!("{code}: {}", error.unwrap_or(&said)))
}
