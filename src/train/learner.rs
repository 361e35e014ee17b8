//! Training batch by batch.

use cresset_bridge::kernels::allocator::KeptMemory;
use tch::{Device, Tensor};

use super::Plan;
use super::distillation::Distillation;
use super::step::{Context, Step, StepOutcome};
use crate::distributed::World;
use crate::error::Result;
use crate::loader::Batch;
use crate::model::Network;

/// Trains a network on one batch at a time.
///
/// ```
/// use cresset::loader::Pass;
/// use cresset::prelude::*;
/// use cresset::run::Prepared;
/// use cresset::train::{Learner, Plan, StepOutcome};
///
/// // The data and an untrained model.
/// let prepared = Prepared::new(&Config { data: "iris".into(), ..Config::default() })?;
/// let network = &prepared.network;
/// let mut learner = Learner::new(&Plan::new(1, 32, 0.01), network)?;
/// learner.start_epoch(network)?;
/// let mut losses = Vec::new();
/// for batch in prepared.train.epoch(Pass::new(1, 32, 0)) {
///     if let StepOutcome::Learned { loss, .. } = learner.step(network, &batch?, 0.01)? {
///         losses.push(loss.double_value(&[]));
///     }
/// }
/// assert_eq!(losses.len(), 4);
/// assert!(losses[3] < losses[0]);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct Learner {
    pub(super) context: Context,
    /// The kind of step, chosen at the first batch.
    pub(super) step: Option<Step>,
    /// Keeps the memory of a step's tensors for the next step.
    _memory: Option<KeptMemory>,
}

impl Learner {
    /// A learner for `network` with this plan.
    ///
    /// # Errors
    /// An unknown optimizer or loss, or invalid options.
    pub fn new(plan: &Plan, network: &Network) -> Result<Self> {
        Ok(Learner {
            context: Context::new(plan, network)?,
            step: None,
            _memory: if network.device() == Device::Cpu { KeptMemory::start_if_enabled() } else { None },
        })
    }

    /// Joins other processes, which have the same weights and average their gradients.
    pub fn with_world(mut self, world: &World) -> Self {
        self.context.join(world);
        self
    }

    /// Adds a teacher to the loss.
    pub(crate) fn with_teacher(mut self, distillation: Distillation) -> Self {
        self.context.distillation = Some(distillation);
        self
    }

    /// Starts an epoch that trains the parameters that require gradients now.
    pub fn start_epoch(&mut self, network: &Network) -> Result<()> {
        self.context.start_epoch(network)
    }

    /// One training step: forward pass, loss, backward pass and, every `accumulate` batches and at the end of an epoch, an
    /// update with the learning rate `lr`.
    pub fn step(&mut self, network: &Network, batch: &Batch, lr: f64) -> Result<StepOutcome> {
        let step = match &mut self.step {
            Some(step) => step,
            None => self.step.insert(Step::choose(&mut self.context, network, batch)?),
        };
        step.take(&mut self.context, network, batch, lr)
    }

    /// Updates the weights with the accumulated gradients, if there are any.
    pub fn update(&mut self, network: &Network, lr: f64) -> Result<()> {
        self.check()?;
        self.context.update(network, lr)
    }

    /// Checks the losses since the last check.
    ///
    /// # Errors
    /// A loss that was NaN or infinite.
    pub(super) fn check(&self) -> Result<()> {
        self.step.as_ref().map_or(Ok(()), Step::check)
    }

    /// Whether all gradients were applied.
    pub(crate) fn has_no_pending_gradients(&self) -> bool {
        self.context.accumulated == 0
    }

    /// Logits, float32 (N, classes), in the precision of the plan.
    pub fn logits(&self, network: &Network, inputs: &Tensor, train: bool) -> Result<Tensor> {
        self.context.logits(network, inputs, train)
    }
}
