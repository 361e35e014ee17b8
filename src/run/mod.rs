//! A run: read and split data, preprocess, train, evaluate, export. The run folder:
//!
//! ```text
//! runs/digits-mlp-1/
//!   config.toml    all options, and in [record] the versions and the SHA-256 of the data
//!   split.csv      the part of each example
//!   tokenizer.json the tokenizer of texts, if it has a vocabulary
//!   metrics.csv    one row per epoch
//!   checkpoints/   last.safetensors, best.safetensors
//!   model.pt       the TorchScript export of the best checkpoint
//!   report.html    the HTML report, if requested
//!   mlflow.jsonl   what is reported to MLflow, if requested, and mlflow-state.json
//!   .lock          the process that writes to the folder
//! ```

mod bag;
mod batch_norm_check;
mod categories;
pub mod date;
mod download;
pub(crate) mod drift;
pub mod embedding;
mod examples;
pub mod features;
mod feeds;
pub mod fine_tune;
mod finished;
mod folder;
mod folds;
mod head_only;
mod joined;
mod label_errors;
mod lock;
mod memory;
mod ood;
mod prepared;
mod pretrained;
mod ranked;
mod ranking;
mod recipe;
mod resolved;
mod result_check;
mod streamed;
mod task;
mod teacher;
mod text_encoder;
mod trainer;

use std::path::Path;

use tch::Tensor;

use crate::distributed::World;
use crate::error::{Error, Result, catch_panics};
use crate::evaluate::{Keep, evaluate};
use crate::export::{self, Evaluations, Metadata};
use crate::loader::EvaluationLoader;
use crate::model::{Network, Outputs};
use crate::options::Config;
use crate::train::checkpoint::{Best, Checkpoint, Position};
use crate::train::{
    Callback, Checkpoints, Data, EarlyStopping, Ending, MetricsLog, Silent, TimeLimit, Training,
};
pub use download::{download_data, download_data_on};
pub use examples::Examples;
pub use finished::FinishedRun;
#[cfg(feature = "tensorboard")]
pub(crate) use folder::EVENT_FILE;
pub(crate) use folder::create_unique;
pub use folder::{RunFolder, TOKENIZER};
pub use folds::{CrossValidation, FoldFigures, Spread, known_metrics, spread};
pub use label_errors::{LabelErrors, find_label_errors};
pub use lock::RunLock;
pub(crate) use prepared::training_name;
pub use prepared::{MakeNetwork, Prepared};
use pretrained::with_stored_pretrained;
pub use pretrained::{resolve_pretrained, resolve_pretrained_on};
pub use ranked::RankedRun;
pub use ranking::Chosen;
pub use recipe::resolve_recipe;
use recipe::with_stored_recipe;
pub use resolved::Resolved;
use resolved::SourceData;
use task::fitted_outputs;
pub use teacher::Taught;
pub use trainer::{Fitted, Trainer};

/// A run that is ready to train.
///
/// ```
/// use cresset::distributed::World;
/// use cresset::prelude::*;
/// use cresset::run;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let config = Config { data: "iris".into(), epochs: 2, ..Config::default() };
/// let run = run::start(&config, Some(&out), &World::alone())?;
/// assert_eq!((run.position().epoch, run.is_finished()?), (1, false));
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct Run {
    /// Options.
    pub config: Config,
    /// Run folder.
    pub folder: RunFolder,
    /// Data and model.
    pub prepared: Prepared,
    /// The process group.
    pub world: World,
    training: Training,
    /// The lock of the folder, on rank 0.
    lock: Option<RunLock>,
}

/// Results of a completed run.
///
/// ```
/// use cresset::distributed::World;
/// use cresset::prelude::*;
/// use cresset::run::{self, Outcome};
/// use cresset::train::Silent;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let config = Config { data: "iris".into(), epochs: 2, ..Config::default() };
/// let run = run::start(&config, Some(&out), &World::alone())?;
/// let Outcome::Trained(trained) = run::finish(run, &mut Silent, &|| false)? else { unreachable!() };
/// assert_eq!(trained.evaluations.validation.loss, trained.metadata.metrics.validation_loss);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct Trained {
    /// The exported epoch: the best one by the monitored metric.
    pub best: Best,
    /// Evaluation of the exported model on the validation set, and on the test set if there is one.
    pub evaluations: Evaluations,
    /// Metadata of the exported model.
    pub metadata: Metadata,
    /// Data and model, with the exported weights.
    pub prepared: Prepared,
    /// Reason for early stopping.
    pub stopped_early: Option<String>,
    /// A warning if training diverged or the model is not better than the majority-class baseline.
    pub concern: Option<String>,
}

