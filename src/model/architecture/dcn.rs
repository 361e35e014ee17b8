//! DCN v2 (Wang et al., "DCN V2: Improved Deep & Cross Network", 2021): cross layers, then a multilayer perceptron.

use tch::nn;

use super::columns::{EMBEDDING, FREQUENCIES, bins_option, check_table, columns};
use super::mlp::hidden_layers;
use super::{Architecture, NumberOption, Options};
use crate::error::Result;
use crate::model::Task;
use crate::model::layer::{CrossNetwork, Linear, Sequential};

/// The architecture.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "dcn",
    summary: "DCN v2: products of features by cross layers, then a perceptron; for tables",
    options: &[
        NumberOption::whole("cross", 2, (1, 16), "cross layers"),
        NumberOption::whole("width", 128, (1, 65_536), "units of a hidden layer"),
        NumberOption::whole("depth", 2, (0, 32), "hidden layers"),
        NumberOption::dropout(0.1),
        bins_option(0),
        FREQUENCIES,
        EMBEDDING,
    ],
    build,
};

fn build(path: &nn::Path, task: &Task, options: &Options) -> Result<Sequential> {
    check_table(task, ARCHITECTURE.name)?;
    let columns = columns(path, task, options);
    let inputs = columns.outputs();
    let cross = CrossNetwork::new(&(path / "cross"), inputs, options.whole("cross"));
    let layers = Sequential::default().then("columns", columns).then("cross", cross);
    let (layers, inputs) = hidden_layers(layers, path, inputs, options);
    Ok(layers.then("head", Linear::new(&(path / "head"), inputs, task.classes)))
}
