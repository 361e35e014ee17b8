//! What decides how training goes.

use super::options::TrainOptions;
use super::resume::Identity;

/// What decides how training goes.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The epoch after which training ends.
    pub epochs: u32,
    /// Batch size, of each process.
    pub batch_size: u32,
    /// Learning rate, before the schedule.
    pub lr: f64,
    /// The optimizer's name.
    pub optimizer: String,
    /// Seed of the order of the examples.
    pub seed: u64,
    /// The weight of each class in the loss; none where all classes weigh 1.
    pub class_weights: Option<Vec<f32>>,
    /// All other options of training.
    pub options: TrainOptions,
    /// What a checkpoint must have been written with to resume from it.
    pub identity: Identity,
    /// The present name of an entry of the identity, which earlier versions may have called otherwise.
    pub canonical: fn(&str) -> &str,
    /// Whether an entry of the identity is a path. Earlier versions recorded whole paths, so paths are compared by their file names.
    pub is_path: fn(&str) -> bool,
}

impl Plan {
    /// Adam with the other options at their defaults, and an empty identity. A run makes its plan from all its options instead.
    pub fn new(epochs: u32, batch_size: u32, lr: f64) -> Self {
        Plan {
            epochs,
            batch_size,
            lr,
            optimizer: "adam".to_string(),
            seed: 0,
            class_weights: None,
            options: TrainOptions::default(),
            identity: Identity::new(),
            canonical: |name| name,
            is_path: |_| false,
        }
    }
}
