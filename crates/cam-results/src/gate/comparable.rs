//! Whether two runs are about the same thing, and in what they may differ.

use std::collections::{BTreeMap, BTreeSet};

use super::{Limits, Side};
use crate::{
    ImageEntry, MethodEntry, ModelEntry, RunManifest,
    images::{Difference, SameImages},
    manifest::name_at,
};

/// Two runs whose numbers mean different things, or a limit on what was not measured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotComparable {
    /// The runs differ in what their numbers mean.
    #[error(
        "the runs cannot be compared: {difference}. Only the networks themselves and their preprocessing, number formats, devices, \
         seeds and versions may differ; make the new run with the sweep of the baseline, or save a new baseline"
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
    /// A network or layer that is said to have another name, and is not there under the one or the other.
    #[error("`--renamed`: {run} has no network or layer {name:?}; it has {}", known.join(", "))]
    NoSuchModel {
        /// Which of both runs.
        run: &'static str,
        /// The name.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// A network that is said to be a layer, or a layer that is said to be a network.
    #[error(
        "`--renamed {old}={new}`: a network is renamed, or a layer (`NETWORK@LAYER`) on both sides"
    )]
    Mixed {
        /// The name in the baseline.
        old: String,
        /// The name in the new run.
        new: String,
    },
    /// A model of the new run that two of the baseline would be compared with.
    #[error("`--renamed`: {first} and {second} of the baseline would both be compared with {new}")]
    OneForTwo {
        /// The name in the new run.
        new: String,
        /// A name in the baseline.
        first: String,
        /// Another one.
        second: String,
    },
}

impl NotComparable {
    /// Of a baseline of controls alone, or in which every row failed, or every map is degenerate.
    pub(super) fn without_scores() -> Self {
        Self::Differ { difference: "the baseline has no score at all, controls aside".to_owned() }
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

/// Checks that the numbers of two runs mean the same: which models are compared.
pub(super) fn check<'a>(
    base: &'a RunManifest,
    new: &'a RunManifest,
    limits: &'a Limits,
) -> Result<Pairs<'a>, NotComparable> {
    let known: Vec<String> = base
        .metrics
        .iter()
        .map(|metric| metric.name.clone())
        .chain(crate::summary::adcc_parts(base).map(|_| "adcc".to_owned()))
        .collect();
    if let Some(name) = limits.max_drop.keys().find(|name| !known.contains(name)) {
        return Err(NotComparable::NoSuchMetric { name: name.clone(), known });
    }
    if base.methods.iter().all(MethodEntry::is_control) {
        return Err(NotComparable::without_scores());
    }
    let pairs = Pairs::of(base, new, limits)?;
    match difference(base, new, &pairs) {
        Some(difference) => Err(NotComparable::Differ { difference }),
        None => Ok(pairs),
    }
}

/// The first difference in what the numbers mean.
fn difference(base: &RunManifest, new: &RunManifest, pairs: &Pairs<'_>) -> Option<String> {
    differs("the class that is explained", &base.target, &new.target)
        .or_else(|| {
            let version =
                |run: &RunManifest| format!("{} {}", run.protocol.name, run.protocol.version);
            differs("the protocol", &version(base), &version(new))
        })
        .or_else(|| images(base, new, pairs))
        .or_else(|| {
            pairs.models().find_map(|(old, new)| {
                layer(old, new).filter(|_| !pairs.is_renamed(old)).or_else(|| output(old, new))
            })
        })
        .or_else(|| {
            entries(&base.methods, &new.methods, |method| &method.name).find_map(|(old, new)| {
                let name = &old.name;
                let options =
                    || differs(&format!("the options of {name}"), &old.options, &new.options);
                protocol(name, &old.protocol, &new.protocol)
                    .or_else(|| differs(&format!("the method {name}"), &old.method, &new.method))
                    // The options of imported maps hold their hash, and other maps are what is to be compared.
                    .or_else(|| options().filter(|_| !old.is_imported()))
            })
        })
        .or_else(|| {
            entries(&base.metrics, &new.metrics, |metric| &metric.name).find_map(|(old, new)| {
                let name = &old.name;
                protocol(name, &old.protocol, &new.protocol)
                    .or_else(|| differs(&format!("the metric {name}"), &old.metric, &new.metric))
                    .or_else(|| {
                        differs(&format!("the options of {name}"), &old.options, &new.options)
                    })
            })
        })
}

fn layer(old: &ModelEntry, new: &ModelEntry) -> Option<String> {
    let differs = differs(&format!("the layer of {}", old.name), &old.layer, &new.layer)?;
    // Exporters name tensors as they like; a layer of the zoo has one name.
    let may_be_one = [old, new].iter().all(|model| model.architecture.starts_with("ONNX"))
        && old.feature_shape == new.feature_shape;
    let hint = || {
        let [old, new] = [old, new].map(|model| name_at(model.network(), &model.layer));
        format!(" (if two exporters call one layer so, `--renamed {old}={new}` says it)")
    };
    Some(differs + &if may_be_one { hint() } else { String::new() })
}

