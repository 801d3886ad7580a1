//! RefineCAM (Domeniconi et al. 2026, <https://arxiv.org/abs/2605.14641>).
//!
//! `M = Π_l mm(C_l)` over layers `l` of several resolutions, `C_l` being the Grad-CAM++ map at a layer and `mm` the min-max
//! normalization, each upsampled to the finest: coarse maps say where, fine ones what. Ours: the layers are found and not
//! named, namely the one under explanation and the last one of each finer resolution before it; a map that is constant
//! is 0, and so is the product.

use cam_core::{About, Cost, FeatureShape, Method, Requirement, Subject, min_max, upsample};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::GradCamPp;

/// RefineCAM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RefineCam {
    /// How many resolutions: the cut's, and finer ones while the network has any.
    #[serde(deserialize_with = "cam_core::options::at_least_one")]
    pub resolutions: u32,
}

impl Default for RefineCam {
    fn default() -> Self {
        Self { resolutions: 3 }
    }
}

impl Method for RefineCam {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let n = self.resolutions as usize;
        let (logits, levels) = subject.classifier().logits_and_levels(subject.image(), n);
        let total = subject.logit(&logits).sum(None::<Kind>);
        let gradients = Tensor::run_backward(&[total], &levels, false, false);
        let _no_grad = tch::no_grad_guard();
        let FeatureShape { height, width, .. } = FeatureShape::of(&levels[levels.len() - 1]);
        let maps = levels.iter().zip(&gradients).map(|(activations, gradient)| {
            let map = GradCamPp::default().map(&activations.detach(), gradient);
            let unit = min_max(&map).unwrap_or_else(|_| map.zeros_like());
            upsample(&unit, [height, width])
        });
        maps.reduce(|product, map| product * map).expect("the cut is one of the levels")
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost { forwards: 1, backwards: 1, ..Cost::default() }
    }

    fn requirement(&self) -> Requirement {
        Requirement::Gradients
    }

    fn about(&self) -> About {
        About {
            title: "RefineCAM",
            summary: "product of the Grad-CAM++ maps at layers of several resolutions",
            source: "Domeniconi et al. 2026, arXiv 2605.14641",
        }
    }
}
