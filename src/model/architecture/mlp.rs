//! Multilayer perceptron: flatten, hidden layers with ReLU, a linear layer for the logits.

use tch::nn;

use super::columns::codes;
use super::texts::reject_text;
use super::{Architecture, NumberOption, Options};
use crate::error::Result;
use crate::model::Task;
use crate::model::layer::{Dropout, Flatten, Linear, Relu, Sequential};

/// The architecture.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "mlp",
    summary: "multilayer perceptron: flatten, hidden layers with ReLU, logits; for images and tables",
    options: &[
        NumberOption::whole("width", 128, (1, 65_536), "units of a hidden layer"),
        NumberOption::whole("depth", 1, (0, 32), "hidden layers"),
        NumberOption::dropout(0.),
    ],
    build,
};

fn build(path: &nn::Path, task: &Task, options: &Options) -> Result<Sequential> {
    reject_text(task, ARCHITECTURE.name)?;
    let mut layers = Sequential::default().then("flatten", Flatten);
    let mut inputs = task.input.features();
    if let Some(columns) = codes(path, task) {
        inputs = columns.outputs();
        layers = layers.then("columns", columns);
    }
    let (layers, inputs) = hidden_layers(layers, path, inputs, options);
    let name = format!("fc{}", options.whole("depth") + 1);
    Ok(layers.then(&name, Linear::new(&(path / &name), inputs, task.classes)))
}

/// Appends the hidden layers `fc1`, `fc2`, … of the options `width`, `depth` and `dropout` to layers with `inputs` outputs. Returns
/// also the number of outputs.
pub fn hidden_layers(
    mut layers: Sequential,
    path: &nn::Path,
    mut inputs: i64,
    options: &Options,
) -> (Sequential, i64) {
    let (width, dropout) = (options.whole("width"), options.number("dropout"));
    for layer in 1..=options.whole("depth") {
        let name = format!("fc{layer}");
        layers = layers.then(&name, Linear::new(&(path / &name), inputs, width)).then("relu", Relu);
        if dropout > 0. {
            layers = layers.then("dropout", Dropout(dropout));
        }
        inputs = width;
    }
    (layers, inputs)
}
