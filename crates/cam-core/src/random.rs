//! Where a metric's randomness comes from.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A metric's generator for an image with this seed: another stream than the methods', so that a metric's noise has
/// nothing to do with theirs.
pub fn rng(seed: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(1);
    rng
}
