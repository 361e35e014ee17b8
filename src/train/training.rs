//! The training loop.

use std::time::Instant;

use super::callback::{self, Callback, Flow};
use super::checkpoint::{self, Best, CheckpointFolder, Position};
use super::distillation::Distillation;
use super::epoch_record::is_better;
use super::fault::Fault;
use super::learner::Learner;
use super::schedule::{Monitored, Schedule};
use super::step::StepOutcome;
use super::time_budget::TimeBudget;
use super::{EpochRecord, Plan, Running, gpu_memory};
use crate::distributed::{SignalSync, World};
use crate::error::{Error, Result};
use crate::evaluate::{ConfusionMatrix, Evaluation, Keep, evaluate};
use crate::loader::{Batch, EvaluationLoader, Pass, TrainLoader};
use crate::model::Network;

/// How a call of [`Training::run`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All epochs are finished, or a callback ended training.
    Complete,
    /// A callback paused training, and a checkpoint of the current step was written.
    Paused,
}

/// The data of a training run: preprocessed inputs, on the network's device.
pub struct Data<'a> {
    /// The training set.
    pub train: &'a dyn TrainLoader,
    /// The validation set.
    pub validation: &'a dyn EvaluationLoader,
    /// The name of a training example, by its index in the training set.
    pub name: &'a dyn Fn(usize) -> String,
}

/// A training run: its plan, its state and its position.
///
/// ```
/// use cresset::loader::{MemoryExamples, MemoryLoader, Sampling};
/// use cresset::model::Task;
/// use cresset::model::preprocessing::TensorDataset;
/// use cresset::prelude::*;
/// use cresset::train::checkpoint::CheckpointFolder;
/// use cresset::train::{Data, Ending, Plan};
/// use tch::{Device, Kind, Tensor};
///
/// // The sign of the first feature is the class.
/// let examples = || {
///     let inputs = Tensor::arange(40, (Kind::Float, Device::Cpu)).view([20, 2]) - 20.;
///     let labels = inputs.select(1, 0).gt(0.).to_kind(Kind::Int64);
///     MemoryExamples::ready(TensorDataset { inputs, labels })
/// };
/// let task = Task::new(InputShape(vec![2]), 2);
/// let mut network = Network::new("mlp", "width=8", &task, Device::Cpu, 0)?;
/// # let folder = tempfile::tempdir().unwrap();
/// # let checkpoints = CheckpointFolder::new(folder.path().to_path_buf());
/// let mut training = Training::new(Plan::new(5, 4, 0.01), &network, checkpoints)?;
/// let train = MemoryLoader::new(examples(), Sampling::Shuffled, None);
/// let data = Data { train: &train, validation: &examples(), name: &|row| format!("row {row}") };
/// assert_eq!(training.run(&mut network, &data, &mut [])?, Ending::Complete);
/// assert!(training.is_over() && training.confusion().unwrap().total() == 20);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct Training {
    pub(super) plan: Plan,
    pub(super) learner: Learner,
    pub(super) running: Running,
    pub(super) position: Position,
    pub(super) checkpoints: CheckpointFolder,
    pub(super) world: World,
    schedule: Schedule,
    budget: Option<TimeBudget>,
    agreement: SignalSync,
    lr: f64,
    /// Number of steps in the current epoch.
    steps: usize,
    /// The step and the example of the epoch at which this process started or resumed.
    started_at: (usize, usize),
    /// The confusion matrix on the validation set after the last epoch.
    confusion: Option<ConfusionMatrix>,
}

impl Training {
    /// A training run of `network`, at the first step.
    ///
    /// # Errors
    /// A plan with unknown names or invalid options.
    pub fn new(plan: Plan, network: &Network, checkpoints: CheckpointFolder) -> Result<Self> {
        let options = &plan.options;
        let schedule = Schedule::new(&options.schedule, &options.schedule_options, options.warmup_epochs)?;
        Ok(Training {
            learner: Learner::new(&plan, network)?,
            running: Running::of(&plan.outputs, network.device()),
            position: Position::default(),
            checkpoints,
            world: World::alone(),
            schedule,
            budget: None,
            agreement: SignalSync::new(),
            lr: 0.,
            steps: 0,
            started_at: (0, 0),
            confusion: None,
            plan,
        })
    }

