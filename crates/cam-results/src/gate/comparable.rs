//! Whether two runs are about the same thing, and in what they may differ.

use std::collections::BTreeMap;

use super::Limits;
use crate::{ImageEntry, ModelEntry, RunManifest};

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
    match difference(base, new) {
        Some(difference) => Err(NotComparable::Differ { difference }),
        None => Ok(()),
    }
}

/// The first difference in what the numbers mean.
fn difference(base: &RunManifest, new: &RunManifest) -> Option<String> {
    let differs = |what: String, old: &dyn ToString, new: &dyn ToString| {
        let (old, new) = (old.to_string(), new.to_string());
        (old != new).then(|| format!("{what} was {old}, is {new}"))
    };
    differs("the class that is explained".into(), &base.target, &new.target)
        .or_else(|| {
            let version =
                |run: &RunManifest| format!("{} {}", run.protocol.name, run.protocol.version);
            differs("the protocol".into(), &version(base), &version(new))
        })
        .or_else(|| images(&base.images, &new.images))
        .or_else(|| {
            models(base, new).find_map(|(old, new)| {
                differs(format!("the layer of {}", old.name), &old.layer, &new.layer)
            })
        })
        .or_else(|| {
            pairs(&base.methods, &new.methods, |method| &method.name).find_map(|(old, new)| {
                let name = &old.name;
                let options =
                    || differs(format!("the options of {name}"), &old.options, &new.options);
                differs(format!("the protocol of {name}"), &old.protocol, &new.protocol)
                    .or_else(|| differs(format!("the method {name}"), &old.method, &new.method))
                    // The options of imported maps hold their hash, and other maps are what is to be compared.
                    .or_else(|| options().filter(|_| old.method != "imported"))
            })
        })
        .or_else(|| {
            pairs(&base.metrics, &new.metrics, |metric| &metric.name).find_map(|(old, new)| {
                let name = &old.name;
                differs(format!("the protocol of {name}"), &old.protocol, &new.protocol)
                    .or_else(|| differs(format!("the metric {name}"), &old.metric, &new.metric))
                    .or_else(|| {
                        differs(format!("the options of {name}"), &old.options, &new.options)
                    })
            })
        })
}

/// The first difference between two sets of images.
fn images(base: &[ImageEntry], new: &[ImageEntry]) -> Option<String> {
    let by_name = |images: &[ImageEntry]| -> BTreeMap<String, Option<String>> {
        images.iter().map(|image| (image.image.clone(), image.sha256.clone())).collect()
    };
    let (old, new) = (by_name(base), by_name(new));
    let only = |some: &BTreeMap<String, _>, others: &BTreeMap<String, _>| {
        some.keys().find(|name| !others.contains_key(*name)).cloned()
    };
    let counts = format!("the baseline has {} images, the new run {}", old.len(), new.len());
    if let Some(name) = only(&old, &new) {
        return Some(format!("{counts}, and {name} is not among those"));
    }
    if let Some(name) = only(&new, &old) {
        return Some(format!("{counts}, and {name} is new"));
    }
    old.iter()
        .find(|(name, hash)| new[*name] != **hash)
        .map(|(name, _)| format!("the image {name} is another file than it was"))
}

/// What two comparable runs differ in, one sentence each.
pub(super) fn differences(base: &RunManifest, new: &RunManifest) -> Vec<String> {
    let mut sentences = vec![];
    let mut say = |what: String, old: &dyn ToString, new: &dyn ToString| {
        let (old, new) = (old.to_string(), new.to_string());
        if old != new {
            sentences.push(format!("{what}: {old}, now {new}"));
        }
    };
    for (old, new) in models(base, new) {
        let name = &old.name;
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

/// The model of a run that is compared with one of the baseline: that of the same name, or the same layer of the same
/// network where only one of the two runs has several layers of it.
pub(super) fn counterpart<'a>(run: &'a RunManifest, old: &ModelEntry) -> Option<&'a ModelEntry> {
    let is_same_layer =
        |new: &&ModelEntry| (new.network(), &new.layer) == (old.network(), &old.layer);
    let mut models = run.models.iter();
    models.find(|new| new.name == old.name).or_else(|| run.models.iter().find(is_same_layer))
}

/// The models of the baseline that the new run has.
fn models<'a>(
    base: &'a RunManifest,
    new: &'a RunManifest,
) -> impl Iterator<Item = (&'a ModelEntry, &'a ModelEntry)> {
    base.models.iter().filter_map(|old| Some((old, counterpart(new, old)?)))
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
