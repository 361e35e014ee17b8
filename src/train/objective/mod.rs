//! Loss functions.

mod asymmetric;
mod bce;
mod cross_entropy;
mod focal;
mod huber;
mod in_batch;
mod mse;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

pub(crate) use in_batch::own_items;
use tch::{Device, Kind, Reduction, Tensor};

use crate::data::TaskKind;
use crate::error::{Error, Result};
use crate::loader::Batch;
use crate::model::Outputs;
use crate::model::layer::combined;
use cresset_options::number::{NumberOption, Options};

/// A loss function with a name.
///
/// To add one, write a file beside `focal.rs` with a constant of this type and put it in [`OBJECTIVES`].
///
/// ```
/// use cresset::train::objective::{LossInput, OBJECTIVES, Objective};
///
/// let focal = OBJECTIVES.iter().find(|kind| kind.name == "focal").unwrap();
/// assert!(focal.options.iter().any(|option| option.name == "gamma"));
/// ```
pub struct ObjectiveKind {
    /// The value of `--loss`.
    pub name: &'static str,
    /// A one-line description.
    pub summary: &'static str,
    /// The options of `--loss-options`.
    pub options: &'static [NumberOption],
    /// The tasks that it is for; the first loss of a task in [`OBJECTIVES`] is its default.
    pub tasks: &'static [TaskKind],
    /// Computes the loss.
    pub loss: fn(&Options, &LossInput) -> Tensor,
}

impl ObjectiveKind {
    /// Rejects a task that the loss function is not for.
    fn check_task(&self, task: TaskKind) -> Result<()> {
        if self.tasks.contains(&task) {
            return Ok(());
        }
        let suitable = OBJECTIVES.iter().filter(|kind| kind.tasks.contains(&task));
        let suitable: Vec<_> = suitable.map(|kind| kind.name).collect();
        let (name, task) = (self.name, task.described());
        Err(Error::Usage(format!("--loss {name} is not for {task}; use {}", suitable.join(" or "))))
    }
}

/// Rejects a loss function that is not for a task, or whose name is unknown.
pub(crate) fn check_task(name: &str, task: TaskKind) -> Result<()> {
    named(name)?.check_task(task)
}

fn named(name: &str) -> Result<&'static ObjectiveKind> {
    let known = OBJECTIVES.iter().find(|known| known.name == name);
    known.ok_or_else(|| Error::Usage(format!("unknown loss function `{name}`")))
}

/// All loss functions.
///
/// ```
/// use cresset::train::objective::OBJECTIVES;
///
/// let names: Vec<&str> = OBJECTIVES.iter().map(|loss| loss.name).collect();
/// assert_eq!(names, ["cross-entropy", "focal", "mse", "bce", "asymmetric", "huber", "in-batch-softmax"]);
/// ```
pub const OBJECTIVES: &[ObjectiveKind] = &[
    cross_entropy::CROSS_ENTROPY,
    focal::FOCAL,
    mse::MSE,
    bce::BCE,
    asymmetric::ASYMMETRIC,
    huber::HUBER,
    in_batch::IN_BATCH,
];

/// The default loss function of a task.
///
/// ```
/// use cresset::data::TaskKind;
/// use cresset::train::objective::default_for;
///
/// let names = [TaskKind::Classification, TaskKind::Multilabel, TaskKind::Regression].map(|task| default_for(task).name);
/// assert_eq!(names, ["cross-entropy", "bce", "mse"]);
/// ```
pub fn default_for(task: TaskKind) -> &'static ObjectiveKind {
    OBJECTIVES.iter().find(|kind| kind.tasks.contains(&task)).expect("every task has a loss function")
}

/// The input of a loss function.
pub struct LossInput<'a> {
    /// The outputs of the network, float (N, outputs): logits, or standardized numbers.
    pub logits: &'a Tensor,
    /// Class indices, int64 (N); or multi-hot labels or standardized numbers, float (N, outputs).
    pub labels: &'a Tensor,
    /// The task.
    pub task: TaskKind,
    /// Class weights, float32 (classes); none if all are 1.
    pub weights: Option<&'a Tensor>,
    /// `Mean`: the weighted mean as in PyTorch (the sum of the weighted losses divided by the sum of the weights), a scalar.
    /// `None`: the weighted loss of each example, (N).
    pub reduction: Reduction,
}

impl LossInput<'_> {
    /// The labels as one-hot or multi-hot vectors, float (N, classes).
    fn targets(&self) -> Tensor {
        if self.labels.dim() == 2 {
            return self.labels.to_kind(self.logits.kind());
        }
        self.logits.zeros_like().scatter_value(1, &self.labels.unsqueeze(1), 1.)
    }

    /// The weight of each example, (N).
    fn example_weights(&self) -> Option<Tensor> {
        let weights = self.weights?;
        Some(match self.labels.dim() {
            2 => (self.labels * weights).sum_dim_intlist(1, false, Kind::Float),
            _ => weights.index_select(0, self.labels),
        })
    }

    /// Applies the weights and the reduction to the losses (N) of the examples.
    fn reduce(&self, losses: &Tensor) -> Tensor {
        match (self.example_weights(), self.reduction) {
            (None, Reduction::None) => losses.shallow_clone(),
            (None, _) => losses.mean(None),
            (Some(weights), Reduction::None) => losses * weights,
            (Some(weights), _) => (losses * &weights).sum(None) / weights.sum(None),
        }
    }
}

