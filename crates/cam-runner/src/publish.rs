//! What people read of a run: plots, table, report. Made from its records, curves and maps; no network runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use cam_core::{Map, Preprocessing, Upsampling};
use cam_data::{Collage, Dataset, DatasetManifest, Item, Layout, Limits, imagenet, prefetch};
use cam_methods::AnyMethod;
use cam_results::{
    Figure, FigureSection, GridMap, GridRow, Key, MethodEntry, ModelEntry, Picture, RawMap, Record,
    Result, Run, Shown, Status, Summary, chosen_images, cost_plot, curves_plot, grid_plot,
    metrics_plot, ranks_plot, report_html, report_md, report_tex, write_bytes,
};
use serde::Deserialize;
use tch::Tensor;
use tracing::info_span;

use crate::plan::locate;

/// How many photographs a grid shows: the first ones of the run.
const GRID_ROWS: usize = 6;

/// Which of the files that people read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Plots, as SVG and PNG.
    Plots,
    /// `summary.csv` and `comparisons.csv`.
    Csv,
    /// `report.md`; it shows the plots that lie beside it.
    Md,
    /// `report.tex`, tables to include in a paper.
    Tex,
    /// `report.html`, one file with everything in it.
    Html,
}

impl Format {
    /// All of them, in the order in which they are written: the reports look at what lies there.
    pub const ALL: [Self; 5] = [Self::Plots, Self::Csv, Self::Md, Self::Tex, Self::Html];
}

/// Writes files that people read into a folder, by custom the run's. Returns notes, one sentence each: what had to be
/// left out, and which files of an earlier report may show photographs where none was to be shown.
///
/// `summary` is the run's ([`Run::summarize`]). Without `photographs` none is shown, only maps: for images that may not be
/// handed on.
///
/// # Errors
/// Where the run cannot be read or a file cannot be written.
pub fn publish(
    run: &Run,
    summary: &Summary,
    folder: &Path,
    formats: &[Format],
    photographs: bool,
) -> Result<Vec<String>> {
    let mut notes = vec![];
    // The report looks at which plots there are.
    for format in Format::ALL.into_iter().filter(|format| formats.contains(format)) {
        let _span = info_span!("publish", name = ?format).entered();
        match format {
            Format::Plots => notes = publish_plots(run, folder, summary, photographs)?,
            Format::Csv => {
                summary.write(folder)?;
                summary.write_comparisons(folder)?;
            }
            Format::Md => {
                let report = report_md(run, summary, &figures(run, folder, photographs));
                write_bytes(&folder.join("report.md"), report.as_bytes())?;
            }
            Format::Tex => {
                let report = report_tex(run.manifest(), summary);
                write_bytes(&folder.join("report.tex"), report.as_bytes())?;
            }
            Format::Html => {
                let (shown, missing) = shown(run, photographs)?;
                let report = report_html(run, summary, &shown, &missing)?;
                write_bytes(&folder.join("report.html"), report.as_bytes())?;
            }
        }
    }
    if !photographs {
        notes.extend(photographs_in(folder, formats));
    }
    Ok(notes)
}

/// A sentence that names the grids, and the page of an earlier report, that lie in a folder and may show photographs.
fn photographs_in(folder: &Path, written: &[Format]) -> Option<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let is_grid = |name: &str| {
        let stem = name.strip_suffix(".png").or_else(|| name.strip_suffix(".svg"));
        stem.is_some_and(|stem| stem == GRID || stem.starts_with(&format!("{GRID}-")))
    };
    let is_old_page = |name: &str| name == "report.html" && !written.contains(&Format::Html);
    let mut files: Vec<String> = names.filter(|name| is_grid(name) || is_old_page(name)).collect();
    files.sort();
    let files = Some(files.join(", ")).filter(|files| !files.is_empty())?;
    Some(format!(
        "files of an earlier report may show photographs: {files}; remove them before you hand the folder on"
    ))
}

