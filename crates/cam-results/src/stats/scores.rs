//! Per-image values as columns, and everything that is computed from them: estimates and paired differences.
//!
//! The interval of a mean, and of ADCC, is *percentile-t* (also bootstrap-t, or studentized; Efron 1982, Hall 1988):
//! every resample's distance from the estimate is taken in standard errors of that resample, and the quantiles of these
//! distances are laid off from the estimate. Plain percentiles are too short on the long side of skewed values, which
//! drop and coherency have. The interval of a share, of a metric that says yes or no, is Wilson's (1927). Paired
//! differences are hardly skewed and keep plain percentiles. `examples/calibrate.rs` compares these and others.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use super::{
    CONFIDENCE, Difference, N_RESAMPLES, YES_OR_NO,
    proportion::share,
    quantile,
    resample::Resamples,
    sign_flip::{Paired, sign_flip},
};
use crate::{Estimate, Record, RunManifest, Status, adcc};

/// A number that a cell has, made from its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Statistic {
    /// The mean of a column.
    Mean(usize),
    /// [`adcc`] of the means of coherency, complexity and drop.
    Adcc([usize; 3]),
}

/// Values of many cells on one set of images, with their bootstrap.
#[derive(Debug)]
pub(crate) struct Scores {
    resamples: Resamples,
    /// One per (model, method), models first.
    cells: Vec<Vec<Column>>,
    /// Which columns are metrics that say yes or no.
    yes_or_no: Vec<bool>,
}

/// One metric of one cell.
#[derive(Debug)]
struct Column {
    /// One per image, 0 where there is none.
    values: Vec<f64>,
    /// Which images have a value.
    present: Rc<Present>,
    /// The values' sum in every resample.
    sums: Vec<f64>,
}

/// Which images have a value.
#[derive(Debug)]
struct Present {
    is: Vec<bool>,
    n: usize,
    /// How many of each unit's images have one.
    of_unit: Vec<f64>,
    /// How many units have an image that has one.
    n_units: usize,
    /// How many there are in every resample.
    counts: Vec<f64>,
    /// The sum over units of the squares of `of_unit` in every resample.
    squared_counts: Vec<f64>,
}

/// What sums over images that have a value need, for every set of such images.
fn presents(resamples: &Resamples, sets: BTreeSet<Vec<bool>>) -> BTreeMap<Vec<bool>, Rc<Present>> {
    let of_units: Vec<Vec<f64>> =
        sets.iter().map(|is| resamples.units.counts(is.iter().copied())).collect();
    let counts = resamples.sums(&of_units);
    let squared_counts = if resamples.units.are_classes() {
        let square = |of_unit: &Vec<f64>| of_unit.iter().map(|n| n * n).collect();
        resamples.sums(&of_units.iter().map(square).collect::<Vec<Vec<f64>>>())
    } else {
        // An image is there once or not at all.
        counts.clone()
    };
    let sums = of_units.into_iter().zip(counts.into_iter().zip(squared_counts));
    let present = |(is, (of_unit, (counts, squared_counts))): (Vec<bool>, (Vec<f64>, _))| {
        let n = is.iter().filter(|is| **is).count();
        let n_units = of_unit.iter().filter(|n| **n > 0.0).count();
        (is.clone(), Rc::new(Present { is, n, of_unit, n_units, counts, squared_counts }))
    };
    sets.into_iter().zip(sums).map(present).collect()
}

impl Column {
    fn mean(&self) -> Option<f64> {
        let n = self.present.n;
        (n > 0).then(|| self.values.iter().sum::<f64>() / n as f64)
    }
}

impl Scores {
    /// Of a run: its cells in the order of the manifest, models first. The columns are the metrics, then the per-image
    /// ADCC.
    pub(crate) fn of_run(manifest: &RunManifest, records: &[Record]) -> Self {
        let mut values = Values::of(manifest);
        for record in records {
            values.add(record);
        }
        values.scores()
    }

    /// Of two runs on the same images: the cells of the first, then those of the second.
    pub(crate) fn of_runs(runs: [(&RunManifest, &[Record]); 2]) -> Self {
        let [first, second] = runs.map(|(manifest, records)| {
            let mut values = Values::of(manifest);
            for record in records {
                values.add(record);
            }
            values
        });
        let Values { resamples, mut cells, .. } = first;
        cells.extend(second.cells);
        Self::new(resamples, cells, yes_or_no(runs[0].0))
    }

    fn new(resamples: Resamples, cells: Vec<Vec<Vec<Option<f64>>>>, yes_or_no: Vec<bool>) -> Self {
        // Columns of a cell lack the same images as a rule, and most lack none.
        let sets = cells.iter().flatten();
        let sets = sets.map(|column| column.iter().map(Option::is_some).collect());
        let presents = presents(&resamples, sets.collect());
        let by_unit: Vec<Vec<f64>> = cells
            .iter()
            .flatten()
            .map(|column| resamples.units.by_unit(column.iter().map(|value| value.unwrap_or(0.0))))
            .collect();
        let mut sums = resamples.sums(&by_unit).into_iter();
        let cells = cells
            .into_iter()
            .map(|columns| {
                let columns = columns.into_iter().map(|column| {
                    let is: Vec<bool> = column.iter().map(Option::is_some).collect();
                    Column {
                        values: column.into_iter().map(|value| value.unwrap_or(0.0)).collect(),
                        present: Rc::clone(&presents[&is]),
                        sums: sums.next().unwrap_or_default(),
                    }
                });
                columns.collect()
            })
            .collect();
        Self { resamples, cells, yes_or_no }
    }

    /// Whether classes are resampled, and not images.
    pub(crate) fn are_classes(&self) -> bool {
        self.resamples.units.are_classes()
    }

