//! The captured step: forward pass, loss, backward pass and update as one CUDA graph, which is captured once and replayed for
//! every full batch. The host then makes a handful of launches a step instead of several for each layer.
//!
//! A replay reads and writes the addresses of the capture. Weights and optimizer state stay where they are anyway, a batch is
//! copied into the captured one, and the learning rate is a tensor on the device. Gradients live in the memory of the graph
//! alone: each replay writes them anew.

mod obstacle;
#[cfg(test)]
mod tests;

use cresset_bridge::cuda::{Graph, Plugin};
use tch::{Device, Kind, Tensor};

use super::eager::eager_step;
use super::{Context, StepOutcome};
use crate::error::{Error, Result};
use crate::loader::Batch;
use crate::model::Network;
use crate::train::optimizer::Optimizer;
use crate::train::options::CudaGraph;
use obstacle::{CaptureConditions, obstacle};

/// Captures the work of a step and replays it: a CUDA graph, or a fake in tests.
pub(super) trait Recorder: Send {
    /// Runs work on the stream that is captured later.
    fn aside(&mut self, work: &mut dyn FnMut()) -> Result<()>;

    /// Captures work, in the place of an earlier capture.
    fn record(&mut self, work: &mut dyn FnMut() -> Result<()>) -> Result<()>;

    /// Runs what was captured.
    fn replay(&mut self) -> Result<()>;
}

impl Recorder for Graph {
    fn aside(&mut self, work: &mut dyn FnMut()) -> Result<()> {
        Ok(Graph::aside(self, work)?)
    }

    fn record(&mut self, work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        Graph::record(self, work)
    }

    fn replay(&mut self) -> Result<()> {
        Ok(Graph::replay(self)?)
    }
}

/// A training step as a CUDA graph.
pub struct Capture {
    recorder: Box<dyn Recorder>,
    /// Remaining eager steps before the capture. They run on the captured stream, so that all libraries are initialized.
    warm_up: u32,
    /// The batch that the graph reads.
    batch: Option<Batch>,
    captured: Option<Captured>,
    /// 1 where the loss of a step was NaN or infinite, so that its update was skipped, else 0: float32, a scalar.
    skip: Tensor,
    /// The sum of `skip` over all steps.
    faults: Tensor,
    /// Steps since the host last read `faults`.
    unchecked: u32,
    /// Whether the step could not be captured.
    has_failed: bool,
}

/// The tensors of a capture.
struct Captured {
    loss: Tensor,
    logits: Tensor,
    /// Each parameter, and whether it required gradients.
    parameters: Vec<(Tensor, bool)>,
}

/// Eager steps before the first capture, as many as PyTorch's `make_graphed_callables` takes.
const WARM_UP: u32 = 3;

/// Steps between two checks of the losses, each of which waits for the device.
const CHECK_EVERY: u32 = 32;

impl Capture {
    /// None where steps cannot be captured. Logs the reason: a warning if `--cuda-graph yes` asked for it, nothing on a CPU.
    pub(crate) fn new_if_possible(context: &mut Context, network: &Network, batch: &Batch) -> Option<Self> {
        let choice = context.options.cuda_graph;
        if choice == CudaGraph::No {
            return None;
        }
        let device = network.device();
        let circumstances = CaptureConditions {
            device,
            has_plugin: device.is_cuda() && Plugin::open().is_ok(),
            options: &context.options,
            optimizer_reads_rate: context.optimizer.can_read_lr_from_device(),
            has_teacher: context.distillation.is_some(),
            is_mixed: batch.mixed.is_some(),
            is_bag: batch.folds.is_some(),
            processes: context.world.size(),
        };
        let begin = |optimizer| Capture::new(Box::new(Graph::new(device)?), optimizer, device);
        let reason = match obstacle(&circumstances) {
            Some(reason) => reason.to_string(),
            None => match begin(&mut context.optimizer) {
                Ok(capture) => return Some(capture),
                Err(problem) => problem.to_string(),
            },
        };
        match choice {
            CudaGraph::Yes => tracing::warn!("--cuda-graph yes: steps are not captured, because {reason}"),
            _ if device.is_cuda() => tracing::info!("training steps are eager, because {reason}"),
            _ => {}
        }
        None
    }

    /// A capture of steps with this optimizer, which reads its learning rate from the device from here on.
    pub(super) fn new(
        recorder: Box<dyn Recorder>,
        optimizer: &mut Optimizer,
        device: Device,
    ) -> Result<Self> {
        let scalar = || Tensor::zeros([], (Kind::Float, device));
        let (skip, faults) = (scalar(), scalar());
        optimizer.read_from(&skip)?;
        Ok(Capture {
            recorder,
            warm_up: WARM_UP,
            batch: None,
            captured: None,
            skip,
            faults,
            unchecked: 0,
            has_failed: false,
        })
    }