fn publish_plots(
    run: &Run,
    folder: &Path,
    summary: &Summary,
    photographs: bool,
) -> Result<Vec<String>> {
    let manifest = run.manifest();
    metrics_plot(manifest, summary).write(folder, METRICS)?;
    if let Some(plot) = curves_plot(run)? {
        plot.write(folder, CURVES)?;
    }
    if let Some(plot) = cost_plot(manifest, summary) {
        plot.write(folder, COST)?;
    }
    if let Some(plot) = ranks_plot(&summary.methods, manifest.models.len() > 1) {
        plot.write(folder, RANKS)?;
    }
    let mut left_out = vec![];
    for model in manifest.models.iter().filter(|_| photographs) {
        match grid(run, model)? {
            Ok(rows) => {
                let name = |method: &MethodEntry| {
                    let is_its_own = method.name != method.method;
                    if is_its_own { method.name.clone() } else { method.title.clone() }
                };
                let methods: Vec<_> = manifest.methods.iter().map(name).collect();
                grid_plot(&methods, &rows).write(folder, &grid_name(run, model))?;
            }
            Err(why) => left_out.push(format!("no grid of photographs for {}: {why}", model.name)),
        }
    }
    Ok(left_out)
}

const METRICS: &str = "metrics";
const RANKS: &str = "ranks";
const CURVES: &str = "curves";
const COST: &str = "cost";
/// How the names of all grids of photographs begin.
const GRID: &str = "grid";

fn grid_name(run: &Run, model: &ModelEntry) -> String {
    if run.manifest().models.len() == 1 {
        return GRID.into();
    }
    // The name of a layer in an ONNX file may be a path.
    let fits = |c: char| c.is_alphanumeric() || "-_.+@[] ".contains(c);
    let name: String = model.name.chars().map(|c| if fits(c) { c } else { '-' }).collect();
    format!("{GRID}-{name}")
}

/// The plots that lie in a folder; without `photographs` not those that show some.
fn figures(run: &Run, folder: &Path, photographs: bool) -> Vec<Figure> {
    let figure = |section, file: String, caption: String| Figure { section, file, caption };
    let protocol = &run.manifest().protocol.name;
    let mut figures = vec![
        figure(
            FigureSection::Scores,
            format!("{METRICS}.svg"),
            format!("Every metric of every method with its 95 % interval; protocol {protocol}"),
        ),
        figure(
            FigureSection::Differences,
            format!("{RANKS}.svg"),
            "Average rank of every method by every metric; a bar joins those that are not significantly different"
                .into(),
        ),
        figure(
            FigureSection::Curves,
            format!("{CURVES}.svg"),
            format!(
                "Mean confidence while pixels are deleted or inserted; bands are 1.96 standard errors; protocol {protocol}"
            ),
        ),
        figure(
            FigureSection::Cost,
            format!("{COST}.svg"),
            "ADCC over the passes through the network that an explanation needs".into(),
        ),
    ];
    figures.extend(run.manifest().models.iter().filter(|_| photographs).map(|model| {
        // Photographs inside of an SVG are not shown everywhere.
        figure(
            FigureSection::Maps,
            format!("{}.png", grid_name(run, model)),
            format!("The first photographs with the maps of every method for {}", model.name),
        )
    }));
    figures.retain(|figure| folder.join(&figure.file).is_file());
    figures
}

/// The first photographs of a model with their maps; why not, where the photographs are not to be had any more.
fn grid(run: &Run, model: &ModelEntry) -> Result<std::result::Result<Vec<GridRow>, String>> {
    let read: BTreeSet<&str> = run
        .records()
        .iter()
        .filter(|record| record.model == model.name && record.predicted.is_some())
        .map(|record| &*record.image)
        .collect();
    let images = run.manifest().images.iter().map(|image| &*image.image);
    let images: Vec<&str> = images.filter(|image| read.contains(image)).take(GRID_ROWS).collect();
    if run.is_baseline() {
        return Ok(Err(NO_MAPS.into()));
    }
    let photos = match photos(run, model, &images) {
        Ok(photos) => photos,
        Err(why) => return Ok(Err(why)),
    };
    let upsampling = upsampling(run);
    let maps = maps(run, |key| key.model == model.name && images.contains(&&*key.image))?;
    let records: BTreeMap<(&str, &str), &Record> = run
        .records()
        .iter()
        .filter(|record| record.model == model.name)
        .map(|record| ((&*record.image, &*record.method), record))
        .collect();
    let rows = images.into_iter().zip(photos).map(|(image, photo)| {
        let size = [photo.height, photo.width];
        let maps = run.manifest().methods.iter().map(|method| {
            let raw = maps.get(&key(model, image, method));
            GridMap {
                unit: raw.and_then(|raw| unit(&method.method, raw, size, upsampling)),
                caption: caption(records.get(&(image, &*method.name)).copied()),
            }
        });
        let maps = maps.collect();
        let stem = Path::new(image).file_stem().unwrap_or_default().to_string_lossy();
        GridRow { photo, caption: stem.into_owned(), maps }
    });
    Ok(Ok(rows.collect()))
}

