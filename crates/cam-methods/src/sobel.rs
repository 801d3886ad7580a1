//! A control: edges, which know the image and neither network nor class.
//!
//! `M = √(Gₓ² + G_y²)` with `Gₓ`, `G_y` the Sobel filters over the mean of the colors, edge pixels repeated at the border.
//! Adebayo et al. (2018, <https://arxiv.org/abs/1810.03292>) show how much some explanations look like it.

use cam_core::{About, Cost, FeatureShape, Method, Subject};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::ops::like;

/// Magnitude of the image's edges.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sobel {}

impl Method for Sobel {
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let _no_grad = tch::no_grad_guard();
        let grey = subject.image().mean_dim(1_i64, true, None::<Kind>).replication_pad2d([1; 4]);
        let smooth = like(&[1.0, 2.0, 1.0], &grey);
        let step = like(&[-1.0, 0.0, 1.0], &grey);
        let filter = |rows: &Tensor, columns: &Tensor| {
            grey.conv2d(&rows.outer(columns).view([1, 1, 3, 3]), None::<Tensor>, 1, 0, 1, 1)
        };
        let (x, y) = (filter(&smooth, &step), filter(&step, &smooth));
        x.hypot(&y).squeeze_dim(0).squeeze_dim(0)
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost::default()
    }

    fn about(&self) -> About {
        About {
            title: "Sobel",
            summary: "a control: the magnitude of the image's edges",
            source: "a control of ours; Adebayo et al. 2018, arXiv 1810.03292, compare with edges",
        }
    }
}
