//! How long a plan of many shards takes to make and to list, and its parts to merge, on rows that no network made:
//! `scale DIR [IMAGES [METHODS [MODELS [PARTS]]]]`, 50,000 images, 20 methods, 6 models and no parts unless given. PARTS is
//! how many shards are computed; the run is merged where it is all of them. Images are of 1,000 classes, curves have 29
//! steps and maps 7 x 7 cells. Prints seconds and the peak memory.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Instant,
};

use cam_results::{
    ModelEntry, Part, Row, Run, RunManifest, ShardPlan, Store, shards::progress, synthetic,
};

/// Images of a shard, as in `cambench plan`.
const IMAGES: usize = 50;
/// As in ImageNet.
const CLASSES: usize = 1000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = env::args().skip(1);
    let folder = PathBuf::from(args.next().ok_or("give a folder")?);
    let mut number = |default: usize| args.next().map_or(Ok(default), |n| n.parse());
    let (n_images, n_methods, n_models, n_parts) =
        (number(50_000)?, number(20)?, number(6)?, number(0)?);
    let (mut manifest, _) = synthetic(n_images, n_methods);
    let model = manifest.models[0].clone();
    let named = |i| ModelEntry { name: format!("net{i}"), ..model.clone() };
    manifest.models = (0..n_models).map(named).collect();
    for (i, image) in manifest.images.iter_mut().enumerate() {
        image.label = Some((i % CLASSES) as i64);
    }

    let start = Instant::now();
    drop(Store::create_or_continue(&folder, manifest.clone())?);
    let plan = ShardPlan::cut(&manifest, IMAGES, Path::new("."), |_, _| "main".into());
    let plan = plan.create_or_read(&folder, &manifest)?;
    say(&format!("{} shards planned and written", plan.shards.len()), start);

    let start = Instant::now();
    for chunk in 0..n_models {
        let (_, rows) = synthetic(n_images, n_methods);
        let rows = rows.enumerate().map(|(i, mut row)| {
            row.record.model = format!("net{chunk}").into();
            row.record.label = Some((i / n_methods % CLASSES) as i64);
            row
        });
        write_parts(&folder, &manifest, &plan, chunk, rows, n_parts)?;
    }
    say(&format!("{n_parts} parts written"), start);

    let start = Instant::now();
    let manifest = RunManifest::read(&folder)?;
    let plan = ShardPlan::read(&folder, &manifest)?;
    let status = progress(&folder, &plan, false)?;
    say(&format!("{} of {} shards are there", status.n_committed, status.n_shards), start);

    if status.n_committed == status.n_shards {
        let start = Instant::now();
        let store = Store::create_or_continue(&folder, manifest)?;
        say(&format!("{} rows found whole", store.n_rows()), start);
        store.close("2026-01-02T04:00:00Z")?;
        say("merged", start);
        let start = Instant::now();
        let run = Run::read(&folder)?;
        say(&format!("{} records read back", run.records().len()), start);
        let summary = run.summarize();
        let n_pairs: usize = summary.methods.iter().map(|contrast| contrast.pairs.len()).sum();
        say(&format!("{n_pairs} pairs of methods compared"), start);
    }
    Ok(())
}

/// Writes the shards of a model, as far as they are among the first `n_parts`.
fn write_parts(
    folder: &Path,
    manifest: &RunManifest,
    plan: &ShardPlan,
    model: usize,
    mut rows: impl Iterator<Item = Row>,
    n_parts: usize,
) -> cam_results::Result<()> {
    let name = format!("net{model}");
    for shard in plan.shards.iter().filter(|shard| shard.model == name && shard.index < n_parts) {
        let some: Vec<_> = rows.by_ref().take(shard.n_rows()).collect();
        if let Some(mut part) = Part::begin(folder, manifest, plan, shard.index, "none", "here")? {
            part.append_all(&some)?;
            part.commit()?;
        }
    }
    Ok(())
}

fn say(what: &str, start: Instant) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or(" unknown");
    println!("{:8.2} s  {:>12}  {what}", start.elapsed().as_secs_f64(), peak.trim());
}