/// Why a baseline has no pictures.
const NO_MAPS: &str = "a baseline keeps no maps";

/// The pictures of the chosen images; and why some are missing.
fn shown(run: &Run, photographs: bool) -> Result<(Vec<Shown>, Vec<String>)> {
    let choices = chosen_images(run);
    let keys: BTreeSet<(&str, &str)> =
        choices.iter().map(|choice| (&*choice.model, &*choice.image)).collect();
    let upsampling = upsampling(run);
    let maps = maps(run, |key| keys.contains(&(&*key.model, &*key.image)))?;
    let mut shown = vec![];
    // Why, and the models that it is so of: most often all.
    let mut missing: Vec<(String, Vec<&str>)> = vec![];
    for model in &run.manifest().models {
        let here: Vec<_> = choices.iter().filter(|choice| choice.model == model.name).collect();
        let images: Vec<&str> = here.iter().map(|choice| &*choice.image).collect();
        let photos = if run.is_baseline() {
            Err(NO_MAPS.into())
        } else if photographs {
            photos(run, model, &images)
        } else {
            Err("they were left out by --no-photographs".into())
        };
        let photos: Vec<Option<Picture>> = match photos {
            Ok(photos) => photos.into_iter().map(Some).collect(),
            Err(why) => {
                match missing.iter_mut().find(|(known, _)| *known == why) {
                    Some((_, models)) => models.push(&model.name),
                    None => missing.push((why, vec![&model.name])),
                }
                vec![None; images.len()]
            }
        };
        for (image, photo) in images.into_iter().zip(photos) {
            let size = photo.as_ref().map_or([MAP_SIDE; 2], |photo| [photo.height, photo.width]);
            let maps = run.manifest().methods.iter().map(|method| {
                maps.get(&key(model, image, method))
                    .and_then(|raw| unit(&method.method, raw, size, upsampling))
            });
            shown.push(Shown {
                model: model.name.clone(),
                image: image.to_owned(),
                maps: maps.collect(),
                class: class_name(run, model, image),
                photo,
                size,
            });
        }
    }
    let missing = missing.into_iter().map(|(why, models)| {
        format!("The photographs of {} are not shown: {why}.", models.join(", "))
    });
    Ok((shown, missing.collect()))
}

/// How maps are brought to the image's size; bilinear in runs of before there was a choice.
fn upsampling(run: &Run) -> Upsampling {
    let upsampling = &run.manifest().config_resolved["upsampling"];
    Upsampling::deserialize(upsampling).unwrap_or_default()
}

/// The side of a map that has no photograph.
const MAP_SIDE: u32 = 224;

/// What the class explained is called: by the model's own names, else by ImageNet's where it is one of those.
fn class_name(run: &Run, model: &ModelEntry, image: &str) -> Option<String> {
    let is_it = |record: &&Record| record.model == model.name && record.image == image;
    let class = run.records().iter().find(is_it)?.target?;
    if !model.classes.is_empty() {
        return model.classes.get(usize::try_from(class).ok()?).cloned();
    }
    if model.n_classes != 1000 || own_classes(run, model) {
        return None;
    }
    imagenet::class_name(class).map(str::to_owned)
}

/// Whether a model came with names of classes of its own, which runs of before their names were kept do not have.
fn own_classes(run: &Run, model: &ModelEntry) -> bool {
    let parts = run.parts();
    let models =
        parts.iter().filter_map(|part| part.manifest().config_resolved["models"].as_array());
    models.flatten().any(|entry| {
        let name = entry["as"].as_str().or(entry["name"].as_str());
        name == Some(model.network()) && entry["classes"].is_string()
    })
}

/// Some maps of a run.
fn maps(run: &Run, which: impl Fn(&Key) -> bool) -> Result<BTreeMap<Key, RawMap>> {
    let mut maps = BTreeMap::new();
    run.visit_maps(|key, map| {
        if which(key) {
            maps.insert(key.clone(), map.clone());
        }
    })?;
    Ok(maps)
}

fn key(model: &ModelEntry, image: &str, method: &MethodEntry) -> Key {
    Key {
        model: model.name.clone(),
        layer: model.layer.clone(),
        method: method.name.clone(),
        protocol: method.protocol.clone(),
        image: image.to_owned(),
    }
}

