//! Partition SHAP: Owen values over halves of halves of the image (Owen 1977,
//! <https://doi.org/10.1007/978-3-642-45494-3_7>; Lundberg and Lee 2017, <https://arxiv.org/abs/1705.07874>, in the package
//! `shap`).
//!
//! The game is `v(S) = y_c(image with the pixels outside S hidden)`. The image is cut across its longer side into halves,
//! each of these again, down to pixels. A pixel's Owen value is what it adds on average over all orders that keep every half
//! together: a half `A` with sibling `B`, the pixels `S` around them shown or not, has
//! `½ (v(S∪A) − v(S)) + ½ (v(S∪A∪B) − v(S∪B))`, and its own halves share each of the two terms in the same way. Their sum
//! is `v(all) − v(none)`, however many are asked for: the terms that add most are divided first, and what is not divided
//! when `max_evals` are used up is spread evenly. Ours: pixels are not divided into colors, and of equals the earlier one
//! is divided first, where `shap` breaks ties at random.

use cam_core::{About, Cost, FeatureShape, Fill, Method, Subject, logits_in_chunks};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::Output;

/// Partition SHAP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PartitionShap {
    /// Images shown to the network at most, the whole one and the hidden one among them; two for every division.
    #[serde(deserialize_with = "cam_core::options::at_least_one")]
    pub max_evals: u32,
    /// Terms that are divided before it is looked again which add most: half of `shap`'s `batch_size`.
    #[serde(deserialize_with = "cam_core::options::at_least_one")]
    pub at_once: u32,
    /// What stands in place of a hidden pixel.
    pub fill: Fill,
    /// The game's value.
    pub score: Output,
}

impl Default for PartitionShap {
    fn default() -> Self {
        Self { max_evals: 500, at_once: 5, fill: Fill::Zero, score: Output::Logit }
    }
}

impl Method for PartitionShap {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let _no_grad = tch::no_grad_guard();
        let [height, width] = subject.size();
        let hidden = subject.with_image(subject.fill(self.fill));
        let mut open = vec![Term {
            region: Region { top: 0, left: 0, height, width },
            shown: vec![],
            without: self.score.of_answer(hidden.answer()),
            with: self.score.of_answer(subject.answer()),
            weight: 1.0,
        }];
        let mut pixels = vec![];
        let mut divisions = self.divisions();
        while divisions > 0 && !open.is_empty() {
            // Stable, and nearly sorted already.
            open.sort_by(|a, b| b.value().abs().total_cmp(&a.value().abs()));
            let n = open.len().min(divisions as usize).min(self.at_once as usize);
            divisions -= n as u64;
            let divided: Vec<Term> = open.drain(..n).collect();
            let terms = self.divide(subject, &divided).into_iter();
            let (single, more): (Vec<Term>, Vec<Term>) = terms.partition(Term::is_pixel);
            pixels.extend(single);
            open.extend(more);
        }
        let map = Tensor::zeros([height, width], (Kind::Double, Device::Cpu));
        for term in pixels.iter().chain(&open) {
            let _ = term.region.of(&map).g_add_scalar_(term.value() / term.region.area());
        }
        map.to_kind(subject.image().kind()).to_device(subject.image().device())
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost { forwards: 2 + 2 * self.divisions(), ..Cost::default() }
    }

    fn about(&self) -> About {
        About {
            title: "Partition SHAP",
            summary: "Owen values over recursive halves of the image, the weightiest divided first",
            source: "PartitionExplainer of shap, github.com/shap/shap; Owen 1977",
        }
    }
}

impl PartitionShap {
    /// How many terms may be divided.
    fn divisions(&self) -> u64 {
        u64::from(self.max_evals.saturating_sub(2) / 2)
    }

    /// The terms of both halves of each, with the other half hidden and shown.
    fn divide(&self, subject: &Subject<'_>, terms: &[Term]) -> Vec<Term> {
        let halves: Vec<[Region; 2]> = terms.iter().map(|term| term.region.halves()).collect();
        let shown: Vec<Vec<Region>> = terms
            .iter()
            .zip(&halves)
            .flat_map(|(term, halves)| halves.map(|half| [&term.shown[..], &[half]].concat()))
            .collect();
        let logits = logits_in_chunks(subject.classifier(), shown.len() as i64, |range| {
            show(subject, self.fill, &shown[range.start as usize..range.end as usize])
        });
        let answers = subject.answers(&logits);
        let values: Vec<f64> =
            answers.into_iter().map(|answer| self.score.of_answer(answer)).collect();
        let mut found = Vec::with_capacity(4 * terms.len());
        for (i, term) in terms.iter().enumerate() {
            for (half, region) in halves[i].into_iter().enumerate() {
                let (own, other) = (2 * i + half, 2 * i + 1 - half);
                let weight = term.weight / 2.0;
                let with = values[own];
                let hidden = term.shown.clone();
                found.push(Term { region, shown: hidden, without: term.without, with, weight });
                let (without, with) = (values[other], term.with);
                found.push(Term { region, shown: shown[other].clone(), without, with, weight });
            }
        }
        found
    }
}

/// What a region adds to others that are shown.
struct Term {
    region: Region,
    /// What is shown beside it.
    shown: Vec<Region>,
    /// The game's value without the region, and with it.
    without: f64,
    with: f64,
    /// The share of the orders in which these others come before it.
    weight: f64,
}

impl Term {
    /// What it is worth to its region.
    fn value(&self) -> f64 {
        (self.with - self.without) * self.weight
    }

    fn is_pixel(&self) -> bool {
        self.region.height == 1 && self.region.width == 1
    }
}

/// A rectangle of pixels.
#[derive(Clone, Copy)]
struct Region {
    top: i64,
    left: i64,
    height: i64,
    width: i64,
}

impl Region {
    /// The upper and lower half, or the left and right one of what is wider than high; the first is the smaller.
    fn halves(self) -> [Self; 2] {
        let Self { top, left, height, width } = self;
        if height >= width {
            let half = height / 2;
            [Self { height: half, ..self }, Self { top: top + half, height: height - half, ..self }]
        } else {
            let half = width / 2;
            [Self { width: half, ..self }, Self { left: left + half, width: width - half, ..self }]
        }
    }

    fn area(self) -> f64 {
        (self.height * self.width) as f64
    }

    /// Its pixels of `[H, W]`.
    fn of(self, map: &Tensor) -> Tensor {
        map.narrow(0, self.top, self.height).narrow(1, self.left, self.width)
    }
}

/// Images `[n, 3, H, W]` of which only some regions are shown.
fn show(subject: &Subject<'_>, fill: Fill, shown: &[Vec<Region>]) -> Tensor {
    let [height, width] = subject.size();
    let masks = Tensor::zeros([shown.len() as i64, 1, height, width], (Kind::Bool, Device::Cpu));
    for (i, regions) in shown.iter().enumerate() {
        for region in regions {
            let _ = region.of(&masks.get(i as i64).get(0)).fill_(1);
        }
    }
    let masks = masks.to_device(subject.image().device());
    subject.image().where_self(&masks, &subject.fill(fill))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_side_is_halved_and_of_a_square_the_height() {
        let halves = |height, width| {
            let region = Region { top: 3, left: 5, height, width };
            region.halves().map(|half| [half.top, half.left, half.height, half.width])
        };
        assert_eq!(halves(5, 5), [[3, 5, 2, 5], [5, 5, 3, 5]]);
        assert_eq!(halves(2, 3), [[3, 5, 2, 1], [3, 6, 2, 2]]);
        assert_eq!(halves(1, 2), [[3, 5, 1, 1], [3, 6, 1, 1]]);
    }
}
