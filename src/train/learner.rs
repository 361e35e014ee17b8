//! A training step: what happens to a batch.

use cresset_bridge::autocast;
use cresset_bridge::gradients::Gradients;
use cresset_bridge::kernels::allocator::KeptMemory;
use cresset_bridge::kernels::perceptron::Forward;
use cresset_bridge::reducer::Reducer;
use tch::{Device, Kind, Tensor};

use super::average::Average;
use super::direct::Direct;
use super::distillation::Distillation;
use super::loss_scale::LossScale;
use super::optimizer::{Optimizer, Parameter};
use super::options::{OnNan, Precision, TrainOptions};
use super::step_graph::StepGraph;
use super::{Objective, Plan};
use crate::distributed::World;
use crate::error::Result;
use crate::loader::Batch;
use crate::model::Network;

/// What turns batches into better weights. It can be driven batch by batch:
///
/// ```no_run
/// # use cresset::error::Result;
/// # use cresset::loader::Batch;
/// # use cresset::model::Network;
/// # use cresset::train::{Learner, Outcome, Plan};
/// # fn train(network: &Network, batches: impl Iterator<Item = Batch>) -> Result<()> {
/// let mut learner = Learner::new(&Plan::default(), network)?;
/// for batch in batches {
///     if let Outcome::Learned { loss, .. } = learner.step(network, &batch, 1e-3)? {
///         println!("{}", loss.double_value(&[]));
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct Learner {
    pub(super) optimizer: Optimizer,
    pub(super) average: Average,
    pub(super) scale: Option<LossScale>,
    pub(super) graph: StepGraph,
    /// What does without autograd, where that can be.
    pub(super) direct: Option<Direct>,
    pub(super) options: TrainOptions,
    pub(super) batch_size: u32,
    objective: Objective,
    distillation: Option<Distillation>,
    gradients: Gradients,
    /// Batches whose gradients wait for the update.
    waiting: u32,
    world: World,
    /// What averages the gradients over the processes, and of which parameters.
    reducer: Option<(Vec<String>, Reducer)>,
    /// Whether the loss of every step is looked at before it is learned from.
    pub(super) looks_at_every_loss: bool,
    /// Each step wants the memory of the one before.
    _memory: Option<KeptMemory>,
}

/// What came of a batch.
#[derive(Debug)]
pub enum Outcome {
    /// Its gradients were taken in; every `accumulate` batches, the weights were updated by them.
    Learned {
        /// Its mean loss, a scalar on the device.
        loss: Tensor,
        /// Its logits (N, classes).
        logits: Tensor,
    },
    /// Its loss is no number, here or in another process. Nothing was changed.
    NotFinite {
        /// The loss of each example, (N).
        losses: Tensor,
        /// The norm of the gradients that it gives.
        gradient_norm: f64,
    },
}

impl Learner {
    /// What trains `network` by this plan.
    ///
    /// # Errors
    /// Unknown names of the optimizer and the loss, and faulty options of theirs.
    pub fn new(plan: &Plan, network: &Network) -> Result<Self> {
        let options = &plan.options;
        let parameters = rated(network, options.layer_decay);
        let weights = plan.class_weights.as_deref();
        let objective = Objective::new(&options.loss, &options.loss_options, weights, network.device())?;
        Ok(Learner {
            optimizer: Optimizer::new(
                &plan.optimizer,
                &options.optimizer_options,
                options.weight_decay,
                &parameters,
            )?,
            average: Average::new(options, network),
            scale: (options.precision == Precision::Fp16).then(LossScale::default),
            direct: Direct::of(network, &objective, options)?,
            objective,
            graph: StepGraph::Undecided(options.cuda_graph),
            options: options.clone(),
            batch_size: plan.batch_size,
            distillation: None,
            gradients: Gradients::of(parameters.iter().map(|parameter| &parameter.tensor))?,
            waiting: 0,
            world: World::alone(),
            reducer: None,
            // Reading a loss waits for the GPU; where nothing must be mended, it is enough to look now and then.
            looks_at_every_loss: options.on_nan != OnNan::Stop || !network.device().is_cuda(),
            _memory: (network.device() == Device::Cpu).then(KeptMemory::start),
        })
    }

