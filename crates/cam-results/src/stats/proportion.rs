//! The interval of a share: of images that say yes, or that a network classifies as labeled.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::CONFIDENCE;
use crate::{Estimate, summary::Z};

/// A share of `n` images with its 95 % interval by Wilson (1927), which also holds for shares near 0 and 1.
pub(crate) fn wilson(share: f64, n: f64) -> Estimate {
    let scale = 1.0 / (1.0 + Z * Z / n);
    let center = scale * (share + Z * Z / (2.0 * n));
    let half = scale * Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    Estimate { mean: share, lo: (center - half).max(0.0), hi: (center + half).min(1.0) }
}

/// The share of images that say yes, with [`wilson`]'s interval of as many images as these are worth. Given are the units
/// that are drawn: how many images of each say yes, and how many it has.
///
/// Images of one class are alike, so that many of them are worth fewer independent ones: as many as would have the same
/// variance, at most all, and fewer where few classes tell that variance (Korn and Graubard 1998, *Confidence intervals for
/// proportions with small expected number of positive counts estimated from survey data*).
pub(crate) fn share(units: impl IntoIterator<Item = (f64, f64)>) -> Estimate {
    let units: Vec<(f64, f64)> = units.into_iter().filter(|(_, n)| *n > 0.0).collect();
    let (yes, n) = units.iter().fold((0.0, 0.0), |(yes, n), unit| (yes + unit.0, n + unit.1));
    let share = yes / n;
    if units.iter().all(|(_, n)| *n <= 1.0) {
        return wilson(share, n);
    }
    let n_units = units.len() as f64;
    if n_units < 2.0 {
        return wilson(share, 1.0);
    }
    let squares: f64 = units.iter().map(|(yes, n)| (yes - share * n).powi(2)).sum();
    let variance = squares / (n * n) * n_units / (n_units - 1.0);
    let worth = if share * (1.0 - share) > 0.0 {
        (share * (1.0 - share) / variance).min(n)
    } else {
        // All say the same, and nothing tells how alike those of a class are.
        n_units
    };
    wilson(share, worth * (t(n - 1.0) / t(n_units - 1.0)).powi(2))
}

/// The 97.5 % quantile of Student's t.
fn t(degrees: f64) -> f64 {
    let students = StudentsT::new(0.0, 1.0, degrees).expect("at least one degree of freedom");
    students.inverse_cdf(1.0 - (1.0 - CONFIDENCE) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: Estimate, want: Estimate) {
        for (got, want) in [(got.mean, want.mean), (got.lo, want.lo), (got.hi, want.hi)] {
            assert!((got - want).abs() < 1e-4, "{got} is not {want}");
        }
    }

    #[test]
    fn wilson_intervals_by_hand() {
        // (0.89 + 1.9207/200 ± 1.96 sqrt(0.89*0.11/200 + 0.9604/200^2)) / (1 + 3.8415/200)
        close(wilson(0.89, 200.0), Estimate { mean: 0.89, lo: 0.839_070, hi: 0.926_228 });
        close(wilson(1.0, 8.0), Estimate { mean: 1.0, lo: 8.0 / (8.0 + Z * Z), hi: 1.0 });
    }

    #[test]
    fn units_of_one_image_are_images() {
        close(share((0..200).map(|i| (f64::from(u8::from(i < 178)), 1.0))), wilson(0.89, 200.0));
        // Where a resample would see nothing, that is not nothing.
        close(share([(0.0, 1.0); 200]), wilson(0.0, 200.0));
    }

    #[test]
    fn images_of_a_class_that_are_all_alike_are_worth_one_each() {
        // Ten of 40 classes of 25 say yes: variance 0.25 · 0.75 / 39, and Student's t 1.9623 of 999 and 2.0227 of 39.
        let units = (0..40).map(|i| (if i < 10 { 25.0 } else { 0.0 }, 25.0));
        close(share(units), wilson(0.25, 39.0 * (1.9623_f64 / 2.0227).powi(2)));
        // All say no: 40 classes do.
        let all = share([(0.0, 25.0); 40]);
        close(all, wilson(0.0, 40.0 * (1.9623_f64 / 2.0227).powi(2)));
    }

    #[test]
    fn images_are_never_worth_more_than_they_are() {
        // As even as can be: less variance than 60 independent images have. Student's t 2.0010 of 59 and 2.0452 of 29.
        let even = share((0..30).map(|_| (1.0, 2.0)));
        close(even, wilson(0.5, 60.0 * (2.0010_f64 / 2.0452).powi(2)));
        let nearly = share((0..30).map(|i| (if i == 0 { 2.0 } else { 1.0 }, 2.0)));
        close(nearly, wilson(31.0 / 60.0, 60.0 * (2.0010_f64 / 2.0452).powi(2)));
        // One class tells nothing of others.
        close(share([(7.0, 9.0)]), wilson(7.0 / 9.0, 1.0));
    }
}
