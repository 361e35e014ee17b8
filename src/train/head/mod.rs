//! Heads: classifiers of features, which `--head-only` fits in place of the last layer of a network.

mod knn;
mod lbfgs;
mod linear;
mod mlp;
#[cfg(test)]
mod tests;

use std::time::Instant;

use tch::{Kind, Reduction, Tensor};

pub(crate) use knn::check_bank;

use crate::error::{Error, Result};
use crate::model::Tensors;
use cresset_options::number::{NumberOption, Options};

/// A kind of head.
///
/// To add one, write a file beside `linear.rs` with a constant of this type and put it in [`HEADS`].
///
/// ```
/// use cresset::train::head::HEADS;
///
/// assert_eq!(HEADS[0].name, "linear");
/// ```
pub struct HeadKind {
    /// The value of `--head`.
    pub name: &'static str,
    /// A one-line description.
    pub summary: &'static str,
    /// The options of `--head-options`.
    pub options: &'static [NumberOption],
    /// The layers that it puts in place of the last layer.
    pub layers: fn(&Options) -> HeadLayers,
    /// Fits the head and reports each attempt. The result has the tensors of the last layer for the best one, and `hidden.weight`
    /// and `hidden.bias` if there is a hidden layer.
    pub fit: FitHead,
}

/// The layers that a head puts in place of the last layer of a network.
///
/// ```
/// use cresset::train::head::HeadLayers;
///
/// assert_ne!(HeadLayers::Linear, HeadLayers::Hidden(256));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum HeadLayers {
    /// The fully connected layer that the network has: `weight` and `bias`.
    Linear,
    /// A hidden layer of this width with ReLU, and a fully connected layer.
    Hidden(i64),
    /// A [`Neighbors`](crate::model::layer::Neighbors) layer with this temperature: `bank`, `labels` and `k`.
    Neighbors(f64),
}

/// Fits a head to the features of a task.
pub type FitHead = fn(&Options, &HeadTask, &mut Attempts) -> Result<Tensors>;

/// All heads.
///
/// ```
/// use cresset::train::head::HEADS;
///
/// assert!(HEADS.iter().all(|head| !head.summary.is_empty()));
/// ```
pub const HEADS: &[HeadKind] = &[linear::LINEAR, mlp::MLP, knn::KNN];

/// Features with their labels.
#[derive(Debug)]
pub struct LabeledFeatures {
    /// Inputs of the last layer, float32 (N, width), on the CPU.
    pub values: Tensor,
    /// Classes, int64 (N).
    pub labels: Tensor,
}

/// What a head is fitted to.
#[derive(Debug)]
pub struct HeadTask {
    /// The training set.
    pub train: LabeledFeatures,
    /// The validation set, which chooses between attempts.
    pub validation: LabeledFeatures,
    /// The number of classes.
    pub classes: i64,
    /// Class weights of the loss; none if all are 1.
    pub class_weights: Option<Vec<f32>>,
    /// Label smoothing of the cross-entropy, from 0 to 1.
    pub smoothing: f64,
    /// Random seed.
    pub seed: u64,
}

/// One attempt of a fit, such as one strength of regularization. Losses are mean cross-entropies in nats without regularization,
/// accuracies are from 0 to 1.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Attempt {
    /// What was attempted: `regularization=0.01`.
    pub setting: String,
    /// Iterations of the optimizer.
    pub iterations: u32,
    /// Mean loss over the training set.
    pub train_loss: f64,
    /// Accuracy on the training set.
    pub train_accuracy: f64,
    /// Mean loss over the validation set.
    #[serde(rename = "held_out_loss")]
    pub validation_loss: f64,
    /// Accuracy on the validation set.
    #[serde(rename = "held_out_accuracy")]
    pub validation_accuracy: f64,
    /// Learning rate, 0 for heads that have none.
    pub lr: f64,
    /// Duration in seconds.
    pub seconds: f64,
}

/// The attempts of a fit so far.
///
/// ```
/// use cresset::train::head::Attempts;
///
/// assert!(Attempts::default().best().is_none());
/// ```
#[derive(Debug, Default)]
pub struct Attempts {
    all: Vec<Attempt>,
    started: Option<Instant>,
    /// The index of the best one.
    best: Option<usize>,
    /// Whether all layers are trained then.
    are_before_fine_tuning: bool,
}

impl Attempts {
    /// Attempts of a head from which all layers are trained. The first one that makes no error is the best: the loss of classes that
    /// features separate decreases with the size of the weights without end, and large weights turn a small step of the other layers
    /// into a large change of the logits, which fine-tuning does not recover from.
    pub(crate) fn before_fine_tuning() -> Self {
        Attempts { are_before_fine_tuning: true, ..Attempts::default() }
    }