fn output(old: &ModelEntry, new: &ModelEntry) -> Option<String> {
    let (before, now) = (old.output.as_ref()?, new.output.as_ref()?);
    differs(&format!("the output of {} that logits are read from", old.name), before, now)
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
fn images(base: &RunManifest, new_run: &RunManifest, pairs: &Pairs<'_>) -> Option<String> {
    let (old_images, new_images) = (by_name(base), by_name(new_run));
    let counts =
        format!("the baseline has {} images, the new run {}", old_images.len(), new_images.len());
    if let Some(name) = old_images.keys().find(|name| !new_images.contains_key(*name)) {
        return Some(format!("{counts}, and {name} is not among those"));
    }
    if let Some(name) = new_images.keys().find(|name| !old_images.contains_key(*name)) {
        return Some(format!("{counts}, and {name} is new"));
    }
    let same = SameImages::of([base, new_run], pairs.models().map(|(old, new)| [old, new]));
    old_images.into_iter().find_map(|(name, old)| {
        Some(match same.difference(old, new_images[name])? {
            Difference::File => format!("the image {name} is another file than it was"),
            Difference::FirstUnread => {
                format!("the run of the baseline could not read the image {name}")
            }
            Difference::SecondUnread => format!("the new run could not read the image {name}"),
            Difference::Labels([before, now]) => {
                format!("the label of {name} was {before}, is {now}")
            }
            Difference::Boxes([before, now]) => {
                format!("the boxes of {name} were {before:?}, are {now:?}")
            }
        })
    })
}

/// In the order of their names, so that the first difference is always the same one.
fn by_name(run: &RunManifest) -> BTreeMap<&str, &ImageEntry> {
    run.images.iter().map(|image| (&*image.image, image)).collect()
}

/// What two comparable runs differ in besides names, one sentence each.
pub(super) fn differences(base: &RunManifest, new: &RunManifest, pairs: &Pairs<'_>) -> Vec<String> {
    let mut sentences = vec![];
    let mut say = |what: String, old: &dyn ToString, new: &dyn ToString| {
        sentences.extend(now(&what, old, new));
    };
    for (old, new) in pairs.models() {
        let name = &old.name;
        let output = |model: &ModelEntry| {
            model.output.clone().unwrap_or_else(|| "the only one, or not recorded".into())
        };
        say(format!("output of {name}"), &output(old), &output(new));
        let hash = |hash: &Option<String>| {
            hash.as_deref().map_or("none".to_owned(), |hash| hash.chars().take(12).collect())
        };
        say(format!("architecture of {name}"), &old.architecture, &new.architecture);
        say(format!("weights of {name}"), &hash(&old.weights.sha256), &hash(&new.weights.sha256));
        say(format!("precision of {name}"), &old.precision, &new.precision);
        say(format!("preprocessing of {name}"), &old.preprocessing, &new.preprocessing);
        say(format!("number of classes of {name}"), &old.n_classes, &new.n_classes);
        let names = old.classes.iter().zip(&new.classes).enumerate();
        if let Some((i, (before, now))) = { names }.find(|(_, (before, now))| before != now) {
            say(format!("class {i} of {name}"), before, now);
        }
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

/// Both values of something that may differ, where they do.
fn now(what: &str, old: &dyn ToString, new: &dyn ToString) -> Option<String> {
    let (old, new) = (old.to_string(), new.to_string());
    (old != new).then(|| format!("{what}: {old}, now {new}"))
}

/// Which model of the new run is compared with which of the baseline.
pub(super) struct Pairs<'a> {
    /// Models of the baseline in its order, with that of the new run, where there is one.
    counterparts: Vec<(&'a ModelEntry, Option<&'a ModelEntry>)>,
    base: &'a RunManifest,
    new: &'a RunManifest,
    limits: &'a Limits,
}

impl<'a> Pairs<'a> {
    /// A model's counterpart is the one of the same name, or the same layer of the same network where only one of the two runs
    /// has several layers of it; of a network or layer that was renamed, the same by the new name.
    fn of(
        base: &'a RunManifest,
        new: &'a RunManifest,
        limits: &'a Limits,
    ) -> Result<Self, NotComparable> {
        for (old, name) in &limits.renamed {
            if known("the baseline", base, old)? != known("the new run", new, name)? {
                return Err(NotComparable::Mixed { old: old.clone(), new: name.clone() });
            }
        }
        let counterparts = base.models.iter().map(|old| (old, counterpart(new, old, limits)));
        let pairs = Self { counterparts: counterparts.collect(), base, new, limits };
        let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
        for (old, new) in pairs.models() {
            if let Some(first) = taken.insert(&new.name, &old.name) {
                let (new, first, second) = (new.name.clone(), first.to_owned(), old.name.clone());
                return Err(NotComparable::OneForTwo { new, first, second });
            }
        }
        Ok(pairs)
    }

    /// The models of the baseline that the new run has.
    pub(super) fn models(&self) -> impl Iterator<Item = (&'a ModelEntry, &'a ModelEntry)> {
        self.counterparts.iter().filter_map(|(old, new)| Some((*old, (*new)?)))
    }

    /// The model of the new run for one of the baseline.
    pub(super) fn new_of(&self, old: &ModelEntry) -> Option<&'a ModelEntry> {
        self.counterparts.iter().find(|(model, _)| model.name == old.name)?.1
    }

    /// Whether its layer is said to have another name.
    fn is_renamed(&self, old: &ModelEntry) -> bool {
        self.limits.renamed.contains_key(&layer_name(old))
    }

    /// What is called otherwise, and models, methods and metrics of the baseline that the new run lacks, one sentence each.
    pub(super) fn names(&self) -> Vec<String> {
        let renamed = self.models().flat_map(|(old, new)| {
            let layer = format!("layer of {}", old.name);
            [now("network", &old.network(), &new.network()), now(&layer, &old.layer, &new.layer)]
        });
        let lacks = |what: &str, name: &str| format!("the {what} {name} is not in the new run");
        let methods = self.base.methods.iter().map(|method| &method.name);
        let methods = methods
            .filter(|name| self.new.methods.iter().all(|new| new.name != **name))
            .map(|name| lacks("method", name));
        let metrics = self.base.metrics.iter().map(|metric| &metric.name);
        let metrics = metrics
            .filter(|name| self.new.metrics.iter().all(|new| new.name != **name))
            .map(|name| lacks("metric", name));
        renamed.flatten().chain(self.absent()).chain(methods).chain(metrics).collect()
    }

    /// Models of the baseline that the new run lacks, with the network that it may have instead.
    fn absent(&self) -> Vec<String> {
        let networks = |run: &RunManifest| -> BTreeSet<String> {
            run.models.iter().map(|model| model.network().to_owned()).collect()
        };
        let (before, now) = (networks(self.base), networks(self.new));
        let gone: Vec<&String> = before.difference(&now).collect();
        let added: Vec<&String> = now.difference(&before).collect();
        let hint = match (&gone[..], &added[..]) {
            ([gone], [added]) => format!(
                "; if {added} is the same network, give it the old name (`as: {gone}`), or say so here (`--renamed \
                 {gone}={added}`)"
            ),
            _ => String::new(),
        };
        let sentence = |old: &ModelEntry| {
            let hint = if now.contains(old.network()) { "" } else { &hint };
            format!("{} is not in the new run{hint}", old.name)
        };
        let lacking = self.counterparts.iter().filter(|(_, new)| new.is_none());
        lacking.map(|(old, _)| sentence(old)).collect()
    }
}

/// A layer's name among those of all networks, as `--renamed` takes it.
fn layer_name(model: &ModelEntry) -> String {
    name_at(model.network(), &model.layer)
}

/// What a name is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Network,
    Layer,
}

