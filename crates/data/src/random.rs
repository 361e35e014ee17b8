//! Every random choice of the pipeline comes from the run's seed.
//!
//! A choice has a stream of its own, found from the seed, its purpose and its number (the epoch, say), so that a resumed
//! run draws what it would have drawn, with nothing to store.

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

/// What the numbers are drawn for.
#[derive(Debug, Clone, Copy)]
pub enum Purpose {
    /// Which rows are held out.
    Split = 1,
    /// The order of an epoch's rows.
    Shuffle = 2,
    /// How a picture is changed, by its epoch and place.
    Augment = 3,
    /// How the pictures of a batch are mixed.
    Mix = 4,
    /// What a synthetic picture is made of.
    Synthesis = 5,
    /// The noise of inputs that an explanation looks at.
    Noise = 6,
    /// The rows that a figure is measured on again.
    Bootstrap = 7,
    /// What one of several processes draws of its own, for dropout say.
    Process = 8,
    /// The options of a trial of a search.
    Search = 9,
    /// Which cells of a table count as unknown, by epoch and place.
    Mask = 10,
}

/// The generator of one stream. ChaCha8's output is fixed by its definition and does not change with the library.
pub fn stream(seed: u64, purpose: Purpose, number: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
    key[16..24].copy_from_slice(&number.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// The number of the stream for place `place` (below 2³²) of an epoch.
pub fn in_epoch(epoch: u32, place: usize) -> u64 {
    u64::from(epoch) << 32 | place as u64
}
