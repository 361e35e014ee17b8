//! The training loop.

use std::time::Instant;

use super::callback::{self, Callback, Flow};
use super::checkpoint::{self, Best, CheckpointFolder, Position};
use super::distillation::Distillation;
use super::fault::Fault;
use super::learner::Learner;
use super::schedule::Schedule;
use super::step::Outcome;
use super::{EpochRecord, Plan, Running, gpu_memory};
use crate::distributed::{Agreement, World};
use crate::error::{Error, Result};
use crate::evaluate::{Confusion, Keep, evaluate};
use crate::loader::{Batch, HeldOutFeed, Pass, TrainFeed};
use crate::model::Network;

/// How a call of [`Training::run`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All epochs are done, or a callback found it to be enough.
    Complete,
    /// A callback asked for a pause; a checkpoint of the very step was written.
    Paused,
}

/// What is trained and measured on: preprocessed inputs, on the network's device.
pub struct Data<'a> {
    /// The examples that weights are fitted to.
    pub train: &'a dyn TrainFeed,
    /// The examples that they are measured on.
    pub held_out: &'a dyn HeldOutFeed,
    /// The name of a training example by its place among them.
    pub name: &'a dyn Fn(usize) -> String,
}

/// Training under way: where it stands, and all that its steps depend on.
pub struct Training {
    pub(super) plan: Plan,
    pub(super) learner: Learner,
    pub(super) running: Running,
    pub(super) position: Position,
    pub(super) checkpoints: CheckpointFolder,
    pub(super) world: World,
    schedule: Schedule,
    agreement: Agreement,
    lr: f64,
    /// The steps of the epoch under way.
    steps: usize,
    /// The step and the row that it was begun at, or gone on at.
    begun: (usize, usize),
    /// Of the held-out rows, after the last epoch.
    confusion: Option<Confusion>,
}

impl Training {
    /// A training of `network` that begins at the first step.
    ///
    /// # Errors
    /// A plan with unknown names or faulty options.
    pub fn new(plan: Plan, network: &Network, checkpoints: CheckpointFolder) -> Result<Self> {
        let options = &plan.options;
        let schedule = Schedule::new(&options.schedule, &options.schedule_options, options.warmup_epochs)?;
        Ok(Training {
            learner: Learner::new(&plan, network)?,
            running: Running::new(network.device()),
            position: Position::default(),
            checkpoints,
            world: World::alone(),
            schedule,
            agreement: Agreement::new(),
            lr: 0.,
            steps: 0,
            begun: (0, 0),
            confusion: None,
            plan,
        })
    }

    /// The same, as one of several processes. `data` has then this process's share of the held-out rows.
    pub fn among(self, world: &World) -> Self {
        let training = Training { learner: self.learner.among(world), world: world.clone(), ..self };
        training.draw_own_numbers();
        training
    }

    /// The same, by a teacher too.
    pub fn taught_by(self, distillation: Distillation) -> Self {
        Training { learner: self.learner.taught_by(distillation), ..self }
    }

