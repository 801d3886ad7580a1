//! Whether a mean difference could be chance: sign flips, Holm's correction, and what would have been seen.

use serde::Serialize;
use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, Normal};

use super::{ALPHA, POWER};

/// The mean difference of two things on the same images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// On how many images both have a score.
    pub n: usize,
    /// The first one's mean minus the second one's, over those images, as a fraction.
    pub mean: f64,
    /// 2.5 % quantile of the bootstrap's resamples.
    pub lo: f64,
    /// 97.5 % quantile of the bootstrap's resamples.
    pub hi: f64,
    /// How often chance alone makes a mean difference at least this large: the paired sign-flip permutation test, two-sided.
    pub p: f64,
    /// `p` corrected for all comparisons of the table (Holm, 1979).
    pub p_holm: f64,
    /// The smallest difference that so many images would show, after the correction, four times out of five; infinite
    /// where so few show none at all.
    pub detectable: f64,
}

impl Difference {
    /// Whether the two can be told apart: [`Difference::p_holm`] is below [`ALPHA`].
    pub fn is_significant(&self) -> bool {
        self.p_holm < ALPHA
    }
}

/// So many differences, the largest ones, have all combinations of their signs tried.
const MAX_ENUMERATED: usize = 14;

/// The sign-flip permutation test of the mean: where the two do not differ, each difference could as well have had the
/// other sign. Returns how often a sum of these differences with random signs is at least as far from 0 as theirs.
///
/// Differences that are all equally large, as of a metric that is 0 or 1, make it the exact sign test. The signs of the
/// largest differences are enumerated; the sum of many smaller ones with random signs is nearly normal, with the sum of
/// their squares for its variance. One large difference among many small ones is so counted as the one image that it is.
pub(crate) fn sign_flip(differences: impl IntoIterator<Item = f64>) -> f64 {
    let mut differences: Vec<f64> = differences.into_iter().filter(|d| *d != 0.0).collect();
    let Some(first) = differences.first().map(|d| d.abs()) else { return 1.0 };
    let n = differences.len();
    let sum: f64 = differences.iter().sum();
    if differences.iter().all(|d| (d.abs() - first).abs() <= 1e-12 * first) {
        let n_positive = differences.iter().filter(|d| **d > 0.0).count();
        let fewer = n_positive.min(n - n_positive) as u64;
        let binomial = Binomial::new(0.5, n as u64).expect("a probability");
        return (2.0 * binomial.cdf(fewer)).min(1.0);
    }
    differences.sort_unstable_by(|a, b| b.abs().total_cmp(&a.abs()));
    let (largest, rest) = differences.split_at(n.min(MAX_ENUMERATED));
    let scale: f64 = differences.iter().map(|d| d.abs()).sum();
    let at_least = sum.abs() - 1e-12 * scale;
    let spread = rest.iter().map(|d| d * d).sum::<f64>().sqrt();
    let normal = Normal::standard();
    // How often the rest takes a sum of the largest ones as far as theirs, on either side.
    let is_as_far = |sum: f64| match rest {
        [] => f64::from(u8::from(sum.abs() >= at_least)),
        _ => normal.cdf((sum - at_least) / spread) + normal.cdf((-sum - at_least) / spread),
    };
    let flipped = |signs: usize| -> f64 {
        let sign = |i: usize| if signs >> i & 1 == 1 { -1.0 } else { 1.0 };
        largest.iter().enumerate().map(|(i, d)| sign(i) * d).sum()
    };
    // All signs turned around are as far: one of them may stay.
    let n_signs = 1_usize << (largest.len() - 1);
    let total: f64 = (0..n_signs).map(|signs| is_as_far(flipped(signs))).sum();
    (total / n_signs as f64).min(1.0)
}

/// The smallest mean difference that a two-sided test at level [`ALPHA`], shared by so many comparisons, finds with
/// probability [`POWER`], where the mean over so many units has this standard error.
pub(crate) fn detectable(standard_error: f64, n_units: usize, n_tests: usize) -> f64 {
    let normal = Normal::standard();
    let alpha = ALPHA / n_tests.max(1) as f64;
    // With all signs equal, p is as small as it can be.
    if 2.0_f64.powi(1 - n_units as i32) >= alpha {
        return f64::INFINITY;
    }
    (normal.inverse_cdf(1.0 - alpha / 2.0) + normal.inverse_cdf(POWER)) * standard_error
}

/// Holm's correction (1979): adjusted p-values, in the order given. The chance that any true null hypothesis has one
/// below a level is at most that level, whatever the dependence.
pub(crate) fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut adjusted = vec![1.0; p.len()];
    let mut largest: f64 = 0.0;
    for (rank, i) in order.into_iter().enumerate() {
        largest = largest.max((p.len() - rank) as f64 * p[i]).min(1.0);
        adjusted[i] = largest;
    }
    adjusted
}