/// How a run ended.
///
/// ```
/// use cresset::distributed::World;
/// use cresset::prelude::*;
/// use cresset::run::{self, Outcome};
/// use cresset::train::Silent;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let config = Config { data: "iris".into(), epochs: 2, ..Config::default() };
/// let run = run::start(&config, Some(&out), &World::alone())?;
/// match run::finish(run, &mut Silent, &|| false)? {
///     Outcome::Trained(trained) => assert!(trained.best.epoch <= 2),
///     Outcome::CompletedOnRank0 => {}
///     Outcome::Interrupted { epoch, step } => println!("stopped in epoch {epoch} after step {step}"),
/// }
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub enum Outcome {
    /// All epochs are complete and the model is exported.
    Trained(Box<Trained>),
    /// All epochs are complete, and rank 0 exports the model.
    CompletedOnRank0,
    /// Training stopped on request and can be resumed.
    Interrupted {
        /// The current epoch, from 1.
        epoch: u32,
        /// The number of complete steps in this epoch.
        step: usize,
    },
}

/// Starts a run in a new folder: `out`, or the next free one in `runs/`. Options that were not given are set by the recipe
/// ([`resolve_recipe`]). All ranks of `world` must call it.
///
/// ```
/// use cresset::distributed::World;
/// use cresset::prelude::*;
/// use cresset::run;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let config = Config { data: "iris".into(), ..Config::default() };
/// let run = run::start(&config, Some(&out), &World::alone())?;
/// assert!(run.folder.config_file().is_file());
/// // The folder is not empty now.
/// assert!(run::start(&config, Some(&out), &World::alone()).is_err());
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// If options, data or folder cannot be used. No folder is created then.
pub fn start(config: &Config, out: Option<&Path>, world: &World) -> Result<Run> {
    let resolved = world.attempt(|| Resolved::new(config, world)?.with_pretrained(world, &mut |_| {}))?;
    start_resolved(resolved, out, world)
}

/// Like [`start`], with resolved options.
///
/// # Errors
/// Those of [`start`].
pub fn start_resolved(resolved: Resolved, out: Option<&Path>, world: &World) -> Result<Run> {
    let Resolved { config, data } = resolved;
    start_with(&config, data, out, world, &prepared::named(&config))
}

/// Like [`start_resolved`], with a custom model from `make`. `config.model` is `own:` and a name for it.
fn start_with(
    config: &Config,
    data: Option<SourceData>,
    out: Option<&Path>,
    world: &World,
    make: MakeNetwork,
) -> Result<Run> {
    world.attempt(|| {
        catch_panics(|| {
            let prepared = Prepared::with_data(data, config, world, make)?;
            let config = &task::resolve(config, &prepared.dataset)?;
            head_only::check(config, &prepared, world)?;
            ood::check(config)?;
            teacher::check(config)?;
            let with_stored_corrections =
                prepared.corrections.as_ref().map(|corrections| corrections.settle(config));
            start_prepared(with_stored_corrections.as_ref().unwrap_or(config), out, world, prepared)
        })
    })
}

fn start_prepared(config: &Config, out: Option<&Path>, world: &World, prepared: Prepared) -> Result<Run> {
    world.same("options", &config.to_toml())?;
    let mut lock = None;
    let path = world.broadcast_result(|| {
        let folder = RunFolder::create(out, config)?;
        lock = Some(folder.lock()?);
        folder.write_config(config, &prepared)?;
        folder.write_split(&prepared)?;
        folder.write_tokenizer(&prepared)?;
        Ok(folder.path().to_string_lossy().into_owned())
    })?;
    tracing::info!(folder = %path, "started a run");
    Run::new(config, RunFolder::at(Path::new(&path)), prepared, world, lock)
}

/// Resumes a run from its last checkpoint. `config` has the options of the run, possibly with more epochs or another device.
///
/// ```
/// use cresset::distributed::World;
/// use cresset::prelude::*;
/// use cresset::run::{self, RunFolder};
/// use cresset::train::Silent;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// // The schedule of the automatic recipe ends with the last epoch.
/// let options = Config { recipe: "none".into(), epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// // Two more epochs.
/// let folder = RunFolder::open(fitted.folder())?;
/// let config = Config { epochs: 5, ..Config::read(&folder.config_file())? };
/// let run = run::resume(&config, folder, &World::alone())?;
/// assert_eq!(run.position().epoch, 4);
/// run::finish(run, &mut Silent, &|| false)?;
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// If the folder has no checkpoint, or the data has changed.
pub fn resume(config: &Config, folder: RunFolder, world: &World) -> Result<Run> {
    let config = &with_stored_recipe(&with_stored_pretrained(config, &folder)?, &folder)?;
    resume_with(config, folder, world, &prepared::named(config))
}

