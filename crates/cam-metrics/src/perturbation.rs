//! The confidence while pixels are replaced in order of saliency, and the area under it.

use std::collections::BTreeMap;

use cam_core::{Better, Explained, FeatureShape, Fill, Order, Output, Probe, Score};
use serde::{Deserialize, Serialize};

/// Pixels or cells that go, a step at a time, from the image to a fill or the other way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Perturbation {
    /// Whether the image is taken away or given back.
    pub(crate) direction: Direction,
    /// What goes.
    pub(crate) unit: Unit,
    /// Which units go first.
    pub(crate) order: Order,
    /// What stands where the image does not.
    pub(crate) fill: Fill,
    /// Intervals of the curve.
    pub(crate) steps: u32,
    /// Which of its points are asked for.
    pub(crate) sampling: Sampling,
    /// What is measured.
    pub(crate) score: Output,
    /// How the area is computed.
    pub(crate) area: Area,
}

/// What is taken away or given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Pixels of the map at the image's size.
    Pixels,
    /// Cells of the layer's grid.
    Cells,
    /// Cells of the layer's grid, each with the first line of pixels of the next one below and to the right, as
    /// Recipro-CAM's authors cut them: 33 pixels wide where cells are 32.
    OverlappingCells,
}

/// How the area under a curve is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    /// The trapezoid rule over the share of units, both ends included.
    Trapezoid,
    /// As Recipro-CAM's authors: steps of width 1, divided by the number of points and not of intervals, and for insertion
    /// without its start and with its end twice.
    Points,
}

/// Which points of a curve go through the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampling {
    /// All of them.
    EveryStep,
    /// At most a fifth of them: a coarse curve first, then four times the middles of the intervals where it bends most. What
    /// is not asked for is interpolated. Curves of fewer than 95 steps are asked for as a whole.
    Adaptive,
}

/// Which way pixels go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the image to the fill.
    Delete,
    /// From the fill to the image.
    Insert,
}

impl Perturbation {
    /// The images that the score is sure to need, for images of `[H, W]`; how many cells there are is not known yet.
    pub(crate) fn probes(self, size: [i64; 2]) -> Vec<Probe> {
        match self.unit {
            Unit::Pixels => {
                let n = size[0] * size[1];
                self.first_steps(n).into_iter().map(|step| self.probe(n, step)).collect()
            }
            Unit::Cells | Unit::OverlappingCells => vec![],
        }
    }

    /// How many images one score runs, the clean image left out, where activations have this shape.
    pub(crate) fn forwards(self, features: FeatureShape) -> u64 {
        let steps = match self.unit {
            Unit::Pixels => i64::from(self.steps),
            Unit::Cells | Unit::OverlappingCells => self.n_steps(features.positions()),
        };
        match Refinement::of(self.sampling, steps) {
            None => steps as u64,
            Some(refinement) => refinement.forwards() as u64,
        }
    }

    /// Which direction is good: the most salient pixels of a good map carry the score, which goes, or comes, with them.
    pub(crate) fn better(self) -> Better {
        match (self.direction, self.order) {
            (Direction::Delete, Order::MostSalient) | (Direction::Insert, Order::LeastSalient) => {
                Better::Lower
            }
            (Direction::Delete, Order::LeastSalient) | (Direction::Insert, Order::MostSalient) => {
                Better::Higher
            }
        }
    }

    /// The curve and the area under it.
    pub(crate) fn score(self, explained: &Explained<'_>) -> Score {
        let n = match self.unit {
            Unit::Pixels => explained.subject().size().iter().product(),
            Unit::Cells | Unit::OverlappingCells => explained.n_cells(),
        };
        let mut points = BTreeMap::new();
        let ask = |points: &mut BTreeMap<i64, f64>, steps: &[i64]| {
            let probes: Vec<Probe> = steps.iter().map(|&step| self.probe(n, step)).collect();
            let answers = explained.answers(&probes).into_iter();
            let scores = answers.map(|answer| self.score.of_answer(answer));
            points.extend(steps.iter().copied().zip(scores));
        };
        ask(&mut points, &self.first_steps(n));
        if let Some(refinement) = Refinement::of(self.sampling, self.n_steps(n)) {
            for _ in 0..Refinement::ROUNDS {
                let next = refinement.next_steps(&points);
                ask(&mut points, &next);
            }
        }
        let curve = self.interpolated(n, &points);
        Score { value: self.area(n, &curve), curve: Some(curve) }
    }

    /// The area under a curve over `n` units; `None` where that has another number of points.
    pub(crate) fn area_under(self, curve: &[f64], n: i64) -> Option<f64> {
        (curve.len() as i64 == self.n_steps(n) + 1).then(|| self.area(n, curve))
    }

    fn area(self, n: i64, curve: &[f64]) -> f64 {
        let trapezoids = |curve: &[f64], width: &dyn Fn(i64) -> f64| {
            let pairs = curve.windows(2).zip(0..);
            pairs.map(|(pair, step)| f64::midpoint(pair[0], pair[1]) * width(step)).sum::<f64>()
        };
        match (self.area, self.direction) {
            (Area::Trapezoid, _) => {
                let width = |step| (self.n_gone(n, step + 1) - self.n_gone(n, step)) as f64;
                trapezoids(curve, &width) / n as f64
            }
            (Area::Points, Direction::Delete) => trapezoids(curve, &|_| 1.0) / curve.len() as f64,
            (Area::Points, Direction::Insert) => {
                let late: Vec<f64> = curve[1..].iter().chain(curve.last()).copied().collect();
                trapezoids(&late, &|_| 1.0) / late.len() as f64
            }
        }
    }

