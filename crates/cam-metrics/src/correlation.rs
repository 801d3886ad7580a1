//! Correlations of two maps of one shape.

use tch::{Kind, Tensor};

/// Pearson's correlation, in `[-1, 1]`; 0 where one of the maps is constant.
pub(crate) fn pearson(a: &Tensor, b: &Tensor) -> f64 {
    let centered = |map: &Tensor| map.to_kind(Kind::Double) - map.mean(Kind::Double);
    let (a, b) = (centered(a), centered(b));
    let dot = |x: &Tensor, y: &Tensor| (x * y).sum(Kind::Double).double_value(&[]);
    // Exactly: the mean of equal values may be off by rounding, and what it leaves of them correlates perfectly.
    let is_constant = |map: &Tensor| map.max().equal(&map.min());
    let norm = (dot(&a, &a) * dot(&b, &b)).sqrt();
    if norm > 0.0 && !is_constant(&a) && !is_constant(&b) {
        (dot(&a, &b) / norm).clamp(-1.0, 1.0)
    } else {
        0.0
    }
}

/// Spearman's rank correlation, in `[-1, 1]`: Pearson's of the ranks, of which equal values share the mean.
pub(crate) fn spearman(a: &Tensor, b: &Tensor) -> f64 {
    pearson(&mean_ranks(a), &mean_ranks(b))
}

/// The rank of every value, `[n]`, counted from 1; equal values have the mean of theirs.
fn mean_ranks(map: &Tensor) -> Tensor {
    let values = map.flatten(0, -1);
    let sorted = values.sort(0, false).0;
    let below = values.searchsorted(&sorted, false, false, "left", None::<Tensor>);
    let not_above = values.searchsorted(&sorted, false, true, "right", None::<Tensor>);
    (below + not_above + 1).to_kind(Kind::Double) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_the_mean_of_their_ranks() {
        let map = Tensor::from_slice(&[0.5_f64, 0.0, 0.5, 1.0, 0.5, 0.0]).view([2, 3]);
        let ranks: Vec<f64> = Vec::try_from(mean_ranks(&map)).unwrap();
        assert_eq!(ranks, [4.0, 1.5, 4.0, 6.0, 4.0, 1.5]);
    }

    #[test]
    fn a_constant_map_correlates_with_nothing_however_its_mean_is_rounded() {
        let line = Tensor::arange(49_999, (Kind::Double, tch::Device::Cpu));
        for value in [0.1, 0.3, 0.7, 1.0, 1e-3] {
            let constant = line.full_like(value);
            assert!(pearson(&constant, &constant).abs() < 1e-12, "{value}");
            assert!(pearson(&line, &constant).abs() < 1e-12, "{value}");
        }
    }

    #[test]
    fn rank_correlation_knows_order_alone() {
        let map = Tensor::from_slice(&[0.1_f64, 3.0, -2.0, 0.7]);
        assert!((spearman(&map, &map.exp()) - 1.0).abs() < 1e-12);
        assert!((spearman(&map, &map.neg()) + 1.0).abs() < 1e-12);
        assert!(spearman(&map, &map.zeros_like()).abs() < 1e-12);
        // Ranks 2 4 1 3 and 1 4 2 3: 1 - 6 (1 + 0 + 1 + 0) / (4 · 15) = 0.8.
        let other = Tensor::from_slice(&[-5.0_f64, 9.0, -1.0, 2.0]);
        assert!((spearman(&map, &other) - 0.8).abs() < 1e-12);
    }
}
