//! Several runs seen as one.

mod rows;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, hash_map::Entry};

use crate::{
    ImageEntry, Key, MethodEntry, MetricEntry, ModelEntry, Record, Run, RunManifest, adcc_of,
    counted,
    images::{Difference, SameImages, by_name},
    name_at,
};
use rows::{Agreement, agreements};

/// A run with the names that its rows have among those of other runs.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) run: Run,
    /// What the run is called.
    label: String,
    /// Whether it has tables of its own.
    is_apart: bool,
    models: HashMap<String, String>,
    methods: HashMap<String, String>,
    metrics: HashMap<String, String>,
    images: HashMap<String, String>,
    /// What its rows are to those of the runs before, where both have the model and method.
    agreements: BTreeMap<Cell, Agreement>,
}

/// A model and a method by their names in the joined run.
pub(crate) type Cell = (String, String);

impl Part {
    pub(crate) fn key(&self, key: &Key) -> Key {
        Key {
            model: new(&self.models, &key.model),
            layer: key.layer.clone(),
            method: new(&self.methods, &key.method),
            protocol: key.protocol.clone(),
            image: new(&self.images, &key.image),
        }
    }

    /// The models and methods that the run has rows of.
    fn cells(&self) -> impl Iterator<Item = Cell> + '_ {
        let manifest = self.run.manifest();
        manifest.models.iter().flat_map(move |model| {
            let methods = manifest.methods.iter().filter(move |method| method.runs_on(&model.name));
            methods.map(move |method| {
                (new(&self.models, &model.name), new(&self.methods, &method.name))
            })
        })
    }

    pub(crate) fn metric(&self, metric: &str) -> String {
        new(&self.metrics, metric)
    }

    /// The model and method of a row.
    fn cell(&self, row: &Record) -> Cell {
        (new(&self.models, &row.model), new(&self.methods, &row.method))
    }

    /// Its place of each of these metrics.
    fn columns(&self, metrics: &[MetricEntry]) -> Vec<Option<usize>> {
        let own = &self.run.manifest().metrics;
        let place =
            |metric: &MetricEntry| own.iter().position(|own| self.metric(&own.name) == metric.name);
        metrics.iter().map(place).collect()
    }

    /// The methods whose rows of a model are this to those of runs before.
    fn methods_that(&self, model: &str, agreement: Agreement) -> Vec<&str> {
        let cells = self.agreements.iter().filter(|(cell, _)| cell.0 == model);
        cells.filter(|(_, found)| **found == agreement).map(|(cell, _)| &*cell.1).collect()
    }

    /// Which of its models, methods and metrics get the run's name among those of the runs before it, and which rows of it
    /// are there already, a sentence each.
    fn cautions(&self, before: &RunManifest) -> Vec<String> {
        let (own, label) = (self.run.manifest(), &self.label);
        let models = own.models.iter().filter_map(|model| {
            let name = &model.name;
            let shown = self.models.get(name)?;
            let [other, unknown] = [Agreement::Other, Agreement::Unknown]
                .map(|agreement| self.methods_that(name, agreement));
            let why = if before.models.iter().all(|known| !is_same(known, model)) {
                "has other weights, preprocessing, precision or classes than before".to_owned()
            } else if other.is_empty() {
                let methods = unknown.join(", ");
                format!("has rows by {methods} once more, and no score in common with them")
            } else {
                format!("has rows by {} once more, with other scores", other.join(", "))
            };
            Some(format!("{name} of {label} {why}; it is shown as {shown}."))
        });
        let repeated = own.models.iter().filter_map(|model| {
            let methods = self.methods_that(&model.name, Agreement::Same).join(", ");
            (!methods.is_empty() && !self.models.contains_key(&model.name)).then(|| {
                format!(
                    "{label} has {methods} of {} once more, with the same scores; these rows count once.",
                    model.name
                )
            })
        });
        let methods =
            own.methods.iter().filter_map(|method| self.methods.get_key_value(&method.name));
        let methods = methods.map(|(name, shown)| {
            let has = |agreement| {
                own.models.iter().any(|m| self.methods_that(&m.name, agreement).contains(&&**name))
            };
            let why = if has(Agreement::Other) {
                "other scores than before"
            } else if has(Agreement::Unknown) {
                "no score in common with its rows of before"
            } else {
                "other options or another protocol"
            };
            format!("{name} of {label} has {why}; it is shown as {shown}.")
        });
        let metrics =
            own.metrics.iter().filter_map(|metric| self.metrics.get_key_value(&metric.name));
        let metrics = metrics.map(|(name, shown)| {
            format!(
                "{name} of {label} has other options or another protocol; it is shown as {shown}."
            )
        });
        models.chain(repeated).chain(methods).chain(metrics).collect()
    }

    /// What an image of a joined model is called in this run, if both are of it.
    pub(crate) fn image_of(&self, model: &str, image: &str) -> Option<&str> {
        let manifest = self.run.manifest();
        let has_model = manifest.models.iter().any(|own| new(&self.models, &own.name) == model);
        let mut images = manifest.images.iter().filter(|_| has_model).map(|own| &*own.image);
        images.find(|own| self.images.get(*own).map_or(*own, |new| new) == image)
    }
}

fn new(names: &HashMap<String, String>, name: &str) -> String {
    names.get(name).map_or(name, String::as_str).to_owned()
}

/// What [`Run::join`] makes: manifest, records and parts, and what a reader must know, a sentence each.
pub(crate) struct Joined {
    pub(crate) manifest: RunManifest,
    pub(crate) records: Vec<Record>,
    pub(crate) parts: Vec<Part>,
    /// Of which several runs have rows.
    pub(crate) shared: HashSet<Cell>,
    pub(crate) cautions: Vec<String>,
}