    /// The same, as one of several processes that have the same weights and average their gradients.
    pub fn among(self, world: &World) -> Self {
        // The same for the other processes, of which one that has no number lets all gradients be none.
        let looks_at_every_loss =
            self.looks_at_every_loss && (world.is_alone() || self.options.on_nan != OnNan::Stop);
        // Others' gradients are met on autograd's way back.
        let direct = self.direct.filter(|_| world.is_alone());
        Learner { world: world.clone(), looks_at_every_loss, direct, ..self }
    }

    /// Makes ready for steps with the parameters that are trained now.
    pub fn begin_epoch(&mut self, network: &Network) -> Result<()> {
        if self.world.is_alone() {
            return Ok(());
        }
        let parameters = network.parameters().into_iter().filter(|(_, tensor)| tensor.requires_grad());
        let (names, tensors): (Vec<_>, Vec<_>) = parameters.unzip();
        if self.reducer.as_ref().is_none_or(|(reduced, _)| *reduced != names) {
            // The old one first gives back its hooks.
            self.reducer = None;
            self.reducer = self.world.reducer(&tensors)?.map(|reducer| (names, reducer));
        }
        Ok(())
    }

    /// The same, which learns from a teacher too.
    pub fn taught_by(self, distillation: Distillation) -> Self {
        Learner { distillation: Some(distillation), direct: None, ..self }
    }

    /// Learns from a batch: forward, loss, backward and, every `accumulate` batches or at the end of an epoch, an update
    /// with the learning rate `lr`.
    pub fn step(&mut self, network: &Network, batch: &Batch, lr: f64) -> Result<Outcome> {
        // Taken out while it is at work on the learner.
        let mut graph = std::mem::take(&mut self.graph);
        let outcome = graph.step(self, network, batch, lr);
        self.graph = graph;
        outcome
    }

    /// The same, launched operation by operation.
    pub(super) fn step_by_itself(&mut self, network: &Network, batch: &Batch, lr: f64) -> Result<Outcome> {
        if let Some(outcome) = self.step_directly(network, batch, lr)? {
            return Ok(outcome);
        }
        let logits = self.logits(network, &batch.inputs, true)?;
        let mut loss = self.objective.loss(&logits, batch);
        if let Some(distillation) = &self.distillation {
            loss = distillation.loss(&loss, &logits, &batch.inputs)?;
        }
        if self.looks_at_every_loss && !self.is_finite_everywhere(&loss)? {
            return self.not_finite(&logits, &loss, batch);
        }
        self.waiting += 1;
        let is_due = self.waiting == self.options.accumulate || batch.is_last;
        // Gradients that wait for others are kept to this process, and sent with the last of them.
        if let (true, Some((_, reducer))) = (is_due, &self.reducer) {
            reducer.prepare()?;
        }
        match batch.weight * self.scale.map_or(1., |scale| scale.factor()) {
            1. => loss.f_backward()?,
            factor => (&loss * factor).f_backward()?,
        }
        if is_due {
            self.update(network, lr)?;
        }
        Ok(Outcome::Learned { loss, logits })
    }

    /// The same without autograd; none where that cannot be, and where the loss is no number, which is a matter of its own.
    fn step_directly(&mut self, network: &Network, batch: &Batch, lr: f64) -> Result<Option<Outcome>> {
        let Some(direct) = &mut self.direct else { return Ok(None) };
        let Some(Forward { value, loss, logits }) = direct.forward(batch)? else { return Ok(None) };
        if !value.is_finite() {
            return Ok(None);
        }
        direct.backward()?;
        self.waiting += 1;
        self.update(network, lr)?;
        Ok(Some(Outcome::Learned { loss, logits }))
    }

    fn is_finite_everywhere(&self, loss: &Tensor) -> Result<bool> {
        let is_bad = !loss.double_value(&[]).is_finite();
        if self.world.is_alone() {
            return Ok(!is_bad);
        }
        Ok(self.world.greatest(&[f64::from(u8::from(is_bad))])?[0] == 0.)
    }

