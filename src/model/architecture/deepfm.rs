//! DeepFM (Guo et al., "DeepFM: A Factorization-Machine based Neural Network for CTR Prediction", 2017): the sum of a factorization machine
//! and a multilayer perceptron, which share the vectors of the fields.

use tch::nn;

use super::columns::check_table;
use super::mlp::hidden_layers;
use super::{Architecture, NumberOption, Options};
use crate::error::Result;
use crate::model::Task;
use crate::model::layer::{ColumnTokens, FactorizationMachine, FieldVectors, Linear, Sequential};

/// The architecture.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "deepfm",
    summary: "DeepFM: products of pairs of columns by a factorization machine, and a perceptron; for tables",
    options: &[
        NumberOption::whole("factors", 8, (1, 1024), "values of the vector of a column"),
        NumberOption::whole("width", 128, (1, 65_536), "units of a hidden layer"),
        NumberOption::whole("depth", 2, (0, 32), "hidden layers"),
        NumberOption::dropout(0.1),
    ],
    build,
};

fn build(path: &nn::Path, task: &Task, options: &Options) -> Result<Sequential> {
    check_table(task, ARCHITECTURE.name)?;
    let factors = options.whole("factors");
    // Each field has its vector and its first-order term of each output.
    let fields = ColumnTokens::without_bias(&(path / "fields"), task, factors + task.classes);
    let machine = FactorizationMachine::new(&(path / "fm"), factors, task.classes);
    let inputs = fields.count() * factors;
    let vectors = Sequential::default().then("vectors", FieldVectors(factors));
    let (deep, inputs) = hidden_layers(vectors, path, inputs, options);
    let deep = deep.then("head", Linear::new(&(path / "head"), inputs, task.classes));
    Ok(Sequential::default().then("fields", fields).then_sum(Sequential::default().then("fm", machine), deep))
}
