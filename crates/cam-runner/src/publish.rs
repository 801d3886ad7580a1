//! What people read of a run: plots, table, report. Made from its records, curves and maps; no network runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use cam_core::{Map, Preprocessing, Upsampling};
use cam_data::{Collage, Dataset, DatasetManifest, Item, Layout, Limits, prefetch};
use cam_methods::AnyMethod;
use cam_results::{
    Figure, GridMap, GridRow, Key, MethodEntry, ModelEntry, Picture, RawMap, Record, Result, Run,
    Section, Status, Summary, cost_plot, curves_plot, grid_plot, metrics_plot, ranks_plot,
    report_md, summarize, write_bytes,
};
use serde::Deserialize;
use tch::Tensor;
use tracing::info_span;

use crate::config::DatasetChoice;

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
}

impl Format {
    /// All of them, the report last.
    pub const ALL: [Self; 3] = [Self::Plots, Self::Csv, Self::Md];
}

/// Writes files that people read into a run's folder. Returns what had to be left out, one sentence each.
///
/// # Errors
/// Where the run cannot be read or a file cannot be written.
pub fn publish(run: &Run, formats: &[Format]) -> Result<Vec<String>> {
    let summary = info_span!("summary").in_scope(|| summarize(run.manifest(), run.records()));
    let mut left_out = vec![];
    // The report looks at which plots there are.
    for format in Format::ALL.into_iter().filter(|format| formats.contains(format)) {
        let _span = info_span!("publish", name = ?format).entered();
        match format {
            Format::Plots => left_out = publish_plots(run, &summary)?,
            Format::Csv => {
                summary.write(run.folder())?;
                summary.write_comparisons(run.folder())?;
            }
            Format::Md => {
                let report = report_md(run, &summary, &figures(run));
                write_bytes(&run.folder().join("report.md"), report.as_bytes())?;
            }
        }
    }
    Ok(left_out)
}