    /// How many images have all values that a statistic of a cell is made of.
    pub(crate) fn n(&self, cell: usize, statistic: Statistic) -> usize {
        match statistic {
            Statistic::Mean(column) => self.cells[cell][column].present.n,
            Statistic::Adcc(parts) => self.has_all(cell, &parts).filter(|has| *has).count(),
        }
    }

    /// How many units have such an image.
    pub(crate) fn n_units(&self, cell: usize, statistic: Statistic) -> usize {
        match statistic {
            Statistic::Mean(column) => self.cells[cell][column].present.n_units,
            Statistic::Adcc(parts) => {
                let counts = self.resamples.units.counts(self.has_all(cell, &parts));
                counts.into_iter().filter(|n| *n > 0.0).count()
            }
        }
    }

    /// Whether each image has all of some values of a cell.
    fn has_all(&self, cell: usize, columns: &[usize]) -> impl Iterator<Item = bool> {
        let cell = &self.cells[cell];
        let has_all =
            move |image: usize| columns.iter().all(|column| cell[*column].present.is[image]);
        (0..self.resamples.units.n_images()).map(has_all)
    }

    /// Which images have a value of all of some cells.
    pub(crate) fn images_of_all(&self, cells: &[usize], column: usize) -> Vec<bool> {
        let has_all =
            |image: usize| cells.iter().all(|cell| self.cells[*cell][column].present.is[image]);
        (0..self.resamples.units.n_images()).map(has_all).collect()
    }

    /// Whether an image can have a value in a column: some cell has one, or none has any of that image.
    pub(crate) fn is_defined(&self, column: usize, image: &str) -> bool {
        let Some(place) = self.resamples.units.place(image) else { return false };
        let has = |column: usize| self.cells.iter().any(|cell| cell[column].present.is[place]);
        let n_columns = self.cells.first().map_or(0, Vec::len);
        has(column) || !(0..n_columns).any(has)
    }

    /// A statistic of a cell; `None` where no image has a value.
    pub(crate) fn value(&self, cell: usize, statistic: Statistic) -> Option<f64> {
        value_of(statistic, |column| self.cells[cell][column].mean())
    }