    /// Starts the clock of the next attempt.
    pub(crate) fn start(&mut self) {
        self.started = Some(Instant::now());
    }

    /// Sets the learning rate of the last attempt.
    pub(crate) fn with_lr(&mut self, lr: f64) {
        self.all.iter_mut().last().into_iter().for_each(|attempt| attempt.lr = lr);
    }

    /// Adds an attempt, whose logits, float (N, classes), and labels, int64 (N), of the training set and of the validation set are
    /// given. Returns whether it is the best one so far.
    pub(crate) fn add(&mut self, parts: [(&Tensor, &Tensor); 2], setting: String, iterations: u32) -> bool {
        let figures = |(logits, labels): (&Tensor, &Tensor)| {
            let loss = logits.to_kind(Kind::Double).cross_entropy_loss::<Tensor>(
                labels,
                None,
                Reduction::Mean,
                -100,
                0.,
            );
            let hits = logits.argmax(1, false).eq_tensor(labels).to_kind(Kind::Double).mean(Kind::Double);
            (loss.double_value(&[]), hits.double_value(&[]))
        };
        let (train_loss, train_accuracy) = figures(parts[0]);
        let (validation_loss, validation_accuracy) = figures(parts[1]);
        let seconds = self.started.map_or(0., |started| started.elapsed().as_secs_f64());
        let is_final = |best: &Attempt| {
            self.are_before_fine_tuning && best.train_accuracy == 1. && best.validation_accuracy == 1.
        };
        let is_better = |best: &Attempt| !is_final(best) && validation_loss < best.validation_loss;
        let is_best = validation_loss.is_finite() && self.best().is_none_or(|(_, best)| is_better(best));
        if is_best {
            self.best = Some(self.all.len());
        }
        self.all.push(Attempt {
            setting,
            iterations,
            train_loss,
            train_accuracy,
            validation_loss,
            validation_accuracy,
            lr: 0.,
            seconds,
        });
        is_best
    }

    /// All attempts, in order.
    pub fn all(&self) -> &[Attempt] {
        &self.all
    }

    /// The best attempt, and its index: the first of those with the lowest finite validation loss. If all layers are trained then, it is
    /// the first one without errors on training and validation set, if its loss is lower than those before it.
    pub fn best(&self) -> Option<(usize, &Attempt)> {
        self.best.map(|index| (index, &self.all[index]))
    }
}

/// The result of `--head-only`, for display.
#[derive(Debug)]
pub struct HeadFit<'a> {
    /// The kind of head.
    pub head: &'a str,
    /// Number of training examples, counting augmented views, and width of the features.
    pub features: [i64; 2],
    /// Number of examples, counting augmented views, whose features an interrupted run had computed.
    pub resumed: i64,
    /// Whether all features were read from the cache.
    pub is_cached: bool,
    /// Duration in seconds of computing or reading the features.
    pub seconds: f64,
    /// The attempts, in order.
    pub attempts: &'a [Attempt],
    /// The index of the best attempt.
    pub best: usize,
}

/// Fits the head `name` with `options` in the syntax of `--head-options`.
///
/// # Errors
/// An unknown name, invalid options, and features that are not finite.
pub fn fit(name: &str, options: &str, task: &HeadTask, attempts: &mut Attempts) -> Result<Tensors> {
    let (kind, options) = parse(name, options)?;
    for part in [&task.train, &task.validation] {
        if part.values.isfinite().all().int64_value(&[]) == 0 {
            let problem =
                "some features are NaN or infinite; check the weights and the normalization of the images";
            return Err(Error::Diverged(problem.to_string()));
        }
    }
    tch::no_grad(|| (kind.fit)(&options, task, attempts))
}

/// The layers that the head `name` puts in place of the last layer.
///
/// # Errors
/// An unknown name and invalid options.
pub(crate) fn layers(name: &str, options: &str) -> Result<HeadLayers> {
    let (kind, options) = parse(name, options)?;
    Ok((kind.layers)(&options))
}

/// The head `name` and its options.
///
/// # Errors
/// An unknown name and invalid options.
pub(crate) fn parse(name: &str, options: &str) -> Result<(&'static HeadKind, Options)> {
    let kind = HEADS.iter().find(|head| head.name == name);
    let kind = kind.ok_or_else(|| Error::Usage(format!("unknown head `{name}`")))?;
    let options = Options::parse(options, &format!("the head {name}"), kind.options).map_err(Error::Usage)?;
    Ok((kind, options))
}
