//! Whether a mean difference could be chance: sign flips, Holm's correction, and what would have been seen.

use serde::Serialize;
use statrs::distribution::{Beta, Binomial, ContinuousCDF, DiscreteCDF, Normal};

use super::{ALPHA, POWER};

/// The mean difference of two things on the same images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// On how many images both have a score.
    pub n: usize,
    /// How many independent units these are: as many, or their classes where classes are resampled.
    pub n_units: usize,
    /// The first one's mean minus the second one's, over those images, as a fraction.
    pub mean: f64,
    /// 2.5 % quantile of the bootstrap's resamples; NaN where there is one unit, which tells nothing of others.
    pub lo: f64,
    /// 97.5 % quantile of the bootstrap's resamples, or NaN.
    pub hi: f64,
    /// The largest difference of any image, whichever way; what is rounding counts as none.
    pub largest: f64,
    /// How many images have a difference that is not rounding.
    pub n_unequal: usize,
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

    /// `+3.10 [+1.90, +4.40]`, in points; without an interval where there is none.
    pub fn points(&self) -> String {
        let [mean, lo, hi] = [self.mean, self.lo, self.hi].map(|x| 100.0 * x);
        let interval = if lo.is_nan() { String::new() } else { format!(" [{lo:+.2}, {hi:+.2}]") };
        format!("{mean:+.2}{interval}")
    }
}

/// Up to so many differences have all combinations of their signs counted.
const MAX_EXACT: usize = 24;

/// Of more than [`MAX_EXACT`] differences, so many, the largest ones, have all combinations of their signs tried.
const MAX_ENUMERATED: usize = 14;

/// The sign-flip permutation test of the mean: where the two do not differ, each difference could as well have had the
/// other sign. Returns how often a sum of these differences with random signs is at least as far from 0 as theirs.
///
/// It is exact for few differences, for differences that are all equally large, as of a metric that is 0 or 1 (the sign
/// test), and for multiples of one step, as sums of such a metric over classes. Of many others, the signs of the largest
/// are enumerated; the sum of the smaller ones with random signs is nearly normal, with the sum of their squares for its
/// variance. One large difference among many small ones is so counted as the one image that it is.
pub(crate) fn sign_flip(differences: impl IntoIterator<Item = f64>) -> f64 {
    let differences: Vec<f64> = differences.into_iter().filter(|d| *d != 0.0).collect();
    let sum: f64 = differences.iter().sum();
    let mut sizes: Vec<f64> = differences.iter().map(|d| d.abs()).collect();
    sizes.sort_unstable_by(|a, b| b.total_cmp(a));
    let (Some(&largest), Some(&smallest)) = (sizes.first(), sizes.last()) else { return 1.0 };
    let n = sizes.len();
    if largest - smallest <= 1e-12 * largest {
        let n_positive = differences.iter().filter(|d| **d > 0.0).count();
        let fewer = n_positive.min(n - n_positive) as u64;
        let binomial = Binomial::new(0.5, n as u64).expect("a probability");
        return (2.0 * binomial.cdf(fewer)).min(1.0);
    }
    // Sums in another order differ in their last bits.
    let as_far = sum.abs() - 1e-12 * sizes.iter().sum::<f64>();
    let p = if n <= MAX_EXACT {
        share_as_far(&sizes, as_far)
    } else if let Some(steps) = in_steps(&sizes) {
        let step = smallest / steps[n - 1] as f64;
        share_of_steps_as_far(&steps, (as_far / step).round())
    } else {
        share_nearly_normal(&sizes, as_far)
    };
    // All signs turned to one side are as far as can be.
    p.max(2.0_f64.powi(1 - n as i32)).min(1.0)
}

