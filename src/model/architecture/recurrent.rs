//! What the recurrent models have in common: the rows of the image, from top to bottom and back, as a sequence.

use tch::nn;

use super::{NumberOption, Options, image};
use crate::error::Result;
use crate::model::Task;
use crate::model::layer::{Average, Cell, Dropout, Linear, Recurrent, Rows, Sequential};

/// The options of each of them.
pub const OPTIONS: &[NumberOption] = &[
    NumberOption::whole("width", 128, (1, 4096), "values of a state"),
    NumberOption::whole("depth", 2, (1, crate::model::layer::MOST_LAYERS), "layers on top of each other"),
    NumberOption::dropout(0.2),
];

/// The network around such cells. What the class is read from is the mean over the sequence, which each row reaches on a
/// short way.
pub fn network(
    path: &nn::Path,
    task: &Task,
    options: &Options,
    cell: Cell,
    name: &str,
) -> Result<Sequential> {
    let [channels, _, width] = image(task, name)?;
    let (hidden, depth, dropout) =
        (options.whole("width"), options.whole("depth"), options.number("dropout"));
    let recurrent = Recurrent::new(&(path / "rnn"), cell, channels * width, hidden, depth, dropout);
    Ok(Sequential::default()
        .then("rows", Rows)
        .then("rnn", recurrent)
        .then("mean", Average)
        .then("dropout", Dropout(dropout))
        .then("fc", Linear::new(&(path / "fc"), 2 * hidden, task.classes)))
}
