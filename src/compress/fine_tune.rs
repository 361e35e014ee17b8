//! Fine-tunes a pruned network, or trains with a teacher.

use crate::error::{Error, Result};
use crate::model::Network;
use crate::options::Config;
use crate::run::RunFolder;
use crate::run::{Prepared, load_weights, training_name};
use crate::train::{Callback, Data, Training};

/// Trains a network with the options of its run, adapted in `config`, and the teacher of `prepared`, loads the weights of the epoch with the lowest validation
/// loss, and returns that epoch. Checkpoints go to a temporary folder.
pub fn fine_tune(
    config: &Config,
    prepared: &Prepared,
    network: &mut Network,
    callback: &mut dyn Callback,
) -> Result<u32> {
    let temporary = tempfile::tempdir().map_err(|e| {
        let problem = format!("cannot create a temporary folder: {e}");
        Error::artifact(&std::env::temp_dir(), problem)
    })?;
    let folder = RunFolder::create(Some(&temporary.path().join("run")), config)?;
    let plan = prepared.plan(config)?;
    let mut training = Training::new(plan, network, folder.checkpoints())?;
    if let Some(taught) = &prepared.taught {
        training = training.with_teacher(taught.distillation.clone());
    }
    let name = |place: usize| training_name(&prepared.dataset, &prepared.split, place);
    let data = Data { train: &*prepared.train, validation: &*prepared.validation, name: &name };
    training.save_last(network)?;
    training.run(network, &data, &mut [callback])?;
    let position = load_weights(network, &folder.best_checkpoint())?;
    Ok(position.best.map_or(position.epoch, |best| best.epoch))
}
