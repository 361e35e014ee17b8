//! Options and checks that the models of tables share.

use super::{NumberOption, Options};
use crate::error::{Error, Result};
use crate::model::Task;
use crate::model::layer::NumberEmbedding;

/// The option for the bins of piecewise-linear embeddings.
pub const fn bins_option(default: i64) -> NumberOption {
    NumberOption::whole("bins", default, (0, 1024), "bins of piecewise-linear embeddings of numbers; 0: none")
}

/// The option for the frequencies of periodic embeddings.
pub const FREQUENCIES: NumberOption = NumberOption::whole(
    "frequencies",
    0,
    (0, 1024),
    "frequencies of periodic embeddings of numbers, instead of bins",
);

/// The option for the size of an embedding.
pub const EMBEDDING: NumberOption =
    NumberOption::whole("embedding", 8, (1, 1024), "values of the embedding of a number");

/// The embedding of numbers in the options.
pub fn embedding(options: &Options) -> NumberEmbedding {
    let width = options.whole("embedding");
    match (options.whole("frequencies"), options.whole("bins")) {
        (0, 0) => NumberEmbedding::None,
        (0, bins) => NumberEmbedding::Piecewise { width, bins },
        (frequencies, _) => NumberEmbedding::Periodic { width, frequencies },
    }
}

/// Rejects images.
///
/// # Errors
/// A task with images as examples.
pub fn check_table(task: &Task, model: &str) -> Result<()> {
    match task.input.image() {
        None => Ok(()),
        Some(_) => Err(Error::Usage(format!(
            "the model {model} is for tables, but the examples are images of {}; use `--model cnn`",
            task.input
        ))),
    }
}