/// What a run has of this name.
fn known(run: &'static str, manifest: &RunManifest, name: &str) -> Result<Known, NotComparable> {
    if manifest.models.iter().any(|model| model.network() == name) {
        return Ok(Known::Network);
    }
    if manifest.models.iter().any(|model| layer_name(model) == name) {
        return Ok(Known::Layer);
    }
    let names = manifest.models.iter().flat_map(|m| [m.network().to_owned(), layer_name(m)]);
    let known: BTreeSet<String> = names.collect();
    Err(NotComparable::NoSuchModel {
        run,
        name: name.to_owned(),
        known: known.into_iter().collect(),
    })
}

fn counterpart<'a>(
    run: &'a RunManifest,
    old: &ModelEntry,
    limits: &Limits,
) -> Option<&'a ModelEntry> {
    let find = |is_it: &dyn Fn(&ModelEntry) -> bool| run.models.iter().find(|new| is_it(new));
    if let Some(name) = limits.renamed.get(&layer_name(old)) {
        return find(&|new| layer_name(new) == *name);
    }
    let network = limits.renamed.get(old.network()).map_or(old.network(), String::as_str);
    let name =
        if old.name == old.network() { network.to_owned() } else { name_at(network, &old.layer) };
    find(&|new| new.name == name)
        .or_else(|| find(&|new| (new.network(), &new.layer) == (network, &old.layer)))
}

/// Entries of the same name.
fn entries<'a, T>(
    base: &'a [T],
    new: &'a [T],
    name: impl Fn(&T) -> &String + Copy,
) -> impl Iterator<Item = (&'a T, &'a T)> {
    base.iter().filter_map(move |old| {
        new.iter().find(|entry| name(entry) == name(old)).map(|entry| (old, entry))
    })
}
