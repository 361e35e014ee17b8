//! A run from end to end: data, split, preprocessing, training, evaluation, export.

mod folds;
mod label_errors;
mod prepared;

use std::path::Path;

use crate::config::Config;
use crate::error::{Error, Result, guard};
use crate::evaluate::evaluate;
use crate::export::{self, Found, Metadata};
use crate::feed::HeldOutFeed;
use crate::model::Network;
use crate::run::RunFolder;
use crate::train::checkpoint::{Best, Checkpoint};
use crate::train::{Ending, EpochRecord, MetricsLog, Observer, Plan, Running, Training};
pub use folds::{CrossValidation, FoldFigures, Spread, spread};
pub use label_errors::{LabelErrors, find_label_errors};
pub use prepared::Prepared;

/// A run that is ready to train.
pub struct Run {
    /// Its options.
    pub config: Config,
    /// Its folder.
    pub folder: RunFolder,
    /// Its data and its model.
    pub prepared: Prepared,
    training: Training,
}

/// What a complete run has to show.
pub struct Trained {
    /// The epoch whose weights were exported: the one with the least held-out loss.
    pub best: Best,
    /// The exported model on the held-out rows, and on the test rows if there are any.
    pub found: Found,
    /// What the exported file says of itself.
    pub metadata: Metadata,
    /// Data and model, with the weights that were exported.
    pub prepared: Prepared,
}

/// How a run ended.
pub enum Outcome {
    /// All epochs are done and the model is exported.
    Trained(Box<Trained>),
    /// It was asked to stop in this epoch, after this step, and can be resumed.
    Interrupted {
        /// The epoch under way, from 1.
        epoch: u32,
        /// The steps of it that are done.
        step: usize,
    },
}

/// Begins a run in a new folder: `out`, or the next free one below `runs/`.
///
/// # Errors
/// Options, data or folders that cannot be used; the folder is then not made.
pub fn start(config: &Config, out: Option<&Path>) -> Result<Run> {
    guard(|| {
        let prepared = Prepared::new(config)?;
        let folder = RunFolder::create(out, config)?;
        folder.write_config(config, &prepared.dataset, prepared.threads)?;
        folder.write_split(&prepared.dataset, &prepared.split)?;
        tracing::info!(folder = %folder.path().display(), "began a run");
        Run::new(config, folder, prepared)
    })
}

/// Goes on with a run from its last checkpoint. `config` is the run's own, perhaps with more epochs or another device.
///
/// # Errors
/// A folder without a checkpoint, and data that has changed since.
pub fn resume(config: &Config, folder: RunFolder) -> Result<Run> {
    guard(|| {
        if !folder.last_checkpoint().is_file() {
            let problem = "the run has no checkpoint yet, so there is nothing to go on from; start it again";
            return Err(Error::artifact(folder.path(), problem));
        }
        let prepared = Prepared::again(config, &folder)?;
        let mut run = Run::new(config, folder, prepared)?;
        run.training.resume(&mut run.prepared.network)?;
        run.folder.clear_partial()?;
        run.folder.write_config(config, &run.prepared.dataset, run.prepared.threads)?;
        let position = run.training.position();
        tracing::info!(epoch = position.epoch, step = position.step, "went on from the last checkpoint");
        Ok(run)
    })
}

/// Trains a run to its end, or until `stop` says so after a step, and exports the best model.
pub fn finish(run: Run, observer: &mut dyn Observer, stop: &dyn Fn() -> bool) -> Result<Outcome> {
    guard(|| {
        let Run { config, folder, mut prepared, mut training } = run;
        let mut log = MetricsLog::open(&folder.metrics(), training.position().epoch - 1)?;
        let Prepared { network, train, held_out, .. } = &prepared;
        let ending = training.run(network, &**train, &**held_out, &mut Both(&mut log, observer), stop)?;
        let position = training.position();
        if ending == Ending::Interrupted {
            return Ok(Outcome::Interrupted { epoch: position.epoch, step: position.step });
        }
        let best = position.best.ok_or_else(|| Error::artifact(folder.path(), "no epoch was completed"))?;
        load_weights(&mut prepared.network, &folder.best_checkpoint())?;
        let (metadata, found) = write_model(&config, &prepared, best.epoch, &folder.model())?;
        Ok(Outcome::Trained(Box::new(Trained { best, found, metadata, prepared })))
    })
}

/// Exports a checkpoint of a run to `output`, measured anew on the run's held-out rows.
///
/// # Errors
/// A run without that checkpoint, and data that is gone or has changed since.
pub fn export(folder: &RunFolder, checkpoint: &Path, output: &Path) -> Result<Metadata> {
    guard(|| {
        let config = Config::read(&folder.config_file())?;
        let mut prepared = Prepared::again(&config, folder)?;
        let position = load_weights(&mut prepared.network, checkpoint)?;
        // Between two steps, a checkpoint holds an epoch that is under way.
        let epoch = if position.step == 0 { position.epoch - 1 } else { position.epoch };
        let epoch =
            position.best.filter(|_| checkpoint == folder.best_checkpoint()).map_or(epoch, |best| best.epoch);
        Ok(write_model(&config, &prepared, epoch, output)?.0)
    })
}

impl Run {
    fn new(config: &Config, folder: RunFolder, prepared: Prepared) -> Result<Self> {
        let plan = Plan {
            epochs: config.epochs,
            batch_size: config.batch_size,
            lr: config.lr,
            optimizer: config.optimizer.clone(),
            seed: config.seed,
            class_weights: prepared.class_weights.clone(),
        };
        let training = Training::new(plan, &prepared.network, &folder)?;
        Ok(Run { config: config.clone(), folder, prepared, training })
    }
}

fn load_weights(network: &mut Network, path: &Path) -> Result<crate::train::checkpoint::Position> {
    let checkpoint = Checkpoint::load(path)?;
    network.load_state(&checkpoint.group("")).map_err(|problem| Error::artifact(path, problem))?;
    Ok(checkpoint.position)
}

fn write_model(config: &Config, prepared: &Prepared, epoch: u32, path: &Path) -> Result<(Metadata, Found)> {
    let Prepared { dataset, split, preprocessing, network, .. } = prepared;
    let measure = |feed: &dyn HeldOutFeed| {
        evaluate(feed, dataset.classes.len(), |inputs| Ok(network.forward(inputs, false)))
    };
    let held_out = measure(&*prepared.held_out)?;
    let test = prepared.test.as_deref().map(measure).transpose()?;
    let found = Found { epoch, held_out, test };
    let metadata = Metadata::new(config, dataset, split, preprocessing, &found);
    export::torchscript(network, preprocessing, &metadata, path)?;
    tracing::info!(file = %path.display(), epoch, "exported the model");
    Ok((metadata, found))
}

/// Two observers as one.
struct Both<'a>(&'a mut dyn Observer, &'a mut dyn Observer);

impl Observer for Both<'_> {
    fn epoch_started(&mut self, epoch: u32, epochs: u32, steps: usize) {
        self.0.epoch_started(epoch, epochs, steps);
        self.1.epoch_started(epoch, epochs, steps);
    }

    fn step(&mut self, step: usize, running: &Running) {
        self.0.step(step, running);
        self.1.step(step, running);
    }

    fn epoch_ended(&mut self, record: &EpochRecord) -> Result<()> {
        self.0.epoch_ended(record)?;
        self.1.epoch_ended(record)
    }
}