/// A loss function with its options and class weights.
///
/// ```
/// use cresset::loader::Batch;
/// use cresset::train::Objective;
/// use tch::{Device, Tensor};
///
/// let objective = Objective::new("cross-entropy", "smoothing=0.1", None, Device::Cpu)?;
/// let logits = Tensor::from_slice2(&[[2f32, 0.], [0., 1.]]);
/// let batch = Batch::new(Tensor::new(), Tensor::from_slice(&[0i64, 1]));
/// let loss = objective.loss(&logits, &batch).double_value(&[]);
/// assert!((loss - objective.losses(&logits, &batch).mean(tch::Kind::Float).double_value(&[])).abs() < 1e-6);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct Objective {
    kind: &'static ObjectiveKind,
    options: Options,
    weights: Option<Tensor>,
    outputs: Outputs,
}

impl Objective {
    /// The loss function of this name, with `options` in the syntax of `--loss-options` and optional class weights.
    ///
    /// # Errors
    /// An unknown name or invalid options.
    pub fn new(name: &str, options: &str, weights: Option<&[f32]>, device: Device) -> Result<Self> {
        let kind = named(name)?;
        let options = Options::parse(options, &format!("the loss function {name}"), kind.options)
            .map_err(Error::Usage)?;
        Ok(Objective {
            kind,
            options,
            weights: weights.map(|weights| Tensor::from_slice(weights).to_device(device)),
            outputs: Outputs::default(),
        })
    }

    /// Sets the meaning of the network's outputs.
    ///
    /// # Errors
    /// A loss function for another task.
    pub fn for_outputs(self, outputs: &Outputs) -> Result<Self> {
        self.kind.check_task(outputs.task())?;
        Ok(Objective { outputs: outputs.clone(), ..self })
    }

    /// Whether it is cross-entropy without label smoothing and class weights.
    pub(super) fn is_plain_cross_entropy(&self) -> bool {
        let is_cross_entropy = self.kind.name == cross_entropy::CROSS_ENTROPY.name;
        is_cross_entropy && self.options.number("smoothing") == 0. && self.weights.is_none()
    }

    /// The label smoothing, if the loss is cross-entropy.
    pub(crate) fn smoothing(&self) -> Option<f64> {
        (self.kind.name == cross_entropy::CROSS_ENTROPY.name).then(|| self.options.number("smoothing"))
    }

    /// The outputs of the network, (N, outputs), of those of the members of an ensemble in training, (N, members, outputs).
    pub(super) fn combined(&self, logits: &Tensor) -> Tensor {
        if logits.dim() == 3 { combined(logits, self.outputs.task()) } else { logits.shallow_clone() }
    }

    /// The mean loss of logits (N, classes), or of the members of an ensemble, (N, members, classes): a scalar. The loss of a mixed example is the weighted mean over its two labels.
    pub fn loss(&self, logits: &Tensor, batch: &Batch) -> Tensor {
        let Some(mixed) = &batch.mixed else {
            return self.compute(logits, &batch.labels, Reduction::Mean);
        };
        let share = &mixed.weight;
        let losses = self.mixed_losses(logits, batch);
        let weights = match &self.weights {
            Some(weights) => {
                weights.index_select(0, &batch.labels) * share
                    + weights.index_select(0, &mixed.labels) * (1. - share)
            }
            None => share.ones_like(),
        };
        losses.sum(Kind::Float) / weights.sum(Kind::Float)
    }

    /// The weighted loss of each example, (N).
    pub fn losses(&self, logits: &Tensor, batch: &Batch) -> Tensor {
        match &batch.mixed {
            Some(_) => self.mixed_losses(logits, batch),
            None => self.compute(logits, &batch.labels, Reduction::None),
        }
    }

    /// The loss of each example (N) by the default loss function of the task, without weights.
    pub(super) fn plain_losses(&self, logits: &Tensor, labels: &Tensor) -> Tensor {
        let task = self.outputs.task();
        // An example without a label (-1) takes the first class: what counts is whether its loss is finite.
        let labels =
            if task == TaskKind::Classification { labels.clamp_min(0) } else { labels.shallow_clone() };
        let labels = &self.outputs.standardized(&labels);
        let kind = default_for(task);
        let options = Options::parse("", "the loss function", kind.options).expect("defaults are valid");
        (kind.loss)(&options, &LossInput { logits, labels, task, weights: None, reduction: Reduction::None })
    }

    fn mixed_losses(&self, logits: &Tensor, batch: &Batch) -> Tensor {
        let mixed = batch.mixed.as_ref().expect("the batch is mixed");
        let first = self.compute(logits, &batch.labels, Reduction::None);
        let second = self.compute(logits, &mixed.labels, Reduction::None);
        first * &mixed.weight + second * (1. - &mixed.weight)
    }

    fn compute(&self, logits: &Tensor, labels: &Tensor, reduction: Reduction) -> Tensor {
        if let &[examples, members, _] = &logits.size()[..] {
            // Each member has its own loss.
            let labels = labels.repeat_interleave_self_int(members, 0, None);
            let losses = self.compute(&logits.flatten(0, 1), &labels, reduction);
            return match reduction {
                Reduction::None => losses.view([examples, members]).mean_dim(1, false, None::<Kind>),
                _ => losses,
            };
        }
        let (weights, task) = (self.weights.as_ref(), self.outputs.task());
        let labels = &self.outputs.standardized(labels);
        let input = LossInput { logits, labels, task, weights, reduction };
        (self.kind.loss)(&self.options, &input)
    }
}
