//! The multilayer perceptron of the textbook: flatten, a hidden layer with ReLU, a linear layer to the logits.

use tch::nn;

use super::layer::{Flatten, Linear, Relu, Sequential};
use super::{Architecture, Task};

/// The architecture.
pub const ARCHITECTURE: Architecture =
    Architecture { name: "mlp", summary: "flatten, 128 hidden units with ReLU, logits", build };

const HIDDEN: i64 = 128;

fn build(path: &nn::Path, task: &Task) -> Sequential {
    Sequential::default()
        .then("flatten", Flatten)
        .then("fc1", Linear::new(&(path / "fc1"), task.input.features(), HIDDEN))
        .then("relu", Relu)
        .then("fc2", Linear::new(&(path / "fc2"), HIDDEN, task.classes))
}
