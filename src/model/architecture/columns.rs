//! Options and checks that the models of tables share.

use tch::nn;

use super::texts::reject_text;
use super::{NumberOption, Options};
use crate::data::column::FeatureGroup;
use crate::error::{Error, Result};
use crate::model::Task;
use crate::model::layer::{ColumnEmbedding, NumberEmbedding};

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
pub const EMBEDDING: NumberOption = NumberOption::whole(
    "embedding",
    8,
    (1, 1024),
    "values of the embedding of a number, or of a category among many",
);

/// The layer `columns` with the embeddings in the options.
pub fn columns(path: &nn::Path, task: &Task, options: &Options) -> ColumnEmbedding {
    let width = options.whole("embedding");
    let numbers = match (options.whole("frequencies"), options.whole("bins")) {
        (0, 0) => NumberEmbedding::None,
        (0, bins) => NumberEmbedding::Piecewise { width, bins },
        (frequencies, _) => NumberEmbedding::Periodic { width, frequencies },
    };
    ColumnEmbedding::new(&(path / "columns"), task, numbers, width)
}

/// The layer `columns` of a model without embeddings of numbers, where categories are given by their index.
pub fn codes(path: &nn::Path, task: &Task) -> Option<ColumnEmbedding> {
    let has_codes = task.groups.iter().any(|group| matches!(group, FeatureGroup::Code { .. }));
    has_codes.then(|| ColumnEmbedding::new(&(path / "columns"), task, NumberEmbedding::None, CODE_WIDTH))
}

/// Values of the embedding of a category.
const CODE_WIDTH: i64 = 8;

/// Rejects images.
///
/// # Errors
/// A task with images as examples.
pub fn check_table(task: &Task, model: &str) -> Result<()> {
    reject_text(task, model)?;
    match task.input.image() {
        None => Ok(()),
        Some(_) => Err(Error::Usage(format!(
            "the model {model} is for tables, but the examples are images of {}; use `--model cnn`",
            task.input
        ))),
    }
}
