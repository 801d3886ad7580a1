//! ARCC, with ROAD in place of ADCC's drop (pytorch-grad-cam, <https://github.com/jacobgil/pytorch-grad-cam>, after the
//! RefineCAM paper).
//!
//! `3 / (1/C + 1/(1 - X) + 1/R)`: the harmonic mean of coherency, one minus complexity, and `R = 2 ROAD`, no less than 0, with
//! 20, 40, 60 and 80 percent of the pixels removed. Of one image, as there; a table shows the mean over images, which is
//! `adcc_per_image`'s statistic and not `adcc`'s. Ours: 0 where a term is 0, without an epsilon.

use cam_core::{About, Better, Explained, FeatureShape, Metric, Probe, Score};
use serde::{Deserialize, Serialize};

use crate::{Coherency, Complexity, Road};

/// ARCC, of one image; not defined for imported maps, which have no coherency.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Arcc {
    /// Shares of pixels that are taken away, one after the other.
    #[serde(deserialize_with = "cam_core::options::open_shares")]
    pub removed: Vec<f64>,
}

impl Default for Arcc {
    fn default() -> Self {
        Self { removed: vec![0.2, 0.4, 0.6, 0.8] }
    }
}

impl Metric for Arcc {
    fn score(&self, explained: &Explained<'_>) -> Option<Score> {
        let value = |metric: &dyn Metric| Some(metric.score(explained)?.value);
        let coherency = value(&Coherency::default())?;
        let complexity = value(&Complexity::default())?;
        let road = value(&self.road())?;
        Some(harmonic_mean([coherency, 1.0 - complexity, 2.0 * road]).into())
    }

    fn probes(&self, size: [i64; 2]) -> Vec<Probe> {
        [self.road().probes(size), vec![Probe::Masked]].concat()
    }

    fn better(&self) -> Better {
        Better::Higher
    }

    fn about(&self) -> About {
        About {
            title: "ARCC",
            summary: "harmonic mean of coherency, 1 - complexity and twice ROAD, of each image",
            source: "pytorch-grad-cam, github.com/jacobgil/pytorch-grad-cam",
        }
    }

    fn forwards(&self, method_forwards: u64, features: FeatureShape) -> u64 {
        method_forwards + self.road().forwards(method_forwards, features)
    }
}

impl Arcc {
    fn road(&self) -> Road {
        Road { removed: self.removed.clone() }
    }
}

/// 0 where a term is not positive; NaN where one is.
fn harmonic_mean(terms: [f64; 3]) -> f64 {
    if terms.iter().any(|&term| term <= 0.0) {
        0.0
    } else {
        3.0 / terms.iter().map(|term| 1.0 / term).sum::<f64>()
    }
}