/// Rows stand in one table where they are comparable: one model (weights, layer, preprocessing), one rule for the class,
/// and images ([`SameImages`]) of which one run has all that the other has. A run shares tables if that holds for it and
/// each run before it that shares them. Otherwise its models get its name, and so tables of their own. Metrics and methods
/// that share a name and are not the same get their run's name as well, and so do methods with other scores. Rows that several
/// runs have with the same scores, as those of controls, are one, with the metrics of all of them.
pub(crate) fn join(runs: Vec<Run>) -> Joined {
    let labels = labels(&runs);
    let mut runs = runs.into_iter().zip(labels);
    let (run, label) = runs.next().expect("at least one run");
    let mut manifest = run.manifest().clone();
    let mut cautions = vec![];
    let none = HashMap::new;
    let first = Part {
        run,
        label,
        is_apart: false,
        models: none(),
        methods: none(),
        metrics: none(),
        images: none(),
        agreements: BTreeMap::new(),
    };
    let mut cells: HashSet<Cell> = first.cells().collect();
    let mut shared = HashSet::new();
    let mut parts = vec![first];
    for (run, label) in runs {
        let apart = apart(&parts, &run, &label);
        let part = part(run, label, apart.is_some(), &manifest, &parts, &cells);
        if let Some(caution) = apart {
            cautions.push(caution);
        } else {
            cautions.extend(part.cautions(&manifest));
            cautions.extend(parts.iter().find_map(|other| labeled_otherwise(other, &part)));
        }
        extend(&mut manifest, &part);
        shared.extend(part.cells().filter(|cell| cells.contains(cell)));
        cells.extend(part.cells());
        parts.push(part);
    }
    let differ = |of: &dyn Fn(&RunManifest) -> String| {
        parts.iter().map(|part| of(part.run.manifest())).collect::<BTreeSet<_>>().len() > 1
    };
    if differ(&|manifest| format!("{} {}", manifest.device, manifest.threads)) {
        cautions
            .push("The runs are of different machines; their seconds must not be compared.".into());
    }
    if differ(&|manifest| manifest.protocol.name.clone()) {
        cautions.push(format!(
            "The runs are of different protocols; ADCC is shown by `{}` alone.",
            manifest.protocol.name
        ));
    }
    let sharing = parts.iter().filter(|part| !part.is_apart);
    let n_images: BTreeSet<usize> = sharing.map(|part| part.run.manifest().images.len()).collect();
    if n_images.len() > 1 {
        cautions.push(
            "The runs have different numbers of images; n stands beside every mean, and paired differences are over the images that both have.".into(),
        );
    }
    manifest.dataset.n_images = manifest.images.len();
    manifest.dataset.cautions = of_data_sets(&parts);
    for part in &parts {
        both(&mut manifest.target, &part.run.manifest().target);
    }
    let models: Vec<String> = manifest.models.iter().map(|model| model.name.clone()).collect();
    for method in &mut manifest.methods {
        let lacks = |model: &&String| !cells.contains(&((*model).clone(), method.name.clone()));
        method.except = models.iter().filter(lacks).cloned().collect();
    }
    let records = records(&manifest, &parts, &shared);
    Joined { manifest, records, parts, shared, cautions }
}

/// What the runs say of their images: once where all say it, else with the run's name.
fn of_data_sets(parts: &[Part]) -> Vec<String> {
    let of = |part: &Part| part.run.manifest().dataset.cautions.clone();
    let is_of_all = |caution: &String| parts.iter().all(|part| of(part).contains(caution));
    let all = parts[..1].iter().flat_map(of).filter(is_of_all);
    let own = |part: &Part| {
        let own = of(part).into_iter().filter(|caution| !is_of_all(caution));
        own.map(|caution| format!("{}: {caution}", part.label)).collect::<Vec<_>>()
    };
    all.chain(parts.iter().flat_map(own)).collect()
}

/// Short names that tell runs apart: the sweep's, or with the folder's.
fn labels(runs: &[Run]) -> Vec<String> {
    let sweeps: Vec<&String> = runs.iter().map(|run| &run.manifest().sweep).collect();
    let label = |(i, run): (usize, &Run)| {
        if sweeps.iter().filter(|sweep| **sweep == sweeps[i]).count() == 1 {
            return sweeps[i].clone();
        }
        let name = run
            .folder()
            .file_name()
            .map_or_else(|| i.to_string(), |name| name.to_string_lossy().into_owned());
        format!("{} {name}", sweeps[i])
    };
    let labels: Vec<String> = runs.iter().enumerate().map(label).collect();
    let is_twice = |label: &String| labels.iter().filter(|other| *other == label).count() > 1;
    let number = |(i, label): (usize, &String)| {
        if is_twice(label) { format!("{label} {}", i + 1) } else { label.clone() }
    };
    labels.iter().enumerate().map(number).collect()
}

/// Why a run has tables of its own, a sentence; `None` where it is comparable with every run that shares tables.
fn apart(parts: &[Part], run: &Run, label: &str) -> Option<String> {
    let why = |part: &Part| incomparable(part.run.manifest(), run.manifest());
    let (sharing, others): (Vec<&Part>, Vec<&Part>) = parts.iter().partition(|part| !part.is_apart);
    let (other, why_apart) =
        sharing.into_iter().find_map(|part| Some((&part.label, why(part)?)))?;
    // They are not compared here, as each is shown under its own name, but they could be.
    let comparable: Vec<&str> =
        others.into_iter().filter(|part| why(part).is_none()).map(|part| &*part.label).collect();
    let more = if comparable.is_empty() {
        String::new()
    } else {
        format!(
            " It is comparable with {}, shown apart as well; a report without {other} may compare them.",
            comparable.join(", ")
        )
    };
    Some(format!(
        "{other} and {label} are not comparable ({why_apart}); {label} has tables of its own.{more}"
    ))
}

