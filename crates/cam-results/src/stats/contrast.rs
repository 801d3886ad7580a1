//! What is compared with what: methods in one model, or models under one method, by one metric.

use std::collections::BTreeSet;

use super::{
    Difference, Paired, Ranks, Scores, Statistic, corrected, letters::letters, scores::ROUNDING,
};
use crate::{
    Better, Cell, Estimate, RunManifest, report,
    summary::{FEW_IMAGES, adcc_parts},
};

/// Several things compared by one metric on the same images.
#[derive(Clone, Debug, PartialEq)]
pub struct Contrast {
    /// The model that the methods explain; or the method that explains the models. By its name in the sweep.
    pub within: String,
    /// The metric's name in the sweep, or `adcc`.
    pub metric: String,
    /// The metric as it heads a column: `Deletion ↓`.
    pub heading: String,
    /// Which direction is good.
    pub better: Better,
    /// What is compared, in the order of the manifest.
    pub items: Vec<Item>,
    /// Every two of them that have images in common, as places in `items` with `a < b`.
    pub pairs: Vec<Pair>,
    /// Over the images that all items have a value for; `None` for ADCC, which single images do not have.
    pub ranks: Option<Ranks>,
}

/// One of the things compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Its name in the sweep.
    pub name: String,
    /// As it is printed.
    pub label: String,
    /// Whether it is a method that knows nothing of the network.
    pub is_control: bool,
    /// How many images have a value.
    pub n: usize,
    /// Its mean; `None` where no image has a value.
    pub estimate: Option<Estimate>,
    /// The groups that it belongs to: two items share a letter exactly if they cannot be told apart. `a` is the best
    /// one's of those that none is better than.
    pub letters: String,
}

/// Two things compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The place of the first one.
    pub a: usize,
    /// The place of the second one.
    pub b: usize,
    /// The first minus the second. Corrected for all pairs of all metrics in all models (or methods) of the run.
    pub difference: Difference,
}

impl Contrast {
    /// The difference of item `a` minus item `b`, whichever comes first; `None` where they have no image in common.
    pub fn difference(&self, a: usize, b: usize) -> Option<Difference> {
        let pair = self
            .pairs
            .iter()
            .find(|pair| (pair.a.min(pair.b), pair.a.max(pair.b)) == (a.min(b), a.max(b)))?;
        let Difference { mean, lo, hi, .. } = pair.difference;
        Some(if pair.a == a {
            pair.difference
        } else {
            // 0 minus, as the negative of 0 is printed with its sign.
            Difference { mean: 0.0 - mean, lo: 0.0 - hi, hi: 0.0 - lo, ..pair.difference }
        })
    }

    /// The same of those items that `called` has a name for, under that name; without ranks.
    pub(crate) fn only(&self, called: impl Fn(&str) -> Option<String>) -> Self {
        let names: Vec<Option<String>> = self.items.iter().map(|item| called(&item.name)).collect();
        let place = |i: usize| names[..i].iter().flatten().count();
        let items = self.items.iter().zip(&names);
        let items =
            items.filter_map(|(item, name)| Some(Item { label: name.clone()?, ..item.clone() }));
        let pairs =
            self.pairs.iter().filter(|pair| names[pair.a].is_some() && names[pair.b].is_some());
        let pairs = pairs.map(|pair| Pair { a: place(pair.a), b: place(pair.b), ..*pair });
        Self { items: items.collect(), pairs: pairs.collect(), ranks: None, ..self.clone() }
    }

    /// Whether item `a` is better than item `b`, and the two can be told apart.
    pub fn is_better(&self, a: usize, b: usize) -> bool {
        self.difference(a, b).is_some_and(|difference| {
            let is_up = difference.mean > 0.0;
            difference.is_significant() && is_up == (self.better == Better::Higher)
        })
    }

    /// The places of all items that have a mean: first those that none is better than, then the others, best means first.
    ///
    /// Means are over each one's own images and differences over those that both have, so the best mean of hard images
    /// left out may be beaten.
    pub fn order(&self) -> Vec<usize> {
        self.order_of(|_any| true)
    }