/// How often the sum of these sizes with random signs is at least as far from 0: all sums of one half, against all of the
/// other.
fn share_as_far(sizes: &[f64], as_far: f64) -> f64 {
    let sums = |sizes: &[f64]| -> Vec<f64> {
        let mut sums = sizes.iter().fold(vec![0.0], |sums, size| {
            sums.iter().flat_map(|sum| [sum - size, sum + size]).collect()
        });
        sums.sort_unstable_by(f64::total_cmp);
        sums
    };
    let (one, other) = sizes.split_at(sizes.len() / 2);
    let (one, other) = (sums(one), sums(other));
    // With a larger sum of the one, smaller ones of the other will do.
    let mut from = other.len();
    let n_above: usize = one
        .iter()
        .map(|sum| {
            while from > 0 && sum + other[from - 1] >= as_far {
                from -= 1;
            }
            other.len() - from
        })
        .sum();
    // As many are as far below.
    2.0 * n_above as f64 / (one.len() * other.len()) as f64
}

/// So many additions are made for an exact probability.
const MAX_ADDITIONS: usize = 4_000_000;

/// Sizes as multiples of one step, if they are some and not too large: halves and thirds of the smallest are tried.
fn in_steps(sizes: &[f64]) -> Option<Vec<usize>> {
    let smallest = sizes.last()?;
    (1..=6).find_map(|parts| {
        let step = smallest / f64::from(parts);
        let steps = sizes.iter().map(|size| {
            let steps = (size / step).round();
            ((size / step - steps).abs() <= 1e-9 * steps).then_some(steps as usize)
        });
        let steps: Vec<usize> = steps.collect::<Option<_>>()?;
        let most: usize = steps.iter().try_fold(0_usize, |sum, step| sum.checked_add(*step))?;
        (most.saturating_mul(sizes.len()) <= MAX_ADDITIONS).then_some(steps)
    })
}

/// How often the sum of these whole sizes with random signs is at least as far from 0.
fn share_of_steps_as_far(steps: &[usize], as_far: f64) -> f64 {
    // The chance of every sum of those that are positive; the others are as far below 0 as they are missing.
    let most: usize = steps.iter().sum();
    let mut chances = vec![0.0; most + 1];
    chances[0] = 1.0;
    let mut reached = 0;
    for step in steps {
        reached += step;
        for sum in (0..=reached).rev() {
            let with = sum.checked_sub(*step).map_or(0.0, |before| chances[before]);
            chances[sum] = 0.5 * (chances[sum] + with);
        }
    }
    let is_as_far = |positive: usize| (2.0 * positive as f64 - most as f64).abs() >= as_far;
    (0..=most).filter(|positive| is_as_far(*positive)).map(|positive| chances[positive]).sum()
}

/// How often, nearly, the sum of these sizes with random signs is at least as far from 0; largest sizes first.
fn share_nearly_normal(sizes: &[f64], as_far: f64) -> f64 {
    let (largest, rest) = sizes.split_at(MAX_ENUMERATED);
    let spread = rest.iter().map(|d| d * d).sum::<f64>().sqrt();
    let normal = Normal::standard();
    // How often the rest takes a sum of the largest ones as far, on either side.
    let share_as_far =
        |sum: f64| normal.cdf((sum - as_far) / spread) + normal.cdf((-sum - as_far) / spread);
    let flipped = |signs: usize| -> f64 {
        let sign = |i: usize| if signs >> i & 1 == 1 { -1.0 } else { 1.0 };
        largest.iter().enumerate().map(|(i, d)| sign(i) * d).sum()
    };
    // All signs turned around are as far: one of them may stay.
    let n_signs = 1_usize << (MAX_ENUMERATED - 1);
    (0..n_signs).map(|signs| share_as_far(flipped(signs))).sum::<f64>() / n_signs as f64
}

