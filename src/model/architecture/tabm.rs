//! TabM: an ensemble of multilayer perceptrons that share most of their weights (Gorishniy, Kotelnikov and Babenko, "TabM: Advancing
//! Tabular Deep Learning with Parameter-Efficient Ensembling", 2024).

use tch::nn;

use super::columns::{EMBEDDING, FREQUENCIES, bins_option, check_table, columns};
use super::{Architecture, NumberOption, Options};
use crate::error::Result;
use crate::model::Task;
use crate::model::layer::{
    Dropout, EnsembleHead, EnsembleLinear, InputScaling, Relu, RepeatMembers, Sequential,
};

/// The architecture.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "tabm",
    summary: "TabM: an ensemble of perceptrons with shared weights, on embeddings of numbers; for tables",
    options: &[
        NumberOption::whole("members", 32, (1, 1024), "members of the ensemble"),
        NumberOption::whole("width", 128, (1, 65_536), "units of a hidden layer"),
        NumberOption::whole("depth", 2, (1, 32), "hidden layers"),
        NumberOption::dropout(0.1),
        bins_option(16),
        FREQUENCIES,
        EMBEDDING,
    ],
    build,
};

fn build(path: &nn::Path, task: &Task, options: &Options) -> Result<Sequential> {
    check_table(task, ARCHITECTURE.name)?;
    let (members, width) = (options.whole("members"), options.whole("width"));
    let (depth, dropout) = (options.whole("depth"), options.number("dropout"));
    let columns = columns(path, task, options);
    let mut inputs = columns.outputs();
    let mut layers = Sequential::default().then("columns", columns).then("members", RepeatMembers(members));
    for layer in 1..=depth {
        let name = format!("fc{layer}");
        // Only the first layer makes the members different.
        let scaling = if layer == 1 { InputScaling::Signs } else { InputScaling::Ones };
        let linear = EnsembleLinear::new(&(path / &name), inputs, width, members, scaling);
        layers = layers.then(&name, linear).then("relu", Relu);
        if dropout > 0. {
            layers = layers.then("dropout", Dropout(dropout));
        }
        inputs = width;
    }
    let head = EnsembleHead::new(&(path / "head"), inputs, task.classes, members, task.kind);
    Ok(layers.then("head", head))
}
