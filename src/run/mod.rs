//! A run from end to end: data, split, preprocessing, training, evaluation, export. A run is a folder:
//!
//! ```text
//! runs/digits-mlp-1/
//!   config.toml    every option, and under [record] the versions and the data's fingerprint
//!   split.csv      which example of the data is in which part
//!   metrics.csv    a row an epoch
//!   checkpoints/   last.safetensors, best.safetensors
//!   model.pt       the TorchScript export of the best checkpoint
//!   report.html    what there is to see of it, if it was asked for
//!   .lock          who writes into the folder, while somebody does
//! ```

mod categories;
pub mod date;
mod examples;
mod feeds;
pub mod fine_tune;
mod finished;
mod folder;
mod folds;
mod label_errors;
mod prepared;
mod smallest_batch;
mod trainer;
mod verdict;
mod writer;

use std::path::Path;

use tch::Tensor;

use crate::distributed::World;
use crate::error::{Error, Result, guard};
use crate::evaluate::{Keep, evaluate};
use crate::export::{self, Found, Metadata};
use crate::loader::HeldOutFeed;
use crate::model::Network;
use crate::options::Config;
use crate::train::checkpoint::{Best, Checkpoint, Position};
use crate::train::{
    Callback, Checkpoints, Data, EarlyStopping, Ending, MetricsLog, Silent, TimeLimit, Training,
};
pub use examples::Examples;
pub use finished::Finished;
pub use folder::RunFolder;
pub(crate) use folder::{EVENT_FILE, claim_named};
pub use folds::{CrossValidation, FoldFigures, Spread, spread};
pub use label_errors::{LabelErrors, find_label_errors};
pub use prepared::{MakeNetwork, Prepared};
pub use trainer::{Fitted, Trainer};
pub use writer::Writer;

/// A run that is ready to train.
pub struct Run {
    /// Its options.
    pub config: Config,
    /// Its folder.
    pub folder: RunFolder,
    /// Its data and its model.
    pub prepared: Prepared,
    /// The processes that train it.
    pub world: World,
    training: Training,
    /// Of the process that writes.
    writer: Option<Writer>,
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
    /// Why training ended before its last epoch, if it did.
    pub stopped_early: Option<String>,
    /// What is wrong with the result, and what to try, if it diverged or is not better than the majority class.
    pub concern: Option<String>,
}

/// How a run ended.
pub enum Outcome {
    /// All epochs are done and the model is exported.
    Trained(Box<Trained>),
    /// All epochs are done, and another process exports the model.
    Helped,
    /// It was asked to stop in this epoch, after this step, and can be resumed.
    Interrupted {
        /// The epoch under way, from 1.
        epoch: u32,
        /// The steps of it that are done.
        step: usize,
    },
}

/// Begins a run in a new folder: `out`, or the next free one below `runs/`. All processes of `world` must call it.
///
/// # Errors
/// Options, data or folders that cannot be used; the folder is then not made.
pub fn start(config: &Config, out: Option<&Path>, world: &World) -> Result<Run> {
    start_with(config, out, world, &prepared::named(config))
}

/// The same with a model that `make` makes. `config.model` is `own:` and a name for it.
pub fn start_with(config: &Config, out: Option<&Path>, world: &World, make: MakeNetwork) -> Result<Run> {
    world.attempt(|| {
        guard(|| {
            let prepared = Prepared::with(config, world, make)?;
            let settled = prepared.corrections.as_ref().map(|corrections| corrections.settle(config));
            begin(settled.as_ref().unwrap_or(config), out, world, prepared)
        })
    })
}

fn begin(config: &Config, out: Option<&Path>, world: &World, prepared: Prepared) -> Result<Run> {
    world.same("options", &config.to_toml())?;
    let mut writer = None;
    let path = world.told_by_first(|| {
        let folder = RunFolder::create(out, config)?;
        writer = Some(folder.writer()?);
        folder.write_config(config, &prepared)?;
        folder.write_split(&prepared)?;
        Ok(folder.path().to_string_lossy().into_owned())
    })?;
    tracing::info!(folder = %path, "began a run");
    Run::new(config, RunFolder::at(Path::new(&path)), prepared, world, writer)
}

/// Goes on with a run from its last checkpoint. `config` is the run's own, perhaps with more epochs or another device.
///
/// # Errors
/// A folder without a checkpoint, and data that has changed since.
pub fn resume(config: &Config, folder: RunFolder, world: &World) -> Result<Run> {
    resume_with(config, folder, world, &prepared::named(config))
}

/// The same with a model that `make` makes.
pub fn resume_with(config: &Config, folder: RunFolder, world: &World, make: MakeNetwork) -> Result<Run> {
    let resume = || {
        refuse_unbegun(&folder)?;
        let writer = sole_writer(&folder, world)?;
        let config = &settled(config, &folder)?;
        let prepared = Prepared::again_with(config, &folder, world, make)?;
        go_on(config, folder, prepared, world, writer)
    };
    world.attempt(|| guard(resume))
}

