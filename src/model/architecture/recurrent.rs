//! Common code of the recurrent models, which read the rows of the image or the tokens of the text as a sequence, in both directions.

use tch::nn;

use super::texts::is_text;
use super::{NumberOption, Options, image};
use crate::error::Result;
use crate::model::Task;
use crate::model::layer::{
    Dropout, Linear, Recurrent, RecurrentCell, RowSequence, SequenceMean, Sequential, TextRecurrent,
};

/// Options of the recurrent models.
pub const OPTIONS: &[NumberOption] = &[
    NumberOption::whole("width", 128, (1, 4096), "size of the hidden state"),
    NumberOption::whole("depth", 2, (1, crate::model::layer::MOST_LAYERS), "stacked layers"),
    NumberOption::dropout(0.2),
];

/// Vectors of tokens, which they share by a hash.
const VECTORS: i64 = 1 << 16;

/// The network for a kind of cell, over the rows of an image or the tokens of a text. The classifier uses the mean over the sequence, which gives every row a short gradient
/// path.
pub fn network(
    path: &nn::Path,
    task: &Task,
    options: &Options,
    cell: RecurrentCell,
    name: &str,
) -> Result<Sequential> {
    let (hidden, depth, dropout) =
        (options.whole("width"), options.whole("depth"), options.number("dropout"));
    if is_text(task) {
        let size = (hidden, depth);
        let text = TextRecurrent::new(&(path / "text"), task, cell, (VECTORS, hidden), size, dropout);
        return Ok(Sequential::default()
            .then("text", text)
            .then("dropout", Dropout(dropout))
            .then("fc", Linear::new(&(path / "fc"), 2 * hidden, task.classes)));
    }
    let [channels, _, width] = image(task, name)?;
    let recurrent = Recurrent::new(&(path / "rnn"), cell, channels * width, hidden, depth, dropout);
    Ok(Sequential::default()
        .then("rows", RowSequence)
        .then("rnn", recurrent)
        .then("mean", SequenceMean)
        .then("dropout", Dropout(dropout))
        .then("fc", Linear::new(&(path / "fc"), 2 * hidden, task.classes)))
}
