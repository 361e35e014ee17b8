//! What decides how training goes.

use super::options::TrainOptions;
use super::resume::Identity;
use crate::options::Config;

/// What decides how training goes.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The epoch after which training ends.
    pub epochs: u32,
    /// Examples a batch.
    pub batch_size: u32,
    /// Learning rate, before the schedule.
    pub lr: f64,
    /// The optimizer's name.
    pub optimizer: String,
    /// Seed of the examples' order.
    pub seed: u64,
    /// The weight of each class in the loss; none where all classes weigh 1.
    pub class_weights: Option<Vec<f32>>,
    /// Everything else.
    pub options: TrainOptions,
    /// What a checkpoint must have been written with to be gone on from.
    pub identity: Identity,
}

impl Default for Plan {
    fn default() -> Self {
        Plan::of(&Config::default(), None)
    }
}

impl Plan {
    /// The plan that the options of a run make.
    pub fn of(config: &Config, class_weights: Option<Vec<f32>>) -> Self {
        Plan {
            epochs: config.epochs,
            batch_size: config.batch_size,
            lr: config.lr,
            optimizer: config.optimizer.clone(),
            seed: config.seed,
            class_weights,
            options: config.training.clone(),
            identity: identity(config),
        }
    }
}

fn identity(config: &Config) -> Identity {
    let versions = [
        ("the version of cresset".to_string(), env!("CARGO_PKG_VERSION").to_string()),
        ("the version of libtorch".to_string(), cresset_bridge::LIBTORCH_VERSION.to_string()),
    ];
    let text = |value: toml::Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
    let options = config.portable_entries().into_iter().map(|(name, value)| (name.to_string(), text(value)));
    // Runs of versions without the option masked nothing, and can go on.
    let is_new = |(name, value): &(String, String)| name == "mask_categories" && value == "0.0";
    versions.into_iter().chain(options.filter(|option| !is_new(option))).collect()
}