    /// The same, so that it can be recorded: nothing in it waits for the device, and the learning rate is the one that was set
    /// there. If the loss is no number, `skip` becomes 1, else 0, which the optimizer heeds. Gives the loss and the logits.
    pub(super) fn step_unseen(
        &mut self,
        network: &Network,
        batch: &Batch,
        skip: &mut Tensor,
    ) -> Result<(Tensor, Tensor)> {
        let logits = self.logits(network, &batch.inputs, true)?;
        let loss = self.objective.loss(&logits, batch);
        skip.copy_(&loss.isfinite().logical_not());
        loss.f_backward()?;
        self.optimizer.apply(0.)?;
        self.forget_gradients()?;
        Ok((loss.detach(), logits.detach()))
    }

    /// Drops the gradients of all parameters.
    pub(super) fn forget_gradients(&mut self) -> Result<()> {
        Ok(self.gradients.clear()?)
    }

    /// The number of processes that train together.
    pub(super) fn processes(&self) -> u32 {
        self.world.size()
    }

    /// Whether a teacher is learned from, too.
    pub(super) fn has_teacher(&self) -> bool {
        self.distillation.is_some()
    }

    /// Looks at losses that nobody has looked at yet.
    ///
    /// # Errors
    /// One that was no number.
    pub(super) fn check(&self) -> Result<()> {
        self.graph.check()
    }

    /// Updates the weights by the gradients that wait, of the last batches of an epoch say; nothing if none do.
    pub fn update(&mut self, network: &Network, lr: f64) -> Result<()> {
        self.check()?;
        if self.waiting == 0 {
            return Ok(());
        }
        let share = 1. / f64::from(self.waiting) / self.scale.map_or(1., |scale| scale.factor());
        if share != 1. {
            self.gradients.scale(&scalar(share, network))?;
        }
        if self.are_usable()? {
            self.shorten()?;
            self.optimizer.step(lr)?;
            self.average.after_update(network);
        }
        self.waiting = 0;
        Ok(self.gradients.clear()?)
    }

    /// Whether all batches that were learned from have had their update.
    pub fn is_settled(&self) -> bool {
        self.waiting == 0
    }

    /// Logits, float32 (N, classes), in the precision of the plan.
    pub fn logits(&self, network: &Network, inputs: &Tensor, train: bool) -> Result<Tensor> {
        let kind = match self.options.precision {
            Precision::F32 if train => return network.forward(inputs, true),
            Precision::F32 => return network.infer(inputs),
            Precision::Bf16 => Kind::BFloat16,
            Precision::Fp16 => Kind::Half,
        };
        let logits = autocast::with(network.device(), kind, || network.forward(inputs, train))??;
        Ok(logits.to_kind(Kind::Float))
    }

    /// Gradients that overflowed in float16 are left out, and the scale of the loss adapts to it.
    fn are_usable(&mut self) -> Result<bool> {
        let Some(scale) = &mut self.scale else { return Ok(true) };
        Ok(scale.adapt(self.gradients.norm()?.double_value(&[]).is_finite()))
    }

    fn shorten(&mut self) -> Result<()> {
        let Some(most) = self.options.clip else { return Ok(()) };
        // PyTorch's clip_grad_norm_ adds the same small number.
        let factor = most / (self.gradients.norm()? + 1e-6);
        Ok(self.gradients.scale(&factor.clamp_max(1.))?)
    }

    fn not_finite(&mut self, logits: &Tensor, loss: &Tensor, batch: &Batch) -> Result<Outcome> {
        let losses = self.objective.losses(&logits.detach(), batch);
        loss.f_backward()?;
        let gradient_norm = self.gradients.norm()?.double_value(&[]);
        self.gradients.clear()?;
        self.waiting = 0;
        Ok(Outcome::NotFinite { losses, gradient_norm })
    }
}

/// The parameters that are or will be trained; the learning rate falls by `decay` from each layer to the one before it.
fn rated(network: &Network, decay: f64) -> Vec<Parameter> {
    let layers = network.blocks();
    let depth_of = |name: &str| {
        let place = layers.iter().position(|block| name.starts_with(&format!("{block}.")));
        // What is in no layer, such as a class token, belongs to the input.
        layers.len().saturating_sub(1 + place.unwrap_or(0))
    };
    let parameters = network.parameters().into_iter();
    parameters
        .map(|(name, tensor)| Parameter {
            rate: decay.powi(depth_of(&name) as i32),
            is_head: network.is_head(&name),
            name,
            tensor,
        })
        .collect()
}

fn scalar(value: f64, network: &Network) -> Tensor {
    Tensor::from(value as f32).to_device(network.device())
}
