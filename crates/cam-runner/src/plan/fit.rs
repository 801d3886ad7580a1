//! Whether a sweep and its images fit together.

use cam_data::{Dataset, Item, Orientation};
use cam_results::counted;

use super::PlanError;
use crate::config::{MapSource, MetricChoice, Sweep, TargetRule};

/// Refuses maps to import that are not there.
pub(super) fn check_imported(sweep: &Sweep) -> Result<(), PlanError> {
    for method in &sweep.methods {
        if let MapSource::Imported(folder) = &method.source
            && !folder.is_dir()
        {
            let (method, folder) = (method.label().to_string(), folder.clone());
            return Err(PlanError::NoMaps { method, folder });
        }
    }
    Ok(())
}

/// Whether the data set can say which classes to explain.
pub(super) fn check_target(target: TargetRule, dataset: &Dataset) -> Result<(), PlanError> {
    let find = |is_unfit: &dyn Fn(&&Item) -> bool| dataset.items.iter().find(is_unfit);
    match target {
        TargetRule::Label => match find(&|item| item.label.is_none()) {
            Some(item) => Err(PlanError::Unlabeled { image: item.image.clone() }),
            None => Ok(()),
        },
        TargetRule::Predicted => match find(&|item| item.collage.is_some()) {
            Some(_) => Err(PlanError::CollageTarget),
            None => Ok(()),
        },
    }
}

/// That photographs are left out.
pub(super) fn left_out_caution(dataset: &Dataset) -> Option<String> {
    let first = dataset.left_out.first()?;
    Some(format!(
        "{} of {} left out, as only JPEG and PNG files are read ({first}{}); convert what is wanted.",
        counted(dataset.left_out.len(), "image"),
        dataset.root.display(),
        if dataset.left_out.len() > 1 { ", ..." } else { "" },
    ))
}

/// That metrics will have no score, as nothing says where objects are.
pub(super) fn boxes_caution(sweep: &Sweep, dataset: &Dataset) -> Option<String> {
    let has_region = |item: &Item| !item.boxes.is_empty() || item.collage.is_some();
    if dataset.items.iter().any(has_region) {
        return None;
    }
    let metrics = sweep.metrics.iter().filter(|metric| metric.metric.needs_region());
    let names: Vec<&str> = metrics.map(MetricChoice::label).collect();
    (!names.is_empty()).then(|| {
        format!(
            "{} will have no score: no image of {} comes with a box of its object. A list (`layout: csv`) with the columns \
             xmin, ymin, xmax, ymax gives boxes.",
            names.join(", "),
            dataset.name
        )
    })
}

/// That photographs are turned, where nothing says whether that is known.
pub(super) fn turned_caution(dataset: &Dataset, n_turned: usize) -> Option<String> {
    (n_turned > 0 && dataset.exif == Orientation::Ignore).then(|| {
        format!(
            "{n_turned} of {} of {} {} to be turned by EXIF, which is ignored, as torchvision does; `exif: apply` in the \
             data set's manifest turns photographs upright.",
            counted(dataset.items.len(), "image"),
            dataset.name,
            if n_turned == 1 { "is" } else { "are" },
        )
    })
}