/// A run with its names among those of the runs before it, of which `manifest` has all and `cells` all that have rows.
fn part(
    run: Run,
    label: String,
    is_apart: bool,
    manifest: &RunManifest,
    parts: &[Part],
    cells: &HashSet<Cell>,
) -> Part {
    let other = run.manifest();
    let in_brackets = format!(" [{label}]");
    let named = |name: &str| format!("{name}{in_brackets}");
    let metrics = renamed(&manifest.metrics, &other.metrics, |m| &m.name, MetricEntry::eq, &named);
    let methods = renamed(&manifest.methods, &other.methods, |m| &m.name, is_same_method, &named);
    let images = image_names(other, is_apart, manifest, parts, &named);
    let part = Part {
        run,
        label,
        is_apart,
        models: HashMap::new(),
        methods,
        metrics,
        images,
        agreements: BTreeMap::new(),
    };
    let known = |model: &ModelEntry| manifest.models.iter().find(|known| known.name == model.name);
    let is_other = |model: &ModelEntry| known(model).is_some_and(|known| !is_same(known, model));
    let others = part.run.manifest().models.iter().filter(|model| is_other(model));
    let others: HashSet<String> = others.map(|model| model.name.clone()).collect();
    let common =
        part.cells().filter(|cell| !is_apart && cells.contains(cell) && !others.contains(&cell.0));
    let agreements = agreements(parts, &part, &common.collect());
    let unlike = agreements
        .iter()
        .filter(|(_, found)| matches!(found, Agreement::Other | Agreement::Unknown));
    let unlike: Vec<&Cell> = unlike.map(|(cell, _)| cell).collect();
    // A method that came out otherwise is another one; where all did, the model is.
    let (mut methods, mut other_models) = (part.methods.clone(), others);
    if agreements.values().any(|found| *found == Agreement::Same) {
        let own = part.run.manifest().methods.iter().map(|method| &method.name);
        let own = own.filter(|name| unlike.iter().any(|cell| cell.1 == **name));
        methods.extend(own.map(|name| (name.clone(), named(name))));
    } else {
        other_models.extend(unlike.iter().map(|cell| cell.0.clone()));
    }
    let models = part.run.manifest().models.iter();
    let models = models.filter(|model| is_apart || other_models.contains(&model.name));
    let models = models.map(|model| {
        let network = named(model.network());
        let is_alone = model.network() == model.name;
        let name = if is_alone { network } else { name_at(&network, &model.layer) };
        (model.name.clone(), name)
    });
    let models = models.collect();
    Part { models, methods, agreements, ..part }
}

/// What images are called that are not called as in their own run: as the same image of the runs that it shares tables with,
/// or, where something else has the name, with the run's.
fn image_names(
    other: &RunManifest,
    is_apart: bool,
    manifest: &RunManifest,
    parts: &[Part],
    named: &dyn Fn(&str) -> String,
) -> HashMap<String, String> {
    let sharing = parts.iter().filter(|part| !is_apart && !part.is_apart);
    let shared: HashMap<&str, String> = sharing
        .flat_map(|part| part.run.manifest().images.iter().map(move |image| (part, &*image.image)))
        .map(|(part, image)| (image, new(&part.images, image)))
        .collect();
    let taken: HashMap<&str, &ImageEntry> =
        manifest.images.iter().map(|image| (&*image.image, image)).collect();
    let name = |image: &ImageEntry| match (shared.get(&*image.image), taken.get(&*image.image)) {
        (Some(name), _) => name.clone(),
        (None, Some(known)) if *known != image => named(&image.image),
        _ => image.image.clone(),
    };
    let names = other.images.iter().map(|image| (image.image.clone(), name(image)));
    names.filter(|(own, name)| own != name).collect()
}

/// Why numbers of two runs must not stand in one table; `None` where they may.
fn incomparable(a: &RunManifest, b: &RunManifest) -> Option<String> {
    if a.target != b.target {
        return Some(format!("classes explained: {} and {}", a.target, b.target));
    }
    let same = same_images(a, b);
    let of_a = by_name(a);
    let common = b.images.iter().filter_map(|b| Some((*of_a.get(&*b.image)?, b)));
    let differences = common.map(|(a, b)| (&a.image, same.difference(a, b)));
    let (mut n_same, mut told) = (0, None);
    for (image, difference) in differences {
        let other = match difference {
            Some(Difference::File | Difference::FirstUnread | Difference::SecondUnread) => continue,
            Some(Difference::Labels([a, b])) => Some(format!("the label of {image}: {a} and {b}")),
            Some(Difference::Boxes([a, b])) => {
                Some(format!("the boxes of {image}: {a:?} and {b:?}"))
            }
            None => None,
        };
        n_same += 1;
        told = told.or(other);
    }
    let (n_a, n_b) = (a.images.len(), b.images.len());
    if n_same < n_a.min(n_b) {
        return Some(format!("{n_a} and {n_b} images, {n_same} of them the same"));
    }
    told
}

/// Labels are compared by what networks of one name call their classes; where no network is of both runs, by what any two
/// do, as all models of joined runs stand side by side.
fn same_images(a: &RunManifest, b: &RunManifest) -> SameImages {
    let models = a.models.iter().flat_map(|model| b.models.iter().map(move |other| [model, other]));
    let models: Vec<[&ModelEntry; 2]> = models.collect();
    let of_one_name = |[a, b]: &[&ModelEntry; 2]| a.network() == b.network();
    let has_common = models.iter().any(of_one_name);
    SameImages::of([a, b], models.into_iter().filter(|both| !has_common || of_one_name(both)))
}

/// That two runs that share tables label images otherwise, where both do, a sentence.
fn labeled_otherwise(a: &Part, b: &Part) -> Option<String> {
    if a.is_apart {
        return None;
    }
    let (of_a, of_b) = (a.run.manifest(), b.run.manifest());
    let same = same_images(of_a, of_b);
    let images = by_name(of_a);
    let common = of_b.images.iter().filter_map(|b| Some((*images.get(&*b.image)?, b)));
    let labeled = common.filter(|(a, b)| a.label.is_some() && b.label.is_some());
    let mut differences = labeled.filter_map(|(a, b)| Some((&a.image, same.labels(a, b)?)));
    let (image, [first, second]) = differences.next()?;
    let n = counted(1 + differences.count(), "image");
    let (a, b) = (&a.label, &b.label);
    Some(format!(
        "{a} and {b} label {n} otherwise (the label of {image}: {first} and {second}); of the class that is predicted no score \
         depends on it, and accuracies do."
    ))
}