/// The smallest mean difference that a two-sided test at level [`ALPHA`], shared by so many comparisons, finds with
/// probability [`POWER`]; infinite where units are so few that nothing is found.
///
/// It is the textbook's multiple of the standard error, unless so few units differ that no test would find them, however
/// small that error is: then it is the difference of as many units as it takes, each as large as those that are seen.
pub(crate) fn detectable(paired: &Paired, n_tests: usize) -> f64 {
    let Paired { standard_error, n_units, n_differing, differing_size, .. } = *paired;
    let alpha = ALPHA / n_tests.max(1) as f64;
    // With k signs equal and nothing else, p is 2^(1 - k), and must be below the level.
    let n_least = (2.0 - alpha.log2()).floor() as usize;
    if n_units < n_least {
        return f64::INFINITY;
    }
    let normal = Normal::standard();
    let textbook =
        (normal.inverse_cdf(1.0 - alpha / 2.0) + normal.inverse_cdf(POWER)) * standard_error;
    if n_differing >= n_least && !paired.is_sign_test {
        return textbook;
    }
    // As many units differ with that probability where this share of all does: binomial tails are beta's.
    let beta = Beta::new(n_least as f64, (n_units - n_least + 1) as f64).expect("positive counts");
    textbook.max(beta.inverse_cdf(POWER) * differing_size)
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
    /// How many of them differ.
    pub(crate) n_differing: usize,
    /// The mean difference if all units differed as much as those that do; where none does, of yes and no, if an image of
    /// each did.
    pub(crate) differing_size: f64,
    /// Whether each unit says yes or no, so that only signs are tested.
    pub(crate) is_sign_test: bool,
    /// Of the images' differences.
    pub(crate) root_mean_square: f64,
}

