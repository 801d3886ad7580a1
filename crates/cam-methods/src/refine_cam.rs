//! RefineCAM (Domeniconi et al. 2026, <https://arxiv.org/abs/2605.14641>).
//!
//! `M = Π_l mm(U(C_l))` over layers `l` of several resolutions, `C_l` being the Grad-CAM++ map at a layer, `U` the upsampling
//! to the image and `mm` the min-max normalization: coarse maps say where, fine ones what. Ours: the layers are found and
//! not named, namely the target layer and the last one of each finer resolution before it; a constant map is 0, and so is
//! the product.

use cam_core::{
    About, Cost, Degenerate, FeatureShape, Method, Requirement, Subject, min_max, upsample,
};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::{GradCam, GradCamPp, LayerCam};

/// RefineCAM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RefineCam {
    /// How many resolutions: the cut's, and finer ones while the network has any.
    #[serde(deserialize_with = "cam_core::options::at_least_one")]
    pub resolutions: u32,
    /// Which maps are multiplied.
    pub maps: LayerMaps,
}

impl Default for RefineCam {
    fn default() -> Self {
        Self { resolutions: 4, maps: LayerMaps::GradCamPp }
    }
}

/// Maps that follow from the activations at a layer and the gradient there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerMaps {
    /// Grad-CAM++.
    GradCamPp,
    /// LayerCAM, whose weights have no poles where activations are negative.
    LayerCam,
    /// Grad-CAM.
    GradCam,
}

impl LayerMaps {
    fn map(self, features: &Tensor, gradient: &Tensor) -> Tensor {
        match self {
            Self::GradCamPp => GradCamPp::default().map(features, gradient),
            Self::LayerCam => LayerCam::map(features, gradient),
            Self::GradCam => GradCam::default().map(features, gradient),
        }
    }
}

/// 0 where it is constant; as it is where it is not finite, which then shows in the product.
fn normalized(map: &Tensor) -> Tensor {
    match min_max(map) {
        Ok(unit) => unit,
        Err(Degenerate::Constant) => map.zeros_like(),
        Err(Degenerate::NotFinite) => map.shallow_clone(),
    }
}

impl Method for RefineCam {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let n = self.resolutions as usize;
        let (logits, levels) = subject.classifier().logits_and_levels(subject.image(), n);
        let total = subject.logit(&logits).sum(None::<Kind>);
        let gradients = Tensor::run_backward(&[total], &levels, false, false);
        let _no_grad = tch::no_grad_guard();
        let maps = levels.iter().zip(&gradients).map(|(activations, gradient)| {
            let map = self.maps.map(&activations.detach(), gradient);
            normalized(&upsample(&normalized(&map), subject.size()))
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
            summary: "product of the normalized Grad-CAM++ maps at layers of several resolutions",
            source: "Domeniconi et al. 2026, arXiv 2605.14641",
        }
    }
}