/// Whether two entries are one network: what only changes speed may differ.
pub(crate) fn is_same(a: &ModelEntry, b: &ModelEntry) -> bool {
    let ModelEntry { batch, head_batch, rounding, weights, .. } = a;
    let mut b = b.clone();
    (b.batch, b.head_batch, b.rounding) = (*batch, *head_batch, rounding.clone());
    b.weights.path.clone_from(&weights.path);
    *a == b
}

/// Whether two entries are one method, whichever models they leave out.
fn is_same_method(a: &MethodEntry, b: &MethodEntry) -> bool {
    *a == MethodEntry { except: a.except.clone(), ..b.clone() }
}

/// New names for those entries whose name is taken by something else.
fn renamed<T>(
    known: &[T],
    other: &[T],
    name: fn(&T) -> &String,
    is_same: fn(&T, &T) -> bool,
    named: &dyn Fn(&str) -> String,
) -> HashMap<String, String> {
    let clashes = other.iter().filter(|entry| {
        known.iter().any(|known| name(known) == name(entry) && !is_same(known, entry))
    });
    clashes.map(|entry| (name(entry).clone(), named(name(entry)))).collect()
}

fn extend(manifest: &mut RunManifest, part: &Part) {
    let other = part.run.manifest();
    for model in &other.models {
        let model = ModelEntry { name: new(&part.models, &model.name), ..model.clone() };
        if manifest.models.iter().all(|known| known.name != model.name) {
            manifest.models.push(model);
        }
    }
    for method in &other.methods {
        let method = MethodEntry { name: new(&part.methods, &method.name), ..method.clone() };
        if manifest.methods.iter().all(|known| known.name != method.name) {
            manifest.methods.push(method);
        }
    }
    for metric in &other.metrics {
        let metric = MetricEntry { name: part.metric(&metric.name), ..metric.clone() };
        if manifest.metrics.iter().all(|known| known.name != metric.name) {
            manifest.metrics.push(metric);
        }
    }
    let known: HashSet<String> = manifest.images.iter().map(|image| image.image.clone()).collect();
    for image in &other.images {
        let image = ImageEntry { image: new(&part.images, &image.image), ..image.clone() };
        if !known.contains(&image.image) {
            manifest.images.push(image);
        }
    }
    if part.is_apart {
        let models = other.models.iter().map(|model| new(&part.models, &model.name));
        manifest.joined.apart.extend(models.map(|model| (model, part.label.clone())));
    }
    both(&mut manifest.sweep, &other.sweep);
    both(&mut manifest.dataset.name, &other.dataset.name);
    both(&mut manifest.device, &other.device);
    both(&mut manifest.cambench, &other.cambench);
    for (name, version) in &other.versions {
        both(manifest.versions.entry(name.clone()).or_insert_with(|| version.clone()), version);
    }
    manifest.joined.seeds.extend([manifest.seed, other.seed]);
    manifest.finished = manifest.finished.take().zip(other.finished.clone()).map(|(a, b)| a.max(b));
    manifest.command = None;
    manifest.dirty |= other.dirty;
    if manifest.commit != other.commit {
        manifest.commit = None;
    }
    manifest.config_given =
        format!("{}\n---\n{}", manifest.config_given.trim_end(), other.config_given);
}

/// Adds what another run has to what some have, unless one of them has it.
fn both(text: &mut String, other: &str) {
    if text.split(" + ").all(|known| known != other) {
        *text = format!("{text} + {other}");
    }
}

