//! Gated recurrent units over the rows of an image (Cho et al., 2014).

use super::Architecture;
use super::recurrent::{OPTIONS, network};
use crate::model::layer::RecurrentCell;

/// The architecture.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "gru",
    summary: "bidirectional GRU over the rows of the image or the tokens of the text",
    options: OPTIONS,
    build: |path, task, options| network(path, task, options, RecurrentCell::Gru, "gru"),
};
