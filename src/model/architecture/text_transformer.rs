//! A transformer encoder for texts, from random weights.

use tch::nn;

use super::texts::{check_text, rows_option};
use super::{Architecture, NumberOption, Options};
use crate::error::{Error, Result};
use crate::model::Task;
use crate::model::layer::{EncoderSize, Linear, Sequential, TextEncoder};

/// The architecture.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "transformer",
    summary: "pre-norm transformer encoder with rotary positions; for texts",
    options: &[
        rows_option(1 << 16),
        NumberOption::whole("width", 128, (2, 4096), "size of a token"),
        NumberOption::whole("depth", 2, (1, 48), "encoder blocks"),
        NumberOption::whole("heads", 4, (1, 64), "attention heads; twice their number must divide the width"),
        NumberOption::dropout(0.1),
    ],
    build,
};

fn build(path: &nn::Path, task: &Task, options: &Options) -> Result<Sequential> {
    check_text(task, ARCHITECTURE.name)?;
    let size = EncoderSize {
        rows: options.whole("rows"),
        width: options.whole("width"),
        depth: options.whole("depth"),
        heads: options.whole("heads"),
        dropout: options.number("dropout"),
    };
    if size.width % (2 * size.heads) != 0 {
        return Err(Error::Usage(format!(
            "the options of the model {}: twice heads={} does not divide width={}",
            ARCHITECTURE.name, size.heads, size.width
        )));
    }
    Ok(Sequential::default()
        .then("text", TextEncoder::new(&(path / "text"), task, size))
        .then("fc", Linear::new(&(path / "fc"), size.width, task.classes)))
}
