//! Top-1 accuracy of networks on the labeled images of a run.

use std::collections::HashMap;

use crate::{Estimate, ModelEntry, Name, Record, RunManifest, network_of, summary::wilson};

/// A network's top-1 accuracy on the labeled images of the run.
#[derive(Clone, Debug, PartialEq)]
pub struct Accuracy {
    /// The model's name in the sweep.
    pub model: String,
    /// The layer under explanation.
    pub layer: String,
    /// How many images were classified as labeled.
    pub n_right: usize,
    /// How many have a label.
    pub n: usize,
    /// What was published for the weights, a fraction.
    pub published: Option<f64>,
}

impl Accuracy {
    /// The network's name, which all layers share.
    pub fn network(&self) -> &str {
        network_of(&self.model, &self.layer)
    }

    /// The share of right ones with its 95 % Wilson interval; `None` without labels.
    pub fn estimate(&self) -> Option<Estimate> {
        let n = self.n as f64;
        (self.n > 0).then(|| wilson(self.n_right as f64 / n, n))
    }

    /// In a sentence; `None` without labels.
    pub fn sentence(&self) -> Option<String> {
        let Estimate { mean, lo, hi } = self.estimate()?;
        let published = self.published.map_or(String::new(), |top1| {
            format!("; published for ImageNet's validation images: {:.1} %", 100.0 * top1)
        });
        let Self { n_right, n, .. } = self;
        let [mean, lo, hi] = [mean, lo, hi].map(|share| 100.0 * share);
        let network = self.network();
        Some(format!(
            "{network} classifies {n_right} of {n} images as they are labeled: {mean:.1} % [{lo:.1}, {hi:.1}]{published}."
        ))
    }
}

/// One accuracy for each network: its layers classify alike, unless rows are missing.
pub fn of_networks(accuracies: &[Accuracy]) -> impl Iterator<Item = &Accuracy> {
    let of = |accuracy: &Accuracy| (accuracy.network().to_owned(), accuracy.n_right, accuracy.n);
    accuracies.chunk_by(move |a, b| of(a) == of(b)).map(|layers| &layers[0])
}

/// The records of a run as they come, as far as accuracies need them.
#[derive(Debug)]
pub(crate) struct AccuracyTally<'a> {
    manifest: &'a RunManifest,
    /// Whether each labeled image was classified as labeled, for each model.
    right: Vec<HashMap<Name, bool>>,
}

impl<'a> AccuracyTally<'a> {
    pub(crate) fn of(manifest: &'a RunManifest) -> Self {
        Self { manifest, right: vec![HashMap::new(); manifest.models.len()] }
    }

    pub(crate) fn add(&mut self, record: &Record) {
        let mut models = self.manifest.models.iter();
        let is_its = |model: &ModelEntry| model.name == record.model && model.layer == record.layer;
        if let (Some(label), Some(predicted)) = (record.label, record.predicted)
            && let Some(model) = models.position(is_its)
        {
            let is_right = label == predicted;
            match self.right[model].get_mut(&record.image) {
                Some(right) => *right = is_right,
                None => drop(self.right[model].insert(record.image.clone(), is_right)),
            }
        }
    }

    pub(crate) fn accuracies(self) -> Vec<Accuracy> {
        let of = |(model, right): (&ModelEntry, &HashMap<Name, bool>)| Accuracy {
            model: model.name.clone(),
            layer: model.layer.clone(),
            n_right: right.values().filter(|right| **right).count(),
            n: right.len(),
            published: model.published_top1,
        };
        self.manifest.models.iter().zip(&self.right).map(of).collect()
    }
}