    /// Statistics of every cell with their 95 % intervals, `[cells, statistics]`; `None` where no image has a value.
    pub(crate) fn estimates(&self, statistics: &[Statistic]) -> Vec<Vec<Option<Estimate>>> {
        let spreads: Vec<Vec<Option<Spread<'_>>>> = (0..self.cells.len())
            .map(|cell| statistics.iter().map(|one| self.spread(cell, *one)).collect())
            .collect();
        let all = || spreads.iter().flatten().flatten();
        let sums = |columns: Vec<Vec<f64>>| self.resamples.sums(&columns).into_iter();
        let mut squares = sums(all().map(Spread::squares).collect());
        let weighted = all().filter(|_| self.are_classes()).map(Spread::weighted);
        let mut weighted = sums(weighted.collect());
        let mut estimate = |spread: Spread<'_>| {
            let squares = squares.next().unwrap_or_default();
            // An image counts once: its part is what it is.
            let weighted = weighted.next().unwrap_or_else(|| spread.shifts.clone());
            spread.estimate(&squares, &weighted)
        };
        let of_cell = |spreads: Vec<Option<Spread<'_>>>| {
            spreads.into_iter().map(|spread| spread.map(&mut estimate)).collect()
        };
        spreads.into_iter().map(of_cell).collect()
    }

    /// A statistic of a cell with what its interval is made of.
    fn spread(&self, cell: usize, statistic: Statistic) -> Option<Spread<'_>> {
        let value = self.value(cell, statistic)?;
        let (columns, slopes) = match statistic {
            Statistic::Mean(column) => (vec![column], vec![1.0]),
            Statistic::Adcc(parts) => {
                let means: Vec<f64> =
                    parts.iter().filter_map(|part| self.cells[cell][*part].mean()).collect();
                (parts.to_vec(), adcc_slopes(&means, value).to_vec())
            }
        };
        let mut parts = vec![];
        let mut shifts = vec![0.0; N_RESAMPLES];
        for (column, slope) in columns.iter().zip(slopes) {
            let Column { values, present, sums } = &self.cells[cell][*column];
            let mean = self.cells[cell][*column].mean()?;
            let scale = slope / present.n as f64;
            let of_unit = self.resamples.units.by_unit(
                values.iter().zip(&present.is).map(|(v, is)| if *is { v - mean } else { 0.0 }),
            );
            parts.resize(of_unit.len(), 0.0);
            for (part, of_unit) in parts.iter_mut().zip(of_unit) {
                *part += scale * of_unit;
            }
            for ((shift, sum), count) in shifts.iter_mut().zip(sums).zip(&present.counts) {
                *shift += scale * (sum - mean * count);
            }
        }
        let means = |column: usize| {
            let Column { sums, present, .. } = &self.cells[cell][column];
            ratios(sums, &present.counts)
        };
        let present = &*self.cells[cell][columns[0]].present;
        let says_yes_or_no = |column: usize| {
            let is_whole = |value: &f64| value * (1.0 - value) == 0.0;
            self.yes_or_no.get(column) == Some(&true)
                && self.cells[cell][column].values.iter().all(is_whole)
        };
        let share = match statistic {
            Statistic::Mean(column) if says_yes_or_no(column) => {
                let yes =
                    self.resamples.units.by_unit(self.cells[cell][column].values.iter().copied());
                Some(share(yes.into_iter().zip(present.of_unit.iter().copied())))
            }
            _ => None,
        };
        Some(Spread {
            value,
            parts,
            shifts,
            replicates: replicates_of(statistic, means),
            present,
            share,
        })
    }

    /// The mean of each unit over some of its images; units without any are left out.
    pub(crate) fn unit_means(&self, cell: usize, column: usize, images: &[bool]) -> Vec<f64> {
        let units = &self.resamples.units;
        let values = self.cells[cell][column].values.iter().zip(images);
        let sums = units.by_unit(values.map(|(value, is)| if *is { *value } else { 0.0 }));
        let sums = sums.into_iter().zip(units.counts(images.iter().copied()));
        sums.filter(|(_, n)| *n > 0.0).map(|(sum, n)| sum / n).collect()
    }

    /// Cell `a` minus cell `b` over the images that both have a value for; `None` where there are none. Its correction
    /// for many comparisons is left to do.
    pub(crate) fn difference(&self, a: usize, b: usize, statistic: Statistic) -> Option<Paired> {
        let columns = match statistic {
            Statistic::Mean(column) => vec![column],
            Statistic::Adcc(parts) => parts.to_vec(),
        };
        let [a, b] = [a, b].map(|cell| -> Vec<&Column> {
            columns.iter().map(|column| &self.cells[cell][*column]).collect()
        });
        let common: Vec<bool> = (0..self.resamples.units.n_images())
            .map(|i| a.iter().chain(&b).all(|column| column.present.is[i]))
            .collect();
        let n = common.iter().filter(|is| **is).count();
        if n == 0 {
            return None;
        }
        let [a, b] = [a, b].map(|columns| self.over(&columns, &common, n, statistic));
        let mean = a.value - b.value;
        let (lo, hi) =
            interval(a.replicates.iter().zip(&b.replicates).map(|(a, b)| a - b).collect());
        // What each image adds to the difference; their mean is the difference.
        let influences: Vec<f64> = common
            .iter()
            .zip(a.influences.iter().zip(&b.influences))
            .map(|(is, (a, b))| if *is { without_rounding(a - b) } else { 0.0 })
            .collect();
        let counts = self.resamples.units.counts(common.iter().copied());
        let mean_square = influences.iter().map(|d| d * d).sum::<f64>() / n as f64;
        let n_unequal = influences.iter().filter(|d| **d != 0.0).count();
        let largest = influences.iter().map(|d| d.abs()).fold(0.0, f64::max);
        let by_unit = self.resamples.units.by_unit(influences);
        let centered = by_unit.iter().zip(&counts).map(|(sum, count)| sum - count * mean);
        let n_units = counts.iter().filter(|count| **count > 0.0).count();
        let squares = centered.map(|d| d * d).sum::<f64>() / (n * n) as f64;
        let variance = squares * n_units as f64 / n_units.saturating_sub(1) as f64;
        let differing: Vec<f64> = by_unit.iter().copied().filter(|d| *d != 0.0).collect();
        let is_yes_or_no = matches!(statistic, Statistic::Mean(column)
            if self.yes_or_no.get(column) == Some(&true));
        let size = if differing.is_empty() {
            f64::from(u8::from(is_yes_or_no))
        } else {
            (differing.iter().map(|d| d * d).sum::<f64>() / differing.len() as f64).sqrt()
        };
        let (lo, hi) = if n_units > 1 { (lo, hi) } else { (f64::NAN, f64::NAN) };
        Some(Paired {
            means: [a.value, b.value],
            standard_error: variance.sqrt(),
            n_units,
            n_differing: differing.len(),
            differing_size: size * n_units as f64 / n as f64,
            is_sign_test: is_yes_or_no && n_units == n,
            root_mean_square: mean_square.sqrt(),
            difference: Difference {
                n,
                n_units,
                mean,
                lo,
                hi,
                largest,
                n_unequal,
                p: sign_flip(by_unit),
                p_holm: 1.0,
                detectable: 0.0,
            },
        })
    }

    /// The mean of a column over some images, in every resample.
    fn replicates_over(&self, column: &Column, common: &[bool], n: usize) -> Vec<f64> {
        let of = |is_meant: bool| -> (Vec<f64>, Vec<f64>) {
            let places =
                (0..common.len()).filter(|i| column.present.is[*i] && common[*i] == is_meant);
            let values: Vec<(usize, f64)> = places.map(|i| (i, column.values[i])).collect();
            let ones: Vec<(usize, f64)> = values.iter().map(|(i, _)| (*i, 1.0)).collect();
            (self.resamples.sums_of_few(&values), self.resamples.sums_of_few(&ones))
        };
        // Whichever are fewer: those images, or the others.
        if 2 * n < column.present.n {
            let (sums, counts) = of(true);
            return ratios(&sums, &counts);
        }
        let (sums, counts) = of(false);
        ratios(&minus(&column.sums, &sums), &minus(&column.present.counts, &counts))
    }

    /// A statistic over some images only.
    fn over(&self, columns: &[&Column], common: &[bool], n: usize, statistic: Statistic) -> Over {
        let mean = |column: &Column| {
            let values = column.values.iter().zip(common);
            values.map(|(value, is)| if *is { *value } else { 0.0 }).sum::<f64>() / n as f64
        };
        let means: Vec<f64> = columns.iter().map(|column| mean(column)).collect();
        let replicates: Vec<Vec<f64>> =
            columns.iter().map(|column| self.replicates_over(column, common, n)).collect();
        let local = match statistic {
            Statistic::Mean(_) => Statistic::Mean(0),
            Statistic::Adcc(_) => Statistic::Adcc([0, 1, 2]),
        };
        let value = value_of(local, |i| Some(means[i])).unwrap_or(0.0);
        let influences = match statistic {
            Statistic::Mean(_) => columns[0].values.clone(),
            Statistic::Adcc(_) => adcc_influences(columns, &means, value),
        };
        Over { value, influences, replicates: replicates_of(local, |i| replicates[i].clone()) }
    }
}

