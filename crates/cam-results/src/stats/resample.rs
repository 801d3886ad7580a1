//! Bootstrap resamples of a set of images, the same for everyone who has the same images.

use std::collections::{BTreeMap, HashMap};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::N_RESAMPLES;
use crate::ImageEntry;

/// Classes are drawn instead of images where there are at least so many of them. A bootstrap of few clusters gives
/// intervals that are too short; and few classes are all that a model knows, and no sample of classes.
const MIN_CLASSES: usize = 30;

/// A set of images, and what is drawn of it.
///
/// What is drawn is a *unit*: an image; or a class with all of its images where several images have one class, because
/// images of one class are more alike than others (cluster bootstrap).
#[derive(Debug)]
pub(crate) struct Units {
    /// The place of each image among them, in the order of their names.
    places: HashMap<String, usize>,
    /// The unit of each image, by its place.
    of_image: Vec<usize>,
    /// How many there are.
    n: usize,
}

impl Units {
    pub(crate) fn of(images: &[ImageEntry]) -> Self {
        let images = in_order(images);
        let of_image = units(images.values().copied());
        let n = of_image.iter().max().map_or(0, |last| last + 1);
        let places = images.keys().enumerate().map(|(i, name)| ((*name).to_owned(), i)).collect();
        Self { places, of_image, n }
    }

    /// How many images there are.
    pub(crate) fn n_images(&self) -> usize {
        self.of_image.len()
    }

    /// Whether units are classes.
    pub(crate) fn are_classes(&self) -> bool {
        self.n < self.of_image.len()
    }

    /// Where an image stands in columns.
    pub(crate) fn place(&self, image: &str) -> Option<usize> {
        self.places.get(image).copied()
    }

    /// The unit of an image.
    pub(crate) fn unit(&self, image: &str) -> Option<usize> {
        self.place(image).map(|place| self.of_image[place])
    }

    /// How many images of each unit are meant.
    pub(crate) fn counts(&self, are: impl IntoIterator<Item = bool>) -> Vec<f64> {
        self.by_unit(are.into_iter().map(|is| f64::from(u8::from(is))))
    }

    /// Sums of images' values, by unit.
    pub(crate) fn by_unit(&self, values: impl IntoIterator<Item = f64>) -> Vec<f64> {
        let mut sums = vec![0.0; self.n];
        for (unit, value) in self.of_image.iter().zip(values) {
            sums[*unit] += value;
        }
        sums
    }
}

/// Images in the order of their names, and the class of each.
fn in_order(images: &[ImageEntry]) -> BTreeMap<&str, Option<i64>> {
    images.iter().map(|image| (&*image.image, image.label)).collect()
}

/// How often each unit of a set of images is drawn in every resample.
#[derive(Debug)]
pub(crate) struct Resamples {
    pub(crate) units: Units,
    /// How often each unit is drawn: `[N_RESAMPLES, n_units]`.
    draws: Vec<u16>,
}

impl Resamples {
    /// Draws. The seed is a hash of the images' names, and neither the images' order nor what was measured on them
    /// changes anything.
    pub(crate) fn of(images: &[ImageEntry]) -> Self {
        let mut hash = Sha256::new();
        for name in in_order(images).keys() {
            hash.update(name.as_bytes());
            hash.update([0]);
        }
        let units = Units::of(images);
        let n_units = units.n;
        let mut random = ChaCha8Rng::from_seed(hash.finalize().into());
        let mut draws = vec![0_u16; N_RESAMPLES * n_units];
        for draws in draws.chunks_exact_mut(n_units.max(1)) {
            for _ in 0..n_units {
                // Multiply and shift: uniform to n / 2^32.
                let unit = (u64::from(random.next_u32()) * n_units as u64) >> 32;
                draws[unit as usize] += 1;
            }
        }
        Self { units, draws }
    }

    /// The sums of columns in every resample: `[columns, N_RESAMPLES]`. Columns are given by unit.
    pub(crate) fn sums(&self, columns: &[impl AsRef<[f64]>]) -> Vec<Vec<f64>> {
        let columns: Vec<&[f64]> = columns.iter().map(AsRef::as_ref).collect();
        let n_units = self.units.n;
        if n_units == 0 {
            return vec![vec![0.0; N_RESAMPLES]; columns.len()];
        }
        let of_resamples = |draws: &[u16]| -> Vec<Vec<f64>> {
            let weights: Vec<f64> = draws.iter().map(|draw| f64::from(*draw)).collect();
            let weights: Vec<&[f64]> = weights.chunks_exact(n_units).collect();
            columns.chunks(BLOCK).flat_map(|columns| products(columns, &weights)).collect()
        };
        let blocks: Vec<_> = self.draws.par_chunks(BLOCK * n_units).map(of_resamples).collect();
        (0..columns.len())
            .map(|c| blocks.iter().flat_map(|block| &block[c]).copied().collect())
            .collect()
    }

    /// The sum in every resample of a few images' values.
    pub(crate) fn sums_of_few(&self, values: &[(usize, f64)]) -> Vec<f64> {
        let sum = |draws: &[u16]| {
            values
                .iter()
                .map(|(place, value)| f64::from(draws[self.units.of_image[*place]]) * value)
                .sum::<f64>()
        };
        if values.is_empty() || self.units.n == 0 {
            return vec![0.0; N_RESAMPLES];
        }
        self.draws.chunks_exact(self.units.n).map(sum).collect()
    }
}

