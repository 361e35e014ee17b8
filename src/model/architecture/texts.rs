//! Options and checks that the models of texts share.

use super::NumberOption;
use crate::data::column::FeatureGroup;
use crate::error::{Error, Result};
use crate::model::Task;

/// Whether the examples of a task are texts: token ids and nothing else.
pub fn is_text(task: &Task) -> bool {
    !task.groups.is_empty() && task.groups.iter().all(|group| matches!(group, FeatureGroup::Tokens { .. }))
}

/// Rejects examples that are not texts.
///
/// # Errors
/// A task with images or rows of numbers and categories as examples.
pub fn check_text(task: &Task, model: &str) -> Result<()> {
    if is_text(task) {
        return Ok(());
    }
    let other = if task.input.image().is_some() { "cnn" } else { "tabm" };
    Err(Error::Usage(format!(
        "the model {model} is for texts, but the examples are {}; select a text column with --text, or use `--model {other}`",
        task.input
    )))
}

/// Rejects texts.
///
/// # Errors
/// A task with texts as examples.
pub fn reject_text(task: &Task, model: &str) -> Result<()> {
    let has_text = task.groups.iter().any(|group| matches!(group, FeatureGroup::Tokens { .. }));
    match has_text {
        false => Ok(()),
        true => Err(Error::Usage(format!(
            "the model {model} is not for texts; use `--model bow`, textcnn, lstm, gru or transformer, or --pretrained"
        ))),
    }
}

/// The option for the number of vectors of tokens.
pub const fn rows_option(default: i64) -> NumberOption {
    NumberOption::whole("rows", default, (16, 1 << 24), "vectors of tokens, which they share by a hash")
}

/// The option for the size of a vector.
pub const fn width_option(default: i64) -> NumberOption {
    NumberOption::whole("width", default, (1, 4096), "values of the vector of a token")
}
