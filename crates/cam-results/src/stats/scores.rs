//! Per-image values as columns, and everything that is computed from them: estimates and paired differences.

use std::{collections::BTreeMap, rc::Rc};

use super::{
    CONFIDENCE, Difference, N_RESAMPLES, quantile,
    resample::Resamples,
    test::{Paired, sign_flip},
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
    /// How many there are in every resample.
    counts: Vec<f64>,
}

impl Scores {
    /// Of a run: its cells in the order of the manifest, models first. The columns are the metrics, then the per-image
    /// ADCC.
    pub(crate) fn of_run(manifest: &RunManifest, records: &[Record]) -> Self {
        let resamples = Resamples::of(&manifest.images);
        let mut cells = empty(manifest, resamples.n_images());
        fill(&mut cells, manifest, records, &resamples);
        Self::new(resamples, cells)
    }

    /// Of two runs on the same images: the cells of the first, then those of the second.
    pub(crate) fn of_runs(runs: [(&RunManifest, &[Record]); 2]) -> Self {
        let resamples = Resamples::of(&runs[0].0.images);
        let mut all = vec![];
        for (manifest, records) in runs {
            let mut cells = empty(manifest, resamples.n_images());
            fill(&mut cells, manifest, records, &resamples);
            all.extend(cells);
        }
        Self::new(resamples, all)
    }

    fn new(resamples: Resamples, cells: Vec<Vec<Vec<Option<f64>>>>) -> Self {
        // Columns of a cell lack the same images as a rule, and most lack none.
        let mut masks: BTreeMap<Vec<bool>, Rc<Present>> = BTreeMap::new();
        for column in cells.iter().flatten() {
            let is: Vec<bool> = column.iter().map(Option::is_some).collect();
            masks.entry(is).or_insert_with_key(|is| {
                let n = is.iter().filter(|is| **is).count();
                Rc::new(Present { is: is.clone(), n, counts: vec![] })
            });
        }
        let counted: Vec<Vec<f64>> = masks
            .keys()
            .map(|is| resamples.by_unit(is.iter().map(|is| f64::from(u8::from(*is)))))
            .collect();
        let counts = resamples.sums(&counted.iter().map(Vec::as_slice).collect::<Vec<_>>());
        for (present, counts) in masks.values_mut().zip(counts) {
            let Present { is, n, .. } = &**present;
            *present = Rc::new(Present { is: is.clone(), n: *n, counts });
        }
        let by_unit: Vec<Vec<f64>> = cells
            .iter()
            .flatten()
            .map(|column| resamples.by_unit(column.iter().map(|value| value.unwrap_or(0.0))))
            .collect();
        let mut sums =
            resamples.sums(&by_unit.iter().map(Vec::as_slice).collect::<Vec<_>>()).into_iter();
        let cells = cells
            .into_iter()
            .map(|columns| {
                let columns = columns.into_iter().map(|column| {
                    let is: Vec<bool> = column.iter().map(Option::is_some).collect();
                    Column {
                        values: column.into_iter().map(|value| value.unwrap_or(0.0)).collect(),
                        present: Rc::clone(&masks[&is]),
                        sums: sums.next().unwrap_or_default(),
                    }
                });
                columns.collect()
            })
            .collect();
        Self { resamples, cells }
    }

    /// Whether classes are resampled, and not images.
    pub(crate) fn are_classes(&self) -> bool {
        self.resamples.are_classes()
    }

    /// A statistic of a cell with its 95 % interval; `None` where no image has a value.
    pub(crate) fn estimate(&self, cell: usize, statistic: Statistic) -> Option<Estimate> {
        let means = |column: usize| {
            let Column { sums, present, .. } = &self.cells[cell][column];
            ratios(sums, &present.counts)
        };
        let mean = |column: usize| {
            let Column { values, present, .. } = &self.cells[cell][column];
            (present.n > 0).then(|| values.iter().sum::<f64>() / present.n as f64)
        };
        let mean = value_of(statistic, mean)?;
        let (lo, hi) = interval(replicates_of(statistic, means));
        Some(Estimate { mean, lo, hi })
    }