/// A statistic of a cell and what its interval is made of.
struct Spread<'a> {
    value: f64,
    /// What each unit adds to it, to first order; they sum up to 0.
    parts: Vec<f64>,
    /// The sum of the parts in every resample.
    shifts: Vec<f64>,
    /// The statistic in every resample.
    replicates: Vec<f64>,
    present: &'a Present,
    /// With its interval, if it is the share of images that say yes.
    share: Option<Estimate>,
}

impl Spread<'_> {
    /// The squares of what each unit adds.
    fn squares(&self) -> Vec<f64> {
        self.parts.iter().map(|part| part * part).collect()
    }

    /// What each unit adds, times its number of images.
    fn weighted(&self) -> Vec<f64> {
        self.parts.iter().zip(&self.present.of_unit).map(|(part, n)| part * n).collect()
    }

    /// The sum, in a resample, of the squares of what each unit adds to that resample's own value.
    fn spread(&self, resample: usize, squares: f64, weighted: f64) -> f64 {
        let Present { counts, squared_counts, .. } = self.present;
        // The mean is off by so much, and so is every image.
        let off = self.shifts[resample] / counts[resample];
        squares - 2.0 * off * weighted + off * off * squared_counts[resample]
    }

    /// With its interval; given are the sums of [`squares`](Self::squares) and [`weighted`](Self::weighted) in every
    /// resample.
    fn estimate(&self, squares: &[f64], weighted: &[f64]) -> Estimate {
        let Self { value: mean, present, .. } = *self;
        let variance: f64 = self.squares().iter().sum();
        if let Some(share) = self.share {
            return share;
        }
        if present.n_units < 2 {
            return Estimate { mean, lo: f64::NAN, hi: f64::NAN };
        }
        if variance == 0.0 {
            return Estimate { mean, lo: mean, hi: mean };
        }
        let mut distances: Vec<f64> = (0..N_RESAMPLES)
            .filter(|r| self.replicates[*r].is_finite())
            .map(|r| {
                let spread = self.spread(r, squares[r], weighted[r]);
                let scale = present.n as f64 / present.counts[r];
                let error = spread.max(1e-12 * squares[r]).sqrt() * scale;
                // A resample of equal values has no spread, and is as far as can be.
                let distance = self.replicates[r] - mean;
                if distance == 0.0 { 0.0 } else { (distance / error).clamp(-1e6, 1e6) }
            })
            .collect();
        distances.sort_unstable_by(f64::total_cmp);
        let tail = (1.0 - CONFIDENCE) / 2.0;
        let at = |q: f64| mean - quantile(&distances, q) * variance.sqrt();
        // Of a few images no resample may tell where to end; the farthest is as far as they reach.
        let replicates = self.replicates.iter().copied().filter(|value| value.is_finite());
        let (least, most) =
            replicates.fold((mean, mean), |(least, most), one| (one.min(least), one.max(most)));
        Estimate { mean, lo: at(1.0 - tail).clamp(least, mean), hi: at(tail).clamp(mean, most) }
    }
}

/// Which columns of a run are metrics that say yes or no; the last column is the per-image ADCC.
fn yes_or_no(manifest: &RunManifest) -> Vec<bool> {
    manifest.metrics.iter().map(|metric| YES_OR_NO.contains(&&*metric.metric)).collect()
}

/// A statistic of some images of a cell.
struct Over {
    value: f64,
    /// What each image adds to it; over those images, their mean is the value.
    influences: Vec<f64>,
    replicates: Vec<f64>,
}

/// What each image adds to ADCC, to first order: `∂adcc/∂t = adcc² / (3 t²)` for each term `t` of the harmonic mean.
fn adcc_influences(columns: &[&Column], means: &[f64], value: f64) -> Vec<f64> {
    let slopes = adcc_slopes(means, value);
    (0..columns[0].values.len())
        .map(|i| {
            let part = |c: usize| slopes[c] * (columns[c].values[i] - means[c]);
            value + part(0) + part(1) + part(2)
        })
        .collect()
}

/// The derivative of ADCC by the means of coherency, complexity and drop.
fn adcc_slopes(means: &[f64], value: f64) -> [f64; 3] {
    let slope = |term: f64| if value > 0.0 { value * value / (3.0 * term * term) } else { 0.0 };
    [slope(means[0]), -slope(1.0 - means[1]), -slope(1.0 - means[2])]
}

/// Batch sizes and thread counts move values by rounding up to this; equal maps of different methods too.
pub(crate) const ROUNDING: f64 = 1e-5;

/// An image's difference, 0 where it is rounding: otherwise a bias of the last bit would be significant.
fn without_rounding(difference: f64) -> f64 {
    if difference.abs() <= ROUNDING { 0.0 } else { difference }
}

fn value_of(statistic: Statistic, mean: impl Fn(usize) -> Option<f64>) -> Option<f64> {
    match statistic {
        Statistic::Mean(column) => mean(column),
        Statistic::Adcc([coherency, complexity, drop]) => {
            Some(adcc(mean(coherency)?, mean(complexity)?, mean(drop)?))
        }
    }
}

fn replicates_of(statistic: Statistic, means: impl Fn(usize) -> Vec<f64>) -> Vec<f64> {
    match statistic {
        Statistic::Mean(column) => means(column),
        Statistic::Adcc(parts) => {
            let [coherency, complexity, drop] = parts.map(means);
            (0..N_RESAMPLES).map(|r| adcc(coherency[r], complexity[r], drop[r])).collect()
        }
    }
}

fn ratios(sums: &[f64], counts: &[f64]) -> Vec<f64> {
    sums.iter().zip(counts).map(|(sum, count)| sum / count).collect()
}

fn minus(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// The 95 % percentile interval. Resamples that have none of the images are left out.
fn interval(mut replicates: Vec<f64>) -> (f64, f64) {
    replicates.retain(|value| value.is_finite());
    if replicates.is_empty() {
        return (f64::NAN, f64::NAN);
    }
    replicates.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - CONFIDENCE) / 2.0;
    (quantile(&replicates, tail), quantile(&replicates, 1.0 - tail))
}