/// Goes on with the run in the folder `path`, or begins it there if it has no checkpoint yet. `config` is the run's own.
pub(crate) fn start_or_go_on(config: &Config, path: &Path) -> Result<Run> {
    match RunFolder::open(path) {
        Ok(folder) if folder.last_checkpoint().is_file() => resume(config, folder, &World::alone()),
        _ => {
            RunFolder::clear_unbegun(path)?;
            start(config, Some(path), &World::alone())
        }
    }
}

/// The options with as many corrections as the run was begun with: the set may have grown.
fn settled(config: &Config, folder: &RunFolder) -> Result<Config> {
    if config.feedback.is_none() {
        return Ok(config.clone());
    }
    let begun = Config::read(&folder.config_file())?;
    Ok(Config {
        feedback_rows: config.feedback_rows.or(begun.feedback_rows),
        feedback_weight: config.feedback_weight.or(begun.feedback_weight),
        accept_contradictions: config.accept_contradictions.or(begun.accept_contradictions),
        ..config.clone()
    })
}

fn refuse_unbegun(folder: &RunFolder) -> Result<()> {
    if folder.last_checkpoint().is_file() {
        return Ok(());
    }
    let problem = "the run has no checkpoint yet, so there is nothing to go on from; start it again";
    Err(Error::artifact(folder.path(), problem))
}

/// The right of process 0 to write into the folder of a run; the others write nothing.
fn sole_writer(folder: &RunFolder, world: &World) -> Result<Option<Writer>> {
    let mut writer = None;
    world.told_by_first(|| {
        writer = Some(folder.writer()?);
        Ok(String::new())
    })?;
    Ok(writer)
}

fn go_on(
    config: &Config,
    folder: RunFolder,
    prepared: Prepared,
    world: &World,
    writer: Option<Writer>,
) -> Result<Run> {
    let mut run = Run::new(config, folder, prepared, world, writer)?;
    run.training.resume(&mut run.prepared.network)?;
    // Told by the first, so that none goes on before all have read the checkpoint's folder as it was.
    world.told_by_first(|| {
        run.folder.clear_partial()?;
        run.folder.write_config(config, &run.prepared)?;
        Ok(String::new())
    })?;
    let position = run.training.position();
    tracing::info!(epoch = position.epoch, step = position.step, "went on from the last checkpoint");
    Ok(run)
}

/// Trains a run to its end, or until `stop` says so after a step, and exports the best model.
pub fn finish(run: Run, callback: &mut dyn Callback, stop: &dyn Fn() -> bool) -> Result<Outcome> {
    let Run { config, folder, mut prepared, mut training, world, writer: _writer } = run;
    let ending =
        world.attempt(|| guard(|| train(&config, &folder, &mut prepared, &mut training, callback, stop)))?;
    let position = training.position();
    if ending == Ending::Paused {
        return Ok(Outcome::Interrupted { epoch: position.epoch, step: position.step });
    }
    if !world.is_first() {
        return Ok(Outcome::Helped);
    }
    guard(|| {
        let best = position.best.ok_or_else(|| {
            Error::Diverged(format!(
                "no epoch of {} has a finite validation loss, so there is no model to export. A lower --lr or --clip 1 often helps",
                folder.path().display()
            ))
        })?;
        load_weights(&mut prepared.network, &folder.best_checkpoint())?;
        let (metadata, found) = write_model(&config, &prepared, best.epoch, &folder.model())?;
        let records = MetricsLog::so_far(&folder.metrics())?;
        let concern = verdict::concern(&config, &records, &found.held_out, &metadata.classes);
        let stopped_early = training.stopped_early();
        Ok(Outcome::Trained(Box::new(Trained { best, found, metadata, prepared, stopped_early, concern })))
    })
}

