//! Trains a custom model on the digits. Usage: own_model NEW_FOLDER

use cresset::prelude::*;
use tch::Tensor;
use tch::nn::{self, Module};

/// A hidden layer with a linear skip connection.
struct Residual {
    hidden: nn::Linear,
    skip: nn::Linear,
    head: nn::Linear,
}

impl Model for Residual {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let x = x.flatten(1, -1);
        let sum = self.hidden.forward(&x).relu() + self.skip.forward(&x);
        self.head.forward(&sum.dropout(0.1, train))
    }
}

fn main() -> Result<()> {
    let layer = |path: nn::Path, from, to| nn::linear(path, from, to, nn::LinearConfig::default());
    let build = |path: &nn::Path, task: &Task| Residual {
        hidden: layer(path / "hidden", task.input.features(), 64),
        skip: layer(path / "skip", task.input.features(), 64),
        head: layer(path / "head", 64, task.classes),
    };
    let options = Config { epochs: 20, ..Config::default() };
    let trainer = Trainer::new("digits").options(options).model("residual", build);
    let trainer = std::env::args().nth(1).into_iter().fold(trainer, Trainer::out);
    println!("{:.2} %", 100. * trainer.fit()?.validation().accuracy());
    Ok(())
}
