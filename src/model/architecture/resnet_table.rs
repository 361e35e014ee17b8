//! ResNet for tables (Gorishniy et al., "Revisiting Deep Learning Models for Tabular Data", 2021): fully connected layers with
//! residual connections and batch normalization.

use tch::nn;

use super::columns::{EMBEDDING, FREQUENCIES, bins_option, check_table, columns};
use super::{Architecture, NumberOption, Options};
use crate::error::Result;
use crate::model::Task;
use crate::model::layer::{BatchNorm2d, Dropout, Linear, Relu, Sequential};

/// The architecture.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "resnet-table",
    summary: "ResNet of fully connected layers with batch normalization; for tables",
    options: &[
        NumberOption::whole("width", 128, (1, 65_536), "units between the blocks"),
        NumberOption::whole("depth", 2, (1, 64), "residual blocks of two layers"),
        NumberOption::whole("factor", 2, (1, 16), "units within a block, as a multiple of the width"),
        NumberOption::dropout(0.1),
        bins_option(0),
        FREQUENCIES,
        EMBEDDING,
    ],
    build,
};

fn build(path: &nn::Path, task: &Task, options: &Options) -> Result<Sequential> {
    check_table(task, ARCHITECTURE.name)?;
    let width = options.whole("width");
    let columns = columns(path, task, options);
    let input = Linear::new(&(path / "input"), columns.outputs(), width);
    let mut layers = Sequential::default().then("columns", columns).then("input", input);
    for index in 1..=options.whole("depth") {
        let name = format!("block{index}");
        let block = block(&(path / &name), width, options.whole("factor") * width, options.number("dropout"));
        layers = layers.then(name, Sequential::default().then_sum(block, Sequential::default()));
    }
    Ok(layers
        .then("norm", BatchNorm2d::new(&(path / "norm"), width))
        .then("relu", Relu)
        .then("head", Linear::new(&(path / "head"), width, task.classes)))
}

/// The branch of a block: normalization, a wider layer, and a layer back to the width.
fn block(path: &nn::Path, width: i64, inside: i64, dropout: f64) -> Sequential {
    let dropped =
        |layers: Sequential| if dropout > 0. { layers.then("dropout", Dropout(dropout)) } else { layers };
    let wide = Sequential::default()
        .then("norm", BatchNorm2d::new(&(path / "norm"), width))
        .then("fc1", Linear::new(&(path / "fc1"), width, inside))
        .then("relu", Relu);
    dropped(dropped(wide).then("fc2", Linear::new(&(path / "fc2"), inside, width)))
}
