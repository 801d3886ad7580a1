//! Kernel SHAP over superpixels (Lundberg and Lee 2017, <https://arxiv.org/abs/1705.07874>, theorem 2).
//!
//! Shapley values `φ` of the game `v(S) = y_c(image with the superpixels outside S hidden)`, as the least squares
//! `min Σ_z π(z) (v(z) − v(0) − z·φ)²` under `Σ φ = v(1) − v(0)`, `π = (d−1) / (C(d,s) s (d−s))` for `s` shown of `d`.
//! Where all `2^d − 2` coalitions fit into `n_samples`, they are enumerated and `φ` is exact; else coalitions are drawn by
//! `π`, each with its complement (Covert and Lee 2021, <https://arxiv.org/abs/2012.01536>). Ours: superpixels are SLIC's,
//! the constraint holds exactly, and no superpixel is left out (the package `shap` keeps ten by default).

use cam_core::{About, Cost, FeatureShape, Method, Subject, logits_in_chunks, method_rng};
use rand::{Rng, RngExt, seq::index};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::{
    Hide, Output,
    superpixels::{Superpixels, matrix},
};

/// Kernel SHAP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KernelShap {
    /// Coalitions at most, beside the whole image and the empty one.
    #[serde(deserialize_with = "cam_core::options::at_least_one")]
    pub n_samples: u32,
    /// About how many superpixels.
    #[serde(deserialize_with = "cam_core::options::at_least_four")]
    pub superpixels: u32,
    /// What stands in place of a hidden superpixel.
    pub hide: Hide,
    /// The game's value.
    pub score: Output,
}

impl Default for KernelShap {
    fn default() -> Self {
        Self { n_samples: 2048, superpixels: 50, hide: Hide::Zero, score: Output::Logit }
    }
}

impl Method for KernelShap {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let _no_grad = tch::no_grad_guard();
        let superpixels = Superpixels::of(subject.image(), self.superpixels);
        let d = superpixels.len();
        let mut rng = method_rng(subject.seed());
        let (mut rows, weights) = coalitions(d, self.n_samples as usize, &mut rng);
        rows.push(vec![false; d]);
        let logits = logits_in_chunks(subject.classifier(), rows.len() as i64, |range| {
            superpixels.show(&rows[range.start as usize..range.end as usize], self.hide)
        });
        rows.pop();
        let score = |logits: &Tensor| {
            self.score.of(subject, logits).to_kind(Kind::Double).to_device(Device::Cpu)
        };
        let n = rows.len() as i64;
        let (values, whole) = (score(&logits), score(subject.logits()));
        let empty = values.narrow(0, n, 1);
        let total = (whole - &empty).double_value(&[0]);
        superpixels.paint(&shapley(&rows, &(values.narrow(0, 0, n) - empty), &weights, total))
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        // Whether all coalitions are fewer is up to the image, which decides how many superpixels there are.
        Cost { forwards: 2 + u64::from(self.n_samples), ..Cost::default() }
    }

    fn about(&self) -> About {
        About {
            title: "Kernel SHAP",
            summary: "Shapley values of superpixels by weighted least squares over coalitions",
            source: "Lundberg and Lee 2017, arXiv 1705.07874",
        }
    }
}

/// Coalitions of `d` players, neither all nor none of them, and their weights: every one, or `n` drawn in pairs.
fn coalitions(d: usize, n: usize, rng: &mut impl Rng) -> (Vec<Vec<bool>>, Vec<f64>) {
    // Of s players, as a share of all sizes: every coalition of that size has an equal part of it.
    let of_size = |s: usize| (d - 1) as f64 / (s * (d - s)) as f64;
    if d < 32 && (1_usize << d) - 2 <= n {
        return (1..(1_usize << d) - 1)
            .map(|code| {
                let row: Vec<bool> = (0..d).map(|player| code >> player & 1 == 1).collect();
                let s = code.count_ones() as usize;
                let choices = (0..s).fold(1.0, |c, i| c * (d - i) as f64 / (i + 1) as f64);
                (row, of_size(s) / choices)
            })
            .unzip();
    }
    let total: f64 = (1..d).map(of_size).sum();
    let mut rows: Vec<Vec<bool>> = (0..n.div_ceil(2))
        .flat_map(|_| {
            let mut left = rng.random_range(0.0..total);
            let size = (1..d - 1).find(|s| {
                left -= of_size(*s);
                left < 0.0
            });
            let mut row = vec![false; d];
            for player in index::sample(rng, d, size.unwrap_or(d - 1)) {
                row[player] = true;
            }
            let others = row.iter().map(|shown| !shown).collect();
            [row, others]
        })
        .collect();
    rows.truncate(n);
    let weights = vec![1.0; rows.len()];
    (rows, weights)
}

/// `φ` of the coalitions' values over that of the empty one, `[n]`, with `Σ φ = total`.
fn shapley(rows: &[Vec<bool>], values: &Tensor, weights: &[f64], total: f64) -> Tensor {
    if rows.is_empty() {
        // A single player has it all.
        return Tensor::from_slice(&[total]);
    }
    let rows = matrix(rows);
    let weighted = (&rows * Tensor::from_slice(weights).unsqueeze(1)).transpose(0, 1);
    // Too few samples leave directions open, in which the pseudo-inverse stays at 0.
    let inverse = weighted.matmul(&rows).linalg_pinv(1e-10, true);
    let free = inverse.mv(&weighted.mv(values));
    let toward = inverse.sum_dim_intlist(1_i64, false, None::<Kind>);
    let missing = total - free.sum(Kind::Double).double_value(&[]);
    free + &toward * (missing / toward.sum(Kind::Double).double_value(&[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_coalitions_come_in_pairs_and_small_and_large_ones_more_often() {
        let mut rng = method_rng(0);
        let (rows, weights) = coalitions(20, 2001, &mut rng);
        assert_eq!((rows.len(), weights), (2001, vec![1.0; 2001]));
        for pair in rows[..2000].chunks_exact(2) {
            assert!(pair[0].iter().zip(&pair[1]).all(|(a, b)| a != b));
        }
        let of_size = |s: usize| {
            rows.iter().filter(|row| row.iter().filter(|shown| **shown).count() == s).count()
        };
        // Of sizes 1 and 10 of 20: 1/19 to 1/100.
        let ratio = of_size(1) as f64 / of_size(10) as f64;
        assert!((3.5..7.5).contains(&ratio), "{ratio}");
        assert_eq!(of_size(0) + of_size(20), 0);
    }

    #[test]
    fn an_additive_game_is_found_from_few_drawn_coalitions() {
        let mut rng = method_rng(3);
        let truth: Vec<f64> = (0..16).map(|i| f64::from(i) * 0.3 - 1.0).collect();
        let (rows, weights) = coalitions(16, 60, &mut rng);
        let truth = Tensor::from_slice(&truth);
        let found = shapley(
            &rows,
            &matrix(&rows).mv(&truth),
            &weights,
            truth.sum(Kind::Double).double_value(&[]),
        );
        assert!((found - truth).abs().max().double_value(&[]) < 1e-9);
    }
}
