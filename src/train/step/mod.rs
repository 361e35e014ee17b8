//! One training step: forward pass, loss, backward pass and update of the weights for one batch.
//!
//! There are three kinds of step. They compute the same gradients and differ in cost:
//!
//! | kind | where | when |
//! | --- | --- | --- |
//! | eager | [`eager`] | always possible: libtorch runs each operation and autograd computes the gradients |
//! | manual backward | [`manual_backward`] | MLP with cross-entropy on the CPU: the gradients are a few formulas, without autograd |
//! | captured graph | [`captured_graph`] | CUDA: the whole step is captured once as a CUDA graph and replayed |
//!
//! [`Step::choose`] picks the kind at the first batch. A batch that the chosen kind cannot take, such as a smaller last
//! one, goes through [`eager_step`]. All kinds work on the same [`Context`].

mod bagged;
mod captured_graph;
mod context;
mod eager;
mod manual_backward;

use tch::Tensor;

use crate::error::Result;
use crate::loader::Batch;
use crate::model::Network;

use captured_graph::Capture;
pub(super) use context::Context;
use eager::eager_step;
use manual_backward::ManualBackward;

/// The kind of step that a learner takes.
pub(super) enum Step {
    /// libtorch's operations one by one, with autograd.
    Eager,
    /// The gradients of an MLP by their formulas.
    ManualBackward(ManualBackward),
    /// A CUDA graph of the whole step.
    CapturedGraph(Capture),
}

/// The result of a training step.
///
/// ```
/// use cresset::loader::Batch;
/// use cresset::model::Task;
/// use cresset::prelude::*;
/// use cresset::train::{Learner, Plan, StepOutcome};
/// use tch::{Device, Tensor};
///
/// let task = Task::new(InputShape(vec![2]), 2);
/// let network = Network::new("mlp", "width=8", &task, Device::Cpu, 0)?;
/// let mut learner = Learner::new(&Plan::new(1, 1, 0.01), &network)?;
/// learner.start_epoch(&network)?;
/// let inputs = Tensor::from_slice2(&[[f32::NAN, 1.]]);
/// let outcome = learner.step(&network, &Batch::new(inputs, Tensor::from_slice(&[0i64])), 0.01)?;
/// assert!(matches!(outcome, StepOutcome::NotFinite { .. }));
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug)]
pub enum StepOutcome {
    /// The gradients of the batch were added; the weights are updated every `accumulate` batches.
    Learned {
        /// The mean loss, a scalar on the device.
        loss: Tensor,
        /// The logits, (N, classes).
        logits: Tensor,
    },
    /// The loss is NaN or infinite, here or in another process. Nothing was changed.
    NotFinite {
        /// The loss of each example, (N).
        losses: Tensor,
        /// The norm of the gradients.
        gradient_norm: f64,
    },
}

impl Step {
    /// The cheapest kind of step that the model, the options and the first batch allow.
    ///
    /// # Errors
    /// An MLP whose parameters are not float32 on the CPU, which no network has.
    pub fn choose(context: &mut Context, network: &Network, batch: &Batch) -> Result<Self> {
        if let Some(capture) = Capture::new_if_possible(context, network, batch) {
            return Ok(Step::CapturedGraph(capture));
        }
        let manual = ManualBackward::new_if_possible(context, network)?;
        Ok(manual.map_or(Step::Eager, Step::ManualBackward))
    }

    /// Takes a step with the learning rate `lr`.
    ///
    /// # Errors
    /// What libtorch or the model fails with, and a loss that was NaN or infinite in an earlier replay of a graph.
    pub fn take(
        &mut self,
        context: &mut Context,
        network: &Network,
        batch: &Batch,
        lr: f64,
    ) -> Result<StepOutcome> {
        let outcome = match self {
            Step::Eager => None,
            Step::ManualBackward(manual) => manual.step(context, network, batch, lr)?,
            Step::CapturedGraph(capture) => capture.step(context, network, batch, lr)?,
        };
        if let Step::CapturedGraph(capture) = self
            && capture.has_failed()
        {
            *self = Step::Eager;
        }
        match outcome {
            Some(outcome) => Ok(outcome),
            None => eager_step(context, network, batch, lr),
        }
    }

    /// Checks the losses of the replays since the last check. The other kinds check each loss themselves.
    ///
    /// # Errors
    /// A loss that was NaN or infinite. The weights were not updated by it.
    pub fn check(&self) -> Result<()> {
        match self {
            Step::CapturedGraph(capture) => capture.check(),
            Step::Eager | Step::ManualBackward(_) => Ok(()),
        }
    }
}
