//! Which images are shown: chosen by rules that are stated, never by hand.

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use sha2::{Digest, Sha256};

use crate::{Better, Record, Run, Status};

/// How many images each rule chooses.
const N_EACH: usize = 2;

/// How many are drawn at random.
const N_RANDOM: usize = 4;

/// An image that a report shows, in one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The model's name in the sweep.
    pub model: String,
    /// Its path relative to the data set's root.
    pub image: String,
    /// The rules that chose it, each in a few words.
    pub rules: Vec<String>,
}

/// The images that a report shows of each model: the best, those in the middle and the worst by the mean over all
/// methods (controls aside) of `lead`; those on which the methods disagree most; those with maps that say nothing; and
/// some at random, seeded by the names of the images.
pub fn chosen_images(run: &Run) -> Vec<Choice> {
    let models = run.manifest().models.iter();
    models.flat_map(|model| of_model(run, &model.name)).collect()
}

/// By which value images are chosen: its name, and which direction is good. The images' ADCC where there is one, else
/// the first metric.
pub(super) fn lead(run: &Run) -> Option<(Lead, &str, Better)> {
    if run.records().iter().any(|record| record.adcc_per_image.is_some()) {
        return Some((Lead::Adcc, "ADCC", Better::Higher));
    }
    let metric = run.manifest().metrics.first()?;
    Some((Lead::Metric, &*metric.title, metric.better))
}

/// The value that [`lead`] names.
#[derive(Clone, Copy)]
pub(super) enum Lead {
    Adcc,
    Metric,
}

impl Lead {
    fn of(self, record: &Record) -> Option<f64> {
        match self {
            Self::Adcc => record.adcc_per_image,
            Self::Metric => record.metrics.first().copied().flatten(),
        }
    }
}

fn of_model(run: &Run, model: &str) -> Vec<Choice> {
    let Some((lead, title, better)) = lead(run) else { return vec![] };
    let controls: BTreeSet<&str> = run
        .manifest()
        .methods
        .iter()
        .filter(|method| method.is_control())
        .map(|method| &*method.name)
        .collect();
    let counts_all = controls.len() == run.manifest().methods.len();
    let mut values: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut bad: BTreeSet<&str> = BTreeSet::new();
    for record in run.records().iter().filter(|record| record.model == model) {
        if record.status != Status::Ok {
            bad.insert(&record.image);
        }
        if counts_all || !controls.contains(&*record.method) {
            values.entry(&record.image).or_default().extend(lead.of(record));
        }
    }
    values.retain(|_, values| !values.is_empty());

    // Names break ties, so that the choice does not depend on the order of the run.
    let sorted = |key: &dyn Fn(&[f64]) -> f64| {
        let mut keyed: Vec<(f64, &str)> =
            values.iter().map(|(image, values)| (key(values), *image)).collect();
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)));
        keyed.into_iter().map(|(_, image)| image).collect::<Vec<_>>()
    };
    let sign = if better == Better::Higher { -1.0 } else { 1.0 };
    let best_first = sorted(&|values| sign * mean(values));
    let disagreement_first = sorted(&|values| -spread(values));
    let middle = best_first.len().saturating_sub(N_EACH) / 2;

    let mut choices = Choices { model, choices: vec![] };
    choices.add(&best_first, N_EACH, &format!("best mean {title}"));
    choices.add(&best_first[middle..], N_EACH, &format!("median mean {title}"));
    let worst_first: Vec<&str> = best_first.iter().rev().copied().collect();
    choices.add(&worst_first, N_EACH, &format!("worst mean {title}"));
    if values.values().any(|values| values.len() > 1) {
        choices.add(&disagreement_first, N_EACH, &format!("largest disagreement in {title}"));
    }
    let bad: Vec<&str> = bad.into_iter().filter(|image| values.contains_key(image)).collect();
    choices.add(&bad, 1, "has a degenerate or failed map");
    choices.add(&shuffled(&values.keys().copied().collect::<Vec<_>>()), N_RANDOM, "random");
    choices.choices
}

struct Choices<'a> {
    model: &'a str,
    choices: Vec<Choice>,
}

impl Choices<'_> {
    fn add(&mut self, images: &[&str], n: usize, rule: &str) {
        for image in images.iter().take(n) {
            match self.choices.iter_mut().find(|choice| choice.image == *image) {
                Some(choice) => choice.rules.push(rule.to_owned()),
                None => self.choices.push(Choice {
                    model: self.model.to_owned(),
                    image: (*image).to_owned(),
                    rules: vec![rule.to_owned()],
                }),
            }
        }
    }
}

/// In an order that depends on the names alone (Fisher and Yates).
pub(super) fn shuffled<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let mut hash = Sha256::new();
    for name in names {
        hash.update(name.as_bytes());
        hash.update([0]);
    }
    let mut random = ChaCha8Rng::from_seed(hash.finalize().into());
    let mut names = names.to_vec();
    for last in (1..names.len()).rev() {
        let other = (u64::from(random.next_u32()) * (last as u64 + 1)) >> 32;
        names.swap(last, other as usize);
    }
    names
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn spread(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Store,
        testing::{manifest, rows},
    };

    #[test]
    fn images_are_chosen_by_rules_that_can_be_checked_by_hand() {
        let mut manifest = manifest();
        manifest.images = (0..20)
            .map(|i| crate::ImageEntry {
                image: format!("{i:02}.jpg"),
                sha256: None,
                label: None,
                boxes: vec![],
            })
            .collect();
        let mut rows = rows(&manifest);
        // Image i has the mean ADCC i / 20 over three methods that lie apart by 0, but for images 5 and 6.
        for (place, row) in rows.iter_mut().enumerate() {
            let (image, method) = (place / 3, place % 3);
            let apart = if image == 5 || image == 6 { 0.2 * (method as f64 - 1.0) } else { 0.0 };
            row.record.adcc_per_image = Some(image as f64 / 20.0 + apart);
        }
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::create_or_continue(folder.path(), manifest).unwrap();
        store.append_all(&rows).unwrap();
        let run = store.finish("2026-01-02T04:00:00Z").unwrap();
        let choices = chosen_images(&run);
        let by = |rule: &str| -> Vec<&str> {
            let has = |choice: &&Choice| choice.rules.iter().any(|other| other.starts_with(rule));
            choices.iter().filter(has).map(|choice| &*choice.image).collect()
        };
        assert_eq!(by("best mean ADCC"), ["19.jpg", "18.jpg"]);
        assert_eq!(by("median mean ADCC"), ["10.jpg", "09.jpg"]);
        assert_eq!(by("worst mean ADCC"), ["00.jpg", "01.jpg"]);
        let mut apart = by("largest disagreement");
        apart.sort_unstable();
        assert_eq!(apart, ["05.jpg", "06.jpg"]);
        assert_eq!(by("has a degenerate or failed map"), ["01.jpg"], "the fifth row is degenerate");
        assert_eq!(by("random").len(), 4);
        assert_eq!(choices, chosen_images(&run), "the same every time");
    }
}