/// A difference before it is seen as one of many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Paired {
    pub(crate) difference: Difference,
    /// The two means, or ADCCs, that it is the difference of: those over the images that both have.
    pub(crate) means: [f64; 2],
    /// Of the mean difference.
    pub(crate) standard_error: f64,
    /// How many signs can be flipped: images, or classes.
    pub(crate) n_units: usize,
    /// Of the images' differences.
    pub(crate) root_mean_square: f64,
}

/// Corrects all the differences of a table for each other.
pub(crate) fn corrected(table: &[Paired]) -> Vec<Difference> {
    let p_holm = holm(&table.iter().map(|paired| paired.difference.p).collect::<Vec<_>>());
    let corrected = table.iter().zip(p_holm).map(|(paired, p_holm)| Difference {
        p_holm,
        detectable: detectable(paired.standard_error, paired.n_units, table.len()),
        ..paired.difference
    });
    corrected.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(got: f64, want: f64, tolerance: f64) {
        assert!((got - want).abs() <= tolerance, "{got} is not {want}");
    }

    #[test]
    fn sign_flips_by_hand() {
        // Of the 8 sums ±1 ±2 ±4, only 7 and -7 are as far from 0 as 7; 1 + 2 - 4 = -1 is the nearest to it.
        close(sign_flip([1.0, 2.0, 4.0]), 2.0 / 8.0, 0.0);
        close(sign_flip([1.0, 2.0, -4.0]), 1.0, 0.0);
        // Nothing differs.
        close(sign_flip([0.0; 5]), 1.0, 0.0);
        close(sign_flip([]), 1.0, 0.0);
    }

    #[test]
    fn a_binary_metric_has_the_exact_sign_test() {
        // 1 of 9 discordant images the other way: 2 (1 + 9) / 512.
        let differences = [1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, -1.0, 0.0];
        close(sign_flip(differences), 20.0 / 512.0, 1e-12);
    }

    #[test]
    fn many_differences_agree_with_few() {
        // One more than is enumerated, against all 2^15 signs.
        let differences: Vec<f64> =
            (0..15).map(|i| f64::from(i % 5) - 1.2 + 0.01 * f64::from(i)).collect();
        let sum: f64 = differences.iter().sum();
        let n_as_far = (0..1 << 15)
            .filter(|signs| {
                let flipped: f64 = differences
                    .iter()
                    .enumerate()
                    .map(|(i, d)| if signs >> i & 1 == 1 { -d } else { *d })
                    .sum();
                flipped.abs() >= sum.abs() - 1e-12
            })
            .count();
        close(sign_flip(differences), n_as_far as f64 / f64::from(1 << 15), 1e-3);
    }

    #[test]
    fn a_few_large_differences_count_as_few_however_many_small_ones_there_are() {
        // Only where all five have one sign is the sum as far: 2 of 2^5. A normal for all of them would say 0.025.
        let differences = [[0.5; 5].as_slice(), &[-2e-5; 30]].concat();
        close(sign_flip(differences), 2.0 / 32.0, 1e-6);
    }

    #[test]
    fn holm_by_hand() {
        // Sorted: 0.01 × 4, 0.02 × 3, 0.03 × 2, 0.2 × 1; none below the one before.
        let adjusted = holm(&[0.02, 0.2, 0.01, 0.03]);
        for (got, want) in adjusted.into_iter().zip([0.06, 0.2, 0.04, 0.06]) {
            close(got, want, 1e-15);
        }
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn the_detectable_difference_by_hand() {
        // (1.959964 + 0.841621) × 0.1, the factor of every textbook.
        close(detectable(0.1, 200, 1), 0.280_158_5, 1e-6);
        assert!(detectable(0.1, 200, 10) > detectable(0.1, 200, 1));
        // Five images have p = 2 / 32 at best, six 2 / 64.
        assert!(detectable(0.1, 5, 1).is_infinite() && detectable(0.1, 6, 1).is_finite());
        assert!(detectable(f64::NAN, 1, 1).is_infinite());
    }

    proptest! {
        #[test]
        fn a_p_value_is_a_probability_and_does_not_know_the_sign(
            differences in prop::collection::vec(-1.0..1.0_f64, 0..40),
        ) {
            let p = sign_flip(differences.iter().copied());
            prop_assert!((0.0..=1.0).contains(&p));
            let flipped = sign_flip(differences.iter().map(|d| -d));
            prop_assert!((p - flipped).abs() < 1e-12);
            let scaled = sign_flip(differences.iter().map(|d| 1000.0 * d));
            prop_assert!((p - scaled).abs() < 1e-9);
        }
    }
}