    /// The same of the methods alone, as if there were no controls.
    pub(crate) fn methods_in_order(&self) -> Vec<usize> {
        self.order_of(|i| !self.items[i].is_control)
    }

    /// The same of some of them, as if there were no others.
    pub(crate) fn order_of(&self, is_meant: impl Fn(usize) -> bool) -> Vec<usize> {
        let goodness = |i: usize| {
            self.items[i].estimate.map(|estimate| match self.better {
                Better::Higher => estimate.mean,
                Better::Lower => -estimate.mean,
            })
        };
        let mut order: Vec<(usize, f64)> = (0..self.items.len())
            .filter(|i| is_meant(*i))
            .filter_map(|i| Some((i, goodness(i)?)))
            .collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut order: Vec<usize> = order.into_iter().map(|(i, _)| i).collect();
        let all = order.clone();
        order.sort_by_key(|i| all.iter().any(|other| self.is_better(*other, *i)));
        order
    }

    /// What there are enough images for to conclude anything.
    pub(crate) fn with_enough_images(&self) -> Self {
        let label = |name: &str| {
            let item = self.items.iter().find(|item| item.name == name)?;
            (item.n >= FEW_IMAGES).then(|| item.label.clone())
        };
        let mut enough = self.only(label);
        enough.pairs.retain(|pair| pair.difference.n >= FEW_IMAGES);
        enough
    }

    /// Whether two items have the same values on the same images, but for rounding.
    pub(crate) fn are_same(&self, pair: &Pair) -> bool {
        let Pair { a, b, difference } = pair;
        // Every image's difference is rounding where one of that size would have been detected.
        difference.detectable <= ROUNDING
            && difference.p >= 1.0
            && [a, b].iter().all(|item| self.items[**item].n == difference.n)
    }

    /// Whether two contrasts stand in one table: the same things are compared within the same.
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        let names = |contrast: &Self| -> Vec<String> {
            contrast.items.iter().map(|item| item.name.clone()).collect()
        };
        self.within == other.within && names(self) == names(other)
    }

    /// The best one, controls aside, if it is better than every other one: what a table may print bold.
    pub fn first(&self) -> Option<usize> {
        self.stands_out(0)
    }

    /// The second, if the first stands out and it is better than every other one: what a table may underline.
    pub fn second(&self) -> Option<usize> {
        self.first().and_then(|_| self.stands_out(1))
    }

    fn stands_out(&self, place: usize) -> Option<usize> {
        let order = self.methods_in_order();
        let item = *order.get(place)?;
        let rest = &order[place + 1..];
        (!rest.is_empty() && rest.iter().all(|other| self.is_better(item, *other))).then_some(item)
    }
}

/// The methods of every model, compared by every metric. `cells` are those of the scores.
pub(crate) fn between_methods(
    manifest: &RunManifest,
    scores: &Scores,
    cells: &[Cell],
) -> Vec<Contrast> {
    let n_methods = manifest.methods.len();
    let groups = manifest.models.iter().enumerate().map(|(m, model)| {
        let items = manifest.methods.iter().enumerate().map(|(k, method)| {
            (m * n_methods + k, method.name.clone(), report::label(method), method.is_control())
        });
        (model.name.clone(), items.collect())
    });
    contrasts(manifest, scores, cells, groups.collect())
}

/// The models under every method, those that are comparable, compared by every metric. `cells` are those of the scores.
pub(crate) fn between_models(
    manifest: &RunManifest,
    scores: &Scores,
    cells: &[Cell],
) -> Vec<Contrast> {
    let n_methods = manifest.methods.len();
    let models = || manifest.models.iter().enumerate();
    let runs: BTreeSet<Option<&String>> =
        models().map(|(_, model)| manifest.joined.apart.get(&model.name)).collect();
    let groups = manifest.methods.iter().enumerate().flat_map(|(k, method)| {
        runs.iter().map(move |run| {
            let comparable =
                models().filter(|(_, model)| manifest.joined.apart.get(&model.name) == *run);
            let items = comparable.map(|(m, model)| {
                (m * n_methods + k, model.name.clone(), model.name.clone(), false)
            });
            (method.name.clone(), items.collect())
        })
    });
    contrasts(manifest, scores, cells, groups.collect())
}