fn publish_plots(run: &Run, summary: &Summary) -> Result<Vec<String>> {
    let (folder, manifest) = (run.folder(), run.manifest());
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
    for model in &manifest.models {
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

fn grid_name(run: &Run, model: &ModelEntry) -> String {
    if run.manifest().models.len() == 1 { "grid".into() } else { format!("grid-{}", model.name) }
}

/// The plots that lie in the run's folder.
fn figures(run: &Run) -> Vec<Figure> {
    let figure = |section, file: String, caption: String| Figure { section, file, caption };
    let protocol = &run.manifest().protocol.name;
    let mut figures = vec![
        figure(
            Section::Scores,
            format!("{METRICS}.svg"),
            format!("Every metric of every method with its 95 % interval; protocol {protocol}"),
        ),
        figure(
            Section::Differences,
            format!("{RANKS}.svg"),
            "Average rank of every method by every metric; a bar joins those that cannot be told apart"
                .into(),
        ),
        figure(
            Section::Curves,
            format!("{CURVES}.svg"),
            format!(
                "Mean confidence while pixels are deleted or inserted; bands are 1.96 standard errors; protocol {protocol}"
            ),
        ),
        figure(
            Section::Cost,
            format!("{COST}.svg"),
            "ADCC over the passes through the network that an explanation needs".into(),
        ),
    ];
    figures.extend(run.manifest().models.iter().map(|model| {
        // Photographs inside of an SVG are not shown everywhere.
        figure(
            Section::Maps,
            format!("{}.png", grid_name(run, model)),
            format!("The first photographs with the maps of every method for {}", model.name),
        )
    }));
    figures.retain(|figure| run.folder().join(&figure.file).is_file());
    figures
}

/// The first photographs of a run with their maps; why not, where the photographs are not to be had any more.
fn grid(run: &Run, model: &ModelEntry) -> Result<std::result::Result<Vec<GridRow>, String>> {
    let photos = match photos(run, model) {
        Ok(photos) => photos,
        Err(why) => return Ok(Err(why)),
    };
    let mut maps: BTreeMap<(String, String), RawMap> = BTreeMap::new();
    run.visit_maps(|key: &Key, map| {
        if key.model == model.name && photos.iter().any(|(image, _)| *image == key.image) {
            maps.insert((key.image.clone(), key.method.clone()), map.clone());
        }
    })?;
    let records: BTreeMap<(&str, &str), &Record> = run
        .records()
        .iter()
        .filter(|record| record.model == model.name)
        .map(|record| ((&*record.image, &*record.method), record))
        .collect();
    let upsampling = &run.manifest().config_resolved["upsampling"];
    // Runs of before there was a choice are bilinear.
    let upsampling = Upsampling::deserialize(upsampling).unwrap_or_default();
    let rows = photos.into_iter().map(|(image, photo)| {
        let size = [i64::from(photo.height), i64::from(photo.width)];
        let maps = run.manifest().methods.iter().map(|method| {
            let raw = maps.get(&(image.clone(), method.name.clone()));
            GridMap {
                unit: raw.and_then(|raw| unit(&method.method, raw, size, upsampling)),
                caption: caption(records.get(&(&*image, &*method.name)).copied()),
            }
        });
        let maps = maps.collect();
        let stem = Path::new(&image).file_stem().unwrap_or_default().to_string_lossy();
        GridRow { photo, caption: stem.into_owned(), maps }
    });
    Ok(Ok(rows.collect()))
}

fn photos(run: &Run, model: &ModelEntry) -> std::result::Result<Vec<(String, Picture)>, String> {
    let manifest = run.manifest();
    let preprocessing: Preprocessing =
        serde_json::from_value(model.preprocessing.clone()).map_err(|error| error.to_string())?;
    let path = manifest.config_resolved["dataset"]["manifest"]
        .as_str()
        .ok_or("the run does not say which data set it is of")?;
    let form = DatasetManifest::read(Path::new(path)).map_err(|error| error.to_string())?;
    let root = form.root(Path::new(path)).map_err(|error| error.to_string())?;
    let failed: BTreeSet<&str> = run
        .records()
        .iter()
        .filter(|record| record.predicted.is_none())
        .map(|record| &*record.image)
        .collect();
    let shown = manifest.images.iter().filter(|image| !failed.contains(&*image.image));
    let collages = if form.layout == Layout::Grid { collages(run)? } else { BTreeMap::new() };
    let items: Vec<Item> = shown
        .take(GRID_ROWS)
        .map(|image| Item {
            collage: collages.get(&image.image).cloned(),
            boxes: vec![],
            image: image.image.clone(),
            path: root.join(&image.image),
            label: image.label,
            // A file that is another one by now is an error.
            sha256: image.sha256.clone(),
        })
        .collect();
    prefetch(items.clone(), &preprocessing, form.exif)
        .map(|(i, loaded)| {
            let photo = loaded.map_err(|error| error.to_string())?.photo;
            Ok((items[i].image.clone(), Picture::new(photo.width, photo.height, photo.rgb)))
        })
        .collect()
}

/// What the collages of a run are put together of, by their names.
fn collages(run: &Run) -> std::result::Result<BTreeMap<String, Collage>, String> {
    let choice = run.manifest().config_resolved["dataset"].clone();
    let choice: DatasetChoice =
        serde_json::from_value(choice).map_err(|error| error.to_string())?;
    let dataset = Dataset::load(&choice.manifest, &Limits::default());
    let items = dataset.map_err(|error| error.to_string())?.items;
    Ok(items.into_iter().filter_map(|item| Some((item.image, item.collage?))).collect())
}

/// As the metrics saw it, within the range of colors; `None` where the map says nothing.
fn unit(method: &str, raw: &RawMap, size: [i64; 2], upsampling: Upsampling) -> Option<Vec<f32>> {
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
