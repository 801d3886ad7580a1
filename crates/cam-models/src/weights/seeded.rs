//! Random weights that are the same everywhere.

use sha2::{Digest, Sha256};
use tch::Tensor;

use crate::network::Parameters;
use crate::plan::{Parameter, Plan, Role};

/// Random parameters for a plan, the same for the same seed on every machine and in every language.
///
/// Element `i` of a parameter is `mix(base + (i + 1)·GOLDEN) >> 40` of 2²⁴, with SplitMix64's `mix` and
/// `base = mix(seed + GOLDEN) ^ k`, where `k` is the first eight bytes of the name's SHA-256, little-endian. Weights are
/// uniform with He's variance. Normalizations are near the identity, and a quarter of it at the end of a residual branch,
/// so that activations keep their size through any depth.
pub fn seeded(plan: &Plan, seed: u64) -> Parameters {
    plan.parameters()
        .into_iter()
        .map(|parameter| {
            let values = Tensor::from_slice(&values(&parameter, seed)).view(&parameter.shape[..]);
            (parameter.name, values)
        })
        .collect()
}

/// SHA-256 over names and values in the order of the names.
pub(super) fn digest(parameters: &Parameters) -> [u8; 32] {
    let mut digest = Sha256::new();
    for (name, tensor) in parameters {
        let mut values = vec![0_f32; tensor.numel()];
        let n_values = values.len();
        tensor.copy_data(&mut values, n_values);
        digest.update(name);
        // A block at a time: a hash is fed slowly by four bytes at once.
        for block in values.chunks(1 << 14) {
            let bytes: Vec<u8> = block.iter().flat_map(|value| value.to_le_bytes()).collect();
            digest.update(bytes);
        }
    }
    digest.finalize().into()
}

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

fn values(parameter: &Parameter, seed: u64) -> Vec<f32> {
    let name = Sha256::digest(&parameter.name);
    let key = name[..8].iter().rev().fold(0, |key, &byte| key << 8 | u64::from(byte));
    let base = mix(seed.wrapping_add(GOLDEN)) ^ key;
    let unit = |index: u64| {
        let bits = mix(base.wrapping_add((index + 1).wrapping_mul(GOLDEN))) >> 40;
        bits as f32 / (1 << 24) as f32
    };
    let signed = |index: u64| 2.0 * unit(index) - 1.0;
    let all = 0..parameter.n_elements() as u64;
    match parameter.role {
        Role::Weight { fan_in } => {
            let bound = (6.0 / fan_in as f64).sqrt() as f32;
            all.map(|index| bound * signed(index)).collect()
        }
        Role::Bias | Role::Shift | Role::Mean => all.map(|index| 0.1 * signed(index)).collect(),
        Role::Scale { last } => {
            let factor = if last { 0.25 } else { 1.0 };
            all.map(|index| factor * (0.7 + 0.4 * unit(index))).collect()
        }
        Role::Variance => all.map(|index| 0.8 + 0.4 * unit(index)).collect(),
    }
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood 2014).
fn mix(mut z: u64) -> u64 {
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mixer_gives_the_published_sequence_of_seed_zero() {
        let sequence: Vec<u64> = (1..=3_u64).map(|n| mix(n.wrapping_mul(GOLDEN))).collect();
        assert_eq!(sequence, [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F]);
    }

    #[test]
    fn seeds_and_names_give_different_values_and_equal_ones_the_same() {
        let parameter = |name: &str| Parameter {
            name: name.into(),
            shape: vec![4],
            role: Role::Weight { fan_in: 6 },
        };
        assert_eq!(values(&parameter("a"), 1), values(&parameter("a"), 1));
        assert_ne!(values(&parameter("a"), 1), values(&parameter("b"), 1));
        assert_ne!(values(&parameter("a"), 1), values(&parameter("a"), 2));
        assert!(values(&parameter("a"), 1).iter().all(|value| value.abs() <= 1.0));
    }
}
