//! Metrics: one explained image in, one number out. One file per metric.
//!
//! A metric is its struct: the fields are the options of a sweep, the `Default` is the definition that cambench stands
//! for, and the module's doc is citation, formula, and what is ours. To add one, write the file, then add its `mod` line
//! and its line in the list below. ADCC is not here: it is a function of three means, made where tables are made.

mod arcc;
mod average_gain;
mod coherency;
mod complexity;
mod correlation;
mod deletion;
mod drop;
mod effective_complexity;
mod energy_pointing_game;
mod entropy;
mod increase;
mod infidelity;
mod insertion;
mod max_sensitivity;
mod model_randomization;
mod perturbation;
mod pixel_flipping;
mod pointing_game;
mod relevance_rank;
mod resolution;
mod road;
mod sparseness;
mod sufficiency;

pub use arcc::Arcc;
pub use average_gain::AverageGain;
pub use cam_core::{Fill, Metric, Order, Output};
pub use coherency::Coherency;
pub use complexity::Complexity;
pub use deletion::Deletion;
pub use drop::{Drop, Reference};
pub use effective_complexity::EffectiveComplexity;
pub use energy_pointing_game::EnergyPointingGame;
pub use entropy::Entropy;
pub use increase::Increase;
pub use infidelity::Infidelity;
pub use insertion::Insertion;
pub use max_sensitivity::MaxSensitivity;
pub use model_randomization::ModelRandomization;
pub use perturbation::{Area, Sampling, Unit};
pub use pixel_flipping::PixelFlipping;
pub use pointing_game::PointingGame;
pub use relevance_rank::RelevanceRank;
pub use resolution::Resolution;
pub use road::Road;
pub use sparseness::Sparseness;
pub use sufficiency::Sufficiency;

cam_core::registry! {
    /// Every metric of one image.
    pub enum AnyMetric: Metric {
        "drop" => Drop(Drop),
        "increase" => Increase(Increase),
        "deletion" => Deletion(Deletion),
        "insertion" => Insertion(Insertion),
        "coherency" => Coherency(Coherency),
        "complexity" => Complexity(Complexity),
        "average_gain" => AverageGain(AverageGain),
        "arcc" => Arcc(Arcc),
        "road" => Road(Road),
        "pixel_flipping" => PixelFlipping(PixelFlipping),
        "sufficiency" => Sufficiency(Sufficiency),
        "infidelity" => Infidelity(Infidelity),
        "max_sensitivity" => MaxSensitivity(MaxSensitivity),
        "model_randomization" => ModelRandomization(ModelRandomization),
        "sparseness" => Sparseness(Sparseness),
        "entropy" => Entropy(Entropy),
        "effective_complexity" => EffectiveComplexity(EffectiveComplexity),
        "pointing_game" => PointingGame(PointingGame),
        "energy_pointing_game" => EnergyPointingGame(EnergyPointingGame),
        "relevance_rank" => RelevanceRank(RelevanceRank),
    }
}

/// The mean of numbers, of which there is at least one.
fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len() as f64;
    values.sum::<f64>() / n
}
