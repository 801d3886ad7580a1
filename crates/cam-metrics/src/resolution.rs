//! At which size maps are looked at.

use cam_core::{Explained, Map};
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// At which size maps are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// The image's, `[H, W]`.
    Image,
    /// That of the layer under explanation, `[h, w]`; larger maps are averaged.
    Layer,
}

impl Resolution {
    /// A normalized map at that size.
    pub(crate) fn of(self, explained: &Explained<'_>, map: &Map) -> Tensor {
        match self {
            Self::Image => map.unit().shallow_clone(),
            Self::Layer => explained.at_layer(map),
        }
    }
}
