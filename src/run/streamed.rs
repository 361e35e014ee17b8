//! Runs on tables whose rows are streamed from a file.

use crate::data::{self, Dataset, TaskKind};
use crate::error::Result;
use crate::loader::Sampling;
use crate::options::Config;

/// Reads the data of the options: the rows of a table larger than memory stay in a file.
///
/// # Errors
/// Data that cannot be read, and with `--stream always` an option that needs the rows in memory.
pub(super) fn load(config: &Config) -> Result<Dataset> {
    Ok(data::load_for_training(&config.data, &config.reading, needs_memory(config))?)
}

/// The first of the options that need the rows in memory.
fn needs_memory(config: &Config) -> Option<&'static str> {
    let reading = &config.reading;
    let found = [
        (reading.labels.is_some(), "--labels"),
        (reading.task == Some(TaskKind::Multilabel), "--task multilabel"),
        (reading.group.is_some(), "--group"),
        (reading.exclude.is_some(), "--exclude"),
        (reading.user.is_some(), "--user"),
        (config.bag > 0, "--bag"),
        (config.folds.is_some(), "--folds"),
        (config.split.is_some(), "--split"),
        (config.teacher.is_some(), "--teacher"),
        (config.train_list.is_some(), "--train-list"),
        (config.validation_list.is_some(), "--validation-list"),
        (config.test_list.is_some(), "--test-list"),
        (config.feedback.is_some(), "--feedback"),
        (config.sampling != Sampling::Shuffled, "--sampling"),
        (config.training.head_only, "--head-only"),
    ];
    found.into_iter().find(|(is_given, _)| *is_given).map(|(_, name)| name)
}
