//! FT-Transformer (Gorishniy et al., "Revisiting Deep Learning Models for Tabular Data", 2021): each column of a table is a token
//! of a transformer.

use tch::nn;

use super::columns::check_table;
use super::{Architecture, NumberOption, Options};
use crate::error::{Error, Result};
use crate::model::Task;
use crate::model::layer::{
    ColumnTokens, Dropout, LayerNorm, Linear, PrefixTokens, ReGlu, Relu, SelectElement, SelfAttention,
    Sequential,
};

/// The architecture.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "ft-transformer",
    summary: "FT-Transformer: a token for each column, multi-head self-attention; for tables",
    options: &[
        NumberOption::whole("width", 64, (2, 4096), "size of a token"),
        NumberOption::whole("depth", 3, (1, 48), "encoder blocks"),
        NumberOption::whole("heads", 8, (1, 64), "attention heads; must divide the width"),
        NumberOption::dropout(0.1),
    ],
    build,
};

/// Added to the variance in layer normalization, as in PyTorch.
const EPS: f64 = 1e-5;

fn build(path: &nn::Path, task: &Task, options: &Options) -> Result<Sequential> {
    check_table(task, ARCHITECTURE.name)?;
    let (width, heads) = (options.whole("width"), options.whole("heads"));
    if width % heads != 0 {
        let problem = format!(
            "the options of the model {}: heads={heads} does not divide width={width}",
            ARCHITECTURE.name
        );
        return Err(Error::Usage(problem));
    }
    let mut layers = Sequential::default()
        .then("tokens", ColumnTokens::new(&(path / "tokens"), task, width))
        .then("class_token", PrefixTokens::normal(path, "class_token", 1, width));
    for index in 1..=options.whole("depth") {
        let name = format!("block{index}");
        let block = block(&(path / &name), (width, heads), options.number("dropout"), index == 1);
        layers = layers.then(name, block);
    }
    Ok(layers
        .then("class", SelectElement(0))
        .then("norm", LayerNorm::with_eps(&(path / "norm"), width, EPS))
        .then("relu", Relu)
        .then("head", Linear::new(&(path / "head"), width, task.classes)))
}

/// An encoder block with normalization before attention, except in the first one, and a gated feed-forward network.
fn block(path: &nn::Path, (width, heads): (i64, i64), dropout: f64, is_first: bool) -> Sequential {
    let inside = width * 4 / 3;
    let mut attend = Sequential::default();
    if !is_first {
        attend = attend.then("norm1", LayerNorm::with_eps(&(path / "norm1"), width, EPS));
    }
    let attention = SelfAttention::new(&(path / "attention"), width, heads, dropout);
    let feed_forward = Sequential::default()
        .then("norm2", LayerNorm::with_eps(&(path / "norm2"), width, EPS))
        .then("fc1", Linear::new(&(path / "fc1"), width, 2 * inside))
        .then("reglu", ReGlu)
        .then("dropout", Dropout(dropout))
        .then("fc2", Linear::new(&(path / "fc2"), inside, width));
    Sequential::default()
        .then_sum(attend.then("attention", attention), Sequential::default())
        .then_sum(feed_forward, Sequential::default())
}