/// The unit of each image: its class where classes are drawn, else itself. An image without a class is itself.
fn units(labels: impl Iterator<Item = Option<i64>> + Clone) -> Vec<usize> {
    let mut sizes: BTreeMap<i64, usize> = BTreeMap::new();
    for label in labels.clone().flatten() {
        *sizes.entry(label).or_default() += 1;
    }
    let are_classes = sizes.len() >= MIN_CLASSES && sizes.values().any(|n| *n > 1);
    let mut unit_of: BTreeMap<i64, usize> = BTreeMap::new();
    let mut n_units = 0;
    let mut next = || {
        n_units += 1;
        n_units - 1
    };
    labels
        .map(|label| match label.filter(|_| are_classes) {
            Some(label) => *unit_of.entry(label).or_insert_with(&mut next),
            None => next(),
        })
        .collect()
}

/// How many columns, and how many resamples, are multiplied while they are in the cache.
const BLOCK: usize = 16;
/// How many units of them; a multiple of [`LANES`].
const TILE: usize = 512;
/// Several running sums let the processor work on several numbers at once.
const LANES: usize = 8;

/// The sums of products of each of some columns with each of some others: `[a, b]`. Of long columns, a piece of each is
/// multiplied with a piece of each other before the next pieces are read.
fn products(a: &[&[f64]], b: &[&[f64]]) -> Vec<Vec<f64>> {
    let n = a.first().map_or(0, |column| column.len());
    let whole = n - n % LANES;
    let mut sums = vec![vec![[0.0; LANES]; b.len()]; a.len()];
    for start in (0..whole).step_by(TILE) {
        let tile = start..whole.min(start + TILE);
        for (a, sums) in a.iter().zip(&mut sums) {
            for (b, sums) in b.iter().zip(sums) {
                add_products(sums, &a[tile.clone()], &b[tile.clone()]);
            }
        }
    }
    let rest = |a: &[f64], b: &[f64]| -> f64 {
        a[whole..].iter().zip(&b[whole..]).map(|(a, b)| a * b).sum()
    };
    let of_column = |(a, sums): (&&[f64], &Vec<[f64; LANES]>)| -> Vec<f64> {
        b.iter().zip(sums).map(|(b, sums)| sums.iter().sum::<f64>() + rest(a, b)).collect()
    };
    a.iter().zip(&sums).map(of_column).collect()
}

fn add_products(sums: &mut [f64; LANES], a: &[f64], b: &[f64]) {
    let mut running = *sums;
    for (a, b) in a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0) {
        for ((sum, a), b) in running.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    *sums = running;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(labels: &[Option<i64>]) -> Vec<ImageEntry> {
        let image = |(i, label): (usize, &Option<i64>)| ImageEntry {
            image: format!("{i:04}.jpg"),
            sha256: None,
            label: *label,
            boxes: vec![],
        };
        labels.iter().enumerate().map(image).collect()
    }

    #[test]
    fn classes_are_drawn_whole_where_there_are_many_of_several_images() {
        let one_each: Vec<_> = (0..60).map(Some).collect();
        assert!(!Units::of(&images(&one_each)).are_classes());
        let two_each: Vec<_> = (0..60).map(|i| Some(i / 2)).collect();
        let units = Units::of(&images(&two_each));
        assert!(units.are_classes());
        assert_eq!(units.n, 30);
        // Two classes are no sample of classes.
        let of_two: Vec<_> = (0..60).map(|i| Some(i % 2)).collect();
        assert_eq!(Units::of(&images(&of_two)).n, 60);
    }

    #[test]
    fn every_resample_draws_as_many_units_as_there_are() {
        let resamples = Resamples::of(&images(&[None; 7]));
        let ones = [1.0; 7];
        assert!(resamples.sums(&[ones])[0].iter().all(|sum| (sum - 7.0).abs() < 1e-12));
    }

    #[test]
    fn products_in_pieces_are_those_of_whole_columns() {
        for n in [0, 1, LANES, TILE + 3, 3 * TILE] {
            let column =
                |k: usize| -> Vec<f64> { (0..n).map(|i| ((i * (k + 3)) % 17) as f64).collect() };
            let (a, b): (Vec<_>, Vec<_>) =
                ((0..3).map(column).collect(), (5..7).map(column).collect());
            let [a_slices, b_slices] = [&a, &b].map(|columns: &Vec<Vec<f64>>| -> Vec<&[f64]> {
                columns.iter().map(Vec::as_slice).collect()
            });
            let expected: Vec<Vec<f64>> = a
                .iter()
                .map(|a| b.iter().map(|b| a.iter().zip(b).map(|(a, b)| a * b).sum()).collect())
                .collect();
            // Whole numbers, so that no order of adding shows.
            assert_eq!(products(&a_slices, &b_slices), expected, "{n}");
        }
    }

    #[test]
    fn the_order_of_images_does_not_show() {
        let forwards = images(&[None; 20]);
        let backwards: Vec<_> = forwards.iter().rev().cloned().collect();
        let (a, b) = (Resamples::of(&forwards), Resamples::of(&backwards));
        assert_eq!(a.draws, b.draws);
        assert_eq!(a.units.place("0003.jpg"), b.units.place("0003.jpg"));
    }

    #[test]
    fn the_sums_of_few_are_those_of_a_column_with_zeros() {
        let resamples = Resamples::of(&images(&(0..90).map(|i| Some(i / 3)).collect::<Vec<_>>()));
        let few = [(3, 2.5), (88, -1.0)];
        let column: Vec<f64> = (0..90)
            .map(|i| few.iter().find(|(place, _)| *place == i).map_or(0.0, |(_, value)| *value))
            .collect();
        let column = resamples.units.by_unit(column);
        assert_eq!(resamples.sums_of_few(&few), resamples.sums(&[column])[0]);
    }
}
