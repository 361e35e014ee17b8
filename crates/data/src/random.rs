//! Random number generators, all derived from the run's seed.
//!
//! Each random choice uses a separate stream, derived from the seed, the purpose and a number such as the
//! epoch. A resumed run therefore draws the same numbers without stored generator state.

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

/// The purpose of a stream.
#[derive(Debug, Clone, Copy)]
pub enum Purpose {
    /// The train/validation split.
    Split = 1,
    /// The shuffled order of an epoch.
    Shuffle = 2,
    /// Augmentation of an image, by epoch and position.
    Augment = 3,
    /// Mixing of the images in a batch.
    Mix = 4,
    /// Synthetic images.
    Synthesis = 5,
    /// Noise that explanation methods add to inputs.
    Noise = 6,
    /// Bootstrap samples for confidence intervals.
    Bootstrap = 7,
    /// Per-process randomness in distributed training, such as dropout.
    Process = 8,
    /// Options of a search trial.
    Search = 9,
    /// Table cells masked as unknown, by epoch and position.
    Mask = 10,
    /// Orders of rows and columns in explanations.
    Permutation = 11,
    /// Rows with the distribution of the training data, for explanations.
    Background = 12,
    /// The order of batches of texts of similar length.
    Buckets = 13,
}

/// The generator of one stream. ChaCha8's output is specified, so it does not change with library versions.
pub fn stream(seed: u64, purpose: Purpose, number: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
    key[16..24].copy_from_slice(&number.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// The stream number for position `place` (below 2³²) in an epoch.
pub fn epoch_stream(epoch: u32, place: usize) -> u64 {
    u64::from(epoch) << 32 | place as u64
}
