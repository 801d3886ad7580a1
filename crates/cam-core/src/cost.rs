//! What a method's definition costs.

/// Network passes that a definition needs for one image: the poster's column "Inference" as exact numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Images through the whole network.
    pub forwards: u64,
    /// Activations through the head alone.
    pub head_forwards: u64,
    /// Back-propagations from a logit.
    pub backwards: u64,
}