    fn first_steps(self, n: i64) -> Vec<i64> {
        let n_steps = self.n_steps(n);
        match Refinement::of(self.sampling, n_steps) {
            None => (0..=n_steps).collect(),
            Some(refinement) => refinement.first_steps(),
        }
    }

    /// The score after every step: a straight line over the units between two points that are known.
    fn interpolated(self, n: i64, points: &BTreeMap<i64, f64>) -> Vec<f64> {
        let points: Vec<(i64, f64)> = points.iter().map(|(&step, &value)| (step, value)).collect();
        let mut curve = vec![points[0].1];
        for pair in points.windows(2) {
            let [(start, from), (end, to)] = [pair[0], pair[1]];
            let gone = |step| (self.n_gone(n, step) - self.n_gone(n, start)) as f64;
            let line = |step| from + (to - from) * gone(step) / gone(end);
            curve.extend((start + 1..end).map(line));
            curve.push(to);
        }
        curve
    }

    /// The image after some steps, of `n` units.
    fn probe(self, n: i64, step: i64) -> Probe {
        let n_gone = self.n_gone(n, step);
        let Self { order, fill, .. } = self;
        match (self.unit, self.direction) {
            // What is left when the first pixels of an order are gone are the first ones of the order read backwards.
            (Unit::Pixels, Direction::Delete) => {
                Probe::Kept { pixels: n - n_gone, order: order.reversed(), fill }
            }
            (Unit::Pixels, Direction::Insert) => Probe::Kept { pixels: n_gone, order, fill },
            (unit, direction) => Probe::Cells {
                cells: n_gone,
                order,
                hidden: direction == Direction::Delete,
                fill,
                overlapping: unit == Unit::OverlappingCells,
            },
        }
    }

    fn n_gone(self, n: i64, step: i64) -> i64 {
        step * n / self.n_steps(n)
    }

    fn n_steps(self, n: i64) -> i64 {
        i64::from(self.steps).clamp(1, n)
    }
}

/// How a curve is refined: [`Refinement::COARSE`] intervals, then some of them halved in each of [`Refinement::ROUNDS`].
#[derive(Clone, Copy, Debug)]
struct Refinement {
    n_steps: i64,
    /// Intervals halved in a round.
    halved: usize,
}

impl Refinement {
    const COARSE: i64 = 16;
    const ROUNDS: usize = 4;
    /// One in so many points may be asked for.
    const SHARE: i64 = 5;

    /// `None` where every step is asked for.
    fn of(sampling: Sampling, n_steps: i64) -> Option<Self> {
        let to_spend = n_steps / Self::SHARE - (Self::COARSE - 1);
        let halved = usize::try_from(to_spend).ok()? / Self::ROUNDS;
        (halved > 0 && sampling == Sampling::Adaptive).then_some(Self { n_steps, halved })
    }

    /// Points inside of the curve, and the end that is not the clean image.
    fn forwards(self) -> i64 {
        Self::COARSE + (Self::ROUNDS * self.halved) as i64
    }

    fn first_steps(self) -> Vec<i64> {
        (0..=Self::COARSE).map(|at| at * self.n_steps / Self::COARSE).collect()
    }

    /// The middles of the intervals whose trapezoids may be most wrong: by the largest change of the slope at one of their
    /// ends, times the square of their width.
    fn next_steps(self, points: &BTreeMap<i64, f64>) -> Vec<i64> {
        let points: Vec<(i64, f64)> = points.iter().map(|(&step, &value)| (step, value)).collect();
        let width = |i: usize| points[i + 1].0 - points[i].0;
        let slope = |i: usize| (points[i + 1].1 - points[i].1) / width(i) as f64;
        let n_intervals = points.len() - 1;
        let error = |i: usize| {
            let before = if i > 0 { (slope(i) - slope(i - 1)).abs() } else { 0.0 };
            let after = if i + 1 < n_intervals { (slope(i + 1) - slope(i)).abs() } else { 0.0 };
            before.max(after) * (width(i) as f64).powi(2)
        };
        let mut intervals: Vec<usize> = (0..n_intervals).filter(|&i| width(i) > 1).collect();
        // Stable: of equals, those further in front.
        intervals.sort_by(|&a, &b| error(b).total_cmp(&error(a)));
        intervals.truncate(self.halved);
        intervals.into_iter().map(|i| i64::midpoint(points[i].0, points[i + 1].0)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refined_curve_asks_for_a_fifth_of_its_points_where_it_bends() {
        let refinement = Refinement::of(Sampling::Adaptive, 224).unwrap();
        // A fall between steps 100 and 102, flat everywhere else.
        let value = |step: i64| if step <= 100 { 0.9 } else { 0.1 };
        let mut points: BTreeMap<i64, f64> =
            refinement.first_steps().into_iter().map(|step| (step, value(step))).collect();
        for _ in 0..Refinement::ROUNDS {
            let next = refinement.next_steps(&points);
            points.extend(next.into_iter().map(|step| (step, value(step))));
        }
        assert!(points.len() - 2 <= 224 / 5, "{} inner points", points.len() - 2);
        assert_eq!(refinement.forwards(), points.len() as i64 - 1);
        let nearest = |range: std::ops::RangeInclusive<i64>| points.range(range).count();
        assert!(nearest(96..=104) >= 5, "the fall is looked at closely: {points:?}");
    }

    #[test]
    fn short_curves_are_asked_for_as_a_whole() {
        // A fifth of 94 is 18, three more than the coarse curve's inner points: not one for each of four rounds.
        let halved = |n_steps| Refinement::of(Sampling::Adaptive, n_steps).map(|way| way.halved);
        assert_eq!([74, 75, 94, 95, 115].map(halved), [None, None, None, Some(1), Some(2)]);
        assert!(Refinement::of(Sampling::EveryStep, 224).is_none());
    }
}
