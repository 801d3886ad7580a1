//! Average ranks over images, and how far apart they have to be: Friedman's test and Nemenyi's critical difference
//! (Demšar, 2006, Statistical Comparisons of Classifiers over Multiple Data Sets; here an image is a data set).

use statrs::distribution::{ChiSquared, Continuous, ContinuousCDF, Normal};

use super::{ALPHA, ROUNDING};

/// Average ranks of several things over the images that all of them have a score for; rank 1 is the best.
///
/// Where classes are resampled, these are ranks of the classes' means, because images of one class are alike. Things with
/// less than half of the images that another one has are not ranked: the images of all would be few.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranks {
    /// What is ranked, as places among the items of the contrast and in its order.
    pub items: Vec<usize>,
    /// The average rank of each of them; equal values share the mean of their ranks.
    pub mean: Vec<f64>,
    /// Over how many images, or classes.
    pub n: usize,
    /// Whether classes are ranked, and not images.
    pub by_class: bool,
    /// Friedman's test, corrected for ties: how often chance alone makes ranks so unequal.
    pub friedman_p: f64,
    /// Average ranks closer than this cannot be told apart at level [`ALPHA`] (Nemenyi).
    pub critical_difference: f64,
}

impl Ranks {
    /// The ranks of `columns[k][i]`, the goodness of thing `k` on image `i`; larger is better, and what differs by rounding
    /// is equal. `None` for fewer than two things or images.
    pub(crate) fn of(columns: &[Vec<f64>]) -> Option<Self> {
        let k = columns.len();
        let n = columns.first().map_or(0, Vec::len);
        if k < 2 || n < 2 {
            return None;
        }
        let mut sums = vec![0.0; k];
        let mut ties = 0.0;
        let mut order: Vec<usize> = (0..k).collect();
        for row in (0..n).map(|i| columns.iter().map(|column| column[i]).collect::<Vec<f64>>()) {
            order.sort_by(|a, b| row[*b].total_cmp(&row[*a]));
            let mut first = 0;
            while first < k {
                let neighbors = order[first..].windows(2);
                let is_equal = |two: &&[usize]| row[two[0]] - row[two[1]] <= ROUNDING;
                let equal = 1 + neighbors.take_while(is_equal).count();
                for column in &order[first..first + equal] {
                    sums[*column] += first as f64 + (equal as f64 + 1.0) / 2.0;
                }
                ties += (equal * equal * equal - equal) as f64;
                first += equal;
            }
        }
        let (k_, n_) = (k as f64, n as f64);
        let spread: f64 = sums.iter().map(|sum| (sum - n_ * (k_ + 1.0) / 2.0).powi(2)).sum();
        let scale = n_ * k_ * (k_ + 1.0) - ties / (k_ - 1.0);
        let friedman_p = if scale > 0.0 {
            let chi = ChiSquared::new(k_ - 1.0).expect("at least one degree of freedom");
            chi.sf(12.0 * spread / scale)
        } else {
            1.0
        };
        Some(Self {
            items: (0..k).collect(),
            by_class: false,
            mean: sums.into_iter().map(|sum| sum / n_).collect(),
            n,
            friedman_p,
            critical_difference: studentized_range(k) / 2.0_f64.sqrt()
                * (k_ * (k_ + 1.0) / (6.0 * n_)).sqrt(),
        })
    }

    /// Whether Friedman's test shows that there is any difference; only then are single ones looked at.
    pub fn differ(&self) -> bool {
        self.friedman_p < ALPHA
    }

    /// The places in [`mean`](Self::mean), best rank first.
    pub fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.mean.len()).collect();
        order.sort_by(|a, b| self.mean[*a].total_cmp(&self.mean[*b]));
        order
    }

    /// The longest rows of neighbors in the order of ranks that cannot be told apart: the bars of a critical-difference
    /// diagram. Each is places in [`mean`](Self::mean), best first.
    pub fn cliques(&self) -> Vec<Vec<usize>> {
        let order = self.order();
        if !self.differ() {
            return vec![order];
        }
        let mut cliques = vec![];
        let mut last_end = 0;
        for start in 0..order.len() {
            let reach = self.mean[order[start]] + self.critical_difference;
            let end = order.iter().take_while(|item| self.mean[**item] <= reach).count();
            if end > last_end.max(start + 1) {
                cliques.push(order[start..end].to_vec());
                last_end = end;
            }
        }
        cliques
    }
}

