//! Metrics: one explained image in, one number out. One file a metric.
//!
//! A metric is its struct: the fields are the options of a sweep, the `Default` is the definition that cambench stands
//! for, and the module's doc is citation, formula, and what is ours. To add one, write the file, then add its `mod` line
//! and its line in the list below. ADCC is not here: it is a function of three means, made where tables are made.

mod coherency;
mod complexity;
mod deletion;
mod drop;
mod increase;
mod insertion;
mod perturbation;

pub use cam_core::{Fill, Metric, Order, Output};
pub use coherency::Coherency;
pub use complexity::{Complexity, Resolution};
pub use deletion::Deletion;
pub use drop::{Drop, Reference};
pub use increase::Increase;
pub use insertion::Insertion;
pub use perturbation::{Area, Sampling, Unit};

cam_core::registry! {
    /// Every metric of one image.
    pub enum AnyMetric: Metric {
        "drop" => Drop(Drop),
        "increase" => Increase(Increase),
        "deletion" => Deletion(Deletion),
        "insertion" => Insertion(Insertion),
        "coherency" => Coherency(Coherency),
        "complexity" => Complexity(Complexity),
    }
}