/// Like [`resume`], with a custom model from `make`.
pub(crate) fn resume_with(
    config: &Config,
    folder: RunFolder,
    world: &World,
    make: MakeNetwork,
) -> Result<Run> {
    let resume = || {
        require_checkpoint(&folder)?;
        let lock = lock_on_rank0(&folder, world)?;
        let config = &with_stored_corrections(config, &folder)?;
        let prepared = Prepared::reopen_with(config, &folder, world, make)?;
        resume_prepared(config, folder, prepared, world, lock)
    };
    world.attempt(|| catch_panics(resume))
}

/// Resumes the run in the folder `path`, or starts it if it has no checkpoint, with the data if it was read. `config` has the options of
/// the run.
pub(crate) fn start_or_resume(config: &Config, data: Option<SourceData>, path: &Path) -> Result<Run> {
    match RunFolder::open(path) {
        Ok(folder) if folder.last_checkpoint().is_file() => resume(config, folder, &World::alone()),
        _ => {
            RunFolder::remove_unstarted(path)?;
            let world = &World::alone();
            let resolved = Resolved::new(config, world)?.with_pretrained(world, &mut |_| {})?;
            start_resolved(Resolved { data: data.or(resolved.data), ..resolved }, Some(path), world)
        }
    }
}

/// The options with the number of corrections at the start of the run: more may have been added since.
fn with_stored_corrections(config: &Config, folder: &RunFolder) -> Result<Config> {
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

fn require_checkpoint(folder: &RunFolder) -> Result<()> {
    if folder.last_checkpoint().is_file() {
        return Ok(());
    }
    let problem = "the run has no checkpoint to resume from; start it again";
    Err(Error::artifact(folder.path(), problem))
}

/// Locks the run folder on rank 0; other ranks write nothing.
fn lock_on_rank0(folder: &RunFolder, world: &World) -> Result<Option<RunLock>> {
    let mut lock = None;
    world.broadcast_result(|| {
        lock = Some(folder.lock()?);
        Ok(String::new())
    })?;
    Ok(lock)
}

fn resume_prepared(
    config: &Config,
    folder: RunFolder,
    prepared: Prepared,
    world: &World,
    lock: Option<RunLock>,
) -> Result<Run> {
    let mut run = Run::new(config, folder, prepared, world, lock)?;
    run.training.resume(&mut run.prepared.network)?;
    // Rank 0 writes only after all ranks have read the checkpoint folder.
    world.broadcast_result(|| {
        run.folder.clear_partial()?;
        run.folder.write_config(config, &run.prepared)?;
        Ok(String::new())
    })?;
    let position = run.training.position();
    tracing::info!(epoch = position.epoch, step = position.step, "resumed from the last checkpoint");
    Ok(run)
}

/// Trains until the last epoch or until `stop` returns true after a step, and exports the best model.
///
/// ```
/// use cresset::distributed::World;
/// use cresset::prelude::*;
/// use cresset::run::{self, Outcome};
/// use cresset::train::Silent;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let config = Config { data: "iris".into(), ..Config::default() };
/// let run = run::start(&config, Some(&out), &World::alone())?;
/// // Stop after the first step.
/// let outcome = run::finish(run, &mut Silent, &|| true)?;
/// assert!(matches!(outcome, Outcome::Interrupted { epoch: 1, step: 1 }));
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub fn finish(run: Run, callback: &mut dyn Callback, stop: &dyn Fn() -> bool) -> Result<Outcome> {
    let Run { config, folder, mut prepared, mut training, world, lock: _writer } = run;
    let (ending, fit) = world
        .attempt(|| catch_panics(|| train(&config, &folder, &mut prepared, &mut training, callback, stop)))?;
    let position = training.position();
    if ending == Ending::Paused {
        return Ok(Outcome::Interrupted { epoch: position.epoch, step: position.step });
    }
    if !world.is_rank_zero() {
        return Ok(Outcome::CompletedOnRank0);
    }
    catch_panics(|| {
        let best = position.best.ok_or_else(|| {
            Error::Diverged(format!(
                "no epoch of {} has a finite validation loss, so there is no model to export. A lower --lr or --clip 1 often helps",
                folder.path().display()
            ))
        })?;
        load_weights(&mut prepared.network, &folder.best_checkpoint())?;
        let evaluations = match fit {
            Some(fit) => head_only::evaluations(&prepared, &fit, best.epoch)?,
            None => forward_evaluations(&config, &prepared, best.epoch)?,
        };
        let metadata = write_model(&config, &prepared, &evaluations, &folder.model())?;
        let records = MetricsLog::read_if_exists(&folder.metrics())?;
        let concern = result_check::warning(&config, &records, &evaluations.validation, &metadata.classes);
        let stopped_early = training.stopped_early();
        Ok(Outcome::Trained(Box::new(Trained {
            best,
            evaluations,
            metadata,
            prepared,
            stopped_early,
            concern,
        })))
    })
}

/// Trains with the standard callbacks. Also returns the fit of the head if training did not go on from it.
fn train(
    config: &Config,
    folder: &RunFolder,
    prepared: &mut Prepared,
    training: &mut Training,
    callback: &mut dyn Callback,
    stop: &dyn Fn() -> bool,
) -> Result<(Ending, Option<head_only::Fit>)> {
    let options = &config.training;
    if options.head_only && !training.has_begun() {
        training.save_last(&prepared.network)?;
        match head_only::fit(config, folder, prepared, training, callback, stop)? {
            None => return Ok((Ending::Paused, None)),
            Some(fit) if !options.finetune => return Ok((Ending::Complete, Some(fit))),
            Some(_) => {}
        }
    }
    let Prepared { network, train, validation, share, dataset, split, outputs, .. } = prepared;
    let mut log = match training.world().is_rank_zero() {
        true => {
            let log = MetricsLog::open(&folder.metrics(), training.position().epoch - 1)?;
            Some(log.for_outputs(outputs))
        }
        false => None,
    };
    // After the log is open: a run with a checkpoint has a metrics.csv.
    if !training.has_begun() {
        training.save_last(network)?;
    }
    let spent = log.as_ref().map_or(0., MetricsLog::spent);
    training.follow_time_limit(spent);
    let name = |place: usize| training_name(dataset, split, place);
    let validation = share.as_ref().unwrap_or(validation);
    let data = Data { train: &**train, validation: &**validation, name: &name };
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
    // tch's forward functions panic on errors of libtorch.
    let ending = catch_panics(|| training.run(network, &data, callbacks))
        .map_err(|error| memory::advise_on_step(config, error))?;
    Ok((ending, None))
}

/// Exports a checkpoint of a run to `output`, with a new evaluation on the validation set.
///
/// ```
/// use cresset::prelude::*;
/// use cresset::run::{self, RunFolder};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let run = RunFolder::open(fitted.folder())?;
/// let metadata = run::export(&run, &run.last_checkpoint(), &out.join("last-epoch.pt"))?;
/// assert_eq!(metadata.metrics.epoch, 3);
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// If the run has no such checkpoint, or the data is missing or has changed.
pub fn export(folder: &RunFolder, checkpoint: &Path, output: &Path) -> Result<Metadata> {
    catch_panics(|| {
        let config = Config::read(&folder.config_file())?;
        let mut prepared = Prepared::again(&config, folder)?;
        let position = load_weights(&mut prepared.network, checkpoint)?;
        // A checkpoint within an epoch belongs to that epoch.
        let epoch = if position.step == 0 { position.epoch - 1 } else { position.epoch };
        let epoch =
            position.best.filter(|_| checkpoint == folder.best_checkpoint()).map_or(epoch, |best| best.epoch);
        write_model(&config, &prepared, &forward_evaluations(&config, &prepared, epoch)?, output)
    })
}

impl Run {
    /// Training progress.
    pub fn position(&self) -> &Position {
        self.training.position()
    }

    /// Whether training is complete and the model exported. All ranks must call it.
    pub fn is_finished(&self) -> Result<bool> {
        let has_model = self.world.broadcast_result(|| Ok(self.folder.is_model_current().to_string()))?;
        Ok(self.training.is_over() && has_model == "true")
    }

    /// A message that the run is finished, with the way to continue training.
    pub fn finished_message(&self) -> String {
        let (run, epochs) = (self.folder.path().display(), self.training.position().epoch - 1);
        if self.config.training.head_only && !self.config.training.finetune {
            return format!(
                "the run is finished (the head is fitted) and was not changed; to train all layers, start a new run: \
                 cresset train --config {} --init {}{}",
                self.folder.config_file().display(),
                self.folder.best_checkpoint().display(),
                head_only::reset(&self.config)
            );
        }
        let reason = match self.training.stopped_early() {
            Some(reason) => reason,
            None => format!("all {epochs} epochs are complete"),
        };
        let remedy = match self.training.schedule_depends_on_epochs() {
            true => format!(
                "its learning rate schedule has ended, so to continue training, start a new run: cresset train --config {} --init {}",
                self.folder.config_file().display(),
                self.folder.best_checkpoint().display()
            ),
            false => format!(
                "to continue training: cresset train --resume {run} --epochs N, with N above {epochs}"
            ),
        };
        format!("the run is finished ({reason}) and was not changed; {remedy}")
    }

    fn new(
        config: &Config,
        folder: RunFolder,
        prepared: Prepared,
        world: &World,
        lock: Option<RunLock>,
    ) -> Result<Self> {
        let mut plan = prepared.plan(config)?;
        plan.identity.insert(bag::DATA.to_string(), prepared.dataset.sha256.clone());
        if let Some(corrections) = &prepared.corrections {
            plan.identity.insert("the feedback's SHA-256".to_string(), corrections.sha256.clone());
        }
        if let Some(sha256) = prepared.network.fingerprint() {
            plan.identity.insert("the model file's SHA-256".to_string(), sha256.to_string());
        }
        plan.identity.extend(prepared.taught.iter().flat_map(|taught| taught.fingerprints.clone()));
        let mut training = Training::new(plan, &prepared.network, folder.checkpoints())?.with_world(world);
        if let Some(taught) = &prepared.taught {
            training = training.with_teacher(taught.distillation.clone());
        }
        Ok(Run { config: config.clone(), folder, prepared, world: world.clone(), training, lock })
    }
}

/// Loads the weights of a checkpoint into a network.
pub(crate) fn load_weights(network: &mut Network, path: &Path) -> Result<Position> {
    let checkpoint = Checkpoint::load(path)?;
    network.load_state(&checkpoint.group("")).map_err(|problem| Error::artifact(path, problem))?;
    Ok(checkpoint.position)
}

/// Evaluates a model on the validation set, and on the test set if there is one. `logits` maps preprocessed inputs
/// to the outputs of the network on the device of the run.
pub(crate) fn evaluations(
    config: &Config,
    prepared: &Prepared,
    epoch: u32,
    logits: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<Evaluations> {
    let (outputs, classes) = (&prepared.outputs, prepared.dataset.classes.len());
    let measure = |feed: &dyn EvaluationLoader, outputs: &Outputs| {
        if let Some(set) = feed.ranking() {
            return set.evaluate(Keep::Scores, prepared.device, |users| prepared.network.item_scores(users));
        }
        evaluate(feed, outputs, classes, Keep::Scores, |inputs| Ok(outputs.results(&logits(inputs)?)))
    };
    let validation = measure(&*prepared.validation, outputs)?;
    let (outputs, validation) = fitted_outputs(config, outputs, validation);
    let test = prepared.test.as_deref().map(|feed| measure(feed, &outputs)).transpose()?;
    Ok(Evaluations { epoch, outputs, validation, test })
}

/// Evaluates the network on the validation set, and on the test set if there is one.
fn forward_evaluations(config: &Config, prepared: &Prepared, epoch: u32) -> Result<Evaluations> {
    evaluations(config, prepared, epoch, |inputs| prepared.network.evaluated(inputs))
}

fn write_model(
    config: &Config,
    prepared: &Prepared,
    evaluations: &Evaluations,
    path: &Path,
) -> Result<Metadata> {
    let Prepared { dataset, split, preprocessing, .. } = prepared;
    let mut metadata = Metadata::new(config, dataset, split, preprocessing, evaluations);
    // Indexes of users and items have no distribution that could shift.
    if metadata.outputs != Outputs::Ranking {
        metadata.drift = Some(drift::reference(config, prepared, evaluations)?);
    }
    let samples = prepared.samples(config)?;
    let (module, distances) = ood::script(config, prepared, &metadata)?;
    metadata.ood = distances.or(metadata.ood);
    export::torchscript(module, &metadata, &samples, path)?;
    tracing::info!(file = %path.display(), epoch = evaluations.epoch, "exported the model");
    Ok(metadata)
}