    /// Joins other processes. The validation set in `data` is then the share of this rank.
    pub fn with_world(self, world: &World) -> Self {
        let training = Training { learner: self.learner.with_world(world), world: world.clone(), ..self };
        training.seed_rank();
        training
    }

    /// Adds a teacher to the loss.
    pub(crate) fn with_teacher(self, distillation: Distillation) -> Self {
        Training { learner: self.learner.with_teacher(distillation), ..self }
    }

    /// Makes a schedule that depends on the number of epochs end with `--max-minutes`, of which `spent` seconds have passed, if
    /// the epochs take longer. Not with several processes, whose clocks would give them different learning rates.
    pub(crate) fn follow_time_limit(&mut self, spent: f64) {
        if self.schedule.has_end() && self.world.size() == 1 {
            self.budget = TimeBudget::new(self.plan.options.max_minutes, spent);
        }
    }

    /// Trains until the plan is complete or a callback ends training.
    pub fn run(
        &mut self,
        network: &mut Network,
        data: &Data,
        callbacks: &mut [&mut dyn Callback],
    ) -> Result<Ending> {
        self.world.broadcast_tensors(&network.state())?;
        'epochs: while !self.is_over() {
            let started = Instant::now();
            self.start_epoch(network, data.train)?;
            callbacks.iter_mut().try_for_each(|callback| callback.epoch_started(self))?;
            let mut flow = Flow::Continue;
            for batch in data.train.epoch(self.pass()) {
                if let Some(fault) = self.step(network, data, &batch?)? {
                    if self.recover(network, data, fault)?.is_rollback() {
                        continue 'epochs;
                    }
                    continue;
                }
                flow = self.call_step_ended(network, callbacks)?;
                if [Flow::Save, Flow::Pause].contains(&flow) {
                    self.check_recent_losses(data)?;
                    self.save_last_and_report(network, callbacks)?;
                }
                match flow {
                    Flow::Continue | Flow::Save => {}
                    Flow::Finish => break,
                    Flow::Pause => return Ok(Ending::Paused),
                }
            }
            // The number of batches may not be a multiple of `accumulate`.
            self.learner.update(network, self.lr)?;
            self.check_recent_losses(data)?;
            let record = self.end_epoch(network, data.validation, started)?;
            if !record.validation_loss.is_finite() && self.recover_epoch(network, &record)?.is_rollback() {
                continue 'epochs;
            }
            let after_epoch =
                callback::all(callbacks, |callback| callback.epoch_ended(self, network, &record))?;
            let after_epoch = Flow::of(self.agreement.ask(&self.world, after_epoch as u8)?);
            self.position.is_over = [flow, after_epoch].contains(&Flow::Finish);
            self.save_last_and_report(network, callbacks)?;
            if after_epoch == Flow::Pause && self.position.epoch <= self.plan.epochs {
                return Ok(Ending::Paused);
            }
        }
        Ok(Ending::Complete)
    }

    /// Trains on one batch with the learning rate of the schedule. Returns the fault if the loss is NaN or infinite.
    fn step(&mut self, network: &Network, data: &Data, batch: &Batch) -> Result<Option<Fault>> {
        self.lr = self.rate();
        let outcome = self.learner.step(network, batch, self.lr)?;
        self.position.step += 1;
        self.position.rows = batch.end;
        match outcome {
            StepOutcome::Learned { loss, logits } => {
                // A batch of weight 0 only pads this rank; another rank counts its examples.
                if batch.weight > 0. {
                    self.running.add(&loss, &logits, &batch.labels);
                }
                if self.running.is_flushed() {
                    self.check_recent_losses(data)?;
                }
                self.position.skipped_in_a_row = 0;
                Ok(None)
            }
            StepOutcome::NotFinite { losses, gradient_norm } => {
                Ok(Some(Fault { losses, gradient_norm: Some(gradient_norm), step: self.position.step }))
            }
        }
    }

    /// Calls the callbacks after a step, and combines the flow of all processes.
    fn call_step_ended(&mut self, network: &Network, callbacks: &mut [&mut dyn Callback]) -> Result<Flow> {
        if !self.learner.has_no_pending_gradients() {
            return Ok(Flow::Continue);
        }
        let flow = callback::all(callbacks, |callback| callback.step_ended(self, network))?;
        Ok(Flow::of(self.agreement.after_step(&self.world, flow as u8)?))
    }

    fn save_last_and_report(&self, network: &Network, callbacks: &mut [&mut dyn Callback]) -> Result<()> {
        self.save_last(network)?;
        callbacks.iter_mut().try_for_each(|callback| callback.checkpoint_saved(self))
    }

    fn start_epoch(&mut self, network: &mut Network, train: &dyn TrainLoader) -> Result<()> {
        network.train_only_head(self.position.epoch <= self.plan.options.head_epochs);
        self.started_at = (self.position.step, self.position.rows);
        self.steps = self.position.step + train.batches(self.pass());
        self.learner.start_epoch(network)
    }

    /// Evaluates the epoch, saves its weights if they are the best so far, and advances to the next epoch.
    fn end_epoch(
        &mut self,
        network: &Network,
        validation: &dyn EvaluationLoader,
        started: Instant,
    ) -> Result<EpochRecord> {
        let epoch = self.position.epoch;
        self.learner.context.average.after_epoch(network, epoch, self.plan.epochs);
        let best = self.position.best;
        let (record, best, found) = self.learner.context.average.with(network, || {
            let (record, found) = self.evaluate(network, validation, started)?;
            let loss = record.validation_loss;
            let is_better = |best: Best| is_better((loss, record.score), (best.validation_loss, best.score));
            let is_best = loss.is_finite() && best.is_none_or(is_better);
            let best = if is_best { Some(self.save_best(network, &record)?) } else { best };
            Ok::<_, Error>((record, best, found))
        })?;
        self.confusion = found.confusion().cloned();
        self.position.best = best;
        if record.validation_loss.is_finite() {
            let monitored = record.score.map_or(Monitored::Loss(record.validation_loss), Monitored::Score);
            self.position.plateau = self.schedule.epoch_ended(monitored, self.position.plateau);
        }
        (self.position.epoch, self.position.step, self.position.rows) = (epoch + 1, 0, 0);
        self.running = Running::of(&self.plan.outputs, network.device());
        gpu_memory::report(network.device(), epoch);
        Ok(record)
    }

    fn save_best(&self, network: &Network, record: &EpochRecord) -> Result<Best> {
        let EpochRecord { epoch, validation_loss, score, .. } = *record;
        let best = Best { epoch, validation_loss, score };
        let position = Position { best: Some(best), ..self.position.clone() };
        if self.world.is_rank_zero() {
            let (path, state) = (self.checkpoints.best(), network.state());
            checkpoint::save(&path, &[("", &state)], &position, &self.plan.identity)?;
        }
        Ok(best)
    }

    fn evaluate(
        &self,
        network: &Network,
        validation: &dyn EvaluationLoader,
        started: Instant,
    ) -> Result<(EpochRecord, Evaluation)> {
        // Running statistics differ by rank. Those of rank 0 are evaluated and exported.
        let buffers = network.state().into_iter().filter(|(name, _)| !network.is_parameter(name));
        self.world.broadcast_tensors(&buffers.collect())?;
        let outputs = &self.plan.outputs;
        let found = match validation.ranking() {
            Some(set) => set.evaluate(Keep::Sums, network.device(), |users| network.item_scores(users))?,
            None => evaluate(validation, outputs, network.classes(), Keep::Sums, |inputs| {
                Ok(outputs.results(&self.learner.context.evaluated(network, inputs)?))
            })?,
        };
        let found = found.all_reduce(&self.world)?;
        let running = self.running.all_reduce(&self.world)?;
        let record = EpochRecord {
            epoch: self.position.epoch,
            train_loss: running.loss(),
            train_accuracy: running.score(),
            validation_loss: found.loss,
            validation_accuracy: found.score(),
            lr: self.lr,
            seconds: started.elapsed().as_secs_f64(),
            score: self.plan.options.monitor.score(&found),
        };
        Ok((record, found))
    }

    /// The rest of the current epoch.
    fn pass(&self) -> Pass {
        self.pass_at(self.position.step)
    }

    /// The rest of the epoch after `step` steps.
    pub(super) fn pass_at(&self, step: usize) -> Pass {
        let Plan { batch_size, seed, .. } = self.plan;
        let (rank, processes) = (self.world.rank(), self.world.size());
        let pass = Pass { rank, processes, ..Pass::new(self.position.epoch, batch_size, seed) };
        let (first_step, first_example) = self.started_at;
        // Steps before the resumption may have had a different size, with another number of processes.
        Pass { start: first_example + step.saturating_sub(first_step) * pass.step(), ..pass }
    }

    /// The learning rate for the next batch.
    fn rate(&self) -> f64 {
        let accumulate = self.plan.options.accumulate as usize;
        let updates = self.steps.div_ceil(accumulate);
        let update = (self.position.epoch as usize - 1) * updates + self.position.step / accumulate;
        let update = self
            .budget
            .map_or(update, |budget| budget.scheduled(update, updates * self.plan.epochs as usize));
        let factor = self.schedule.factor(update, self.plan.epochs, updates, self.position.plateau);
        self.plan.lr * factor * self.position.rate
    }

    /// The settings.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The current position.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Running loss and accuracy of the current epoch. Reading them waits for the device.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// The confusion matrix on the validation set after the last epoch; none during the first epoch and for other tasks than
    /// classification.
    pub fn confusion(&self) -> Option<&ConfusionMatrix> {
        self.confusion.as_ref()
    }

    /// Why training stopped early, if it did.
    pub fn stopped_early(&self) -> Option<String> {
        let Position { epoch, is_over, best, .. } = &self.position;
        let finished = epoch - 1;
        if !is_over || finished >= self.plan.epochs || self.is_head_only() {
            return None;
        }
        let best = best.map_or(finished, |best| best.epoch);
        let waited = finished - best;
        let Plan { options, .. } = &self.plan;
        match (options.patience, options.max_minutes) {
            (Some(patience), _) if waited >= patience => Some(format!(
                "stopped early: no improvement of the {} for {waited} epoch{}; best epoch {best}",
                options.monitor.title(),
                if waited == 1 { "" } else { "s" }
            )),
            (_, Some(minutes)) => Some(format!(
                "stopped early: reached --max-minutes {minutes} in epoch {finished} of {}",
                self.plan.epochs
            )),
            _ => None,
        }
    }

    /// Whether training is finished, by the number of epochs or early.
    pub fn is_over(&self) -> bool {
        self.position.is_over || self.position.epoch > self.plan.epochs
    }

    /// Takes the weights of `network`, whose head was fitted before training, as the best so far, and writes the checkpoints. `best`
    /// is the row of metrics.csv with the head, and `attempts` the number of rows if there is no training after the fit.
    pub(crate) fn begin_with_head(
        &mut self,
        network: &Network,
        best: Best,
        attempts: Option<u32>,
    ) -> Result<()> {
        self.position = Position {
            best: Some(best),
            epoch: attempts.map_or(1, |attempts| attempts + 1),
            is_over: attempts.is_some(),
            ..Position::default()
        };
        tch::no_grad(|| self.learner.context.average.start_from(network));
        let (path, state) = (self.checkpoints.best(), network.state());
        checkpoint::save(&path, &[("", &state)], &self.position, &self.plan.identity)?;
        self.save_last(network)
    }

    /// Whether only the head is trained, without any epoch.
    pub(super) fn is_head_only(&self) -> bool {
        self.plan.options.head_only && !self.plan.options.finetune
    }

    /// Whether it has taken a step, or a head was fitted.
    pub(crate) fn has_begun(&self) -> bool {
        self.position != Position::default()
    }

    /// The processes that train together.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Number of steps in the current epoch.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The learning rate of the last step.
    pub fn lr(&self) -> f64 {
        self.lr
    }

    /// Whether the learning rate schedule depends on the number of epochs.
    pub(crate) fn schedule_depends_on_epochs(&self) -> bool {
        self.schedule.has_end()
    }
}
