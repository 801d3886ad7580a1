//! Whether images of two runs are the same, in all that scores depend on.

use std::collections::HashMap;

use crate::{
    ImageEntry, ModelEntry, RunManifest,
    classes::{Classes, is_same_class},
    family,
    manifest::LABEL,
    preset::Family,
};

/// What makes images of two runs the same: their files, their labels where these are explained, and their boxes where
/// metrics of both ask for them.
pub(crate) struct SameImages {
    /// Every two lists of classes that meet, once.
    classes: Vec<[Classes; 2]>,
    with_labels: bool,
    with_boxes: bool,
}

/// What differs between an image of one run and that of the same name of another.
#[derive(Debug, PartialEq)]
pub(crate) enum Difference {
    /// Another file.
    File,
    /// The first run could not read it.
    FirstUnread,
    /// The second run could not read it.
    SecondUnread,
    /// Labels of two classes, for people.
    Labels([String; 2]),
    /// Other boxes.
    Boxes([Vec<[f64; 4]>; 2]),
}

impl SameImages {
    /// Of two runs that explain classes by one rule; `models` are those of both that are compared.
    pub(crate) fn of<'a>(
        runs: [&RunManifest; 2],
        models: impl IntoIterator<Item = [&'a ModelEntry; 2]>,
    ) -> Self {
        let mut lists: Vec<[&[String]; 2]> = vec![];
        for both in models {
            let both = both.map(|model| &*model.classes);
            if !lists.contains(&both) {
                lists.push(both);
            }
        }
        let is_localized = |run: &RunManifest| {
            run.metrics.iter().any(|metric| family(&metric.metric) == Some(Family::Localization))
        };
        Self {
            classes: lists.into_iter().map(|both| both.map(Classes::of)).collect(),
            with_labels: runs.into_iter().all(|run| run.target == LABEL),
            with_boxes: runs.into_iter().all(is_localized),
        }
    }

    /// The first difference. An image that neither run could read has no score in either.
    pub(crate) fn difference(&self, a: &ImageEntry, b: &ImageEntry) -> Option<Difference> {
        match (&a.sha256, &b.sha256) {
            (None, Some(_)) => Some(Difference::FirstUnread),
            (Some(_), None) => Some(Difference::SecondUnread),
            (a, b) if a != b => Some(Difference::File),
            _ => None,
        }
        .or_else(|| self.labels(a, b).filter(|_| self.with_labels).map(Difference::Labels))
        .or_else(|| {
            let is_other = self.with_boxes && a.boxes != b.boxes;
            is_other.then(|| Difference::Boxes([a.boxes.clone(), b.boxes.clone()]))
        })
    }

    /// Both labels, where they are two classes to networks of the two runs.
    pub(crate) fn labels(&self, a: &ImageEntry, b: &ImageEntry) -> Option<[String; 2]> {
        self.classes.iter().find_map(|[of_a, of_b]| {
            let is_same = is_same_class([(of_a, a.label), (of_b, b.label)]);
            (!is_same).then(|| [of_a.told(a.label), of_b.told(b.label)])
        })
    }
}

/// The images of a run by their names.
pub(crate) fn by_name(run: &RunManifest) -> HashMap<&str, &ImageEntry> {
    run.images.iter().map(|image| (&*image.image, image)).collect()
}