/// What is compared within something: cell, name, label, whether it is a control.
type Group = (String, Vec<(usize, String, String, bool)>);

fn contrasts(
    manifest: &RunManifest,
    scores: &Scores,
    cells: &[Cell],
    groups: Vec<Group>,
) -> Vec<Contrast> {
    let mut metrics: Vec<(Statistic, &str, String, Better)> = manifest
        .metrics
        .iter()
        .enumerate()
        .map(|(i, metric)| {
            (Statistic::Mean(i), &*metric.name, report::heading(metric), metric.better)
        })
        .collect();
    metrics.extend(
        adcc_parts(manifest)
            .map(|parts| (Statistic::Adcc(parts), "adcc", "ADCC ↑".to_owned(), Better::Higher)),
    );
    let mut contrasts = vec![];
    let mut table: Vec<Paired> = vec![];
    let mut places = vec![];
    for (within, group) in groups.into_iter().filter(|(_, group)| group.len() > 1) {
        for (statistic, metric, heading, better) in &metrics {
            for (a, one) in group.iter().enumerate() {
                for (b, other) in group.iter().enumerate().skip(a + 1) {
                    if let Some(paired) = scores.difference(one.0, other.0, *statistic) {
                        table.push(paired);
                        places.push((contrasts.len(), a, b));
                    }
                }
            }
            let items = group.iter().map(|(cell, name, label, is_control)| Item {
                name: name.clone(),
                label: label.clone(),
                is_control: *is_control,
                n: scores.n(*cell, *statistic),
                estimate: match statistic {
                    Statistic::Mean(metric) => cells[*cell].metrics[*metric],
                    Statistic::Adcc(_) => cells[*cell].adcc,
                },
                letters: String::new(),
            });
            contrasts.push(Contrast {
                within: within.clone(),
                metric: (*metric).to_owned(),
                heading: heading.clone(),
                better: *better,
                items: items.collect(),
                pairs: vec![],
                ranks: ranks(scores, &group, *statistic, *better),
            });
        }
    }
    for ((contrast, a, b), difference) in places.into_iter().zip(corrected(&table)) {
        contrasts[contrast].pairs.push(Pair { a, b, difference });
    }
    for contrast in &mut contrasts {
        let order = contrast.order();
        let differs = |a: usize, b: usize| {
            contrast.difference(order[a], order[b]).is_some_and(|d| d.is_significant())
        };
        for (place, letters) in letters(order.len(), differs).into_iter().enumerate() {
            contrast.items[order[place]].letters = letters;
        }
    }
    contrasts
}

fn ranks(
    scores: &Scores,
    group: &[(usize, String, String, bool)],
    statistic: Statistic,
    better: Better,
) -> Option<Ranks> {
    let Statistic::Mean(column) = statistic else { return None };
    let sign = if better == Better::Higher { 1.0 } else { -1.0 };
    let columns: Vec<Vec<Option<f64>>> =
        group.iter().map(|(cell, ..)| scores.values(*cell, column).collect()).collect();
    let n_images = columns.first().map_or(0, Vec::len);
    let complete = (0..n_images).filter(|i| columns.iter().all(|column| column[*i].is_some()));
    let complete: Vec<usize> = complete.collect();
    let good: Vec<Vec<f64>> = columns
        .iter()
        // Values that are equal but for rounding are tied.
        .map(|column| {
            let steps = complete.iter().filter_map(|i| Some(sign * column[*i]? / ROUNDING));
            steps.map(f64::round).collect()
        })
        .collect();
    Ranks::of(&good)
}
