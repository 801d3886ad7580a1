//! Max-sensitivity (Yeh et al. 2019, <https://arxiv.org/abs/1901.09392>).
//!
//! `max_δ ‖M(x + δ) - M(x)‖ / ‖M(x)‖`, Euclidean norms over pixels, for `n` perturbations of uniform noise in `[-r, r]`,
//! same class. `n` and `r` are Captum's. Ours: normalized maps at the image's size, so that a method's scale and offset do
//! not matter; a random method draws from the same seed for all maps; a second map that is constant counts as one of zeros.

use cam_core::{About, Better, Degenerate, Explained, FeatureShape, Metric, Score, metric_rng};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// Max-sensitivity; not defined for imported maps, which cannot be made again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaxSensitivity {
    /// Perturbed images.
    #[serde(deserialize_with = "cam_core::options::at_least_one")]
    pub n: u32,
    /// Largest change of a channel of a pixel, in normalized units.
    #[serde(deserialize_with = "cam_core::options::positive")]
    pub radius: f64,
}

impl Default for MaxSensitivity {
    fn default() -> Self {
        Self { n: 10, radius: 0.02 }
    }
}

impl Metric for MaxSensitivity {
    fn score(&self, explained: &Explained<'_>) -> Option<Score> {
        let (subject, map) = (explained.subject(), explained.map().unit());
        let (method, image) = (explained.method()?, subject.image());
        let norm = |map: &Tensor| map.square().sum(Kind::Double).sqrt().double_value(&[]);
        let mut random = metric_rng(subject.seed());
        let mut largest = 0.0;
        for _ in 0..self.n {
            let noise: Vec<f64> = (0..image.numel())
                .map(|_| random.random_range(-self.radius..=self.radius))
                .collect();
            let noise = Tensor::from_slice(&noise).to_kind(image.kind()).to_device(image.device());
            let perturbed = subject.with_image(image + noise.view_as(image));
            let change = match explained.map().again(&method.explain(&perturbed)) {
                Ok(again) => norm(&(again.unit() - map)),
                Err(Degenerate::Constant) => norm(map),
                Err(Degenerate::NotFinite) => f64::NAN,
            };
            if change.is_nan() {
                return Some(change.into());
            }
            largest = change.max(largest);
        }
        Some((largest / norm(map)).into())
    }

    fn better(&self) -> Better {
        Better::Lower
    }

    fn range(&self) -> std::ops::RangeInclusive<f64> {
        0.0..=f64::INFINITY
    }

    fn about(&self) -> About {
        About {
            title: "Max-sensitivity",
            summary: "largest relative change of the map under small noise in the image",
            source: "Yeh et al. 2019, arXiv 1901.09392",
        }
    }

    fn forwards(&self, method_forwards: u64, _: FeatureShape) -> u64 {
        u64::from(self.n) * method_forwards
    }
}