    /// Trains to the end of the plan, or until a callback ends it.
    pub fn run(
        &mut self,
        network: &mut Network,
        data: &Data,
        callbacks: &mut [&mut dyn Callback],
    ) -> Result<Ending> {
        self.world.equalise(&network.state())?;
        'epochs: while !self.is_over() {
            let started = Instant::now();
            self.begin_epoch(network, data.train)?;
            callbacks.iter_mut().try_for_each(|callback| callback.epoch_started(self))?;
            let mut flow = Flow::Continue;
            for batch in data.train.epoch(self.pass()) {
                if let Some(fault) = self.step(network, data, &batch?)? {
                    if self.recover(network, data, fault)?.is_back() {
                        continue 'epochs;
                    }
                    continue;
                }
                flow = self.ask(network, callbacks)?;
                if [Flow::Save, Flow::Pause].contains(&flow) {
                    self.refuse_late_fault(data)?;
                    self.save_last(network)?;
                }
                match flow {
                    Flow::Continue | Flow::Save => {}
                    Flow::Finish => break,
                    Flow::Pause => return Ok(Ending::Paused),
                }
            }
            // What is left of an epoch whose batches are no multiple of those of an update.
            self.learner.update(network, self.lr)?;
            self.refuse_late_fault(data)?;
            let record = self.end_epoch(network, data.held_out, started)?;
            if !record.held_out_loss.is_finite() && self.recover_epoch(network, &record)?.is_back() {
                continue 'epochs;
            }
            let wish = callback::all(callbacks, |callback| callback.epoch_ended(self, network, &record))?;
            let wish = Flow::of(self.agreement.ask(&self.world, wish as u8)?);
            self.position.is_over = [flow, wish].contains(&Flow::Finish);
            self.save_last(network)?;
            if wish == Flow::Pause && self.position.epoch <= self.plan.epochs {
                return Ok(Ending::Paused);
            }
        }
        Ok(Ending::Complete)
    }

    /// One batch: the learner learns from it, at the rate that the schedule has for this moment.
    fn step(&mut self, network: &Network, data: &Data, batch: &Batch) -> Result<Option<Fault>> {
        self.lr = self.rate();
        let outcome = self.learner.step(network, batch, self.lr)?;
        self.position.step += 1;
        self.position.rows = batch.end;
        match outcome {
            Outcome::Learned { loss, logits } => {
                // What is no share of this process's is counted by another one.
                if batch.weight > 0. {
                    self.running.add(&loss, &logits, &batch.labels);
                }
                if self.running.is_summed_up() {
                    self.refuse_late_fault(data)?;
                }
                self.position.skipped_in_a_row = 0;
                Ok(None)
            }
            Outcome::NotFinite { losses, gradient_norm } => {
                Ok(Some(Fault { losses, gradient_norm: Some(gradient_norm), step: self.position.step }))
            }
        }
    }

    /// What the callbacks wish after a step, of all processes.
    fn ask(&mut self, network: &Network, callbacks: &mut [&mut dyn Callback]) -> Result<Flow> {
        if !self.learner.is_settled() {
            return Ok(Flow::Continue);
        }
        let wish = callback::all(callbacks, |callback| callback.step_ended(self, network))?;
        Ok(Flow::of(self.agreement.after_step(&self.world, wish as u8)?))
    }

    fn begin_epoch(&mut self, network: &mut Network, train: &dyn TrainFeed) -> Result<()> {
        network.train_only_head(self.position.epoch <= self.plan.options.head_epochs);
        self.begun = (self.position.step, self.position.rows);
        self.steps = self.position.step + train.batches(self.pass());
        self.learner.begin_epoch(network)
    }

    /// Measures the epoch, keeps its weights if they are the best so far, and goes to the next one.
    fn end_epoch(
        &mut self,
        network: &Network,
        held_out: &dyn HeldOutFeed,
        started: Instant,
    ) -> Result<EpochRecord> {
        let epoch = self.position.epoch;
        self.learner.context.average.after_epoch(network, epoch, self.plan.epochs);
        let best = self.position.best;
        let (record, best, confusion) = self.learner.context.average.with(network, || {
            let (record, confusion) = self.measure(network, held_out, started)?;
            let loss = record.held_out_loss;
            let is_best = loss.is_finite() && best.is_none_or(|best| loss < best.held_out_loss);
            let best = if is_best { Some(self.keep_best(network, &record)?) } else { best };
            Ok::<_, Error>((record, best, confusion))
        })?;
        self.confusion = Some(confusion);
        self.position.best = best;
        if record.held_out_loss.is_finite() {
            self.position.plateau = self.schedule.epoch_ended(record.held_out_loss, self.position.plateau);
        }
        (self.position.epoch, self.position.step, self.position.rows) = (epoch + 1, 0, 0);
        self.running = Running::new(network.device());
        gpu_memory::report(network.device(), epoch);
        Ok(record)
    }

    fn keep_best(&self, network: &Network, record: &EpochRecord) -> Result<Best> {
        let best = Best { epoch: record.epoch, held_out_loss: record.held_out_loss };
        let position = Position { best: Some(best), ..self.position.clone() };
        if self.world.is_first() {
            let (path, state) = (self.checkpoints.best(), network.state());
            checkpoint::save(&path, &[("", &state)], &position, &self.plan.identity)?;
        }
        Ok(best)
    }

    fn measure(
        &self,
        network: &Network,
        held_out: &dyn HeldOutFeed,
        started: Instant,
    ) -> Result<(EpochRecord, Confusion)> {
        // Running figures are those of the process's own batches; those of process 0 are measured and exported.
        let buffers = network.state().into_iter().filter(|(name, _)| !network.is_parameter(name));
        self.world.equalise(&buffers.collect())?;
        let found = evaluate(held_out, network.classes(), Keep::Sums, |inputs| {
            self.learner.logits(network, inputs, false)
        })?;
        let found = found.over(&self.world)?;
        let running = self.running.over(&self.world)?;
        let record = EpochRecord {
            epoch: self.position.epoch,
            train_loss: running.loss(),
            train_accuracy: running.accuracy(),
            held_out_loss: found.loss,
            held_out_accuracy: found.confusion.accuracy(),
            lr: self.lr,
            seconds: started.elapsed().as_secs_f64(),
        };
        Ok((record, found.confusion))
    }

    /// What is left of the epoch.
    fn pass(&self) -> Pass {
        self.pass_at(self.position.step)
    }

    /// What is left of the epoch after so many steps.
    pub(super) fn pass_at(&self, step: usize) -> Pass {
        let Plan { batch_size, seed, .. } = self.plan;
        let (rank, processes) = (self.world.rank(), self.world.size());
        let pass = Pass { rank, processes, ..Pass::new(self.position.epoch, batch_size, seed) };
        let (first, row) = self.begun;
        // Steps before those of this process's own count were of any size: of another number of processes, say.
        Pass { start: row + step.saturating_sub(first) * pass.step(), ..pass }
    }

    /// The learning rate of the update that the next batch is for.
    fn rate(&self) -> f64 {
        let accumulate = self.plan.options.accumulate as usize;
        let updates = self.steps.div_ceil(accumulate);
        let update = (self.position.epoch as usize - 1) * updates + self.position.step / accumulate;
        let factor = self.schedule.factor(update, self.plan.epochs, updates, self.position.plateau);
        self.plan.lr * factor * self.position.rate
    }

    /// What it goes by.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// How far it has come.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Loss and accuracy of the epoch under way. Reading them waits for the device.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// The confusion matrix of the held-out rows after the last epoch; none before the first one ends.
    pub fn confusion(&self) -> Option<&Confusion> {
        self.confusion.as_ref()
    }

    /// Why it ended before its last epoch, if it did.
    pub fn stopped_early(&self) -> Option<String> {
        let Position { epoch, is_over, best, .. } = &self.position;
        let done = epoch - 1;
        if !is_over || done >= self.plan.epochs {
            return None;
        }
        let best = best.map_or(done, |best| best.epoch);
        let waited = done - best;
        let Plan { options, .. } = &self.plan;
        match (options.patience, options.max_minutes) {
            (Some(patience), _) if waited >= patience => Some(format!(
                "stopped early: no improvement of the validation loss for {waited} epoch{}; best epoch {best}",
                if waited == 1 { "" } else { "s" }
            )),
            (_, Some(minutes)) => Some(format!(
                "stopped early: the time of --max-minutes {minutes} was up in epoch {done} of {}",
                self.plan.epochs
            )),
            _ => None,
        }
    }

    /// Whether all its epochs are done, or enough of them.
    pub fn is_over(&self) -> bool {
        self.position.is_over || self.position.epoch > self.plan.epochs
    }

    /// Whether it has gone a step.
    pub fn has_begun(&self) -> bool {
        self.position != Position::default()
    }

    /// The processes that train together.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The steps of an epoch.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The learning rate of the last step.
    pub fn lr(&self) -> f64 {
        self.lr
    }

    /// Whether the number of epochs is part of the schedule's shape.
    pub fn schedule_has_end(&self) -> bool {
        self.schedule.has_end()
    }
}
