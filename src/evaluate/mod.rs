//! Measuring a model on labelled rows.

mod accuracy;
mod balanced_accuracy;
mod confusion;
mod cross_entropy;
pub mod label_errors;
mod macro_f1;

use tch::{Kind, Tensor};

use crate::error::Result;
use crate::feed::{Batch, HeldOutFeed};
pub use confusion::Confusion;
pub use cross_entropy::cross_entropy;

/// A figure that is computed from the confusion matrix, from 0 (worst) to 1 (best).
///
/// To add one, write a file beside `accuracy.rs` with a constant of this type and put it in [`METRICS`].
#[derive(Debug)]
pub struct Metric {
    /// Its name, as the outputs show it.
    pub name: &'static str,
    /// Its value.
    pub of: fn(&Confusion) -> f64,
}

/// All metrics.
pub const METRICS: &[Metric] = &[accuracy::METRIC, balanced_accuracy::METRIC, macro_f1::METRIC];

/// What was found on some rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// How often each class was taken for which.
    pub confusion: Confusion,
}

/// Runs `logits_of`, inputs (N, …) to logits (N, classes), over the examples of a feed.
pub fn evaluate(
    feed: &dyn HeldOutFeed,
    classes: usize,
    mut logits_of: impl FnMut(&Tensor) -> Result<Tensor>,
) -> Result<Evaluation> {
    let device = feed.device();
    let mut loss = Tensor::zeros([], (Kind::Double, device));
    let mut pairs = Tensor::zeros([(classes * classes) as i64], (Kind::Int64, device));
    tch::no_grad(|| {
        for batch in feed.in_order() {
            let Batch { inputs, labels, .. } = batch?;
            let logits = logits_of(&inputs)?.to_kind(Kind::Float);
            let _ = loss.g_add_(&(cross_entropy(&logits, &labels) * labels.size()[0]));
            let pair = &labels * classes as i64 + logits.argmax(-1, false);
            let _ = pairs.g_add_(&pair.bincount::<Tensor>(None, (classes * classes) as i64));
        }
        let counts = Vec::<i64>::try_from(&pairs)?.iter().map(|n| *n as u64).collect();
        let confusion = Confusion::new(classes, counts);
        Ok(Evaluation { loss: loss.double_value(&[]) / confusion.total() as f64, confusion })
    })
}