/// The scores of a run as its records come.
#[derive(Debug)]
pub(crate) struct Values<'a> {
    resamples: Resamples,
    cells: Vec<Vec<Vec<Option<f64>>>>,
    places: BTreeMap<[&'a str; 4], usize>,
    yes_or_no: Vec<bool>,
}

impl<'a> Values<'a> {
    /// Columns without values for every cell of a run.
    pub(crate) fn of(manifest: &'a RunManifest) -> Self {
        let resamples = Resamples::of(&manifest.images);
        let n_cells = manifest.models.len() * manifest.methods.len();
        let n_columns = manifest.metrics.len() + 1;
        let cells = vec![vec![vec![None; resamples.units.n_images()]; n_columns]; n_cells];
        let mut places = BTreeMap::new();
        for (m, model) in manifest.models.iter().enumerate() {
            for (k, method) in manifest.methods.iter().enumerate() {
                let key = [&*model.name, &*model.layer, &*method.name, &*method.protocol];
                places.insert(key, m * manifest.methods.len() + k);
            }
        }
        Self { resamples, cells, places, yes_or_no: yes_or_no(manifest) }
    }

    /// Writes the values of a record, if it is scored, into the columns of its cell. Which cell that is.
    pub(crate) fn add(&mut self, record: &Record) -> Option<usize> {
        let Record { model, layer, method, protocol, image, .. } = record;
        let cell = *self.places.get(&[&**model, &**layer, &**method, &**protocol])?;
        if record.status == Status::Ok
            && let Some(image) = self.resamples.units.place(image)
        {
            let values = record.metrics.iter().chain([&record.adcc_per_image]);
            for (column, value) in self.cells[cell].iter_mut().zip(values) {
                column[image] = value.filter(|value| value.is_finite());
            }
        }
        Some(cell)
    }