/// The photographs of some images of a run, as a model sees them.
fn photos(
    run: &Run,
    model: &ModelEntry,
    images: &[&str],
) -> std::result::Result<Vec<Picture>, String> {
    let preprocessing: Preprocessing =
        serde_json::from_value(model.preprocessing.clone()).map_err(|error| error.to_string())?;
    // Joined runs may be of several data sets.
    let mut of_runs: Vec<(&Run, Vec<&str>, Vec<usize>)> = vec![];
    for (place, image) in images.iter().enumerate() {
        let (part, own) = run.source(&model.name, image).ok_or("no run has them")?;
        match of_runs.iter_mut().find(|(known, ..)| known.folder() == part.folder()) {
            Some((_, names, places)) => {
                names.push(own);
                places.push(place);
            }
            None => of_runs.push((part, vec![own], vec![place])),
        }
    }
    let mut photos = vec![];
    for (part, names, places) in of_runs {
        photos.extend(places.into_iter().zip(photos_of(part, &preprocessing, &names)?));
    }
    photos.sort_by_key(|(place, _)| *place);
    Ok(photos.into_iter().map(|(_, photo)| photo).collect())
}

/// The photographs of some images of one run's data set.
fn photos_of(
    run: &Run,
    preprocessing: &Preprocessing,
    images: &[&str],
) -> std::result::Result<Vec<Picture>, String> {
    let manifest = run.manifest();
    let path = manifest.config_resolved["dataset"]["manifest"]
        .as_str()
        .ok_or("the run does not say which data set it is of")?;
    let path = from_where_it_started(run, Path::new(path));
    let form = DatasetManifest::read(&path).map_err(|error| error.to_string())?;
    let root = form.root(&path).map_err(|error| error.to_string())?;
    let collages = if form.layout == Layout::Grid { collages(&path)? } else { BTreeMap::new() };
    let hashes: BTreeMap<&str, &Option<String>> =
        manifest.images.iter().map(|image| (&*image.image, &image.sha256)).collect();
    let items: Vec<Item> = images
        .iter()
        .map(|image| Item {
            collage: collages.get(*image).cloned(),
            boxes: vec![],
            image: (*image).to_owned(),
            path: root.join(image),
            label: None,
            // A file that is another one by now is an error.
            sha256: hashes.get(image).copied().cloned().flatten(),
        })
        .collect();
    prefetch(items, preprocessing, form.exif)
        .map(|(_, loaded)| {
            let photo = loaded.map_err(|error| error.to_string())?.photo;
            Ok(Picture::new(photo.width, photo.height, photo.rgb))
        })
        .collect()
}

/// A path that a run's manifest names, which counts from where the run was started: most often here, else one of the
/// folders that the run lies in.
fn from_where_it_started(run: &Run, path: &Path) -> PathBuf {
    let folder = run.folder().canonicalize().unwrap_or_default();
    let mut places = folder.ancestors().map(|above| locate(path, above));
    places.find(|place| place.exists()).unwrap_or_else(|| path.to_path_buf())
}

/// What the collages of a data set are put together of, by their names.
fn collages(path: &Path) -> std::result::Result<BTreeMap<String, Collage>, String> {
    let dataset = Dataset::load(path, &Limits::default());
    let items = dataset.map_err(|error| error.to_string())?.items;
    Ok(items.into_iter().filter_map(|item| Some((item.image, item.collage?))).collect())
}

/// As the metrics saw it, within the range of colors; `None` where the map says nothing.
fn unit(method: &str, raw: &RawMap, size: [u32; 2], upsampling: Upsampling) -> Option<Vec<f32>> {
    let size = size.map(i64::from);
    let map = Tensor::from_slice(&raw.values).view([i64::from(raw.height), i64::from(raw.width)]);
    let map = match AnyMethod::by_name(method) {
        Some(method) => Map::made_by(&*method, &map, size),
        None => Map::new(&map, size),
    };
    let map = map.ok()?.upsampled(upsampling);
    Some(
        Vec::try_from(map.unit().clamp(0.0, 1.0).contiguous().view([-1]))
            .expect("a vector of numbers"),
    )
}

fn caption(record: Option<&Record>) -> String {
    match record {
        None => "not run".into(),
        Some(record) if record.status != Status::Ok => record.status.as_str().into(),
        Some(record) => record
            .adcc_per_image
            .map_or(String::new(), |adcc| format!("ADCC {:.0} %", 100.0 * adcc)),
    }
}
