//! Where the randomness of methods and metrics comes from: an image's seed.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A method's generator for an image with this seed.
pub fn method_rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// A metric's generator for an image with this seed: another stream than the methods', so that a metric's noise has
/// nothing to do with theirs.
pub fn metric_rng(seed: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(1);
    rng
}
