//! Trains a custom model on the digits. Usage: own_model NEW_FOLDER

use cresset::distributed::World;
use cresset::model::{Model, Network};
use cresset::options::Config;
use cresset::run::{self, Outcome};
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

fn main() -> anyhow::Result<()> {
    let out = std::env::args().nth(1).map(std::path::PathBuf::from);
    let config = Config { model: "own:residual".to_string(), epochs: 20, ..Config::default() };
    let layer = |path: nn::Path, from, to| nn::linear(path, from, to, nn::LinearConfig::default());
    let run = run::start_with(&config, out.as_deref(), &World::alone(), &|task, device| {
        Network::of(task, device, config.seed, |path| Residual {
            hidden: layer(path / "hidden", task.input.features(), 64),
            skip: layer(path / "skip", task.input.features(), 64),
            head: layer(path / "head", 64, task.classes),
        })
    })?;
    if let Outcome::Trained(trained) = run::finish(run, &mut cresset::train::Silent, &|| false)? {
        println!("{:.2} %", 100. * trained.found.held_out.confusion.accuracy());
    }
    Ok(())
}
