//! The parts of a training step that all kinds of step share.

use cresset_bridge::autocast;
use cresset_bridge::gradients::Gradients;
use cresset_bridge::reducer::Reducer;
use tch::{Device, Kind, Tensor};

use crate::distributed::World;
use crate::error::Result;
use crate::loader::Batch;
use crate::model::Network;
use crate::train::average::Average;
use crate::train::distillation::Distillation;
use crate::train::loss_scale::LossScale;
use crate::train::optimizer::{Optimizer, Parameter, SparseGradients};
use crate::train::options::{OnNan, Precision, TrainOptions};
use crate::train::{Objective, Plan};

/// Loss, optimizer and the rest of the state that steps read and change. The network is passed beside it.
pub struct Context {
    pub optimizer: Optimizer,
    pub average: Average,
    /// Loss scaling, in float16 only.
    pub scaler: Option<LossScale>,
    pub objective: Objective,
    pub distillation: Option<Distillation>,
    /// The dense gradients.
    pub gradients: Gradients,
    /// The sparse gradients, to clear them.
    sparse: Gradients,
    pub options: TrainOptions,
    pub batch_size: u32,
    /// Batches whose gradients were accumulated since the last update.
    pub accumulated: u32,
    pub world: World,
    /// Averages the gradients of the named parameters over all processes.
    pub reducer: Option<(Vec<String>, Reducer)>,
    /// Whether the loss of every step is checked before its backward pass.
    pub checks_every_loss: bool,
}

impl Context {
    /// The context of a single process that trains `network` by this plan.
    ///
    /// # Errors
    /// An unknown optimizer or loss, or invalid options.
    pub fn new(plan: &Plan, network: &Network) -> Result<Self> {
        let options = &plan.options;
        let parameters = with_rates(network, options.layer_decay);
        let weights = plan.class_weights.as_deref();
        Ok(Context {
            objective: Objective::new(&options.loss, &options.loss_options, weights, network.device())?
                .for_outputs(&plan.outputs)?,
            optimizer: Optimizer::new(
                &plan.optimizer,
                &options.optimizer_options,
                options.weight_decay,
                &parameters,
            )?,
            average: Average::new(options, network),
            scaler: (options.precision == Precision::Fp16).then(LossScale::default),
            distillation: None,
            gradients: Gradients::of(tensors(&parameters, false))?,
            sparse: Gradients::of(tensors(&parameters, true))?,
            options: options.clone(),
            batch_size: plan.batch_size,
            accumulated: 0,
            world: World::alone(),
            reducer: None,
            // Reading a loss waits for the GPU. With --on-nan stop, a periodic check is enough.
            checks_every_loss: options.on_nan != OnNan::Stop || !network.device().is_cuda(),
        })
    }

    /// Joins other processes that have the same weights and average their gradients.
    pub fn join(&mut self, world: &World) {
        // With --on-nan stop, the processes need not agree on each loss: the averaged gradients are NaN on all ranks.
        self.checks_every_loss &= world.is_alone() || self.options.on_nan != OnNan::Stop;
        self.world = world.clone();
    }

    /// Prepares the averaging of gradients over the processes for the parameters that are trained in this epoch.
    pub fn start_epoch(&mut self, network: &Network) -> Result<()> {
        if self.world.is_alone() {
            return Ok(());
        }
        let sparse = network.sparse_parameters();
        let parameters = network.parameters().into_iter();
        // Sparse gradients are averaged when they are used.
        let parameters = parameters.filter(|(name, tensor)| tensor.requires_grad() && !sparse.contains(name));
        let (names, tensors): (Vec<_>, Vec<_>) = parameters.unzip();
        if self.reducer.as_ref().is_none_or(|(reduced, _)| *reduced != names) {
            // The old reducer removes its hooks first.
            self.reducer = None;
            self.reducer = self.world.reducer(&tensors)?.map(|reducer| (names, reducer));
        }
        Ok(())
    }

    /// Logits, float32 (N, classes), in the precision of the plan.
    pub fn logits(&self, network: &Network, inputs: &Tensor, train: bool) -> Result<Tensor> {
        self.in_precision(network.device(), || match self.options.precision {
            Precision::F32 if !train => network.infer(inputs),
            _ => network.forward(inputs, train),
        })
    }

    /// The outputs in evaluation mode by which a network is measured ([`Network::evaluated`]), in the precision of the plan.
    pub fn evaluated(&self, network: &Network, inputs: &Tensor) -> Result<Tensor> {
        match network.members() {
            [] => self.logits(network, inputs, false),
            _ => self.in_precision(network.device(), || network.evaluated(inputs)),
        }
    }