/// Trains to the end, with the callbacks that every run has.
fn train(
    config: &Config,
    folder: &RunFolder,
    prepared: &mut Prepared,
    training: &mut Training,
    callback: &mut dyn Callback,
    stop: &dyn Fn() -> bool,
) -> Result<Ending> {
    let Prepared { network, train, held_out, share, dataset, split, .. } = prepared;
    let options = &config.training;
    let mut log = match training.world().is_first() {
        true => Some(MetricsLog::open(&folder.metrics(), training.position().epoch - 1)?),
        false => None,
    };
    let spent = log.as_ref().map_or(0., MetricsLog::spent);
    if !training.has_begun() {
        training.save_last(network)?;
    }
    let name = |place: usize| dataset.names.name(split.train[place] as usize);
    let held_out = share.as_ref().unwrap_or(held_out);
    let data = Data { train: &**train, held_out: &**held_out, name: &name };
    let mut checkpoints = Checkpoints::new(options.checkpoint_minutes, stop);
    let mut patience = EarlyStopping { patience: options.patience };
    let mut limit = TimeLimit::new(options.max_minutes, spent);
    let mut silent = Silent;
    let log: &mut dyn Callback = match &mut log {
        Some(log) => log,
        None => &mut silent,
    };
    let callbacks: &mut [&mut dyn Callback] =
        &mut [log, callback, &mut checkpoints, &mut patience, &mut limit];
    training.run(network, &data, callbacks).map_err(advise_on_memory(config))
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
    /// How far it has come.
    pub fn position(&self) -> &Position {
        self.training.position()
    }

    /// Whether it is finished, with its model written, so that nothing is left to train. All its processes must ask.
    pub fn is_finished(&self) -> Result<bool> {
        let has_model = self.world.told_by_first(|| Ok(self.folder.has_current_model().to_string()))?;
        Ok(self.training.is_over() && has_model == "true")
    }

    /// That a finished run is finished, and how it can go on.
    pub fn account_of_end(&self) -> String {
        let (run, epochs) = (self.folder.path().display(), self.training.position().epoch - 1);
        let reason = match self.training.stopped_early() {
            Some(reason) => reason,
            None => format!("its {epochs} epochs are done"),
        };
        let remedy = match self.training.schedule_has_end() {
            true => format!(
                "its learning rate ends with its last epoch, so to train on, begin a new run: cresset train --config {} --init {}",
                self.folder.config_file().display(),
                self.folder.best_checkpoint().display()
            ),
            false => format!("to train on: cresset train --resume {run} --epochs N, with N above {epochs}"),
        };
        format!("the run is finished ({reason}) and stays as it is; {remedy}")
    }

    fn new(
        config: &Config,
        folder: RunFolder,
        prepared: Prepared,
        world: &World,
        writer: Option<Writer>,
    ) -> Result<Self> {
        let mut plan = config.plan(prepared.class_weights.clone());
        plan.identity.insert("the data's SHA-256".to_string(), prepared.dataset.sha256.clone());
        if let Some(corrections) = &prepared.corrections {
            plan.identity.insert("the feedback's SHA-256".to_string(), corrections.sha256.clone());
        }
        if let Some(sha256) = prepared.network.fingerprint() {
            plan.identity.insert("the model file's SHA-256".to_string(), sha256.to_string());
        }
        let training = Training::new(plan, &prepared.network, folder.checkpoints())?.among(world);
        Ok(Run { config: config.clone(), folder, prepared, world: world.clone(), training, writer })
    }
}

/// Gives a network the weights of a checkpoint.
pub(crate) fn load_weights(network: &mut Network, path: &Path) -> Result<Position> {
    let checkpoint = Checkpoint::load(path)?;
    network.load_state(&checkpoint.group("")).map_err(|problem| Error::artifact(path, problem))?;
    Ok(checkpoint.position)
}

/// Measures a model of the run on its held-out rows, and on its test rows if there are any. `logits` takes preprocessed inputs
/// on the run's device, and gives logits there.
pub(crate) fn found(
    prepared: &Prepared,
    epoch: u32,
    logits: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<Found> {
    let classes = prepared.dataset.classes.len();
    let measure = |feed: &dyn HeldOutFeed| evaluate(feed, classes, Keep::Scores, &logits);
    let held_out = measure(&*prepared.held_out)?;
    let test = prepared.test.as_deref().map(measure).transpose()?;
    Ok(Found { epoch, held_out, test })
}

fn write_model(config: &Config, prepared: &Prepared, epoch: u32, path: &Path) -> Result<(Metadata, Found)> {
    let Prepared { dataset, split, preprocessing, network, .. } = prepared;
    let found = found(prepared, epoch, |inputs| network.forward(inputs, false))?;
    let metadata = Metadata::new(config, dataset, split, preprocessing, &found);
    let samples = prepared.samples(config)?;
    let module = network.script(&export::dress(preprocessing, &metadata))?;
    export::torchscript(module, &metadata, &samples, path)?;
    tracing::info!(file = %path.display(), epoch, "exported the model");
    Ok((metadata, found))
}

/// Says what to do when the memory of a GPU does not suffice.
fn advise_on_memory(config: &Config) -> impl Fn(Error) -> Error {
    let (batch, accumulate) = (config.batch_size, config.training.accumulate);
    move |error| match error {
        Error::Libtorch(problem) if problem.0.contains("out of memory") => Error::Memory(format!(
            "the memory of the device does not suffice for batches of {batch}. The same steps in less memory: \
             --batch-size {} --accumulate {}; --precision bf16 saves memory too ({problem})",
            (batch / 2).max(1),
            accumulate * 2,
        )),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_without_memory_is_answered_with_smaller_batches() {
        let config = Config { batch_size: 256, ..Config::default() };
        let problem =
            Error::Libtorch(cresset_bridge::Error("CUDA out of memory. Tried to allocate 2 GiB".into()));
        let advice = advise_on_memory(&config)(problem).to_string();
        assert!(advice.contains("--batch-size 128 --accumulate 2") && advice.contains("2 GiB"), "{advice}");
    }
}