    /// A step; none for a batch that needs the eager one: a smaller or mixed one, and each after a capture that failed.
    pub fn step(
        &mut self,
        context: &mut Context,
        network: &Network,
        batch: &Batch,
        lr: f64,
    ) -> Result<Option<StepOutcome>> {
        if !self.takes(context, batch) {
            return Ok(None);
        }
        self.discard_if_stale();
        if self.warm_up > 0 {
            return self.warm_up(context, network, batch, lr).map(Some);
        }
        self.copy_batch(batch);
        context.optimizer.set_rate(lr);
        if self.captured.is_none()
            && let Err(problem) = self.capture(context, network)
        {
            tracing::info!("training steps are eager, because the step cannot be captured: {problem}");
            self.has_failed = true;
            return Ok(None);
        }
        self.replay(context, network).map(Some)
    }

    /// Whether the step could not be captured.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Whether a batch has the shape of the captured one: the last one of an epoch may be smaller.
    fn takes(&self, context: &Context, batch: &Batch) -> bool {
        let is_alike = |own: &Batch| {
            own.inputs.size() == batch.inputs.size() && own.inputs.kind() == batch.inputs.kind()
        };
        let is_full = batch.labels.size() == [i64::from(context.batch_size)];
        is_full && batch.mixed.is_none() && self.batch.as_ref().is_none_or(is_alike)
    }

    /// Drops a capture whose parameters are frozen or unfrozen now (`--head-epochs`).
    fn discard_if_stale(&mut self) {
        let is_stale = |captured: &Captured| {
            captured.parameters.iter().any(|(tensor, was_trained)| tensor.requires_grad() != *was_trained)
        };
        if self.captured.as_ref().is_some_and(is_stale) {
            (self.captured, self.warm_up) = (None, WARM_UP);
        }
    }

    fn warm_up(
        &mut self,
        context: &mut Context,
        network: &Network,
        batch: &Batch,
        lr: f64,
    ) -> Result<StepOutcome> {
        self.warm_up -= 1;
        let mut outcome = None;
        self.recorder.aside(&mut || outcome = Some(eager_step(context, network, batch, lr)))?;
        outcome.expect("the step was taken")
    }

    /// Copies a batch to the addresses that the graph reads.
    fn copy_batch(&mut self, batch: &Batch) {
        let Batch { inputs, labels, .. } = batch;
        let own = self.batch.get_or_insert_with(|| Batch::new(inputs.empty_like(), labels.empty_like()));
        own.inputs.copy_(inputs);
        own.labels.copy_(labels);
    }

    fn capture(&mut self, context: &mut Context, network: &Network) -> Result<()> {
        let Capture { recorder, batch, skip, faults, .. } = self;
        let batch = batch.as_ref().expect("a batch was copied");
        // Without old gradients, the backward pass makes new ones in the memory of the graph instead of adding to them.
        context.clear_gradients()?;
        let mut made = None;
        recorder.record(&mut || {
            made = Some(step_on_device(context, network, batch, skip)?);
            let _ = faults.g_add_(skip);
            Ok(())
        })?;
        let (loss, logits) = made.expect("a step was captured");
        let parameters = network.parameters().into_values();
        let parameters = parameters.map(|tensor| (tensor.shallow_clone(), tensor.requires_grad())).collect();
        self.captured = Some(Captured { loss, logits, parameters });
        Ok(())
    }

    fn replay(&mut self, context: &mut Context, network: &Network) -> Result<StepOutcome> {
        self.recorder.replay()?;
        context.average.after_update(network);
        self.unchecked += 1;
        if self.unchecked == CHECK_EVERY {
            self.check()?;
            self.unchecked = 0;
        }
        // The next replay writes to the same memory.
        let Captured { loss, logits, .. } = self.captured.as_ref().expect("a step was captured");
        Ok(StepOutcome::Learned { loss: loss.copy(), logits: logits.copy() })
    }

    /// Checks the losses since the last check, which waits for the device.
    ///
    /// # Errors
    /// A loss that was NaN or infinite. The weights were not updated by it.
    pub fn check(&self) -> Result<()> {
        let faults = if self.unchecked > 0 { self.faults.double_value(&[]) } else { 0. };
        if faults == 0. {
            return Ok(());
        }
        Err(Error::Diverged(format!(
            "the loss of {faults} of the last {} batches was NaN or infinite, and the weights were not updated by it. A lower --lr \
             or --clip 1 often helps; --on-nan skip skips such batches",
            self.unchecked
        )))
    }
}

/// A step that can be captured: nothing in it waits for the device, the learning rate is read there, and a loss that is NaN
/// or infinite sets `skip` to 1, which makes the optimizer skip the update. Gives the loss and the logits.
fn step_on_device(
    context: &mut Context,
    network: &Network,
    batch: &Batch,
    skip: &mut Tensor,
) -> Result<(Tensor, Tensor)> {
    let logits = context.logits(network, &batch.inputs, true)?;
    let loss = context.objective.loss(&logits, batch);
    skip.copy_(&loss.isfinite().logical_not());
    loss.f_backward()?;
    context.optimizer.apply(0.)?;
    context.clear_gradients()?;
    let logits = context.objective.combined(&logits.detach());
    Ok((loss.detach(), logits))
}
