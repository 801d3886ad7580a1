//! The sweep: its configuration, its plan, its loop, its events. The only crate that knows models, data, methods,
//! metrics and results at once.
//!
//! [`Sweep::read`] reads what is asked for, [`Plan::new`] looks everything up, [`run`] does it, and [`publish`] writes
//! what people read. Nothing here prints.

pub mod config;
pub mod protocol;

mod check;
mod clock;
mod event;
mod guard;
mod machine;
mod model;
mod npy;
mod plan;
mod publish;
mod reference;
mod rounding;
mod run;
mod seed;
mod shard;
mod suggest;
mod verify;
mod writer;

pub use check::{CellEstimate, SweepEstimate, check};
pub use config::{ConfigError, Sweep};
pub use event::Event;
pub use guard::is_guarded;
pub use model::{DeployedModel, FileModel, FileModelError, LayerError, Model, OnnxModel};
pub use npy::read_map;
pub use plan::{
    ModelSpec, Networks, Overrides, Plan, PlanError, PlannedModel, Provenance, Resources,
    default_memory, locate,
};
pub use publish::{Format, publish};
pub use run::{Outcome, RunError, run};
pub use seed::image_seed;
pub use shard::{Merged, ShardOutcome, merge, run_shard};
pub use verify::{Mismatch, Verification, VerifyError, verify};