    /// All cells in the order of the manifest, models first. The columns are the metrics, then the per-image ADCC.
    pub(crate) fn scores(self) -> Scores {
        Scores::new(self.resamples, self.cells, self.yes_or_no)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::{
        ChaCha8Rng,
        rand_core::{Rng, SeedableRng},
    };

    use super::*;
    use crate::{ImageEntry, stats::corrected};

    fn close(got: f64, want: f64, tolerance: f64) {
        assert!((got - want).abs() <= tolerance, "{got} is not {want}");
    }

    /// Images called like their set and number.
    fn images(set: usize, n: usize) -> Vec<ImageEntry> {
        let image = |i| ImageEntry {
            image: format!("{set}/{i:05}.jpg"),
            sha256: None,
            label: None,
            boxes: vec![],
        };
        (0..n).map(image).collect()
    }

    /// Cells of one column each.
    fn scores(set: usize, cells: &[&[f64]]) -> Scores {
        let columns = |values: &&[f64]| vec![values.iter().copied().map(Some).collect()];
        let n = cells.first().map_or(0, |values| values.len());
        made(&images(set, n), cells.iter().map(columns).collect())
    }

    /// Cells of columns that are no shares.
    fn made(images: &[ImageEntry], cells: Vec<Vec<Vec<Option<f64>>>>) -> Scores {
        Scores::new(Resamples::of(images), cells, vec![])
    }

    /// A mean of the first column of a cell.
    fn estimate(scores: &Scores, cell: usize) -> Option<Estimate> {
        scores.estimates(&[Statistic::Mean(0)]).swap_remove(cell)[0]
    }

    fn mean_interval(set: usize, values: &[f64]) -> Estimate {
        estimate(&scores(set, &[values]), 0).unwrap()
    }

    /// Uniform in `[0, 1)`.
    fn uniform(random: &mut ChaCha8Rng) -> f64 {
        f64::from(random.next_u32()) / 2.0_f64.powi(32)
    }

    proptest! {
        #[test]
        fn an_interval_holds_its_mean_and_stays_within_the_values(
            values in prop::collection::vec(-1.0..1.0, 2..20),
        ) {
            let Estimate { mean, lo, hi } = mean_interval(0, &values);
            let (min, max) = values.iter().fold((1.0, -1.0), |(a, b): (f64, f64), v| (a.min(*v), b.max(*v)));
            prop_assert!(min - 1e-12 <= lo && lo <= mean + 1e-12 && mean <= hi + 1e-12 && hi <= max + 1e-12);
        }

        #[test]
        fn a_paired_difference_is_the_difference_of_the_means_where_no_value_is_missing(
            values in prop::collection::vec((0.0..1.0, 0.0..1.0), 2..30),
        ) {
            let (a, b): (Vec<f64>, Vec<f64>) = values.into_iter().unzip();
            let scores = scores(0, &[&a, &b]);
            let mean = |cell| scores.value(cell, Statistic::Mean(0)).unwrap();
            let paired = scores.difference(0, 1, Statistic::Mean(0)).unwrap();
            let back = scores.difference(1, 0, Statistic::Mean(0)).unwrap();
            prop_assert!((paired.difference.mean - (mean(0) - mean(1))).abs() < 1e-12);
            prop_assert!((paired.difference.lo + back.difference.hi).abs() < 1e-12);
            prop_assert_eq!(paired.difference.p.to_bits(), back.difference.p.to_bits());
        }
    }

    #[test]
    fn the_interval_of_a_mean_covers_the_truth_as_often_as_it_says() {
        // A skewed distribution on [0, 1] with mean 1/3: the square of a uniform number.
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let n_runs = 400;
        let covered = (0..n_runs).filter(|&run| {
            let values: Vec<f64> = (0..200).map(|_| uniform(&mut random).powi(2)).collect();
            let Estimate { lo, hi, .. } = mean_interval(run, &values);
            (lo..=hi).contains(&(1.0 / 3.0))
        });
        let share = covered.count() as f64 / n_runs as f64;
        println!("coverage {share}");
        // 0.95 with a standard error of 0.011.
        assert!((0.925..=0.975).contains(&share), "{share}");
    }

    #[test]
    fn the_interval_of_a_few_far_values_covers_the_truth_where_percentiles_do_not() {
        // As coherency: near 1, and one image in twenty far below. Plain percentiles cover it nine times out of ten.
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let n_runs = 400;
        let covered = (0..n_runs).filter(|&run| {
            let mut value = || {
                let near = 0.05 * uniform(&mut random);
                let far = if uniform(&mut random) < 0.05 { uniform(&mut random) } else { 0.0 };
                1.0 - near - far
            };
            let values: Vec<f64> = (0..150).map(|_| value()).collect();
            let Estimate { lo, hi, .. } = mean_interval(run, &values);
            (lo..=hi).contains(&0.95)
        });
        let share = covered.count() as f64 / n_runs as f64;
        println!("coverage {share}");
        // 0.95 and three standard errors.
        assert!((0.917..=0.983).contains(&share), "{share}");
    }

    #[test]
    fn percentile_t_by_hand() {
        // Of 0 and 1 a resample is 0 and 0, 1 and 1, or both. The first two have no spread and are infinitely far to
        // either side; the interval ends at the values.
        let Estimate { mean, lo, hi } = mean_interval(0, &[0.0, 1.0]);
        assert_eq!([mean, lo, hi].map(f64::to_bits), [0.5, 0.0, 1.0].map(f64::to_bits));
        // Values without a spread have an interval without one.
        assert_eq!(mean_interval(0, &[0.25; 9]), Estimate { mean: 0.25, lo: 0.25, hi: 0.25 });
        // The long side of the values has the long side of the interval.
        let skewed: Vec<f64> = (0..50).map(|i| f64::from(i).powi(4)).collect();
        let Estimate { mean, lo, hi } = mean_interval(0, &skewed);
        assert!(hi - mean > 1.2 * (mean - lo), "{lo} {mean} {hi}");
    }

    #[test]
    fn a_share_of_yes_has_the_interval_of_a_share_and_a_mean_of_hits_has_not() {
        let interval = |images: &[ImageEntry], values: Vec<Option<f64>>| {
            let scores = Scores::new(Resamples::of(images), vec![vec![values]], vec![true]);
            estimate(&scores, 0).unwrap()
        };
        let yes =
            |n: usize, all: usize| (0..all).map(|i| Some(f64::from(u8::from(i < n)))).collect();
        let units = |n: usize, of: f64, all: usize| {
            share((0..all).map(|i| (if i < n { of } else { 0.0 }, of)))
        };
        assert_eq!(interval(&images(0, 200), yes(178, 200)), units(178, 1.0, 200));
        assert_eq!(interval(&classes(&[25; 40]), yes(250, 1000)), units(10, 25.0, 40));
        // A share of a hit is no yes and no no.
        let mut values: Vec<Option<f64>> = yes(10, 60);
        values[59] = Some(0.5);
        let odd = interval(&images(0, 60), values);
        assert!((odd.lo - units(10, 1.0, 60).lo).abs() > 1e-4);
    }

    #[test]
    fn one_image_or_one_class_has_a_mean_and_no_interval() {
        let one = mean_interval(0, &[0.25]);
        assert_eq!((one.mean, one.interval()), (0.25, None));
        let scores = scores(0, &[&[0.25], &[0.5]]);
        let paired = scores.difference(0, 1, Statistic::Mean(0)).unwrap().difference;
        assert!(paired.lo.is_nan() && paired.hi.is_nan());
        // 29 classes without a value and one with seven.
        let values = (0..65).map(|i| (i < 7).then_some(f64::from(i)));
        let sizes = [[7].as_slice(), &[2; 29]].concat();
        let scores = made(&classes(&sizes), vec![vec![values.collect()]]);
        assert_eq!(estimate(&scores, 0).unwrap().interval(), None);
    }

    #[test]
    fn a_table_without_differences_has_a_false_claim_in_one_of_twenty_at_most() {
        // Three pairs of cells that share what is hard about an image, and are skewed like drop.
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let n_runs = 300;
        let alarms = (0..n_runs).filter(|&run| {
            let cells: Vec<Vec<f64>> = {
                let hard: Vec<f64> = (0..60).map(|_| uniform(&mut random)).collect();
                let mut cell = || hard.iter().map(|h| h * uniform(&mut random).powi(3)).collect();
                (0..6).map(|_| cell()).collect()
            };
            let scores = scores(run, &cells.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let pairs = [(0, 1), (2, 3), (4, 5)]
                .map(|(a, b)| scores.difference(a, b, Statistic::Mean(0)).unwrap());
            corrected(&pairs).iter().any(Difference::is_significant)
        });
        let share = alarms.count() as f64 / n_runs as f64;
        println!("false claims {share}");
        // 0.05 and three standard errors.
        assert!(share <= 0.088, "{share}");
    }

    #[test]
    fn a_detectable_difference_is_found_four_times_out_of_five() {
        let mut random = ChaCha8Rng::seed_from_u64(4);
        let n_runs = 300;
        let found = (0..n_runs).filter(|&run| {
            let base: Vec<f64> = (0..100).map(|_| uniform(&mut random)).collect();
            let noise: Vec<f64> = (0..100).map(|_| 0.2 * (uniform(&mut random) - 0.5)).collect();
            let with = |shift: f64| -> Vec<f64> {
                base.iter().zip(&noise).map(|(base, noise)| base + noise + shift).collect()
            };
            // As many comparisons as a table may have; the others show nothing.
            let table = |new: &[f64]| {
                let scores = scores(run, &[new, &base]);
                let here = scores.difference(0, 1, Statistic::Mean(0)).unwrap();
                let mut table = vec![here; 10];
                table[1..].iter_mut().for_each(|other| other.difference.p = 1.0);
                corrected(&table)[0]
            };
            // The uniform noise has a standard deviation of 0.2 / √12, which each run estimates a little differently.
            let Difference { detectable, .. } = table(&with(0.0));
            table(&with(detectable)).is_significant()
        });
        let share = found.count() as f64 / n_runs as f64;
        println!("found {share}");
        // 0.8 and three standard errors.
        assert!((0.73..=0.87).contains(&share), "{share}");
    }

    #[test]
    fn an_interval_depends_on_its_images_and_on_nothing_else() {
        let values: Vec<f64> = (0..50).map(|i| f64::from(i % 7)).collect();
        let here = mean_interval(0, &values);
        assert_eq!(here, mean_interval(0, &values));
        assert_ne!(here, mean_interval(1, &values));
        // The other cells of the run do not matter either.
        let with_another = scores(0, &[&values, &[0.5; 50]]);
        assert_eq!(estimate(&with_another, 0), Some(here));
    }

    #[test]
    fn a_difference_over_a_few_images_is_that_of_a_run_of_these() {
        let value = |i: usize| (i as f64 * 0.7).sin();
        let many: Vec<Option<f64>> = (0..40).map(|i| Some(value(i))).collect();
        // Of those whose names come first, so that the other values of the many are left out.
        for n_few in [6, 34] {
            let few = (0..40).map(|i| (i < n_few).then(|| value(i).powi(2)));
            let few: Vec<Option<f64>> = few.collect();
            let both: Vec<Option<f64>> = many.iter().zip(&few).map(|(a, b)| b.and(*a)).collect();
            let scores = made(&images(0, 40), vec![vec![many.clone()], vec![few], vec![both]]);
            let difference =
                |cell| scores.difference(cell, 1, Statistic::Mean(0)).unwrap().difference;
            let (of_all, of_both) = (difference(0), difference(2));
            close(of_all.lo, of_both.lo, 1e-12);
            close(of_all.hi, of_both.hi, 1e-12);
            assert_eq!((of_all.n, of_all.p.to_bits()), (n_few, of_both.p.to_bits()));
        }
    }

    #[test]
    fn only_images_that_both_have_a_value_for_are_compared() {
        let a = [Some(0.9), Some(0.5), None, Some(0.4)];
        let b = [Some(0.6), None, Some(0.1), Some(0.3)];
        let scores = made(&images(0, 4), vec![vec![a.to_vec()], vec![b.to_vec()]]);
        let Paired { difference, means, standard_error, root_mean_square, n_units, .. } =
            scores.difference(0, 1, Statistic::Mean(0)).unwrap();
        // 0.3 and 0.1: their mean is 0.2; half of their distance is the standard error of two.
        assert_eq!((difference.n, n_units), (2, 2));
        close(difference.mean, 0.2, 1e-12);
        close(means[0], 0.65, 1e-12);
        close(means[1], 0.45, 1e-12);
        close(standard_error, 0.1, 1e-12);
        close(root_mean_square, ((0.09 + 0.01) / 2.0_f64).sqrt(), 1e-12);
        // A resample of the two is 0.1, 0.2 or 0.3 on average.
        close(difference.lo, 0.1, 1e-12);
        close(difference.hi, 0.3, 1e-12);
        // Both signs equal: 2 of 4.
        close(difference.p, 0.5, 0.0);
    }

    #[test]
    fn nothing_in_common_is_no_difference_and_no_value_no_estimate() {
        let cells =
            vec![vec![vec![Some(1.0), None]], vec![vec![None, Some(1.0)]], vec![vec![None; 2]]];
        let scores = made(&images(0, 2), cells);
        assert!(scores.difference(0, 1, Statistic::Mean(0)).is_none());
        assert!(estimate(&scores, 2).is_none());
        let nobody = made(&[], vec![vec![vec![]]]);
        assert!(estimate(&nobody, 0).is_none());
    }

    /// Images of classes of these sizes.
    fn classes(sizes: &[usize]) -> Vec<ImageEntry> {
        let labels = sizes.iter().zip(0..).flat_map(|(n, label)| vec![Some(label); *n]);
        let mut images = images(0, sizes.iter().sum());
        images.iter_mut().zip(labels).for_each(|(image, label)| image.label = label);
        images
    }

    #[test]
    fn the_errors_of_resamples_of_unequal_classes_by_hand() {
        // Classes of 4, 1 and 1 images with sums 4, 0 and 0, among 29 others without a value.
        let sizes = [[4, 1, 1].as_slice(), &[2; 29]].concat();
        let value = |i: usize| match i {
            0..4 => Some(1.0),
            4 | 5 => Some(0.0),
            _ => None,
        };
        let values: Vec<Option<f64>> = (0..sizes.iter().sum()).map(value).collect();
        let scores = made(&classes(&sizes), vec![vec![values]]);
        let spread = scores.spread(0, Statistic::Mean(0)).unwrap();
        let squares = scores.resamples.sums(&[spread.squares()]).swap_remove(0);
        let weighted = scores.resamples.sums(&[spread.weighted()]).swap_remove(0);
        let counts = |class: usize| {
            let one = |i: usize| f64::from(u8::from(i == class));
            scores.resamples.sums(&[(0..sizes.len()).map(one).collect::<Vec<_>>()]).swap_remove(0)
        };
        let [first, second, third] = [0, 1, 2].map(counts);
        let mut n_checked = 0;
        for r in (0..N_RESAMPLES).filter(|r| first[*r] + second[*r] + third[*r] > 0.0) {
            let n = 4.0 * first[r] + second[r] + third[r];
            let mean = 4.0 * first[r] / n;
            // Each class's sum less that of as many images of the resample's mean.
            let by_hand =
                first[r] * (4.0 - 4.0 * mean).powi(2) + (second[r] + third[r]) * mean.powi(2);
            close(spread.spread(r, squares[r], weighted[r]), by_hand / 36.0, 1e-12);
            n_checked += 1;
        }
        assert!(n_checked > 1000);
    }

    #[test]
    fn the_interval_of_a_mean_over_unequal_classes_covers_the_truth_as_often_as_it_says() {
        // One class has as many images as fifteen others; images of a class share a third of their variance.
        let sizes = [[180].as_slice(), &[14; 29]].concat();
        let images = classes(&sizes);
        let mut random = ChaCha8Rng::seed_from_u64(6);
        let n_runs = 400;
        let covered = (0..n_runs).filter(|run| {
            let mut named = images.clone();
            // Other names are other resamples.
            for image in &mut named {
                image.image = format!("{run} {}", image.image);
            }
            let mut values = vec![];
            for n in &sizes {
                let shared = uniform(&mut random) - 0.5;
                let own = 2.0_f64.sqrt();
                values.extend((0..*n).map(|_| Some(shared + own * (uniform(&mut random) - 0.5))));
            }
            let scores = made(&named, vec![vec![values]]);
            let Estimate { lo, hi, .. } = estimate(&scores, 0).unwrap();
            (lo..=hi).contains(&0.0)
        });
        let share = covered.count() as f64 / f64::from(n_runs);
        println!("coverage {share}");
        // 0.95 would need more classes; the same shift for all classes would make 0.75 of it.
        assert!((0.90..=0.98).contains(&share), "{share}");
    }

    #[test]
    fn what_is_detectable_by_yes_or_no_over_classes_is_what_their_sums_can_show() {
        // 40 classes of 25 images; of one image in twenty the answer is no, where it was yes in half of all.
        let images = classes(&[25; 40]);
        let mut random = ChaCha8Rng::seed_from_u64(8);
        let draw =
            |share: f64, random: &mut ChaCha8Rng| f64::from(u8::from(uniform(random) < share));
        let before: Vec<f64> = (0..1000).map(|_| draw(0.5, &mut random)).collect();
        let now: Vec<f64> = before.iter().map(|yes| yes * draw(0.9, &mut random)).collect();
        let some = |values: &[f64]| vec![values.iter().copied().map(Some).collect()];
        let scores =
            Scores::new(Resamples::of(&images), vec![some(&now), some(&before)], vec![true]);
        let paired = scores.difference(0, 1, Statistic::Mean(0)).unwrap();
        let [seen] = corrected(&[paired]).try_into().unwrap();
        assert!(seen.is_significant() && seen.detectable < seen.mean.abs(), "{seen:?}");
        // Where no class differs, as many as it takes would have to by an image each.
        let same = scores.difference(0, 0, Statistic::Mean(0)).unwrap();
        let [same] = corrected(&[same]).try_into().unwrap();
        assert!((0.005..0.01).contains(&same.detectable), "{same:?}");
    }

    #[test]
    fn images_of_one_class_do_not_count_as_many() {
        // 40 classes of 25 images that are all alike: a mean of 40 numbers, and not of a thousand.
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let of_class: Vec<f64> = (0..40).map(|_| uniform(&mut random)).collect();
        let values: Vec<Option<f64>> = (0..1000).map(|i| Some(of_class[i / 25])).collect();
        let mut named = images(0, 1000);
        let width = |images: &[ImageEntry]| {
            let scores = made(images, vec![vec![values.clone()]]);
            let Estimate { lo, hi, .. } = estimate(&scores, 0).unwrap();
            hi - lo
        };
        let by_image = width(&named);
        for (i, image) in named.iter_mut().enumerate() {
            image.label = Some(i as i64 / 25);
        }
        // Five times as wide: the root of 25.
        close(width(&named) / by_image, 5.0, 0.5);
    }

    #[test]
    fn the_influences_on_adcc_are_its_derivative() {
        let cell = |shift: f64| -> Vec<Vec<Option<f64>>> {
            let at = |i: usize, k: usize| ((i * 7 + k * 3) as f64 * 0.61).sin().mul_add(0.2, 0.5);
            let column = |k: usize, shift: f64| {
                (0..9).map(|i| Some(at(i, k) + if i == 4 { shift } else { 0.0 })).collect()
            };
            vec![column(0, shift), column(1, 0.0), column(2, 0.0)]
        };
        let step = 1e-4;
        let scores = made(&images(0, 9), vec![cell(0.0), cell(step)]);
        let statistic = Statistic::Adcc([0, 1, 2]);
        let change = scores.difference(1, 0, statistic).unwrap().difference.mean;
        let columns: Vec<&Column> = scores.cells[0].iter().collect();
        let means: Vec<f64> =
            columns.iter().map(|column| column.values.iter().sum::<f64>() / 9.0).collect();
        let value = adcc(means[0], means[1], means[2]);
        let slope = value * value / (3.0 * means[0] * means[0]);
        close(change / (step / 9.0), slope, 1e-3);
        let influences = adcc_influences(&columns, &means, value);
        close(influences.iter().sum::<f64>() / 9.0, value, 1e-12);
        let own = columns[0].values[4] - means[0];
        let others = influences[4] - value - slope * own;
        let expected = value * value / 3.0
            * (-(columns[1].values[4] - means[1]) / (1.0 - means[1]).powi(2)
                - (columns[2].values[4] - means[2]) / (1.0 - means[2]).powi(2));
        close(others, expected, 1e-12);
    }
}
