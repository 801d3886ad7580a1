//! Whether a sweep and its images fit together.

use std::collections::BTreeSet;

use cam_data::{
    Bounds, Dataset, FileFacts, Item, Layout, LeftOut, Orientation, imagenet, is_called,
};
use cam_results::{ModelEntry, counted};

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

/// What of the images is most likely not meant, a sentence each.
pub(super) fn cautions(
    sweep: &Sweep,
    dataset: &Dataset,
    models: &[ModelEntry],
    facts: &[Option<FileFacts>],
) -> Vec<String> {
    let more = [
        labels_caution(sweep, dataset, models).or_else(|| large_labels_caution(dataset, models)),
        boxes_caution(sweep, dataset),
        outside_caution(dataset, facts),
        turned_caution(dataset, facts),
    ];
    left_out_cautions(dataset).into_iter().chain(more.into_iter().flatten()).collect()
}

/// That photographs or columns of a list are left out, or a class has none.
fn left_out_cautions(dataset: &Dataset) -> Vec<String> {
    let LeftOut { other_kinds, beside, empty, columns } = &dataset.left_out;
    // In the words of the data set's manifest, as reports show it.
    let root = &dataset.root_as_given;
    let some = |names: &[String]| names[0].clone() + if names.len() > 1 { ", ..." } else { "" };
    let mut cautions = vec![];
    if !other_kinds.is_empty() {
        cautions.push(format!(
            "{} of {root} left out, as only JPEG and PNG files are read ({}); convert what is wanted.",
            counted(other_kinds.len(), "image"),
            some(other_kinds)
        ));
    }
    if !beside.is_empty() {
        cautions.push(format!(
            "{} of {root} left out, as `layout: folders` takes those in its folders ({}).",
            counted(beside.len(), "image"),
            some(beside)
        ));
    }
    if !empty.is_empty() {
        let n = counted(empty.len(), "folder");
        cautions.push(format!("{n} of {root} without an image ({}).", some(empty)));
    }
    cautions.extend(columns.iter().map(|(column, meant)| {
        let hint = cam_core::did_you_mean(Some(meant));
        format!("the column `{column}` of the list is not read{hint}")
    }));
    cautions
}

/// That labels are counted, and nothing says that a network's classes are in the same order.
fn labels_caution(sweep: &Sweep, dataset: &Dataset, models: &[ModelEntry]) -> Option<String> {
    let is_counted = dataset.layout == Layout::Folders && dataset.classes.is_none();
    let folders = labeled_folders(dataset);
    let is_imagenets = folders
        .first()
        .is_some_and(|(folder, _)| imagenet::class_index(&folder.to_lowercase()).is_some());
    if !is_counted || is_imagenets {
        return None;
    }
    let is_sure = |model: &ModelEntry, (folder, label): &(&str, i64)| {
        let class = usize::try_from(*label).ok().and_then(|label| model.classes.get(label));
        class.is_some_and(|class| is_called(class, folder))
    };
    let is_unsure = |model: &&ModelEntry| !folders.iter().all(|folder| is_sure(model, folder));
    let model = models.iter().find(is_unsure)?;
    let without = match sweep.target {
        TargetRule::Label => "",
        TargetRule::Predicted => {
            "; without, the accuracy in reports means nothing, and all else is as it should be"
        }
    };
    Some(format!(
        "labels are counted in the order of the folders' names, and nothing says that the classes of {} are in this order; \
         list its classes (`classes: FILE`) in the data set's manifest and at the model{without}.",
        model.network()
    ))
}

/// That labels are beyond a network's classes; where they are explained, that is an error.
fn large_labels_caution(dataset: &Dataset, models: &[ModelEntry]) -> Option<String> {
    let largest = dataset.items.iter().max_by_key(|item| item.label)?;
    let label = largest.label?;
    let model = models.iter().find(|model| label >= model.n_classes)?;
    Some(format!(
        "{} is labeled {label}, and {} has {} classes, counted from 0, so that its accuracy in reports is too low.",
        largest.image,
        model.network(),
        model.n_classes
    ))
}

/// The folders of classes, each with the label of its images: a million of these are in a thousand of those.
pub(super) fn labeled_folders<'a>(dataset: &'a Dataset) -> BTreeSet<(&'a str, i64)> {
    let of = |item: &'a Item| Some((item.image.split_once('/')?.0, item.label?));
    dataset.items.iter().filter_map(of).collect()
}

/// That metrics will have no score, as nothing says where objects are.
fn boxes_caution(sweep: &Sweep, dataset: &Dataset) -> Option<String> {
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

/// That boxes reach beyond their images, as boxes of resized images would.
fn outside_caution(dataset: &Dataset, facts: &[Option<FileFacts>]) -> Option<String> {
    let items = dataset.items.iter().zip(facts).filter(|(item, _)| item.collage.is_none());
    let mut outside = items.filter_map(|(item, facts)| {
        let facts = facts.as_ref()?;
        // Its sides are then those of the photograph upright.
        let is_as_in_file = dataset.exif == Orientation::Ignore || !facts.is_turned;
        let [width, height] = facts.size.filter(|_| is_as_in_file)?.map(f64::from);
        // Some count the last pixel, some do not.
        let is_inside = |bounds: &Bounds| {
            bounds.xmin >= -1.0
                && bounds.ymin >= -1.0
                && bounds.xmax <= width + 1.0
                && bounds.ymax <= height + 1.0
        };
        (!item.boxes.iter().all(is_inside)).then_some((&item.image, width, height))
    });
    let (image, width, height) = outside.next()?;
    Some(format!(
        "boxes of {} reach beyond the photograph ({image} has {width} × {height} pixels); they count in the pixels of the file.",
        counted(1 + outside.count(), "image")
    ))
}

/// That photographs are turned, where nothing says whether that is known.
fn turned_caution(dataset: &Dataset, facts: &[Option<FileFacts>]) -> Option<String> {
    let n_turned = facts.iter().flatten().filter(|facts| facts.is_turned).count();
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
