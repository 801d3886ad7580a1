//! The map that a deployed network gives itself.
//!
//! A graph with an explanatory hook (`cambench hook`; Byun and Lee 2022, <https://arxiv.org/abs/2209.14074>, propose one for
//! networks after deployment) has an output `saliency_map` beside its logits, `[N, C, h, w]`. `M = saliency_map[c]`, as the
//! runtime returns it. Ours: the hook; the map is whatever the graph says, so another tool's hook is measured as well.

use cam_core::{About, Cost, FeatureShape, Method, Requirement, Subject};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// The output `saliency_map` of a hooked graph.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hooked {}

impl Method for Hooked {
    /// Panics where the classifier has no hook.
    fn explain(&self, subject: &Subject<'_>) -> Tensor {
        let map = subject.classifier().hooked_map(subject.image(), subject.class());
        map.expect("the graph is hooked").to_kind(Kind::Float)
    }

    fn cost(&self, _: FeatureShape) -> Cost {
        Cost { forwards: 1, ..Cost::default() }
    }

    fn requirement(&self) -> Requirement {
        Requirement::Hook
    }

    fn about(&self) -> About {
        About {
            title: "Hooked map",
            summary: "the map that a deployed graph gives beside its logits",
            source: "the hook is ours; proposed by Byun and Lee 2022, arXiv 2209.14074",
        }
    }
}
