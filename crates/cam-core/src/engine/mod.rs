//! What makes networks fast, and what hands out a layer's biases: memory, batches, fused kernels.

mod allocator;
mod biases;
mod chunks;
mod fused;

pub use allocator::keep_memory;
pub use biases::Biases;
pub use chunks::{
    USUAL_MEMORY, filled_up, filled_up_to, head_in_chunks, logits_in_chunks, usual_batch,
};
pub use fused::{Activation, Geometry, Packed, Shortcut, fused_convolution};
