//! Seeds that depend on nothing but the sweep's seed and the image's name.

use sha2::{Digest, Sha256};

/// The seed of everything random about an image of that name, of the seed of a sweep: neither order nor shard nor the other
/// images change it.
pub fn image_seed(sweep: u64, image: &str) -> u64 {
    let digest =
        Sha256::new().chain_update(sweep.to_le_bytes()).chain_update(image.as_bytes()).finalize();
    u64::from_le_bytes(digest[..8].try_into().expect("a digest has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::image_seed;

    #[test]
    fn seeds_differ_by_sweep_and_by_image_and_never_change() {
        assert_ne!(image_seed(0, "a.png"), image_seed(1, "a.png"));
        assert_ne!(image_seed(0, "a.png"), image_seed(0, "b.png"));
        // Printed by: python3 -c "import hashlib; print(int.from_bytes(hashlib.sha256(bytes(8)+b'a.png').digest()[:8],'little'))"
        assert_eq!(image_seed(0, "a.png"), SEED_OF_A);
    }

    const SEED_OF_A: u64 = 13_903_391_063_037_254_477;
}
