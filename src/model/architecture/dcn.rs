//! DCN v2 (Wang et al., "DCN V2: Improved Deep & Cross Network", 2021): cross layers, then a multilayer perceptron.

use tch::nn;

use super::columns::{EMBEDDING, FREQUENCIES, bins_option, check_table, columns};
use super::{Architecture, NumberOption, Options};
use crate::error::Result;
use crate::model::Task;
use crate::model::layer::{CrossNetwork, Dropout, Linear, Relu, Sequential};

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
    let (width, dropout) = (options.whole("width"), options.number("dropout"));
    let columns = columns(path, task, options);
    let mut inputs = columns.outputs();
    let cross = CrossNetwork::new(&(path / "cross"), inputs, options.whole("cross"));
    let mut layers = Sequential::default().then("columns", columns).then("cross", cross);
    for layer in 1..=options.whole("depth") {
        let name = format!("fc{layer}");
        layers = layers.then(&name, Linear::new(&(path / &name), inputs, width)).then("relu", Relu);
        if dropout > 0. {
            layers = layers.then("dropout", Dropout(dropout));
        }
        inputs = width;
    }
    Ok(layers.then("head", Linear::new(&(path / "head"), inputs, task.classes)))
}
