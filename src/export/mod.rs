//! A trained model as a file that other programs load.

mod metadata;
mod torchscript;

pub use metadata::{FORMAT, InputDescription, METADATA, Metadata, Metrics};
pub use torchscript::torchscript;

use std::path::Path;

use tch::Device;

use crate::config::Config;
use crate::data::{self, Part, Split};
use crate::error::{Error, Result, guard};
use crate::evaluate::evaluate;
use crate::model::{Network, Task};
use crate::run::RunFolder;
use crate::train::checkpoint::Checkpoint;
use crate::transform::Preprocessing;

/// Exports a checkpoint of a run to `output`, measured anew on the run's held-out rows.
///
/// # Errors
/// A run without that checkpoint, and data that is gone or has changed since.
pub fn checkpoint(run: &RunFolder, checkpoint: &Path, output: &Path) -> Result<Metadata> {
    guard(|| {
        let config = Config::read(&run.config_file())?;
        config.threads.apply();
        let checkpoint_of_run = Checkpoint::load(checkpoint)?;
        let dataset = data::load(&config.data)?;
        if run.data_sha256()? != dataset.sha256 {
            let problem = "the data has changed since the run, so its held-out rows cannot be found again";
            return Err(Error::artifact(&dataset.path, problem));
        }
        let split = Split::stratified(&dataset.labels, dataset.classes.len(), config.held_out, config.seed);
        let (train, held_out) = dataset.parts(&split, Device::Cpu);
        let preprocessing = Preprocessing::fit(&dataset, &train);
        let task = Task { input: dataset.shape.clone(), classes: dataset.classes.len() as i64 };
        let mut network = Network::new(&config.model, &task, Device::Cpu, config.seed)?;
        network
            .load_state(&checkpoint_of_run.group(""))
            .map_err(|problem| Error::artifact(checkpoint, problem))?;

        let held_out = Part { inputs: preprocessing.apply(&held_out.0.inputs), labels: held_out.0.labels };
        let found = evaluate(&held_out, dataset.classes.len(), |x| Ok(network.forward(x, false)))?;
        let epoch = checkpoint_of_run.position.epoch;
        let metadata = Metadata::new(&config, &dataset, &split, &preprocessing, epoch, &found);
        torchscript(&network, &preprocessing, &metadata, output)?;
        Ok(metadata)
    })
}
