//! Whether two runs are about the same thing, and in what they may differ.

use std::collections::{BTreeMap, BTreeSet};

use super::{Limits, Side};
use crate::{ImageEntry, ModelEntry, RunManifest, family};

/// Two runs whose numbers mean different things, or a limit on what was not measured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotComparable {
    /// The runs differ in what their numbers mean.
    #[error(
        "the runs cannot be compared: {difference}. Only weights, number formats, devices, seeds and versions may differ; \
         make the new run with the sweep of the baseline, or save a new baseline"
    )]
    Differ {
        /// What differs, with both values.
        difference: String,
    },
    /// A limit on a metric that the baseline does not have.
    #[error("there is no metric {name:?} in the baseline to limit; it has {}", known.join(", "))]
    NoSuchMetric {
        /// The name.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// A model or layer that is said to have another name, and is not there under the one or the other.
    #[error("{run} has no model or layer {name:?}, which `--renamed` speaks of; it has {}", known.join(", "))]
    NoSuchModel {
        /// Which of both runs.
        run: &'static str,
        /// The name.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
}

impl NotComparable {
    /// Of a baseline in which every row failed, or every map is degenerate.
    pub(super) fn without_scores() -> Self {
        Self::Differ { difference: "the baseline has no score at all".to_owned() }
    }
}

/// Checks that a baseline has all its rows: what it lacks, the new run could lack unnoticed.
pub(super) fn check_whole(base: Side<'_>) -> Result<(), NotComparable> {
    let n_rows = base.manifest.n_rows();
    match n_rows.saturating_sub(base.records.len()) {
        0 => Ok(()),
        n_lacking => {
            let difference = format!("the baseline lacks {n_lacking} of its {n_rows} rows");
            Err(NotComparable::Differ { difference })
        }
    }
}

/// Checks that the numbers of two runs mean the same.
pub(super) fn check(
    base: &RunManifest,
    new: &RunManifest,
    limits: &Limits,
) -> Result<(), NotComparable> {
    let known: Vec<String> = base
        .metrics
        .iter()
        .map(|metric| metric.name.clone())
        .chain(crate::summary::adcc_parts(base).map(|_| "adcc".to_owned()))
        .collect();
    if let Some(name) = limits.max_drop.keys().find(|name| !known.contains(name)) {
        return Err(NotComparable::NoSuchMetric { name: name.clone(), known });
    }
    for (old, name) in &limits.renamed {
        is_there("the baseline", base, old)?;
        is_there("the new run", new, name)?;
    }
    match difference(base, new, limits) {
        Some(difference) => Err(NotComparable::Differ { difference }),
        None => Ok(()),
    }
}

/// Checks that a run has a model or a layer of this name.
fn is_there(run: &'static str, manifest: &RunManifest, name: &str) -> Result<(), NotComparable> {
    let names = manifest.models.iter().flat_map(|model| [&model.name, &model.layer]);
    let known: BTreeSet<&str> = names.map(String::as_str).collect();
    if known.contains(name) {
        return Ok(());
    }
    let known = known.into_iter().map(str::to_owned).collect();
    Err(NotComparable::NoSuchModel { run, name: name.to_owned(), known })
}

/// The first difference in what the numbers mean.
fn difference(base: &RunManifest, new: &RunManifest, limits: &Limits) -> Option<String> {
    differs("the class that is explained", &base.target, &new.target)
        .or_else(|| {
            let version =
                |run: &RunManifest| format!("{} {}", run.protocol.name, run.protocol.version);
            differs("the protocol", &version(base), &version(new))
        })
        .or_else(|| images(base, new))
        .or_else(|| {
            models(base, new, limits).find_map(|(old, new)| {
                let what = format!("the layer of {}", old.name);
                let differs = differs(&what, &limits.new_name(&old.layer), &new.layer)?;
                Some(format!(
                    "{differs} (if that is one layer, which two exporters call otherwise, say so with `--renamed {}={}`)",
                    old.layer, new.layer
                ))
            })
        })
        .or_else(|| {
            pairs(&base.methods, &new.methods, |method| &method.name).find_map(|(old, new)| {
                let name = &old.name;
                let options =
                    || differs(&format!("the options of {name}"), &old.options, &new.options);
                protocol(name, &old.protocol, &new.protocol)
                    .or_else(|| differs(&format!("the method {name}"), &old.method, &new.method))
                    // The options of imported maps hold their hash, and other maps are what is to be compared.
                    .or_else(|| options().filter(|_| old.method != "imported"))
            })
        })
        .or_else(|| {
            pairs(&base.metrics, &new.metrics, |metric| &metric.name).find_map(|(old, new)| {
                let name = &old.name;
                protocol(name, &old.protocol, &new.protocol)
                    .or_else(|| differs(&format!("the metric {name}"), &old.metric, &new.metric))
                    .or_else(|| {
                        differs(&format!("the options of {name}"), &old.options, &new.options)
                    })
            })
        })
}

/// Both protocols of an entry, where they are not the same but for preprocessing, which may be another one.
fn protocol(name: &str, old: &str, new: &str) -> Option<String> {
    let rules = |protocol: &str| {
        let words = protocol.split('+').filter(|word| *word != "preprocessing=own");
        words.collect::<Vec<_>>().join("+")
    };
    differs(&format!("the protocol of {name}"), &rules(old), &rules(new))
}

/// Both values of something, where they are not the same.
fn differs(what: &str, old: &dyn ToString, new: &dyn ToString) -> Option<String> {
    let (old, new) = (old.to_string(), new.to_string());
    (old != new).then(|| format!("{what} was {old}, is {new}"))
}

/// The first difference between the images of two runs, in all that scores depend on.
fn images(base: &RunManifest, new: &RunManifest) -> Option<String> {
    let (old_images, new_images) = (by_name(base), by_name(new));
    let counts =
        format!("the baseline has {} images, the new run {}", old_images.len(), new_images.len());
    if let Some(name) = old_images.keys().find(|name| !new_images.contains_key(*name)) {
        return Some(format!("{counts}, and {name} is not among those"));
    }
    if let Some(name) = new_images.keys().find(|name| !old_images.contains_key(*name)) {
        return Some(format!("{counts}, and {name} is new"));
    }
    let explains_labels = base.target == "label";
    let asks_for_boxes =
        base.metrics.iter().any(|metric| family(&metric.metric) == Some("Localization"));
    old_images.into_iter().find_map(|(name, old)| {
        let new = new_images[name];
        file(old, new)
            .or_else(|| label(old, new).filter(|_| explains_labels))
            .or_else(|| boxes(old, new).filter(|_| asks_for_boxes))
    })
}

fn by_name(run: &RunManifest) -> BTreeMap<&str, &ImageEntry> {
    run.images.iter().map(|image| (&*image.image, image)).collect()
}

/// Whether an image is another file. One that neither run could read has no score in either.
fn file(old: &ImageEntry, new: &ImageEntry) -> Option<String> {
    let name = &old.image;
    match (&old.sha256, &new.sha256) {
        (Some(_), None) => Some(format!("the new run could not read the image {name}")),
        (None, Some(_)) => Some(format!("the run of the baseline could not read the image {name}")),
        (old, new) => (old != new).then(|| format!("the image {name} is another file than it was")),
    }
}

fn label(old: &ImageEntry, new: &ImageEntry) -> Option<String> {
    let shown = |label: Option<i64>| label.map_or("none".to_owned(), |label| label.to_string());
    differs(&format!("the label of {}", old.image), &shown(old.label), &shown(new.label))
}

fn boxes(old: &ImageEntry, new: &ImageEntry) -> Option<String> {
    (old.boxes != new.boxes)
        .then(|| format!("the boxes of {} were {:?}, are {:?}", old.image, old.boxes, new.boxes))
}

/// What two comparable runs differ in, one sentence each.
pub(super) fn differences(base: &RunManifest, new: &RunManifest, limits: &Limits) -> Vec<String> {
    let mut sentences = absent(base, new, limits);
    let mut say = |what: String, old: &dyn ToString, new: &dyn ToString| {
        let (old, new) = (old.to_string(), new.to_string());
        if old != new {
            sentences.push(format!("{what}: {old}, now {new}"));
        }
    };
    for (old, new) in models(base, new, limits) {
        let name = &old.name;
        say("model".to_owned(), name, &new.name);
        say(format!("layer of {name}"), &old.layer, &new.layer);
        let hash = |hash: &Option<String>| {
            hash.as_deref().map_or("none".to_owned(), |hash| hash.chars().take(12).collect())
        };
        say(format!("architecture of {name}"), &old.architecture, &new.architecture);
        say(format!("weights of {name}"), &hash(&old.weights.sha256), &hash(&new.weights.sha256));
        say(format!("precision of {name}"), &old.precision, &new.precision);
        say(format!("preprocessing of {name}"), &old.preprocessing, &new.preprocessing);
        say(format!("classes of {name}"), &old.n_classes, &new.n_classes);
    }
    say("cambench".into(), &base.cambench, &new.cambench);
    let commit = |commit: &Option<String>| commit.clone().unwrap_or_else(|| "unknown".into());
    say("commit".into(), &commit(&base.commit), &commit(&new.commit));
    say("device".into(), &base.device, &new.device);
    say("threads".into(), &base.threads, &new.threads);
    say("seed".into(), &base.seed, &new.seed);
    for (name, old) in &base.versions {
        say(name.clone(), old, &new.versions.get(name).cloned().unwrap_or_else(|| "none".into()));
    }
    sentences
}

/// Models of the baseline that the new run lacks, with those that it has instead, one sentence each.
fn absent(base: &RunManifest, new: &RunManifest, limits: &Limits) -> Vec<String> {
    let is_compared = |name: &String| models(base, new, limits).any(|(_, new)| new.name == *name);
    let spare = new.models.iter().map(|model| &model.name).filter(|name| !is_compared(name));
    let spare: Vec<&str> = spare.map(String::as_str).collect();
    let hint = |old: &str| match &spare[..] {
        [] => String::new(),
        spare => format!(
            "; it has {}: if that is the same network, give it the old name (`as: {old}`), or say so here (`--renamed \
             {old}={}`)",
            spare.join(", "),
            spare[0]
        ),
    };
    let lacking = base.models.iter().filter(|old| counterpart(new, old, limits).is_none());
    lacking.map(|old| format!("{} is not in the new run{}", old.name, hint(&old.name))).collect()
}

/// The model of a run that is compared with one of the baseline: that of the same name, or the same layer of the same
/// network where only one of the two runs has several layers of it.
pub(super) fn counterpart<'a>(
    run: &'a RunManifest,
    old: &ModelEntry,
    limits: &Limits,
) -> Option<&'a ModelEntry> {
    let place = (limits.new_name(old.network()), limits.new_name(&old.layer));
    let is_same_layer = |new: &&ModelEntry| (new.network(), &*new.layer) == place;
    let name = limits.new_name(&old.name);
    let mut models = run.models.iter();
    models.find(|new| new.name == name).or_else(|| run.models.iter().find(is_same_layer))
}

/// The models of the baseline that the new run has.
fn models<'a>(
    base: &'a RunManifest,
    new: &'a RunManifest,
    limits: &'a Limits,
) -> impl Iterator<Item = (&'a ModelEntry, &'a ModelEntry)> {
    base.models.iter().filter_map(|old| Some((old, counterpart(new, old, limits)?)))
}

/// Entries of the same name.
fn pairs<'a, T>(
    base: &'a [T],
    new: &'a [T],
    name: impl Fn(&T) -> &String + Copy,
) -> impl Iterator<Item = (&'a T, &'a T)> {
    base.iter().filter_map(move |old| {
        new.iter().find(|entry| name(entry) == name(old)).map(|entry| (old, entry))
    })
}
