//! What is compared with what: methods in one model, or models under one method, by one metric.

use std::collections::BTreeSet;

use super::{Difference, Paired, Ranks, Scores, Statistic, corrected, letters::letters};
use crate::{
    Better, Cell, Estimate, RunManifest, format,
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
    /// Over the images that all ranked items have a value for; `None` for ADCC, which single images do not have.
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
    /// How many independent units these are: as many, or their classes where classes are resampled.
    pub n_units: usize,
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

/// How far the order of nearly equal pixels may move a value.
pub(crate) const MAX_REORDERED: f64 = 1e-3;
/// On how many of the images it may.
const MAX_SHARE_REORDERED: f64 = 0.05;

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

    /// The places of all items that have a mean: first those that none is better than, then the others; of either, those
    /// with fewer images last, and best means first.
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
        order.sort_by_cached_key(|i| {
            (all.iter().any(|other| self.is_better(*other, *i)), self.has_fewer_images(*i))
        });
        order
    }

    /// Whether an item has less than half of the images that another one has: its mean is not beside the others'.
    pub(crate) fn has_fewer_images(&self, item: usize) -> bool {
        let most = self.items.iter().map(|item| item.n).max().unwrap_or(0);
        is_far_fewer(self.items[item].n, most)
    }

    /// What there are enough images for to conclude anything.
    pub(crate) fn with_enough_images(&self) -> Self {
        let label = |name: &str| {
            let item = self.items.iter().find(|item| item.name == name)?;
            (item.n_units >= FEW_IMAGES).then(|| item.label.clone())
        };
        let mut enough = self.only(label);
        enough.pairs.retain(|pair| pair.difference.n_units >= FEW_IMAGES);
        enough
    }

    /// Whether two items have the same values on the same images, but for rounding: where it makes nearly equal pixels
    /// change places, an area moves by more on a few images.
    pub(crate) fn are_same(&self, pair: &Pair) -> bool {
        let Pair { a, b, difference } = pair;
        let is_rounding = difference.largest <= MAX_REORDERED
            && difference.n_unequal as f64 <= MAX_SHARE_REORDERED * difference.n as f64;
        // Rounding that all goes one way is still more than none.
        is_rounding
            && !difference.is_significant()
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

/// Whether so many images are less than half of the most that another thing has.
fn is_far_fewer(n: usize, most: usize) -> bool {
    2 * n < most
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
            (m * n_methods + k, method.name.clone(), format::label(method), method.is_control())
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
            (Statistic::Mean(i), &*metric.name, format::heading(metric), metric.better)
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
                n_units: scores.n_units(*cell, *statistic),
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
    let n_of = |(cell, ..): &(usize, String, String, bool)| scores.n(*cell, statistic);
    let most = group.iter().map(n_of).max().unwrap_or(0);
    // Those with few images would take theirs from all others.
    let items: Vec<usize> =
        (0..group.len()).filter(|i| most > 0 && !is_far_fewer(n_of(&group[*i]), most)).collect();
    let cells: Vec<usize> = items.iter().map(|i| group[*i].0).collect();
    let complete = scores.images_of_all(&cells, column);
    let goodness = |cell: &usize| -> Vec<f64> {
        let means = scores.unit_means(*cell, column, &complete);
        means.into_iter().map(|mean| sign * mean).collect()
    };
    let ranks = Ranks::of(&cells.iter().map(goodness).collect::<Vec<_>>())?;
    Some(Ranks { items, by_class: scores.are_classes(), ..ranks })
}

#[cfg(test)]
mod tests {
    use crate::{Record, Status, summarize, testing::many_images};

    /// The contrast of the first metric, of so many images whose records were changed.
    fn changed(n: usize, change: impl Fn(usize, &mut Record)) -> super::Contrast {
        let (manifest, mut records) = many_images(n);
        for record in &mut records {
            let place = record.image[..5].parse().unwrap();
            change(place, record);
        }
        summarize(&manifest, &records).methods.swap_remove(0)
    }

    #[test]
    fn a_method_with_far_fewer_images_does_not_take_theirs_from_the_ranks_of_the_others() {
        let of = |n_rise: usize| {
            let contrast = changed(40, |place, record| {
                let drop = if record.method == "cam" { 0.2 } else { 0.4 };
                record.metrics[0] = Some(drop + place as f64 / 1000.0);
                if record.method == "rise" && place >= n_rise {
                    record.status = Status::Degenerate;
                }
            });
            let ranks = contrast.ranks.unwrap();
            (ranks.items, ranks.mean, ranks.n)
        };
        assert_eq!(of(0), (vec![0, 2], vec![1.0, 2.0], 40));
        assert_eq!(of(19), (vec![0, 2], vec![1.0, 2.0], 40));
        assert_eq!(of(30), (vec![0, 1, 2], vec![1.0, 2.5, 2.5], 30));
    }

    #[test]
    fn classes_are_ranked_where_classes_are_drawn() {
        let (mut manifest, mut records) = many_images(90);
        for (i, image) in manifest.images.iter_mut().enumerate() {
            image.label = Some(i as i64 / 3);
        }
        // CAM is better on one image of each class by more than it is worse on the other two.
        for record in &mut records {
            let place: usize = record.image[..5].parse().unwrap();
            let by = if place.is_multiple_of(3) { 0.3 } else { -0.1 };
            record.metrics[0] = Some(if record.method == "cam" { 0.5 - by } else { 0.5 });
        }
        let ranks = summarize(&manifest, &records).methods.swap_remove(0).ranks.unwrap();
        assert_eq!((ranks.n, ranks.by_class), (30, true));
        assert_eq!(ranks.mean, [1.0, 2.5, 2.5]);
    }

    #[test]
    fn methods_are_the_same_where_rounding_reorders_the_pixels_of_a_few_images() {
        let same = |n: usize, by: f64| {
            let contrast = changed(200, |place, record| {
                let moved = if record.method == "cam" && place < n { by } else { 0.0 };
                record.metrics[0] = Some(0.3 + place as f64 / 1000.0 + moved);
            });
            let pair = contrast.pairs.iter().find(|pair| (pair.a, pair.b) == (0, 1)).unwrap();
            contrast.are_same(pair)
        };
        assert!(same(200, 5e-6) && same(4, 9e-4));
        assert!(!same(11, 9e-4) && !same(1, 2e-3));
        // All ten go one way: p is 2 / 2^10.
        assert!(!same(10, 9e-4));
    }
}
