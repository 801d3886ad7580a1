//! What the manifest says of images, methods and metrics.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use cam_core::{Better, Method, hex};
use cam_data::{Dataset, FileFacts, Item};
use cam_results::{IMPORTED, ImageEntry, MethodEntry, MetricEntry};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use tracing::info_span;

use super::{PlanError, PlannedModel};
use crate::config::{
    MapSource, MethodChoice, MetricChoice, NETWORK, Sweep, names, randomized_network,
};

/// What is known of each image from its file; `None` where that cannot be read: it becomes failed rows, and the plan stands
/// without its hash.
pub(super) fn file_facts(dataset: &Dataset) -> Vec<Option<FileFacts>> {
    let _span = info_span!("hash images", n_images = dataset.items.len()).entered();
    dataset.items.par_iter().map(|item| item.file_facts().ok()).collect()
}

/// The images of the manifest.
pub(super) fn image_entries(dataset: &Dataset, facts: Vec<Option<FileFacts>>) -> Vec<ImageEntry> {
    let entry = |(item, facts): (&Item, Option<FileFacts>)| ImageEntry {
        image: item.image.clone(),
        sha256: facts.map(|facts| facts.sha256),
        label: item.label,
        boxes: item
            .boxes
            .iter()
            .map(|bounds| [bounds.xmin, bounds.ymin, bounds.xmax, bounds.ymax])
            .collect(),
    };
    dataset.items.iter().zip(facts).map(entry).collect()
}

/// What the manifest says of a method.
pub(super) fn method_entry(
    choice: &MethodChoice,
    sweep: &Sweep,
    dataset: &Dataset,
    models: &[PlannedModel],
) -> Result<MethodEntry, PlanError> {
    let (title, options) = match &choice.source {
        MapSource::Method(method) => (method.about().title, serde_json::to_value(method)),
        MapSource::Randomized(randomized) => {
            let options = serde_json::to_value(&randomized.method).map(|mut options| {
                options[NETWORK] = randomized_network(randomized).into();
                options
            });
            (randomized.about().title, options)
        }
        MapSource::Imported(maps) => {
            let sha256 = hash_of_maps(choice.label(), maps, dataset)?;
            let maps = maps.to_string_lossy();
            (IMPORTED, Ok(serde_json::json!({ "maps": maps, "sha256": sha256 })))
        }
        MapSource::Custom(custom) => (custom.method.about().title, Ok(serde_json::json!({}))),
    };
    // A network's name without its layer stands for all of its layers.
    let excepted = |exception: &String| -> Vec<String> {
        let models = models.iter().map(|model| &model.name);
        models.filter(|model| names(exception, model)).cloned().collect()
    };
    Ok(MethodEntry {
        name: choice.label().to_string(),
        method: choice.source.name().to_string(),
        title: title.to_string(),
        protocol: choice.protocol_in(sweep),
        options: options.expect("options are plain data"),
        except: choice.except.iter().flat_map(excepted).collect(),
    })
}

/// One hash over the imported maps of all images, missing ones included: with other maps it is another run.
fn hash_of_maps(method: &str, folder: &Path, dataset: &Dataset) -> Result<String, PlanError> {
    let files: Vec<PathBuf> =
        dataset.items.iter().map(|item| Path::new(&item.image).with_extension("npy")).collect();
    let mut seen = BTreeSet::new();
    if let Some(map) = files.iter().find(|file| !seen.insert(*file)) {
        return Err(PlanError::OneMap { method: method.to_string(), map: map.clone() });
    }
    let hashes: Vec<String> = files
        .par_iter()
        .map(|file| {
            cam_models::sha256(&folder.join(file)).unwrap_or_else(|_unreadable| "none".to_string())
        })
        .collect();
    Ok(hex(&Sha256::digest(hashes.join("\n"))))
}

/// What the manifest says of a metric.
pub(super) fn metric_entry(choice: &MetricChoice, sweep: &Sweep) -> MetricEntry {
    MetricEntry {
        name: choice.label().to_string(),
        metric: choice.metric.name().to_string(),
        title: choice.metric.about().title.to_string(),
        better: match choice.metric.better() {
            Better::Higher => cam_results::Better::Higher,
            Better::Lower => cam_results::Better::Lower,
        },
        worst: choice.metric.worst(),
        protocol: choice.protocol_in(sweep),
        options: serde_json::to_value(&choice.metric).expect("options are plain data"),
    }
}
