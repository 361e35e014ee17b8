//! A run from end to end: data, split, preprocessing, training, evaluation, export.

use std::path::Path;

use tch::Device;

use crate::config::Config;
use crate::data::{self, Dataset, HeldOutPart, Part, Split, TrainPart};
use crate::error::{Error, Result, guard};
use crate::evaluate::{Evaluation, evaluate};
use crate::export::{self, Metadata};
use crate::model::{Network, Task};
use crate::run::RunFolder;
use crate::train::{Ending, EpochRecord, MetricsLog, Observer, Plan, Running, Training};
use crate::transform::Preprocessing;

/// A run that is ready to train.
pub struct Run {
    /// Its options.
    pub config: Config,
    /// Its folder.
    pub folder: RunFolder,
    /// The data set.
    pub dataset: Dataset,
    /// Its two parts' rows.
    pub split: Split,
    /// What is done to raw values.
    pub preprocessing: Preprocessing,
    /// Where it computes.
    pub device: Device,
    /// The number of trainable values of the model.
    pub parameters: usize,
    training: Training,
}

/// What a complete run has to show.
#[derive(Debug)]
pub struct Trained {
    /// The epoch whose weights were exported: the one with the least held-out loss.
    pub best: EpochRecord,
    /// The exported model on the held-out rows.
    pub held_out: Evaluation,
    /// What the exported file says of itself.
    pub metadata: Metadata,
}

/// How a run ended.
#[derive(Debug)]
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
        folder.write_config(config, &prepared.dataset)?;
        folder.write_split(&prepared.split)?;
        prepared.into_run(config, folder)
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
        let prepared = Prepared::new(config)?;
        if folder.data_sha256()? != prepared.dataset.sha256 {
            let problem = "the data has changed since this run began, so it cannot go on; start a new run";
            return Err(Error::artifact(&prepared.dataset.path, problem));
        }
        folder.clear_partial()?;
        folder.write_config(config, &prepared.dataset)?;
        let mut run = prepared.into_run(config, folder)?;
        run.training.resume()?;
        Ok(run)
    })
}

/// Trains a run to its end, or until `stop` says so after a step, and exports the best model.
pub fn finish(mut run: Run, observer: &mut dyn Observer, stop: &dyn Fn() -> bool) -> Result<Outcome> {
    guard(|| {
        let finished = run.training.position().epoch - 1;
        let mut log = MetricsLog::open(&run.folder.metrics(), finished)?;
        let ending = run.training.run(&mut Both(&mut log, observer), stop)?;
        let position = run.training.position().clone();
        if ending == Ending::Interrupted {
            return Ok(Outcome::Interrupted { epoch: position.epoch, step: position.step });
        }
        let best =
            position.best.ok_or_else(|| Error::artifact(run.folder.path(), "no epoch was completed"))?;
        let network = run.training.into_best()?;
        let held_out = run.preprocessing.held_out(&run.dataset, &run.split, run.device);
        let found = evaluate(&held_out.0, run.dataset.classes.len(), |x| Ok(network.forward(x, false)))?;
        let metadata =
            Metadata::new(&run.config, &run.dataset, &run.split, &run.preprocessing, best.epoch, &found);
        export::torchscript(&network, &run.preprocessing, &metadata, &run.folder.model())?;
        Ok(Outcome::Trained(Box::new(Trained { best, held_out: found, metadata })))
    })
}

/// What is made of the options before anything is written.
struct Prepared {
    dataset: Dataset,
    split: Split,
    preprocessing: Preprocessing,
    train: TrainPart,
    held_out: HeldOutPart,
    network: Network,
    device: Device,
}

impl Prepared {
    fn new(config: &Config) -> Result<Self> {
        let device = config.device.resolve()?;
        config.threads.apply();
        let dataset = data::load(&config.data)?;
        let split = Split::stratified(&dataset.labels, dataset.classes.len(), config.held_out, config.seed);
        if split.held_out.is_empty() {
            let problem = "no class has two examples, so none can be held out to measure the model";
            return Err(Error::artifact(&dataset.path, problem));
        }
        let (train, held_out) = dataset.parts(&split, device);
        let preprocessing = Preprocessing::fit(&dataset, &train);
        let (train, held_out) =
            (TrainPart(preprocessing.part(train.0)), HeldOutPart(preprocessing.part(held_out.0)));
        let task = Task { input: dataset.shape.clone(), classes: dataset.classes.len() as i64 };
        let network = Network::new(&config.model, &task, device, config.seed)?;
        Ok(Prepared { dataset, split, preprocessing, train, held_out, network, device })
    }

    fn into_run(self, config: &Config, folder: RunFolder) -> Result<Run> {
        let Prepared { dataset, split, preprocessing, train, held_out, network, device } = self;
        let plan = Plan {
            epochs: config.epochs,
            batch_size: config.batch_size,
            lr: config.lr,
            optimizer: config.optimizer.clone(),
            seed: config.seed,
        };
        let parameters = network.parameter_count();
        let training = Training::new(plan, network, train, held_out, &folder)?;
        Ok(Run {
            config: config.clone(),
            folder,
            dataset,
            split,
            preprocessing,
            device,
            parameters,
            training,
        })
    }
}

impl Preprocessing {
    /// A part with preprocessed inputs. Done once, before training, rather than at every step.
    fn part(&self, part: Part) -> Part {
        Part { inputs: self.apply(&part.inputs), labels: part.labels }
    }

    fn held_out(&self, dataset: &Dataset, split: &Split, device: Device) -> HeldOutPart {
        HeldOutPart(self.part(dataset.parts(split, device).1.0))
    }
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
