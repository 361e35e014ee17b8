//! The training loop.

use std::path::PathBuf;
use std::time::Instant;

use super::Objective;
use super::checkpoint::{self, Best, Checkpoint, Position};
use super::optimizer::{self, Optimizer};
use super::{EpochRecord, Observer, Running};
use crate::error::{Error, Result};
use crate::evaluate::evaluate;
use crate::feed::{Batch, HeldOutFeed, Pass, TrainFeed};
use crate::model::{Network, Tensors};
use crate::run::RunFolder;

/// What decides how the loop runs.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The epoch after which training ends.
    pub epochs: u32,
    /// Rows a step.
    pub batch_size: u32,
    /// Learning rate.
    pub lr: f64,
    /// The optimizer's name.
    pub optimizer: String,
    /// Seed of the rows' order.
    pub seed: u64,
    /// The weight of each class in the loss; none where all weigh 1.
    pub class_weights: Option<Vec<f32>>,
}

/// How a call of [`Training::run`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All epochs are done.
    Complete,
    /// It was asked to stop; a checkpoint of the very step was written.
    Interrupted,
}

/// Training under way: where it stands, and the optimizer's memory.
pub struct Training {
    plan: Plan,
    objective: Objective,
    optimizer: Box<dyn Optimizer>,
    running: Running,
    position: Position,
    last: PathBuf,
    best: PathBuf,
}

const OPTIMIZER: &str = "optimizer/";
const RUNNING: &str = "running/";
const RANDOM: &str = "random/";

impl Training {
    /// A training of `network` that begins at the first step.
    pub fn new(plan: Plan, network: &Network, run: &RunFolder) -> Result<Self> {
        let optimizer = optimizer::build(&plan.optimizer, &network.parameters())?;
        let objective = Objective::new(plan.class_weights.as_deref(), network.device());
        let running = Running::new(network.device());
        let position = Position { epoch: 1, step: 0, best: None };
        Ok(Training {
            plan,
            objective,
            optimizer,
            running,
            position,
            last: run.last_checkpoint(),
            best: run.best_checkpoint(),
        })
    }

    /// Goes on from the run's last checkpoint: the steps that follow give the bits that an uninterrupted run would have
    /// given.
    pub fn resume(&mut self, network: &mut Network) -> Result<()> {
        let checkpoint = Checkpoint::load(&self.last)?;
        let fault = |problem: String| {
            Error::artifact(&self.last, format!("the checkpoint is not of this run: {problem}"))
        };
        network.load_state(&checkpoint.group("")).map_err(fault)?;
        optimizer::load_state(&*self.optimizer, &checkpoint.group(OPTIMIZER)).map_err(fault)?;
        self.running.load_state(&checkpoint.group(RUNNING)).map_err(fault)?;
        let generator = checkpoint.group(RANDOM).remove("cpu");
        cresset_bridge::random::set_cpu_generator_state(
            &generator.ok_or_else(|| fault("the random generator's state is missing".into()))?,
        )?;
        self.position = checkpoint.position;
        Ok(())
    }

    /// Trains to the end of the plan, or until `stop` says so after a step. Both parts hold preprocessed inputs, on the
    /// network's device.
    pub fn run(
        &mut self,
        network: &Network,
        train: &dyn TrainFeed,
        held_out: &dyn HeldOutFeed,
        observer: &mut dyn Observer,
        stop: &dyn Fn() -> bool,
    ) -> Result<Ending> {
        while self.position.epoch <= self.plan.epochs {
            let started = Instant::now();
            let Position { epoch, step: first, .. } = self.position;
            let Plan { batch_size, seed, .. } = self.plan;
            observer.epoch_started(epoch, self.plan.epochs, train.batches(batch_size));
            for batch in train.epoch(Pass { epoch, batch_size, seed, first }) {
                self.step(network, &batch?)?;
                self.position.step += 1;
                observer.step(self.position.step, &self.running);
                if stop() {
                    self.save_last(network)?;
                    return Ok(Ending::Interrupted);
                }
            }
            let record = self.measure(network, held_out, started)?;
            observer.epoch_ended(&record)?;
            self.finish_epoch(network, record)?;
        }
        Ok(Ending::Complete)
    }

    /// How far the training has come.
    pub fn position(&self) -> &Position {
        &self.position
    }

    fn step(&mut self, network: &Network, batch: &Batch) -> Result<()> {
        let logits = network.forward(&batch.inputs, true);
        let loss = self.objective.loss(&logits, batch);
        loss.f_backward()?;
        self.optimizer.step(self.plan.lr)?;
        self.optimizer.clear_gradients()?;
        self.running.add(&loss, &logits, &batch.labels);
        Ok(())
    }

    fn measure(
        &self,
        network: &Network,
        held_out: &dyn HeldOutFeed,
        started: Instant,
    ) -> Result<EpochRecord> {
        let (epoch, lr, train_loss) = (self.position.epoch, self.plan.lr, self.running.loss());
        if !train_loss.is_finite() {
            return Err(Error::Diverged(format!(
                "the loss became {train_loss} in epoch {epoch}: the learning rate {lr} is probably too high; the last good \
                 checkpoint was kept"
            )));
        }
        let found = evaluate(held_out, network.classes(), |inputs| Ok(network.forward(inputs, false)))?;
        Ok(EpochRecord {
            epoch,
            train_loss,
            train_accuracy: self.running.accuracy(),
            held_out_loss: found.loss,
            held_out_accuracy: found.confusion.accuracy(),
            lr,
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    fn finish_epoch(&mut self, network: &Network, record: EpochRecord) -> Result<()> {
        let is_best = self.position.best.is_none_or(|best| record.held_out_loss < best.held_out_loss);
        if is_best {
            self.position.best = Some(Best { epoch: record.epoch, held_out_loss: record.held_out_loss });
            checkpoint::save(&self.best, &[("", &network.state())], &self.position)?;
        }
        self.position.epoch += 1;
        self.position.step = 0;
        self.running = Running::new(network.device());
        self.save_last(network)
    }

    fn save_last(&self, network: &Network) -> Result<()> {
        let random = Tensors::from([("cpu".to_string(), cresset_bridge::random::cpu_generator_state()?)]);
        let groups = [
            ("", &network.state()),
            (OPTIMIZER, self.optimizer.state()),
            (RUNNING, &self.running.state()),
            (RANDOM, &random),
        ];
        checkpoint::save(&self.last, &groups, &self.position)?;
        tracing::debug!(epoch = self.position.epoch, step = self.position.step, "wrote the last checkpoint");
        Ok(())
    }
}
