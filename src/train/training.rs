//! The training loop.

use std::path::PathBuf;
use std::time::Instant;

use tch::Tensor;

use super::checkpoint::{self, Checkpoint, Position};
use super::optimizer::{self, Optimizer};
use super::{EpochRecord, Observer, Running, cross_entropy};
use crate::data::{EpochOrder, HeldOutPart, TrainPart};
use crate::error::{Error, Result};
use crate::evaluate::{Evaluation, evaluate};
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
}

/// How a call of [`Training::run`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All epochs are done.
    Complete,
    /// It was asked to stop; a checkpoint of the very step was written.
    Interrupted,
}

/// A model in training.
pub struct Training {
    plan: Plan,
    network: Network,
    optimizer: Box<dyn Optimizer>,
    train: TrainPart,
    held_out: HeldOutPart,
    running: Running,
    position: Position,
    last: PathBuf,
    best: PathBuf,
}

const OPTIMIZER: &str = "optimizer/";
const RUNNING: &str = "running/";
const RANDOM: &str = "random/";

impl Training {
    /// A training that begins at the first step. Both parts hold preprocessed inputs, on the network's device.
    pub fn new(
        plan: Plan,
        network: Network,
        train: TrainPart,
        held_out: HeldOutPart,
        run: &RunFolder,
    ) -> Result<Self> {
        let optimizer = optimizer::build(&plan.optimizer, &network.parameters())?;
        let running = Running::new(network.device());
        let position = Position { epoch: 1, step: 0, best: None };
        let (last, best) = (run.last_checkpoint(), run.best_checkpoint());
        Ok(Training { plan, network, optimizer, train, held_out, running, position, last, best })
    }

    /// Goes on from the run's last checkpoint: the steps that follow give the bits that an uninterrupted run would have
    /// given.
    pub fn resume(&mut self) -> Result<()> {
        let checkpoint = Checkpoint::load(&self.last)?;
        let fault = |problem: String| {
            Error::artifact(&self.last, format!("the checkpoint is not of this run: {problem}"))
        };
        self.network.load_state(&checkpoint.group("")).map_err(fault)?;
        optimizer::load_state(&*self.optimizer, &checkpoint.group(OPTIMIZER)).map_err(fault)?;
        self.running.load_state(&checkpoint.group(RUNNING)).map_err(fault)?;
        let generator = checkpoint.group(RANDOM).remove("cpu");
        cresset_bridge::random::set_cpu_generator_state(
            &generator.ok_or_else(|| fault("the random generator's state is missing".into()))?,
        )?;
        self.position = checkpoint.position;
        Ok(())
    }

    /// Trains to the end of the plan, or until `stop` says so after a step.
    pub fn run(&mut self, observer: &mut dyn Observer, stop: &dyn Fn() -> bool) -> Result<Ending> {
        while self.position.epoch <= self.plan.epochs {
            let started = Instant::now();
            let order = self.shuffle();
            observer.epoch_started(self.position.epoch, self.plan.epochs, order.batches());
            while self.position.step < order.batches() {
                let (inputs, labels) = order.batch(self.position.step);
                self.step(&inputs, &labels)?;
                self.position.step += 1;
                observer.step(self.position.step, &self.running);
                if stop() {
                    self.save_last()?;
                    return Ok(Ending::Interrupted);
                }
            }
            let record = self.measure(started)?;
            observer.epoch_ended(&record)?;
            self.finish_epoch(record)?;
        }
        Ok(Ending::Complete)
    }

    /// How far the training has come.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// The model with the weights of the best epoch.
    pub fn into_best(mut self) -> Result<Network> {
        let weights = Checkpoint::load(&self.best)?.group("");
        self.network.load_state(&weights).map_err(|problem| Error::artifact(&self.best, problem))?;
        Ok(self.network)
    }

    fn shuffle(&self) -> EpochOrder {
        let Plan { batch_size, seed, .. } = self.plan;
        EpochOrder::shuffled(
            &self.train.0.inputs,
            &self.train.0.labels,
            batch_size,
            seed,
            self.position.epoch,
        )
    }

    fn step(&mut self, inputs: &Tensor, labels: &Tensor) -> Result<()> {
        let logits = self.network.forward(inputs, true);
        let loss = cross_entropy(&logits, labels);
        loss.f_backward()?;
        self.optimizer.step(self.plan.lr)?;
        self.optimizer.clear_gradients()?;
        self.running.add(&loss, &logits, labels);
        Ok(())
    }

    fn measure(&self, started: Instant) -> Result<EpochRecord> {
        let train_loss = self.running.loss();
        if !train_loss.is_finite() {
            let problem = format!(
                "the loss became {train_loss} in epoch {}: the learning rate {} is probably too high; the last good \
                 checkpoint was kept",
                self.position.epoch, self.plan.lr
            );
            return Err(Error::Usage(problem));
        }
        let held_out = self.evaluate()?;
        Ok(EpochRecord {
            epoch: self.position.epoch,
            train_loss,
            train_accuracy: self.running.accuracy(),
            held_out_loss: held_out.loss,
            held_out_accuracy: held_out.confusion.accuracy(),
            lr: self.plan.lr,
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    fn evaluate(&self) -> Result<Evaluation> {
        let classes = self.network.forward(&self.held_out.0.inputs.narrow(0, 0, 1), false).size()[1] as usize;
        evaluate(&self.held_out.0, classes, |inputs| Ok(self.network.forward(inputs, false)))
    }

    fn finish_epoch(&mut self, record: EpochRecord) -> Result<()> {
        let is_best = self.position.best.is_none_or(|best| record.held_out_loss < best.held_out_loss);
        if is_best {
            self.position.best = Some(record);
            checkpoint::save(&self.best, &[("", &self.network.state())], &self.position)?;
        }
        self.position.epoch += 1;
        self.position.step = 0;
        self.running = Running::new(self.network.device());
        self.save_last()
    }

    fn save_last(&self) -> Result<()> {
        let random = Tensors::from([("cpu".to_string(), cresset_bridge::random::cpu_generator_state()?)]);
        let groups = [
            ("", &self.network.state()),
            (OPTIMIZER, self.optimizer.state()),
            (RUNNING, &self.running.state()),
            (RANDOM, &random),
        ];
        checkpoint::save(&self.last, &groups, &self.position)
    }
}