/// All records, in the order of the joined manifest's models, images and methods; of `shared` cells each row once.
fn records(manifest: &RunManifest, parts: &[Part], shared: &HashSet<Cell>) -> Vec<Record> {
    let place =
        |name: &str, names: &HashMap<&str, usize>| names.get(name).copied().unwrap_or(usize::MAX);
    let models: HashMap<&str, usize> = manifest.models.iter().map(|m| &*m.name).zip(0..).collect();
    let methods: HashMap<&str, usize> =
        manifest.methods.iter().map(|m| &*m.name).zip(0..).collect();
    let images: HashMap<&str, usize> = manifest.images.iter().map(|i| &*i.image).zip(0..).collect();
    let mut records: Vec<Record> = vec![];
    let mut of_shared: HashMap<Key, usize> = HashMap::new();
    for part in parts {
        let columns = part.columns(&manifest.metrics);
        // One column must not hold the scores of two protocols.
        let is_of_first = part.run.manifest().protocol == manifest.protocol;
        for record in part.run.records() {
            let key = part.key(&record.key());
            let metrics = columns.iter().map(|column| record.metrics[(*column)?]);
            let adcc_per_image = record.adcc_per_image.filter(|_| is_of_first);
            if shared.contains(&part.cell(record)) {
                match of_shared.entry(key.clone()) {
                    Entry::Occupied(place) => {
                        let first = &mut records[*place.get()];
                        for (score, more) in first.metrics.iter_mut().zip(metrics) {
                            *score = score.or(more);
                        }
                        first.adcc_per_image = adcc_of(manifest, first);
                        continue;
                    }
                    Entry::Vacant(place) => place.insert(records.len()),
                };
            }
            let Key { model, layer, method, protocol, image } = key;
            records.push(Record {
                model: model.into(),
                layer: layer.into(),
                method: method.into(),
                protocol: protocol.into(),
                image: image.into(),
                metrics: metrics.collect(),
                adcc_per_image,
                ..record.clone()
            });
        }
    }
    records.sort_by_cached_key(|record| {
        (
            place(&record.model, &models),
            place(&record.image, &images),
            place(&record.method, &methods),
        )
    });
    records
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use serde_json::json;

    use super::*;
    use crate::{
        Store, report_md,
        testing::{manifest, method, rows},
    };

    /// Runs in a folder of their own.
    struct Runs(tempfile::TempDir);

    impl Runs {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn run(&self, name: &str, change: impl FnOnce(&mut RunManifest)) -> Run {
            // Inside of the other one, and gone with it.
            let folder = tempfile::tempdir_in(self.0.path()).unwrap().keep();
            let mut manifest = manifest();
            manifest.sweep = name.into();
            change(&mut manifest);
            let mut store = Store::create_or_continue(&folder, manifest.clone()).unwrap();
            let mut rows = rows(&manifest);
            for row in rows.iter_mut().filter(|row| row.record.method == "rise") {
                // RISE is random.
                let moved = 0.01 * manifest.seed as f64;
                row.record.metrics[0] = row.record.metrics[0].map(|drop| drop + moved);
            }
            store.append_all(&rows).unwrap();
            store.finish("2026-01-02T04:00:00Z").unwrap()
        }
    }

    fn names(run: &Run) -> (Vec<&str>, Vec<&str>, Vec<&str>) {
        let manifest = run.manifest();
        (
            manifest.models.iter().map(|m| &*m.name).collect(),
            manifest.methods.iter().map(|m| &*m.name).collect(),
            manifest.metrics.iter().map(|m| &*m.name).collect(),
        )
    }

    #[test]
    fn other_methods_on_the_same_images_stand_in_one_table() {
        let runs = Runs::new();
        let others = |manifest: &mut RunManifest| {
            manifest.methods =
                vec![method("lime", "LIME", json!({})), method("shap", "SHAP", json!({}))];
            manifest.images.truncate(2);
        };
        let joined = Run::join(vec![runs.run("a", |_| ()), runs.run("b", others)]);
        let (models, methods, metrics) = names(&joined);
        assert_eq!(models, ["resnet18"]);
        assert_eq!(methods, ["cam", "rise", "recipro_cam", "lime", "shap"]);
        assert_eq!(metrics.len(), 4);
        assert_eq!((joined.records().len(), joined.n_missing()), (9 + 4, 0));
        let summary = joined.summarize();
        let n: Vec<usize> = summary.cells.iter().map(|cell| cell.n).collect();
        assert_eq!(n, [3, 1, 3, 2, 2]);
        assert!(
            joined.cautions().iter().any(|caution| caution.contains("different numbers of images"))
        );
        let md = report_md(&joined, &summary, &[]);
        assert!(md.starts_with("# a + b\n") && md.contains("| LIME |"), "{md}");
        let mut n_curves = 0;
        joined.visit_curves(|key, _| n_curves += usize::from(key.method == "shap")).unwrap();
        assert_eq!(n_curves, 2);
    }

    #[test]
    fn networks_that_call_their_classes_otherwise_do_not_part_runs_of_both() {
        let runs = Runs::new();
        let with = |methods: &'static [&'static str]| {
            move |manifest: &mut RunManifest| {
                manifest.target = crate::LABEL.into();
                let network = |name: &str, class: &str| ModelEntry {
                    classes: vec![class.into()],
                    ..crate::testing::model(name)
                };
                manifest.models = vec![network("one", "tench"), network("two", "Tinca tinca")];
                manifest.methods = methods.iter().map(|m| method(m, m, json!({}))).collect();
                manifest.images.iter_mut().for_each(|image| image.label = Some(0));
            }
        };
        let joined = Run::join(vec![runs.run("a", with(&["cam"])), runs.run("b", with(&["lime"]))]);
        assert_eq!(names(&joined).0, ["one", "two"]);
        assert!(joined.cautions().is_empty(), "{:?}", joined.cautions());
    }

    #[test]
    fn the_same_cells_of_two_runs_are_told_apart_by_the_run() {
        let runs = Runs::new();
        let joined = Run::join(vec![
            runs.run("before", |_| ()),
            runs.run("after", |m| m.models[0].weights.sha256 = None),
        ]);
        assert_eq!(names(&joined).0, ["resnet18", "resnet18 [after]"]);
        let caution = "resnet18 of after has other weights, preprocessing, precision or classes than before; it is shown as \
                       resnet18 [after].";
        assert_eq!(joined.cautions(), [caution]);
        let summary = joined.summarize();
        assert_eq!(summary.cells.len(), 6);
        assert!(!summary.models.is_empty(), "the two are compared under every method");
    }

    #[test]
    fn rows_that_two_runs_have_with_the_same_scores_count_once_with_the_metrics_of_both() {
        let runs = Runs::new();
        let of_two_images = |seed| {
            runs.run("b", |manifest| {
                manifest.seed = seed;
                manifest.images.truncate(2);
                manifest.metrics[3] = crate::testing::metric("road", crate::Better::Higher);
            })
        };
        let a = || runs.run("a", |_| ());
        for both in [[a(), of_two_images(0)], [of_two_images(0), a()]] {
            let joined = Run::join(both.into());
            assert_eq!(names(&joined).0, ["resnet18"]);
            assert_eq!((joined.records().len(), names(&joined).2.len()), (9, 5));
            let rows = joined.records().iter().filter(|record| record.method == "cam");
            let n_scores: Vec<usize> =
                rows.map(|row| row.metrics.iter().flatten().count()).collect();
            assert_eq!(n_scores, [5, 5, 4]);
            let (mut n_curves, mut n_maps) = (0, 0);
            joined.visit_curves(|_, _| n_curves += 1).unwrap();
            joined.visit_maps(|_, _| n_maps += 1).unwrap();
            assert_eq!((n_curves, n_maps), (7, 8), "of each scored row, of each that did not fail");
        }
        let joined = Run::join(vec![a(), of_two_images(0)]);
        assert_eq!(
            joined.cautions()[0],
            "b has cam, recipro_cam, rise of resnet18 once more, with the same scores; these rows count once."
        );
    }

    #[test]
    fn a_method_with_other_scores_is_another_one() {
        let runs = Runs::new();
        // RISE is random.
        let other = runs.run("b", |manifest| {
            manifest.seed = 1;
            manifest.images.truncate(2);
        });
        let joined = Run::join(vec![runs.run("a", |_| ()), other]);
        assert_eq!(names(&joined).0, ["resnet18"]);
        assert_eq!(names(&joined).1, ["cam", "rise", "recipro_cam", "rise [b]"]);
        assert_eq!(joined.records().len(), 9 + 2);
        let [repeated, other, _] = joined.cautions() else { panic!("{:?}", joined.cautions()) };
        assert!(repeated.starts_with("b has cam, recipro_cam of resnet18 once more"), "{repeated}");
        assert_eq!(other, "rise of b has other scores than before; it is shown as rise [b].");
    }

    #[test]
    fn runs_without_a_common_score_are_told_apart() {
        let runs = Runs::new();
        let only = |name: &str, metrics: Range<usize>| {
            runs.run(name, |manifest| {
                manifest.metrics = manifest.metrics.drain(metrics).collect();
            })
        };
        let joined = Run::join(vec![only("a", 0..2), only("b", 2..4)]);
        assert_eq!(names(&joined).0, ["resnet18", "resnet18 [b]"]);
        let caution = "resnet18 of b has rows by cam, recipro_cam, rise once more, and no score in common with them";
        assert!(joined.cautions()[0].starts_with(caution), "{:?}", joined.cautions());
    }

    #[test]
    fn a_row_with_the_metrics_of_two_runs_has_the_adcc_of_them() {
        let runs = Runs::new();
        let without = |name: &str, metric: &str| {
            // The scores of a fixture go by their places, so that a metric may only be left out behind those in common.
            runs.run(name, |manifest| {
                let place = manifest.metrics.iter().position(|entry| entry.name == metric).unwrap();
                manifest.metrics.truncate(place);
            })
        };
        let joined = Run::join(vec![without("a", "complexity"), runs.run("b", |_| ())]);
        assert_eq!(names(&joined).0, ["resnet18"]);
        let whole = runs.run("whole", |_| ());
        let of = |run: &Run| run.records().iter().map(|row| row.adcc_per_image).collect::<Vec<_>>();
        assert_eq!(of(&joined), of(&whole));
    }

    #[test]
    fn rows_that_another_of_the_joined_runs_has_are_not_missing() {
        let runs = Runs::new();
        let begun = |n: usize| {
            let folder = tempfile::tempdir_in(runs.0.path()).unwrap().keep();
            let mut manifest = manifest();
            manifest.sweep = "begun".into();
            let mut store = Store::create_or_continue(&folder, manifest.clone()).unwrap();
            store.append_all(&rows(&manifest)[..n]).unwrap();
            drop(store);
            Run::read(&folder).unwrap()
        };
        assert_eq!(Run::join(vec![runs.run("a", |_| ()), begun(6)]).n_missing(), 0);
        assert_eq!(Run::join(vec![begun(3), begun(6)]).n_missing(), 3);
    }

    #[test]
    fn what_one_run_says_of_its_images_has_its_name() {
        let runs = Runs::new();
        let with = |name: &'static str, own: &'static str| {
            runs.run(name, move |manifest| {
                manifest.methods = vec![method(name, name, json!({}))];
                manifest.dataset.cautions = vec!["of both".into(), own.into()];
            })
        };
        let joined = Run::join(vec![with("a", "x"), with("b", "y")]);
        assert_eq!(joined.manifest().dataset.cautions, ["of both", "a: x", "b: y"]);
    }

    #[test]
    fn an_image_of_joined_runs_is_looked_for_in_the_run_that_it_is_of() {
        let runs = Runs::new();
        let other = |manifest: &mut RunManifest| {
            manifest.images.truncate(2);
            manifest.images[0].sha256 = Some("another file".into());
            manifest.images[1].image = "other.jpg".into();
        };
        let joined = Run::join(vec![runs.run("a", |_| ()), runs.run("b", other)]);
        let first = joined.manifest().images[0].image.clone();
        let source = |model: &str, image: &str| {
            let (run, own) = joined.source(model, image)?;
            Some((run.manifest().sweep.clone(), own.to_owned()))
        };
        assert_eq!(source("resnet18", &first), Some(("a".into(), first.clone())));
        let renamed = format!("{first} [b]");
        assert_eq!(source("resnet18 [b]", &renamed), Some(("b".into(), first.clone())));
        assert_eq!(source("resnet18 [b]", "other.jpg"), Some(("b".into(), "other.jpg".into())));
        assert_eq!(source("resnet18", "other.jpg"), None);
        assert!(
            joined
                .cautions()
                .iter()
                .all(|caution| !caution.contains("different numbers of images")),
            "no table holds both: {:?}",
            joined.cautions()
        );
    }

    #[test]
    fn runs_that_differ_in_their_seed_alone_are_the_first_of_them_with_the_deviation_over_seeds() {
        let runs = Runs::new();
        let seeded = |name: &str, seed| {
            runs.run(name, |manifest| {
                manifest.seed = seed;
                manifest.config_given = format!("seed: {seed}\n");
            })
        };
        let joined = Run::join(vec![seeded("a", 0), seeded("b", 1), seeded("c", 2)]);
        assert_eq!(names(&joined).0, ["resnet18"]);
        assert_eq!(joined.records(), seeded("a", 0).records());
        assert!(joined.cautions()[0].contains("3 runs differ in their seed alone"));
        let summary = joined.summarize();
        let spread = summary.over_seeds.as_ref().unwrap();
        assert_eq!(spread.seeds, [0, 1, 2]);
        // Of 0, 0.01 and 0.02 more; deletion, coherency and complexity do not move, ADCC does, with the drop.
        let rise = &spread.deviations[1];
        assert!((rise[0].unwrap() - 0.01).abs() < 1e-12, "{rise:?}");
        assert!(rise[1..4].iter().all(Option::is_none) && rise[4].is_some(), "{rise:?}");
        assert!(spread.deviations[0].iter().all(Option::is_none), "CAM is not random");
        let md = report_md(&joined, &summary, &[]);
        let (_, section) = md.split_once("## Variation over seeds").unwrap();
        assert!(
            section.contains("over the seeds 0, 1, 2") && section.contains("| RISE | 1.00 (± ")
        );
        assert!(md.find("Variation over seeds").unwrap() < md.find("| CAM |").unwrap());
        // The same seed twice is no other seed, and another option is another method.
        let twice = Run::join(vec![seeded("a", 1), seeded("b", 1)]);
        assert_eq!(names(&twice).0, ["resnet18"]);
        let other = runs.run("b", |manifest| {
            manifest.seed = 1;
            manifest.methods[1].options = json!({ "n_masks": 9 });
        });
        assert!(Run::join(vec![seeded("a", 0), other]).summarize().over_seeds.is_none());
    }

    #[test]
    fn other_images_or_classes_never_share_a_table() {
        let runs = Runs::new();
        let other = |manifest: &mut RunManifest| {
            manifest.images[0].image = "other.jpg".into();
            manifest.methods.truncate(1);
        };
        let joined = Run::join(vec![runs.run("a", |_| ()), runs.run("b", other)]);
        assert_eq!(names(&joined).0, ["resnet18", "resnet18 [b]"]);
        assert!(
            joined.cautions()[0].contains("3 and 3 images, 2 of them the same"),
            "{:?}",
            joined.cautions()
        );
        let joined =
            Run::join(vec![runs.run("a", |_| ()), runs.run("b", |m| m.target = "label".into())]);
        assert!(joined.cautions()[0].contains("classes explained"), "{:?}", joined.cautions());
        let summary = joined.summarize();
        assert!(summary.models.is_empty(), "what cannot be compared is not compared");
        assert_eq!(joined.manifest().target, "predicted + label");
    }

    /// Images of these numbers.
    fn images(numbers: &[u32]) -> Vec<ImageEntry> {
        let image = |number: &u32| ImageEntry {
            image: format!("{number}.jpg"),
            sha256: Some(format!("{number:064x}")),
            label: Some(1),
            boxes: vec![],
        };
        numbers.iter().map(image).collect()
    }

    /// A run of these images by one method of its own.
    fn of_images(runs: &Runs, name: &str, numbers: &[u32], target: &str) -> Run {
        runs.run(name, |manifest| {
            manifest.images = images(numbers);
            manifest.target = target.into();
            manifest.methods = vec![method(name, name, json!({}))];
        })
    }

    #[test]
    fn a_run_set_apart_lends_its_images_to_no_other() {
        let runs = Runs::new();
        let run = |name: &str, numbers: &[u32]| of_images(&runs, name, numbers, "predicted");
        let joined =
            Run::join(vec![run("a", &[1, 2, 3]), run("b", &[1, 2, 4]), run("c", &[1, 2, 4])]);
        assert_eq!(names(&joined).0, ["resnet18", "resnet18 [b]", "resnet18 [c]"]);
        assert_eq!(
            joined.cautions(),
            [
                "a and b are not comparable (3 and 3 images, 2 of them the same); b has tables of its own.",
                "a and c are not comparable (3 and 3 images, 2 of them the same); c has tables of its own. It is comparable \
                 with b, shown apart as well; a report without a may compare them.",
            ]
        );
        // Not even what is of the first run's rule for the class.
        let joined = Run::join(vec![
            run("a", &[1, 2, 3]),
            of_images(&runs, "b", &[4, 5, 6], "label"),
            run("c", &[4, 5, 6]),
        ]);
        assert_eq!(names(&joined).0, ["resnet18", "resnet18 [b]", "resnet18 [c]"]);
        assert!(joined.cautions()[1].contains("a and c are not comparable (3 and 3 images, 0 of"));
    }

    #[test]
    fn the_run_that_another_is_not_comparable_with_is_named() {
        let runs = Runs::new();
        let run = |name: &str, numbers: &[u32]| of_images(&runs, name, numbers, "predicted");
        let joined = Run::join(vec![run("a", &[1, 2]), run("b", &[1, 2, 3]), run("c", &[1, 2, 4])]);
        assert_eq!(names(&joined).0, ["resnet18", "resnet18 [c]"]);
        let caution = "b and c are not comparable (3 and 3 images, 2 of them the same); c has tables of its own.";
        assert_eq!(joined.cautions()[0], caution);
    }

    #[test]
    fn a_network_of_a_run_set_apart_is_no_other_runs() {
        let runs = Runs::new();
        let with = |name: &str, numbers: &[u32], network: &str| {
            runs.run(name, |manifest| {
                manifest.images = images(numbers);
                manifest.models[0].name = network.into();
                manifest.methods = vec![method(name, name, json!({}))];
            })
        };
        let a = with("a", &[1, 2, 3], "resnet18");
        let joined =
            Run::join(vec![a, with("b", &[1, 2, 4], "vgg16"), with("c", &[1, 2], "vgg16")]);
        assert_eq!(names(&joined).0, ["resnet18", "vgg16 [b]", "vgg16"]);
        assert_eq!(joined.manifest().joined.apart, [("vgg16 [b]".into(), "b".into())].into());
    }

    #[test]
    fn runs_that_explain_other_labels_never_share_a_table() {
        let runs = Runs::new();
        let labeled = |name: &str, target: &str, label: i64, classes: &[&str]| {
            runs.run(name, |manifest| {
                manifest.images = images(&[1, 2]);
                manifest.images[1].label = Some(label);
                manifest.target = target.into();
                manifest.models[0].classes = classes.iter().map(|&class| class.into()).collect();
                manifest.methods = vec![method(name, name, json!({}))];
            })
        };
        let join = |[a, b]: [Run; 2]| Run::join(vec![a, b]);
        let corrected = join([labeled("a", "label", 1, &[]), labeled("b", "label", 0, &[])]);
        assert_eq!(names(&corrected).0, ["resnet18", "resnet18 [b]"]);
        let caution =
            "a and b are not comparable (the label of 2.jpg: 1 and 0); b has tables of its own.";
        assert_eq!(corrected.cautions(), [caution]);
        // Each image with a label of its own, and the one that both label alike.
        let known = corrected.manifest().images.iter().map(|image| (&*image.image, image.label));
        let expected = [("1.jpg", Some(1)), ("2.jpg", Some(1)), ("2.jpg [b]", Some(0))];
        assert_eq!(known.collect::<Vec<_>>(), expected);

        // Of two lists of classes, labels are compared by their names.
        let listed = |name: &str, label: i64, classes: [&str; 2]| {
            runs.run(name, |manifest| {
                manifest.images = images(&[1, 2]);
                manifest.images.iter_mut().for_each(|image| image.label = Some(label));
                manifest.target = "label".into();
                manifest.models[0].name = name.into();
                manifest.models[0].classes = classes.map(str::to_owned).into();
            })
        };
        let of_one = join([listed("a", 1, ["ant", "bee"]), listed("b", 0, ["Bee", "wasp"])]);
        assert_eq!((names(&of_one).0, of_one.cautions().len()), (vec!["a", "b"], 0));
        let of_two = join([listed("a", 1, ["ant", "bee"]), listed("b", 1, ["Bee", "wasp"])]);
        let caution = "the label of 1.jpg: 1 (bee) and 1 (wasp)";
        assert!(of_two.cautions()[0].contains(caution), "{:?}", of_two.cautions());

        let predicted =
            join([labeled("a", "predicted", 1, &[]), labeled("b", "predicted", 0, &[])]);
        assert_eq!(names(&predicted).0, ["resnet18"]);
        let caution = "a and b label 1 image otherwise (the label of 2.jpg: 1 and 0)";
        assert!(predicted.cautions()[0].starts_with(caution), "{:?}", predicted.cautions());
    }

    #[test]
    fn other_boxes_are_other_images_to_metrics_that_ask_for_them() {
        let runs = Runs::new();
        let with_box = |name: &str, metric: &str, xmax: f64| {
            runs.run(name, |manifest| {
                manifest.metrics[1].metric = metric.into();
                manifest.images[0].boxes = vec![[1.0, 2.0, xmax, 4.0]];
                manifest.methods = vec![method(name, name, json!({}))];
            })
        };
        let models = |metric: &str, xmax: f64| {
            let joined = Run::join(vec![with_box("a", metric, 3.0), with_box("b", metric, xmax)]);
            joined.manifest().models.len()
        };
        assert_eq!([models("pointing_game", 3.0), models("pointing_game", 3.5)], [1, 2]);
        assert_eq!(models("deletion", 3.5), 1);
    }

    #[test]
    fn an_image_has_one_name_in_all_runs_that_share_tables() {
        let runs = Runs::new();
        let with_another = |name: &str, target: &str, content: u32| {
            runs.run(name, |manifest| {
                manifest.images = images(&[1, 2, content]);
                manifest.images[2].image = "x.jpg".into();
                manifest.target = target.into();
                manifest.methods = vec![method(name, name, json!({}))];
            })
        };
        let joined = Run::join(vec![
            of_images(&runs, "a", &[1, 2], "predicted"),
            with_another("b", "label", 4),
            with_another("c", "predicted", 9),
            with_another("d", "predicted", 9),
        ]);
        let shown = joined.manifest().images.iter().map(|image| &*image.image);
        assert_eq!(shown.collect::<Vec<_>>(), ["1.jpg", "2.jpg", "x.jpg", "x.jpg [c]"]);
        let of_new = joined.records().iter().filter(|record| &*record.image == "x.jpg [c]");
        assert_eq!(of_new.map(|record| &*record.method).collect::<Vec<_>>(), ["c", "d"]);
    }

    #[test]
    fn a_metric_of_another_protocol_has_a_column_of_its_own() {
        let runs = Runs::new();
        let other = |manifest: &mut RunManifest| {
            manifest.metrics[1].protocol = "as-published".into();
            manifest.methods = vec![method("lime", "LIME", json!({}))];
        };
        let joined = Run::join(vec![runs.run("a", |_| ()), runs.run("b", other)]);
        assert_eq!(
            names(&joined).2,
            ["drop", "deletion", "coherency", "complexity", "deletion [b]"]
        );
        let lime = joined.records().iter().find(|record| record.method == "lime").unwrap();
        assert!(lime.metrics[1].is_none() && lime.metrics[4].is_some());
        let cam = joined.records().iter().find(|record| record.method == "cam").unwrap();
        assert!(cam.metrics[1].is_some() && cam.metrics[4].is_none());
    }

    #[test]
    fn joined_runs_name_all_their_seeds_and_versions_and_show_adcc_of_one_protocol() {
        let runs = Runs::new();
        let other = |manifest: &mut RunManifest| {
            manifest.seed = 7;
            manifest.cambench = "9.9.9".into();
            manifest.protocol.name = "poppi-2021".into();
            for metric in &mut manifest.metrics {
                metric.protocol = "poppi-2021".into();
            }
        };
        let joined = Run::join(vec![runs.run("a", |_| ()), runs.run("b", other)]);
        assert_eq!(joined.manifest().seeds(), "0 + 7");
        assert!(joined.manifest().cambench.ends_with(" + 9.9.9"));
        let of_other = |record: &&Record| &*record.model != "resnet18";
        assert!(joined.records().iter().filter(of_other).count() > 0);
        assert!(joined.records().iter().filter(of_other).all(|r| r.adcc_per_image.is_none()));
        assert!(joined.records().iter().any(|record| record.adcc_per_image.is_some()));
        assert!(joined.cautions().iter().any(|caution| caution.contains("protocols")));
    }
}
