//! The headings of the options of a run, in the order in which the help shows them.

/// Datasets and how they are read and split.
pub const DATA: &str = "Data";
/// The network and its initial weights.
pub const MODEL: &str = "Model";
/// Loss function, optimizer, learning rate and when training stops.
pub const OPTIMIZATION: &str = "Optimization";
/// Random changes of the training data.
pub const AUGMENTATION: &str = "Augmentation";
/// Cross-validation.
pub const EVALUATION: &str = "Evaluation";
/// Devices and number formats.
pub const HARDWARE: &str = "Hardware";
/// Training in several processes.
pub const DISTRIBUTED: &str = "Distributed";
/// What is written during training.
pub const LOGGING: &str = "Logging";

/// All of them.
pub const HEADINGS: [&str; 8] =
    [DATA, MODEL, OPTIMIZATION, AUGMENTATION, EVALUATION, HARDWARE, DISTRIBUTED, LOGGING];
