//! A convolutional network for texts (Kim, "Convolutional Neural Networks for Sentence Classification", 2014).

use tch::nn;

use super::texts::{check_text, rows_option, width_option};
use super::{Architecture, NumberOption, Options};
use crate::error::Result;
use crate::model::Task;
use crate::model::layer::{Dropout, Linear, Sequential, TextConvolution};

/// The architecture.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "textcnn",
    summary: "convolutions over 3, 4 and 5 tokens and their maximum; for texts",
    options: &[
        rows_option(1 << 16),
        width_option(64),
        NumberOption::whole("filters", 64, (1, 4096), "filters of each size"),
        NumberOption::dropout(0.5),
    ],
    build,
};

fn build(path: &nn::Path, task: &Task, options: &Options) -> Result<Sequential> {
    check_text(task, ARCHITECTURE.name)?;
    let (rows, width, filters) = (options.whole("rows"), options.whole("width"), options.whole("filters"));
    Ok(Sequential::default()
        .then("text", TextConvolution::new(&(path / "text"), task, rows, width, filters))
        .then("dropout", Dropout(options.number("dropout")))
        .then("fc", Linear::new(&(path / "fc"), 3 * filters, task.classes)))
}
