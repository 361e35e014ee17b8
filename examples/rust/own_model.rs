//! Trains a model of one's own on the digits. Usage: own_model NEW_FOLDER

use cresset::distributed::World;
use cresset::model::{Model, Network};
use cresset::options::Config;
use cresset::run::{self, Outcome};
use tch::Tensor;
use tch::nn::{self, Module};

/// A hidden layer, and a short way around it.
struct Highway {
    hidden: nn::Linear,
    around: nn::Linear,
    head: nn::Linear,
}

impl Model for Highway {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let x = x.flatten(1, -1);
        let both = self.hidden.forward(&x).relu() + self.around.forward(&x);
        self.head.forward(&both.dropout(0.1, train))
    }
}

fn main() -> anyhow::Result<()> {
    let out = std::env::args().nth(1).map(std::path::PathBuf::from);
    let config = Config { model: "own:highway".to_string(), epochs: 20, ..Config::default() };
    let layer = |path: nn::Path, from, to| nn::linear(path, from, to, nn::LinearConfig::default());
    let run = run::start_with(&config, out.as_deref(), &World::alone(), &|task, device| {
        Network::of(task, device, config.seed, |path| Highway {
            hidden: layer(path / "hidden", task.input.features(), 64),
            around: layer(path / "around", task.input.features(), 64),
            head: layer(path / "head", 64, task.classes),
        })
    })?;
    if let Outcome::Trained(trained) = run::finish(run, &mut cresset::train::Silent, &|| false)? {
        println!("{:.2} %", 100. * trained.found.held_out.confusion.accuracy());
    }
    Ok(())
}
