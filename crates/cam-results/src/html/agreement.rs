//! Whether metrics agree on which method is better: rank correlation, image by image.

/// How far two metrics agree on the order of the methods: the mean over images of Spearman's rank correlation across
/// methods, both metrics turned so that more is better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Agreement {
    /// In `[-1, 1]`.
    pub(super) mean: f64,
    /// Over how many images; those on which a metric does not tell the methods apart do not count.
    pub(super) n: usize,
}

/// Fewer methods have no order worth a correlation.
const FEWEST: usize = 3;

/// `images[i][metric][method]`: values of which more is better. Every pair of metrics, row by row; `None` where no image
/// has an order by both.
pub(super) fn agreement(
    n_metrics: usize,
    images: impl IntoIterator<Item = Vec<Vec<Option<f64>>>>,
) -> Vec<Vec<Option<Agreement>>> {
    let mut sums = vec![vec![(0.0, 0_usize); n_metrics]; n_metrics];
    let pairs: Vec<(usize, usize)> =
        (0..n_metrics).flat_map(|a| (a..n_metrics).map(move |b| (a, b))).collect();
    for image in images {
        for &(a, b) in &pairs {
            if let Some(correlation) = spearman(&image[a], &image[b]) {
                sums[a][b].0 += correlation;
                sums[a][b].1 += 1;
            }
        }
    }
    let of = |(sum, n): (f64, usize)| (n > 0).then(|| Agreement { mean: sum / n as f64, n });
    let pair = |a: usize, b: usize| of(sums[a.min(b)][a.max(b)]);
    (0..n_metrics).map(|a| (0..n_metrics).map(|b| pair(a, b)).collect()).collect()
}

/// Spearman's rank correlation of those places that have both values; `None` where they are few, or all equal.
fn spearman(a: &[Option<f64>], b: &[Option<f64>]) -> Option<f64> {
    let (a, b): (Vec<f64>, Vec<f64>) =
        a.iter().zip(b).filter_map(|(a, b)| Some(((*a)?, (*b)?))).unzip();
    (a.len() >= FEWEST).then(|| pearson(&ranks(&a), &ranks(&b))).flatten()
}

/// Ranks from 0; equal values share their mean rank.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    for tied in order.chunk_by(|a, b| values[*a].total_cmp(&values[*b]).is_eq()) {
        let first = order.iter().position(|i| *i == tied[0]).unwrap_or_default();
        let rank = first as f64 + (tied.len() - 1) as f64 / 2.0;
        for i in tied {
            ranks[*i] = rank;
        }
    }
    ranks
}

fn pearson(a: &[f64], b: &[f64]) -> Option<f64> {
    let mean = (a.len() - 1) as f64 / 2.0;
    let sum =
        |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| (x - mean) * (y - mean)).sum::<f64>();
    let scale = (sum(a, a) * sum(b, b)).sqrt();
    (scale > 0.0).then(|| sum(a, b) / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(values: &[f64]) -> Vec<Option<f64>> {
        values.iter().copied().map(Some).collect()
    }

    #[test]
    fn spearman_by_hand() {
        // 1 - 6 * (1 + 1 + 0) / (3 * 8)
        let of = |a: &[f64], b: &[f64]| spearman(&some(a), &some(b));
        assert_eq!(of(&[1.0, 2.0, 3.0], &[0.2, 0.1, 0.3]), Some(0.5));
        assert_eq!(of(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), Some(-1.0));
        // Ranks 0, 1.5, 1.5 against 0, 1, 2: 1.5 / sqrt(1.5 * 2).
        assert!(
            (of(&[0.0, 1.0, 1.0], &[1.0, 2.0, 3.0]).unwrap() - 1.5 / 3.0_f64.sqrt()).abs() < 1e-12
        );
        assert_eq!(of(&[1.0, 1.0, 1.0], &[1.0, 2.0, 3.0]), None, "no order, no correlation");
        assert_eq!(of(&[1.0, 2.0], &[1.0, 2.0]), None, "too few");
    }

    #[test]
    fn images_are_averaged_and_those_without_an_order_do_not_count() {
        let images = [
            vec![some(&[1.0, 2.0, 3.0]), some(&[1.0, 2.0, 3.0])],
            vec![some(&[1.0, 2.0, 3.0]), some(&[2.0, 1.0, 3.0])],
            vec![some(&[1.0, 2.0, 3.0]), some(&[1.0, 1.0, 1.0])],
        ];
        let matrix = agreement(2, images);
        assert_eq!(matrix[0][1], Some(Agreement { mean: 0.75, n: 2 }));
        assert_eq!(matrix[1][0], matrix[0][1]);
        assert_eq!(matrix[0][0], Some(Agreement { mean: 1.0, n: 3 }));
    }
}
