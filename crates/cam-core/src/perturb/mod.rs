//! An image with some of its pixels gone: which ones, and what stands in their place.

mod fill;
pub(crate) mod impute;
mod probe;
mod squares;

pub use fill::Fill;
pub use probe::{Order, Probe};
pub(crate) use probe::{ranks, ranks_of_pixels};
pub use squares::{Square, Squares};
