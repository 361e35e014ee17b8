//! A bag of words and n-grams (Joulin et al., "Bag of Tricks for Efficient Text Classification", 2017: fastText).

use tch::nn;

use super::texts::{check_text, rows_option, width_option};
use super::{Architecture, NumberOption, Options};
use crate::error::Result;
use crate::model::Task;
use crate::model::layer::{Dropout, Linear, NgramBag, Sequential};

/// The architecture.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "bow",
    summary: "linear classifier of hashed words and n-grams, as fastText; for texts",
    options: &[
        rows_option(1 << 19),
        width_option(16),
        NumberOption::whole("ngrams", 2, (1, 5), "tokens of the longest n-grams"),
        NumberOption::dropout(0.),
    ],
    build,
};

fn build(path: &nn::Path, task: &Task, options: &Options) -> Result<Sequential> {
    check_text(task, ARCHITECTURE.name)?;
    let (rows, width) = (options.whole("rows"), options.whole("width"));
    Ok(Sequential::default()
        .then("bag", NgramBag::new(&(path / "bag"), task, rows, width, options.whole("ngrams")))
        .then("dropout", Dropout(options.number("dropout")))
        .then("fc", Linear::new(&(path / "fc"), width, task.classes)))
}
