//! What training makes small.

mod bce;
mod cross_entropy;
mod focal;
mod mse;
#[cfg(test)]
mod tests;

use tch::{Device, Kind, Reduction, Tensor};

use crate::error::{Error, Result};
use crate::loader::Batch;
use cresset_options::number::{NumberOption, Options};

/// An objective that is known by name.
///
/// To add one, write a file beside `focal.rs` with a constant of this type and put it in [`OBJECTIVES`].
pub struct ObjectiveKind {
    /// Its name, as `--loss` takes it.
    pub name: &'static str,
    /// What it is, in a line.
    pub summary: &'static str,
    /// What `--loss-options` can set.
    pub options: &'static [NumberOption],
    /// The loss of some examples.
    pub loss: fn(&Options, &Question) -> Tensor,
}

/// All objectives.
pub const OBJECTIVES: &[ObjectiveKind] = &[cross_entropy::CROSS_ENTROPY, focal::FOCAL, mse::MSE, bce::BCE];

/// Examples whose loss is asked for.
pub struct Question<'a> {
    /// Float (N, classes).
    pub logits: &'a Tensor,
    /// Int64 (N): a class an example; or float (N, classes): a 1 for each class that it is of.
    pub labels: &'a Tensor,
    /// The weight of each class, float32 (classes); none where all classes weigh 1.
    pub weights: Option<&'a Tensor>,
    /// `Mean`: the sum of the weighted losses divided by the sum of the weights, as PyTorch has it, a scalar; `None`: the
    /// weighted loss of each example, (N).
    pub reduction: Reduction,
}

impl Question<'_> {
    /// The labels as float (N, classes), with a 1 for each class that an example is of.
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

    /// Reduces losses (N) of the examples as is asked for.
    fn reduced(&self, losses: &Tensor) -> Tensor {
        match (self.example_weights(), self.reduction) {
            (None, Reduction::None) => losses.shallow_clone(),
            (None, _) => losses.mean(None),
            (Some(weights), Reduction::None) => losses * weights,
            (Some(weights), _) => (losses * &weights).sum(None) / weights.sum(None),
        }
    }
}

/// An objective with its options and the weights of the classes.
pub struct Objective {
    kind: &'static ObjectiveKind,
    options: Options,
    weights: Option<Tensor>,
}

impl Objective {
    /// The objective of this name with `options` as `--loss-options` takes them, and these weights of the classes, or none.
    ///
    /// # Errors
    /// An unknown name, and faulty options.
    pub fn new(name: &str, options: &str, weights: Option<&[f32]>, device: Device) -> Result<Self> {
        let known = OBJECTIVES.iter().find(|known| known.name == name);
        let kind = known.ok_or_else(|| Error::Usage(format!("there is no loss `{name}`")))?;
        let options =
            Options::parse(options, &format!("the loss {name}"), kind.options).map_err(Error::Usage)?;
        Ok(Objective {
            kind,
            options,
            weights: weights.map(|weights| Tensor::from_slice(weights).to_device(device)),
        })
    }

    /// Whether it is the cross-entropy with labels as they are and classes of equal weight.
    pub(super) fn is_plain_cross_entropy(&self) -> bool {
        let is_cross_entropy = self.kind.name == cross_entropy::CROSS_ENTROPY.name;
        is_cross_entropy && self.options.number("smoothing") == 0. && self.weights.is_none()
    }

    /// The mean loss of logits (N, classes), as a scalar. Of a mixed input, each class counts with its share.
    pub fn loss(&self, logits: &Tensor, batch: &Batch) -> Tensor {
        let Some(mixed) = &batch.mixed else {
            return self.ask(logits, &batch.labels, Reduction::Mean);
        };
        let share = &mixed.weight;
        let losses = self.of_mixed(logits, batch);
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
            Some(_) => self.of_mixed(logits, batch),
            None => self.ask(logits, &batch.labels, Reduction::None),
        }
    }

    fn of_mixed(&self, logits: &Tensor, batch: &Batch) -> Tensor {
        let mixed = batch.mixed.as_ref().expect("the batch is mixed");
        let first = self.ask(logits, &batch.labels, Reduction::None);
        let second = self.ask(logits, &mixed.labels, Reduction::None);
        first * &mixed.weight + second * (1. - &mixed.weight)
    }

    fn ask(&self, logits: &Tensor, labels: &Tensor, reduction: Reduction) -> Tensor {
        let question = Question { logits, labels, weights: self.weights.as_ref(), reduction };
        (self.kind.loss)(&self.options, &question)
    }
}
