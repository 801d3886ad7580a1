//! Model randomization (Adebayo et al. 2018, <https://arxiv.org/abs/1810.03292>), cascading from the top.
//!
//! `1/n Σ_i ρ(M, M_i)` with `ρ` Spearman's rank correlation of normalized maps at the image's size, and `M_i` the same method's
//! map, for the same class, of the network whose last `i/n` of stages have random weights; the last one is random as a
//! whole. A map that stays the same does not explain what the network has learned. Ours: stages of the network instead
//! of single layers, the clean map itself not among them (Quantus averages it in), and a random map that is constant
//! counts as correlation 0, and one that is the same as 1.

use cam_core::{
    About, Better, Degenerate, Explained, FeatureShape, Metric, Score, Subject, Target,
};
use serde::{Deserialize, Serialize};

use crate::{correlation::spearman, mean};

/// Model randomization; not defined for imported maps, and for networks that cannot be randomized.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelRandomization {
    /// How many randomized networks, from the logits' layer downwards.
    #[serde(deserialize_with = "cam_core::options::at_least_one")]
    pub n: u32,
    /// Of the random weights, the same for all images.
    pub seed: u64,
}

impl Default for ModelRandomization {
    fn default() -> Self {
        Self { n: 5, seed: 0 }
    }
}

impl Metric for ModelRandomization {
    fn score(&self, explained: &Explained<'_>) -> Option<Score> {
        let (subject, method) = (explained.subject(), explained.method()?);
        let mut correlations = vec![];
        for step in 1..=self.n {
            let share = f64::from(step) / f64::from(self.n);
            let classifier = subject.classifier().randomized(share, self.seed)?;
            let image = subject.image().shallow_clone();
            let class = Target::Class(subject.class());
            let randomized = Subject::new(&*classifier, image, class, subject.seed());
            let map = explained.map();
            correlations.push(match map.again(&method.explain(&randomized)) {
                // The same map again is the same also where it is constant.
                Ok(again) if again.unit() == map.unit() => 1.0,
                Ok(again) => spearman(map.unit(), again.unit()),
                Err(Degenerate::Constant) => 0.0,
                Err(Degenerate::NotFinite) => f64::NAN,
            });
        }
        Some(mean(correlations.into_iter()).into())
    }

    fn better(&self) -> Better {
        Better::Lower
    }

    fn range(&self) -> std::ops::RangeInclusive<f64> {
        -1.0..=1.0
    }

    fn about(&self) -> About {
        About {
            title: "Model randomization",
            summary: "rank correlation with maps of the network as more and more of its weights are random",
            source: "Adebayo et al. 2018, arXiv 1810.03292",
        }
    }

    fn forwards(&self, method_forwards: u64, _: FeatureShape) -> u64 {
        u64::from(self.n) * method_forwards
    }
}
