//! Long short-term memory over the rows of an image (Hochreiter and Schmidhuber, 1997).

use super::Architecture;
use super::recurrent::{OPTIONS, network};
use crate::model::layer::RecurrentCell;

/// The architecture.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "lstm",
    summary: "bidirectional LSTM over the rows of the image or the tokens of the text",
    options: OPTIONS,
    build: |path, task, options| network(path, task, options, RecurrentCell::Lstm, "lstm"),
};