/// Corrects all the differences of a table for each other.
pub(crate) fn corrected(table: &[Paired]) -> Vec<Difference> {
    let p_holm = holm(&table.iter().map(|paired| paired.difference.p).collect::<Vec<_>>());
    let corrected = table.iter().zip(p_holm).map(|(paired, p_holm)| Difference {
        p_holm,
        detectable: detectable(paired, table.len()),
        ..paired.difference
    });
    corrected.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::{
        ChaCha8Rng,
        rand_core::{Rng, SeedableRng},
    };

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

    /// By trying all signs.
    fn tried(differences: &[f64]) -> f64 {
        let sum: f64 = differences.iter().sum();
        let flipped = |signs: usize| -> f64 {
            let sign = |i: usize| if signs >> i & 1 == 1 { -1.0 } else { 1.0 };
            differences.iter().enumerate().map(|(i, d)| sign(i) * d).sum()
        };
        let n_signs = 1 << differences.len();
        let n_as_far = (0..n_signs).filter(|signs| flipped(*signs).abs() >= sum.abs() - 1e-9);
        n_as_far.count() as f64 / n_signs as f64
    }

    #[test]
    fn all_signs_of_a_few_differences_are_counted() {
        let uneven = |n: i32| (0..n).map(|i| f64::from(i % 5) - 1.2 + 0.01 * f64::from(i));
        for n in [2, 7, 15, 18] {
            let differences: Vec<f64> = uneven(n).collect();
            close(sign_flip(differences.iter().copied()), tried(&differences), 1e-12);
        }
        // Nearly equal ones that all have one sign: 2 of 2^15, and a normal would say a third of that.
        let same = (0..15).map(|i| 1.0 + 1e-6 * f64::from(i));
        close(sign_flip(same), 2.0_f64.powi(-14), 1e-15);
    }

    #[test]
    fn multiples_of_one_step_are_counted_however_many_there_are() {
        // A 2 among 1s, some of them negative. By the binomial: of n - 1 signs of 1 and one of 2.
        let of = |n: usize, n_negative: usize, step: f64| {
            let ones = (0..n - 1).map(move |i| if i < n_negative { -step } else { step });
            sign_flip(ones.chain([2.0 * step]))
        };
        let by_hand = |n: usize, n_negative: usize| {
            let ones = Binomial::new(0.5, n as u64 - 1).unwrap();
            let sum = n as f64 + 1.0 - 2.0 * n_negative as f64;
            // At least so many 1s are positive: beside a positive 2, or a negative one.
            let least = |two: f64| ((sum - two + n as f64 - 1.0) / 2.0) as u64;
            ones.sf(least(2.0) - 1) + ones.sf(least(-2.0) - 1)
        };
        for (n, n_negative) in [(30, 6), (40, 11), (60, 20), (300, 130)] {
            for step in [1.0, 1.0 / 3.0] {
                close(of(n, n_negative, step), by_hand(n, n_negative), 1e-9);
            }
        }
    }

    #[test]
    fn many_differences_without_a_step_agree_with_drawn_signs() {
        let differences: Vec<f64> =
            (0..60).map(|i| (f64::from(i) * 0.37).sin() + 0.25 + 1e-3 * f64::from(i)).collect();
        let sum: f64 = differences.iter().sum();
        let mut random = ChaCha8Rng::seed_from_u64(9);
        let n_runs = 40_000;
        let n_as_far = (0..n_runs).filter(|_| {
            let signs = random.next_u64();
            let sign = |i: usize| if signs >> i & 1 == 1 { -1.0 } else { 1.0 };
            let flipped: f64 = differences.iter().enumerate().map(|(i, d)| sign(i) * d).sum();
            flipped.abs() >= sum.abs()
        });
        let share = n_as_far.count() as f64 / f64::from(n_runs);
        let p = sign_flip(differences.iter().copied());
        // Four standard errors of the drawn share.
        close(p, share, 4.0 * (p / f64::from(n_runs)).sqrt());
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
        let of = |n_units| Paired { n_units, n_differing: n_units, ..paired() };
        close(detectable(&of(200), 1), 0.280_158_5, 1e-6);
        assert!(detectable(&of(200), 10) > detectable(&of(200), 1));
        // Five images have p = 2 / 32 at best, six 2 / 64.
        assert!(detectable(&of(5), 1).is_infinite() && detectable(&of(6), 1).is_finite());
        assert!(detectable(&Paired { standard_error: f64::NAN, ..of(1) }, 1).is_infinite());
    }

    /// 200 images that all differ, with a standard error of 0.1.
    fn paired() -> Paired {
        Paired {
            difference: Difference {
                n: 200,
                n_units: 200,
                mean: 0.0,
                lo: 0.0,
                hi: 0.0,
                largest: 0.0,
                n_unequal: 200,
                p: 1.0,
                p_holm: 1.0,
                detectable: 0.0,
            },
            means: [0.0; 2],
            standard_error: 0.1,
            n_units: 200,
            n_differing: 200,
            differing_size: 0.1,
            is_sign_test: false,
            root_mean_square: 0.0,
        }
    }

    #[test]
    fn where_hardly_an_image_differs_as_many_must_as_a_test_can_find() {
        // Of 12 comparisons 2^(1 - k) is below 0.05 / 12 from k = 9 on. P(Bin(60, q) >= 9) is 0.8 at q = 0.185.
        let unchanged = Paired { standard_error: 0.0, n_units: 60, n_differing: 0, ..paired() };
        let yes_or_no = Paired { is_sign_test: true, differing_size: 1.0, ..unchanged };
        let share = detectable(&yes_or_no, 12);
        close(share, 0.185, 1e-3);
        let binomial = Binomial::new(share, 60).unwrap();
        close(binomial.sf(8), POWER, 1e-9);
        // Scores that are equal on every image would show a shift of any size.
        close(detectable(&Paired { differing_size: 0.0, ..unchanged }, 12), 0.0, 0.0);
        // Eight images that differ by 0.5 are one too few, nine are not.
        let few = Paired { standard_error: 0.02, differing_size: 0.5, ..unchanged };
        close(detectable(&Paired { n_differing: 8, ..few }, 12), 0.5 * share, 1e-9);
        let textbook = detectable(&Paired { n_differing: 9, ..few }, 12);
        assert!((0.06..0.08).contains(&textbook), "{textbook}");
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
