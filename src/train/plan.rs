//! The settings of a training run.

use super::options::TrainOptions;
use super::resume::Identity;
use crate::model::Outputs;

/// The settings of a training run.
///
/// ```
/// use cresset::train::{Plan, TrainOptions};
///
/// let options = TrainOptions { weight_decay: 0.01, ..TrainOptions::default() };
/// let plan = Plan { optimizer: "adamw".into(), options, ..Plan::new(10, 32, 0.001) };
/// assert_eq!((plan.epochs, plan.batch_size), (10, 32));
/// ```
#[derive(Debug, Clone)]
pub struct Plan {
    /// Number of epochs.
    pub epochs: u32,
    /// Batch size per process.
    pub batch_size: u32,
    /// Learning rate, before the schedule.
    pub lr: f64,
    /// Name of the optimizer.
    pub optimizer: String,
    /// Random seed, for the order of the examples.
    pub seed: u64,
    /// Class weights of the loss; none if all are 1.
    pub class_weights: Option<Vec<f32>>,
    /// The meaning of the network's outputs.
    pub outputs: Outputs,
    /// Other options of training.
    pub options: TrainOptions,
    /// The identity that a checkpoint must have to resume from it.
    pub identity: Identity,
    /// Maps the name of an identity entry from an earlier version to the current name.
    pub canonical: fn(&str) -> &str,
    /// The value of an entry of the identity without folders, if it is a path: earlier versions recorded whole paths.
    pub portable: fn(&str, &str) -> String,
}

impl Plan {
    /// A plan with Adam, default options and an empty identity. `Config::plan` makes the plan of a run.
    pub fn new(epochs: u32, batch_size: u32, lr: f64) -> Self {
        Plan {
            epochs,
            batch_size,
            lr,
            optimizer: "adam".to_string(),
            seed: 0,
            class_weights: None,
            outputs: Outputs::default(),
            options: TrainOptions::default(),
            identity: Identity::new(),
            canonical: |name| name,
            portable: |_, value| value.to_string(),
        }
    }
}