    /// The value of each image that has one, by its place.
    pub(crate) fn values(&self, cell: usize, column: usize) -> impl Iterator<Item = Option<f64>> {
        let Column { values, present, .. } = &self.cells[cell][column];
        values.iter().zip(&present.is).map(|(value, is)| is.then_some(*value))
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
        let common: Vec<bool> = (0..self.resamples.n_images())
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
        let ones = common.iter().map(|is| f64::from(u8::from(*is)));
        let counts = self.resamples.by_unit(ones);
        let mean_square = influences.iter().map(|d| d * d).sum::<f64>() / n as f64;
        let by_unit = self.resamples.by_unit(influences);
        let centered = by_unit.iter().zip(&counts).map(|(sum, count)| sum - count * mean);
        let n_units = counts.iter().filter(|count| **count > 0.0).count();
        let squares = centered.map(|d| d * d).sum::<f64>() / (n * n) as f64;
        let variance = squares * n_units as f64 / n_units.saturating_sub(1) as f64;
        Some(Paired {
            difference: Difference {
                n,
                mean,
                lo,
                hi,
                p: sign_flip(by_unit),
                p_holm: 1.0,
                detectable: 0.0,
            },
            standard_error: variance.sqrt(),
            n_units,
            root_mean_square: mean_square.sqrt(),
        })
    }

