//! A training step as a CUDA graph: forward, loss, backward and update are recorded once, and then launched as one piece of
//! work on every full batch. The host so has a handful of launches a step left, where it had some for each layer.
//!
//! What a recorded step reads stands where it stood when it was recorded: the weights and the optimizer's memory do anyway,
//! a batch is copied there, and the learning rate is a tensor. Gradients are in the graph's own memory and known to nothing
//! else: each replay stores them anew.

mod obstacle;
#[cfg(test)]
mod tests;

use cresset_bridge::cuda::{Graph, Plugin};
use tch::{Kind, Tensor};

use super::learner::{Learner, Outcome};
use super::options::CudaGraph;
use crate::error::{Error, Result};
use crate::loader::Batch;
use crate::model::Network;
use obstacle::{Circumstances, obstacle};

/// Whether training steps are recorded.
#[derive(Default)]
pub(super) enum StepGraph {
    /// The first step decides.
    Undecided(CudaGraph),
    /// Every step is launched operation by operation.
    #[default]
    Off,
    /// They are.
    On(Steps),
}

/// What records the work of a step and repeats it.
pub(super) trait Recorder: Send {
    /// Runs work where it will be recorded.
    fn aside(&mut self, work: &mut dyn FnMut()) -> Result<()>;

    /// Records work, in the place of a recording before.
    fn record(&mut self, work: &mut dyn FnMut() -> Result<()>) -> Result<()>;

    /// Runs what was recorded.
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

/// Steps that are recorded.
pub(super) struct Steps {
    recorder: Box<dyn Recorder>,
    /// Steps that are still launched operation by operation, beside the usual stream, so that all libraries are set up when
    /// one is recorded.
    warm_up: u32,
    /// The batch that a recorded step reads.
    batch: Option<Batch>,
    recorded: Option<Recorded>,
    /// 1 where the loss of a step was no number, so that its update was left out, else 0: float32, a scalar.
    skip: Tensor,
    /// The sum of it over all steps.
    faults: Tensor,
    /// Steps since the host last looked at it.
    unchecked: u32,
}

/// What a recorded step leaves, and what it was recorded for.
struct Recorded {
    loss: Tensor,
    logits: Tensor,
    /// Each parameter, and whether it was trained.
    trained: Vec<(Tensor, bool)>,
}

/// Steps before the first recording, as many as PyTorch's `make_graphed_callables` does.
const WARM_UP: u32 = 3;

/// Steps between two looks at the losses, each of which waits for the device.
const CHECK_EVERY: u32 = 32;

impl StepGraph {
    /// Learns from a batch, by the graph if that can be.
    pub fn step(
        &mut self,
        learner: &mut Learner,
        network: &Network,
        batch: &Batch,
        lr: f64,
    ) -> Result<Outcome> {
        if let StepGraph::Undecided(choice) = *self {
            *self = decide(choice, learner, network, batch);
        }
        let StepGraph::On(steps) = self else { return learner.step_by_itself(network, batch, lr) };
        if !steps.fits(learner, batch) {
            return learner.step_by_itself(network, batch, lr);
        }
        steps.renew_if_stale();
        if steps.warm_up > 0 {
            return steps.warm_up(learner, network, batch, lr);
        }
        steps.take(batch);
        learner.optimizer.set_rate(lr);
        if steps.recorded.is_none()
            && let Err(problem) = steps.record(learner, network)
        {
            tracing::info!("training steps are launched operation by operation: {problem}");
            *self = StepGraph::Off;
            return learner.step_by_itself(network, batch, lr);
        }
        steps.replay(learner, network)
    }

