//! A plan with its weights, arranged for inference, and the network cut in two.
//!
//! Where the speed comes from, in order of gain: malloc keeps its memory ([`cam_core::keep_memory`]); weights and activations
//! lie channels-last; batch normalizations are folded into the convolutions; `SAME` padding's odd zero is in the kernel;
//! early stages, whose activations do not fit the cache, run two images at a time; where no gradient is asked for,
//! convolution, sum and activation are one pass over memory. None of it changes a result by more than rounding, and
//! everything is differentiable in the activations.

mod build;
mod cut;
mod step;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::rc::Rc;

use cam_core::{PooledLinear, USUAL_MEMORY, filled_up};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

pub use cut::Cut;

use crate::plan::{Plan, Stage};
use crate::weights::seeded;
use build::Builder;
use step::{Layout, Step, run};

/// Parameters by name, `f32` on the processor.
pub type Parameters = BTreeMap<String, Tensor>;

/// How a network is loaded and laid out for computing.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Where it computes.
    pub device: Device,
    /// In what it computes; images, activations at the cut and logits are `f32` all the same.
    pub precision: Precision,
    /// How much memory a batch may take, in bytes.
    pub memory_bytes: u64,
    /// Side of the images that a batch's size is planned for, in pixels; other sizes work as well.
    /// `None`: the crop that belongs to the weights, or 224.
    pub input_side: Option<i64>,
    /// How many classes the weights must have; `None`: as many as they have, or 1000 where they are made up.
    pub classes: Option<i64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            device: Device::Cpu,
            precision: Precision::F32,
            memory_bytes: USUAL_MEMORY,
            input_side: None,
            classes: None,
        }
    }
}

/// The number format of convolutions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// 16-bit brain floats, with a significand of 8 bits: faster; scores of single images move by a few points on
    /// average and by tens of points at worst (METHODOLOGY.md, numerical exactness).
    Bf16,
    /// Single precision whose products are of ten bits of mantissa, on NVIDIA's tensor cores; see
    /// [`crate::device`]. Elsewhere it is single precision.
    Tf32,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Tf32 => "tf32",
        })
    }
}

/// A backbone with weights, ready to be cut at any stage.
#[derive(Debug)]
pub struct Network {
    plan: Plan,
    stages: Vec<Vec<Step>>,
    head: Vec<Step>,
    /// The last layer's parameters where the head is pooled and linear.
    pooled: Option<PooledLinear>,
    device: Device,
    precision: Precision,
    element_bytes: i64,
    memory_bytes: i64,
    input_side: i64,
    /// The same network with other weights, by their seeds; made when they are first asked for.
    randomized: RefCell<BTreeMap<u64, Rc<Network>>>,
}

/// Images that go through the early stages together.
const MICRO_BATCH: i64 = 2;

/// Bytes beyond which a batch's activations count as too large for the cache. A constant, not this machine's cache size:
/// equal runs are cut into equal pieces everywhere.
const CACHE_BYTES: i64 = 32 << 20;

impl Network {
    /// Arranges a plan's parameters for computing.
    ///
    /// `parameters` holds every one of [`Plan::parameters`] in its shape; a missing one is a bug of the caller, and
    /// [`crate::load`] reports it as an error before it comes here.
    pub fn build(plan: Plan, parameters: &Parameters, options: &Options) -> Self {
        cam_core::keep_memory();
        let _no_grad = tch::no_grad_guard();
        let kind = match options.precision {
            Precision::F32 | Precision::Tf32 => Kind::Float,
            Precision::Bf16 => Kind::BFloat16,
        };
        let builder =
            Builder { parameters, device: options.device, kind, layout: Layout::of(options) };
        let stages = plan.stages.iter().map(|stage| builder.steps(&stage.layers)).collect();
        let pooled =
            plan.has_pooled_linear_head().then(|| builder.pooled_linear(plan.classifier()));
        // A pooled head is next to nothing: it stays in f32, so that closed forms agree with it in every precision.
        let head_builder =
            if pooled.is_some() { Builder { kind: Kind::Float, ..builder } } else { builder };
        let head = head_builder.steps(&plan.head);
        Self {
            plan,
            stages,
            head,
            pooled,
            device: options.device,
            precision: options.precision,
            element_bytes: kind.elt_size_in_bytes() as i64,
            memory_bytes: options.memory_bytes as i64,
            input_side: options.input_side.unwrap_or(224),
            randomized: RefCell::default(),
        }
    }

    /// The same network with [`seeded`] weights.
    fn randomized(&self, seed: u64) -> Rc<Self> {
        let make = || {
            let options = Options {
                device: self.device,
                precision: self.precision,
                memory_bytes: self.memory_bytes as u64,
                input_side: Some(self.input_side),
                classes: None,
            };
            // Turned around, because a network with `weights: seeded` may have this very seed.
            let parameters = seeded(&self.plan, !seed);
            Rc::new(Self::build(self.plan.clone(), &parameters, &options))
        };
        Rc::clone(self.randomized.borrow_mut().entry(seed).or_insert_with(make))
    }

    /// The plan that it was built from.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Where it computes.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Number of classes.
    pub fn n_classes(&self) -> i64 {
        self.plan.classifier().outputs
    }

    /// Activations after some stages.
    fn run_stages(&self, stages: Range<usize>, input: &Tensor) -> Tensor {
        if stages.is_empty() {
            return input.shallow_clone();
        }
        if self.device.is_cuda() {
            return filled_up(input, |input| self.run(stages, input));
        }
        let n = input.size()[0];
        let split = stages.start + self.n_large(&stages, input);
        let large = stages.start..split;
        let rest = split..stages.end;
        if large.is_empty() || n <= MICRO_BATCH {
            return self.run(stages, input);
        }
        let parts: Vec<Tensor> = (0..n)
            .step_by(MICRO_BATCH as usize)
            .map(|start| {
                let length = MICRO_BATCH.min(n - start);
                self.run(large.clone(), &input.narrow(0, start, length))
            })
            .collect();
        self.run(rest, &Tensor::cat(&parts, 0))
    }

    fn run(&self, stages: Range<usize>, input: &Tensor) -> Tensor {
        run(self.stages[stages].iter().flatten(), input, None)
    }

    /// How many of the stages, from the first on, are too large for the cache with the whole batch.
    fn n_large(&self, stages: &Range<usize>, input: &Tensor) -> usize {
        let size = input.size();
        let mut shape = [size[1], size[2], size[3]];
        let is_large = |stage: &Stage| {
            let extent = stage.extent(shape);
            shape = extent.output;
            size[0] * extent.peak * self.element_bytes > CACHE_BYTES
        };
        self.plan.stages[stages.clone()]
            .iter()
            .map(is_large)
            .take_while(|is_large| *is_large)
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_stages_larger_than_the_cache_are_split() {
        let backbone = crate::by_name("tf_efficientnet_lite0").unwrap();
        let plan = backbone.plan(10);
        let network = Network::build(plan.clone(), &crate::seeded(&plan, 0), &Options::default());
        let all = 0..plan.stages.len();
        let large = |n: i64| {
            network.n_large(&all, &Tensor::zeros([n, 3, 224, 224], (Kind::Float, Device::Cpu)))
        };
        assert_eq!(large(1), 0);
        let split = large(16);
        assert!((2..6).contains(&split), "{split} of {} stages", plan.stages.len());
        assert!(large(64) > split);
    }
}