    /// A statistic over some images only.
    fn over(&self, columns: &[&Column], common: &[bool], n: usize, statistic: Statistic) -> Over {
        let mean = |column: &Column| {
            let values = column.values.iter().zip(common);
            values.map(|(value, is)| if *is { *value } else { 0.0 }).sum::<f64>() / n as f64
        };
        let means: Vec<f64> = columns.iter().map(|column| mean(column)).collect();
        let replicates: Vec<Vec<f64>> = columns
            .iter()
            .map(|column| {
                let lost: Vec<(usize, f64)> = (0..common.len())
                    .filter(|i| column.present.is[*i] && !common[*i])
                    .map(|i| (i, column.values[i]))
                    .collect();
                let ones: Vec<(usize, f64)> = lost.iter().map(|(i, _)| (*i, 1.0)).collect();
                let sums = minus(&column.sums, &self.resamples.sums_of_few(&lost));
                let counts = minus(&column.present.counts, &self.resamples.sums_of_few(&ones));
                ratios(&sums, &counts)
            })
            .collect();
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

/// A statistic of some images of a cell.
struct Over {
    value: f64,
    /// What each image adds to it; over those images, their mean is the value.
    influences: Vec<f64>,
    replicates: Vec<f64>,
}

/// What each image adds to ADCC, to first order: `∂adcc/∂t = adcc² / (3 t²)` for each term `t` of the harmonic mean.
fn adcc_influences(columns: &[&Column], means: &[f64], value: f64) -> Vec<f64> {
    let terms = [means[0], 1.0 - means[1], 1.0 - means[2]];
    let slope = |term: f64| if value > 0.0 { value * value / (3.0 * term * term) } else { 0.0 };
    (0..columns[0].values.len())
        .map(|i| {
            let [coherency, complexity, drop] = [0, 1, 2].map(|c| columns[c].values[i] - means[c]);
            value + slope(terms[0]) * coherency
                - slope(terms[1]) * complexity
                - slope(terms[2]) * drop
        })
        .collect()
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

/// Columns without values for every cell of a run.
fn empty(manifest: &RunManifest, n_images: usize) -> Vec<Vec<Vec<Option<f64>>>> {
    let n_cells = manifest.models.len() * manifest.methods.len();
    vec![vec![vec![None; n_images]; manifest.metrics.len() + 1]; n_cells]
}

/// Writes the values of scored records into the columns of their cells.
fn fill(
    cells: &mut [Vec<Vec<Option<f64>>>],
    manifest: &RunManifest,
    records: &[Record],
    resamples: &Resamples,
) {
    let mut places = BTreeMap::new();
    for (m, model) in manifest.models.iter().enumerate() {
        for (k, method) in manifest.methods.iter().enumerate() {
            let key = (&*model.name, &*model.layer, &*method.name, &*method.protocol);
            places.insert(key, m * manifest.methods.len() + k);
        }
    }
    for record in records.iter().filter(|record| record.status == Status::Ok) {
        let Record { model, layer, method, protocol, image, .. } = record;
        let key = (&**model, &**layer, &**method, &**protocol);
        if let (Some(cell), Some(image)) = (places.get(&key), resamples.place(image)) {
            let values = record.metrics.iter().chain([&record.adcc_per_image]);
            for (column, value) in cells[*cell].iter_mut().zip(values) {
                column[image] = value.filter(|value| value.is_finite());
            }
        }
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
        Scores::new(Resamples::of(&images(set, n)), cells.iter().map(columns).collect())
    }

    fn mean_interval(set: usize, values: &[f64]) -> Estimate {
        scores(set, &[values]).estimate(0, Statistic::Mean(0)).unwrap()
    }

    /// Uniform in `[0, 1)`.
    fn uniform(random: &mut ChaCha8Rng) -> f64 {
        f64::from(random.next_u32()) / 2.0_f64.powi(32)
    }

    proptest! {
        #[test]
        fn an_interval_holds_its_mean_and_stays_within_the_values(
            values in prop::collection::vec(-1.0..1.0, 1..20),
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
            let mean = |cell| scores.estimate(cell, Statistic::Mean(0)).unwrap().mean;
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
        assert_eq!(with_another.estimate(0, Statistic::Mean(0)), Some(here));
    }

    #[test]
    fn only_images_that_both_have_a_value_for_are_compared() {
        let a = [Some(0.9), Some(0.5), None, Some(0.4)];
        let b = [Some(0.6), None, Some(0.1), Some(0.3)];
        let resamples = Resamples::of(&images(0, 4));
        let scores = Scores::new(resamples, vec![vec![a.to_vec()], vec![b.to_vec()]]);
        let Paired { difference, standard_error, root_mean_square, n_units } =
            scores.difference(0, 1, Statistic::Mean(0)).unwrap();
        // 0.3 and 0.1: their mean is 0.2; half of their distance is the standard error of two.
        assert_eq!((difference.n, n_units), (2, 2));
        close(difference.mean, 0.2, 1e-12);
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
        let resamples = Resamples::of(&images(0, 2));
        let cells =
            vec![vec![vec![Some(1.0), None]], vec![vec![None, Some(1.0)]], vec![vec![None; 2]]];
        let scores = Scores::new(resamples, cells);
        assert!(scores.difference(0, 1, Statistic::Mean(0)).is_none());
        assert!(scores.estimate(2, Statistic::Mean(0)).is_none());
        let nobody = Scores::new(Resamples::of(&[]), vec![vec![vec![]]]);
        assert!(nobody.estimate(0, Statistic::Mean(0)).is_none());
    }

    #[test]
    fn images_of_one_class_do_not_count_as_many() {
        // 40 classes of 25 images that are all alike: a mean of 40 numbers, and not of a thousand.
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let of_class: Vec<f64> = (0..40).map(|_| uniform(&mut random)).collect();
        let values: Vec<Option<f64>> = (0..1000).map(|i| Some(of_class[i / 25])).collect();
        let mut named = images(0, 1000);
        let width = |images: &[ImageEntry]| {
            let scores = Scores::new(Resamples::of(images), vec![vec![values.clone()]]);
            let Estimate { lo, hi, .. } = scores.estimate(0, Statistic::Mean(0)).unwrap();
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
        let scores = Scores::new(Resamples::of(&images(0, 9)), vec![cell(0.0), cell(step)]);
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