    /// The outputs of a forward pass on `device`, float32, in the precision of the plan.
    pub fn in_precision(&self, device: Device, forward: impl FnOnce() -> Result<Tensor>) -> Result<Tensor> {
        match self.autocast_kind() {
            None => forward(),
            Some(kind) => Ok(autocast::with(device, kind, forward)??.to_kind(Kind::Float)),
        }
    }

    fn autocast_kind(&self) -> Option<Kind> {
        match self.options.precision {
            Precision::F32 => None,
            Precision::Bf16 => Some(Kind::BFloat16),
            Precision::Fp16 => Some(Kind::Half),
        }
    }

    /// The backward pass of a loss, through the blocks that are computed again, too.
    pub fn backward(&self, network: &Network, loss: &Tensor) -> Result<()> {
        loss.f_backward()?;
        network.backward_blocks(self.autocast_kind())
    }

    /// The mean loss of a batch by its labels, a scalar. The loss of an example without a label is 0.
    pub fn label_loss(&self, outputs: &Tensor, batch: &Batch) -> Tensor {
        let Some(labelled) = batch.taught.as_ref().and_then(|taught| taught.labelled.as_ref()) else {
            return self.objective.loss(outputs, batch);
        };
        let (count, all) = (labelled.size()[0], batch.labels.size()[0]);
        if count == 0 {
            return Tensor::zeros([], (Kind::Float, outputs.device()));
        }
        let part = Batch::new(batch.inputs.shallow_clone(), batch.labels.index_select(0, labelled));
        self.objective.loss(&outputs.index_select(0, labelled), &part) * (count as f64 / all as f64)
    }

    /// The factor that the loss is multiplied by before the backward pass.
    pub(crate) fn loss_scale(&self) -> f64 {
        self.scaler.map_or(1., |scaler| scaler.factor())
    }

    /// Updates the weights by the accumulated gradients and clears these; does nothing if there are none.
    pub fn update(&mut self, network: &Network, lr: f64) -> Result<()> {
        if self.accumulated == 0 {
            return Ok(());
        }
        let share = 1. / f64::from(self.accumulated) / self.loss_scale();
        let mut sparse = self.optimizer.sparse_gradients(&self.world)?;
        if share != 1. {
            let share = scalar(share, network.device());
            self.gradients.scale(&share)?;
            sparse.scale(&share);
        }
        if self.unscaled_gradients_are_finite(&sparse)? {
            self.clip_gradients(&mut sparse)?;
            self.optimizer.step(lr)?;
            self.optimizer.step_sparse(&sparse, lr)?;
            self.average.after_update(network);
        }
        self.clear_gradients()
    }

    /// Drops all gradients.
    pub(crate) fn clear_gradients(&mut self) -> Result<()> {
        self.accumulated = 0;
        self.sparse.clear()?;
        Ok(self.gradients.clear()?)
    }

    /// Whether the gradients did not overflow in float16; the loss scale adapts to it.
    fn unscaled_gradients_are_finite(&mut self, sparse: &SparseGradients) -> Result<bool> {
        let Some(scaler) = &mut self.scaler else { return Ok(true) };
        Ok(scaler.adapt(sparse.norm(self.gradients.norm()?).double_value(&[]).is_finite()))
    }

    fn clip_gradients(&mut self, sparse: &mut SparseGradients) -> Result<()> {
        let Some(max_norm) = self.options.clip else { return Ok(()) };
        // The same epsilon as in PyTorch's clip_grad_norm_.
        let factor = (max_norm / (sparse.norm(self.gradients.norm()?) + 1e-6)).clamp_max(1.);
        sparse.scale(&factor);
        Ok(self.gradients.scale(&factor)?)
    }
}

/// All parameters with their learning rate factors, which decrease by `decay` from each layer to the preceding one.
fn with_rates(network: &Network, decay: f64) -> Vec<Parameter> {
    let layers = network.blocks();
    let depth_of = |name: &str| {
        let index = layers.iter().position(|block| name.starts_with(&format!("{block}.")));
        // A parameter outside all layers, such as a class token, belongs to the input.
        layers.len().saturating_sub(1 + index.unwrap_or(0))
    };
    let sparse = network.sparse_parameters();
    let parameters = network.parameters().into_iter();
    parameters
        .map(|(name, tensor)| Parameter {
            is_sparse: sparse.contains(&name),
            rate: decay.powi(depth_of(&name) as i32),
            is_head: network.is_head(&name),
            name,
            tensor,
        })
        .collect()
}

/// The tensors of the parameters with sparse or dense gradients.
fn tensors(parameters: &[Parameter], are_sparse: bool) -> impl Iterator<Item = &Tensor> {
    let parameters = parameters.iter().filter(move |parameter| parameter.is_sparse == are_sparse);
    parameters.map(|parameter| &parameter.tensor)
}

fn scalar(value: f64, device: Device) -> Tensor {
    Tensor::from(value as f32).to_device(device)
}