/// The 1 - [`ALPHA`] quantile of the range of `k` standard normal variables: of the studentized range with infinitely
/// many degrees of freedom.
fn studentized_range(k: usize) -> f64 {
    let (mut below, mut above) = (0.0, 20.0);
    for _ in 0..60 {
        let middle = (below + above) / 2.0;
        if range_cdf(middle, k) < 1.0 - ALPHA { below = middle } else { above = middle }
    }
    (below + above) / 2.0
}

/// How often `k` standard normal variables lie within `range` of each other: `k ∫ φ(z) [Φ(z) - Φ(z - range)]^(k-1) dz`.
fn range_cdf(range: f64, k: usize) -> f64 {
    let normal = Normal::standard();
    let step = 0.02;
    let sum: f64 = (-400..=400)
        .map(|i| {
            let z = f64::from(i) * step;
            normal.pdf(z) * (normal.cdf(z) - normal.cdf(z - range)).powi(k as i32 - 1)
        })
        .sum();
    k as f64 * sum * step
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, want: f64, tolerance: f64) {
        assert!((got - want).abs() <= tolerance, "{got} is not {want}");
    }

    #[test]
    fn the_studentized_range_is_that_of_the_tables() {
        // Demšar's table 5(a), which is this over the root of two.
        for (k, q) in [(2, 1.960), (3, 2.343), (5, 2.728), (10, 3.164)] {
            close(studentized_range(k) / 2.0_f64.sqrt(), q, 1e-3);
        }
    }

    #[test]
    fn ranks_by_hand() {
        // Image 1: 1, 2, 3. Image 2: 1.5, 1.5, 3. Image 3: 2, 1, 3. Image 4: 1, 2.5, 2.5.
        let columns =
            [vec![0.9, 0.5, 0.4, 0.8], vec![0.8, 0.5, 0.6, 0.1], vec![0.1, 0.2, 0.3, 0.1]];
        let ranks = Ranks::of(&columns).unwrap();
        for (got, want) in ranks.mean.iter().zip([5.5 / 4.0, 7.0 / 4.0, 11.5 / 4.0]) {
            close(*got, want, 1e-15);
        }
        // Rank sums 5.5, 7, 11.5 around 8: spread 6.25 + 1 + 12.25 = 19.5; two ties of two: scale 4·3·4 - 12/2 = 42;
        // chi squared 12 · 19.5 / 42 = 5.5714 with two degrees of freedom: exp(-2.7857).
        close(ranks.friedman_p, (-12.0 * 19.5 / 42.0 / 2.0_f64).exp(), 1e-12);
        close(ranks.critical_difference, 2.343_7 * (12.0 / 24.0_f64).sqrt(), 1e-3);
    }

    #[test]
    fn equal_columns_have_equal_ranks_and_no_p() {
        let ranks = Ranks::of(&[vec![0.5; 9], vec![0.5; 9], vec![0.5; 9]]).unwrap();
        assert_eq!(ranks.mean, [2.0; 3]);
        close(ranks.friedman_p, 1.0, 0.0);
        assert_eq!(ranks.cliques(), [[0, 1, 2]]);
        assert_eq!(Ranks::of(&[vec![0.5; 9]]), None);
    }

    #[test]
    fn cliques_are_the_longest_rows_of_near_ranks() {
        let ranks = Ranks {
            items: vec![0, 1, 2, 3],
            mean: vec![3.0, 1.0, 1.8, 5.0],
            n: 9,
            by_class: false,
            friedman_p: 0.0,
            critical_difference: 1.3,
        };
        assert_eq!(ranks.cliques(), [vec![1, 2], vec![2, 0]]);
        // Where nothing shows that any differ, none is told from another.
        let alike = Ranks { friedman_p: 0.3, ..ranks };
        assert_eq!(alike.cliques(), [[1, 2, 0, 3]]);
    }

    #[test]
    fn values_that_differ_by_rounding_share_a_rank_wherever_they_lie() {
        // 0.5 ± 2e-6 lie on both sides of a multiple of 1e-5, as do 0.500004 and 0.500006.
        let near = [0.499_998, 0.500_002, 0.500_004, 0.500_006];
        let moved: Vec<f64> = near.iter().map(|value| value + 5e-6).collect();
        let ranks = Ranks::of(&[near.to_vec(), moved]).unwrap();
        assert_eq!(ranks.mean, [1.5, 1.5]);
        assert_eq!(Ranks::of(&[vec![0.5; 4], vec![0.500_02; 4]]).unwrap().mean, [2.0, 1.0]);
    }
}
