//! Top-1 accuracy of networks on the labeled images of a run.

use crate::{
    Estimate, ModelEntry, Record, RunManifest, network_of,
    stats::{Units, share},
    summary::FEW_IMAGES,
};

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
    /// The share of right ones with its 95 % interval, that of [`Estimate`] for shares; `None` without labels.
    pub share: Option<Estimate>,
    /// What was published for the weights, a fraction.
    pub published: Option<f64>,
}

impl Accuracy {
    /// The network's name, which all layers share.
    pub fn network(&self) -> &str {
        network_of(&self.model, &self.layer)
    }

    /// Whether it is so low that labels may be of other classes than the network's, of which there are `n_classes`: none is
    /// right, of many images no more than by guessing, or clearly less than half of what was published.
    pub(crate) fn is_suspicious(&self, n_classes: i64) -> bool {
        self.share.is_some_and(|Estimate { mean, hi, .. }| {
            self.n_right == 0
                || self.n >= FEW_IMAGES && mean * n_classes as f64 <= 1.0
                || self.published.is_some_and(|published| hi < published / 2.0)
        })
    }

    /// In a sentence; `None` without labels.
    pub fn sentence(&self) -> Option<String> {
        let Estimate { mean, lo, hi } = self.share?;
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
    units: Units,
    /// Whether each labeled image was classified as labeled, by its place, for each model.
    right: Vec<Vec<Option<bool>>>,
}

impl<'a> AccuracyTally<'a> {
    pub(crate) fn of(manifest: &'a RunManifest) -> Self {
        let units = Units::of(&manifest.images);
        let right = vec![vec![None; units.n_images()]; manifest.models.len()];
        Self { manifest, units, right }
    }

    pub(crate) fn add(&mut self, record: &Record) {
        let mut models = self.manifest.models.iter();
        let is_its = |model: &ModelEntry| model.name == record.model && model.layer == record.layer;
        if let (Some(label), Some(predicted)) = (record.label, record.predicted)
            && let Some(model) = models.position(is_its)
            && let Some(place) = self.units.place(&record.image)
        {
            self.right[model][place] = Some(label == predicted);
        }
    }

    pub(crate) fn accuracies(self) -> Vec<Accuracy> {
        let of = |(model, right): (&ModelEntry, &Vec<Option<bool>>)| {
            let counts = |is_meant: fn(bool) -> bool| {
                self.units.counts(right.iter().map(|right| right.is_some_and(is_meant)))
            };
            let n = right.iter().flatten().count();
            Accuracy {
                model: model.name.clone(),
                layer: model.layer.clone(),
                n_right: right.iter().flatten().filter(|right| **right).count(),
                n,
                share: (n > 0)
                    .then(|| share(counts(|right| right).into_iter().zip(counts(|_any| true)))),
                published: model.published_top1,
            }
        };
        self.manifest.models.iter().zip(&self.right).map(of).collect()
    }
}