    /// Looks at the losses since the last look.
    ///
    /// # Errors
    /// One that was no number. The weights were not updated by it.
    pub fn check(&self) -> Result<()> {
        match self {
            StepGraph::On(steps) if steps.unchecked > 0 => steps.check(),
            _ => Ok(()),
        }
    }
}

/// Says why steps are not recorded where they are not: loudly if that was asked for, not at all where nobody expects it.
fn decide(choice: CudaGraph, learner: &mut Learner, network: &Network, batch: &Batch) -> StepGraph {
    if choice == CudaGraph::No {
        return StepGraph::Off;
    }
    let device = network.device();
    let circumstances = Circumstances {
        device,
        has_plugin: device.is_cuda() && Plugin::open().is_ok(),
        options: &learner.options,
        optimizer_reads_rate: learner.optimizer.can_read_rate(),
        has_teacher: learner.has_teacher(),
        is_mixed: batch.mixed.is_some(),
        processes: learner.processes(),
    };
    let begin = |learner| Steps::new(Box::new(Graph::new(device)?), learner, network);
    let reason = match obstacle(&circumstances) {
        Some(reason) => reason.to_string(),
        None => match begin(learner) {
            Ok(steps) => return StepGraph::On(steps),
            Err(problem) => problem.to_string(),
        },
    };
    match choice {
        CudaGraph::Yes => tracing::warn!("--cuda-graph yes: steps are not recorded, because {reason}"),
        _ if device.is_cuda() => {
            tracing::info!("training steps are launched operation by operation, because {reason}");
        }
        _ => {}
    }
    StepGraph::Off
}

impl Steps {
    /// Steps of `learner`, whose optimizer reads its learning rate from the device from here on.
    fn new(recorder: Box<dyn Recorder>, learner: &mut Learner, network: &Network) -> Result<Self> {
        let scalar = || Tensor::zeros([], (Kind::Float, network.device()));
        let (skip, faults) = (scalar(), scalar());
        learner.optimizer.read_from(&skip)?;
        Ok(Steps { recorder, warm_up: WARM_UP, batch: None, recorded: None, skip, faults, unchecked: 0 })
    }

    /// Whether a batch is like the one that is recorded: the last one of an epoch may be smaller.
    fn fits(&self, learner: &Learner, batch: &Batch) -> bool {
        let is_like = |own: &Batch| {
            own.inputs.size() == batch.inputs.size() && own.inputs.kind() == batch.inputs.kind()
        };
        let is_full = batch.labels.size() == [i64::from(learner.batch_size)];
        is_full && batch.mixed.is_none() && self.batch.as_ref().is_none_or(is_like)
    }

    /// Gives a recording up that is of other parameters than those that are trained now (`--head-epochs`).
    fn renew_if_stale(&mut self) {
        let is_stale = |recorded: &Recorded| {
            recorded.trained.iter().any(|(tensor, was_trained)| tensor.requires_grad() != *was_trained)
        };
        if self.recorded.as_ref().is_some_and(is_stale) {
            (self.recorded, self.warm_up) = (None, WARM_UP);
        }
    }

    fn warm_up(
        &mut self,
        learner: &mut Learner,
        network: &Network,
        batch: &Batch,
        lr: f64,
    ) -> Result<Outcome> {
        self.warm_up -= 1;
        let mut outcome = None;
        self.recorder.aside(&mut || outcome = Some(learner.step_by_itself(network, batch, lr)))?;
        outcome.expect("the step was taken")
    }

    /// Copies a batch to where the recorded step reads it.
    fn take(&mut self, batch: &Batch) {
        let Batch { inputs, labels, .. } = batch;
        let own = self.batch.get_or_insert_with(|| Batch::new(inputs.empty_like(), labels.empty_like()));
        own.inputs.copy_(inputs);
        own.labels.copy_(labels);
    }

    fn record(&mut self, learner: &mut Learner, network: &Network) -> Result<()> {
        let Steps { recorder, batch, skip, faults, .. } = self;
        let batch = batch.as_ref().expect("a batch was taken");
        // The backward pass then makes gradients, in the graph's memory, instead of adding to old ones outside of it.
        learner.forget_gradients()?;
        let mut made = None;
        recorder.record(&mut || {
            made = Some(learner.step_unseen(network, batch, skip)?);
            let _ = faults.g_add_(skip);
            Ok(())
        })?;
        let (loss, logits) = made.expect("a step was recorded");
        let parameters = network.parameters().into_values();
        let trained = parameters.map(|tensor| (tensor.shallow_clone(), tensor.requires_grad())).collect();
        self.recorded = Some(Recorded { loss, logits, trained });
        Ok(())
    }

    fn replay(&mut self, learner: &mut Learner, network: &Network) -> Result<Outcome> {
        self.recorder.replay()?;
        learner.average.after_update(network);
        self.unchecked += 1;
        if self.unchecked == CHECK_EVERY {
            self.check()?;
            self.unchecked = 0;
        }
        // The next replay writes to the same memory.
        let Recorded { loss, logits, .. } = self.recorded.as_ref().expect("a step was recorded");
        Ok(Outcome::Learned { loss: loss.copy(), logits: logits.copy() })
    }

    fn check(&self) -> Result<()> {
        let faults = self.faults.double_value(&[]);
        if faults == 0. {
            return Ok(());
        }
        Err(Error::Diverged(format!(
            "the loss of {faults} of the last {} batches was no number, and the weights were not updated by it. A lower --lr \
             or --clip 1 often helps; --on-nan skip leaves such batches out",
            self.unchecked
        )))
    }
}
