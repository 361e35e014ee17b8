//! Measuring a model on labelled rows.

mod accuracy;
mod balanced_accuracy;
mod brier;
pub mod calibration;
mod confusion;
mod cross_entropy;
pub mod groups;
pub mod interval;
pub mod label_errors;
mod log_loss;
mod macro_f1;
pub mod mcnemar;
mod micro_f1;
pub mod numbers;
pub(crate) mod picture;
mod report;
mod roc_auc;
mod sums;
#[cfg(test)]
mod tests;
mod top_k;

use tch::{Device, Kind, Tensor};

use crate::distributed::World;
use crate::error::Result;
use crate::loader::{Batch, HeldOutFeed};
pub use confusion::Confusion;
pub use cross_entropy::cross_entropy;
pub use interval::{Interval, Uncertainty};
pub use mcnemar::McNemar;
pub use report::{ClassFigures, Figure, MOST_SHOWN, Report};
use sums::Sums;

/// A figure that says how good a model is.
///
/// To add one, write a file beside `accuracy.rs` with a constant of this type and put it in [`METRICS`].
#[derive(Debug)]
pub struct Metric {
    /// Its name, as the outputs show it.
    pub name: &'static str,
    /// Its value; none where it has no meaning, or needs scores that were not kept.
    pub of: fn(&Evaluation) -> Option<f64>,
    /// Whether it is a share from 0 (worst) to 1 (best), shown in percent; else it is a loss, better the less it is.
    pub is_share: bool,
    /// Whether short tables show it.
    pub is_headline: bool,
    /// How its interval is found.
    pub uncertainty: Uncertainty,
}

impl Metric {
    /// A share from 0 to 1.
    const fn share(name: &'static str, of: fn(&Evaluation) -> Option<f64>) -> Self {
        Metric { name, of, is_share: true, is_headline: false, uncertainty: Uncertainty::Resampled }
    }

    /// A loss.
    const fn loss(name: &'static str, of: fn(&Evaluation) -> Option<f64>) -> Self {
        Metric { name, of, is_share: false, is_headline: false, uncertainty: Uncertainty::Resampled }
    }

    const fn headline(self) -> Self {
        Metric { is_headline: true, ..self }
    }

    const fn with(self, uncertainty: Uncertainty) -> Self {
        Metric { uncertainty, ..self }
    }

    /// Its name as the column of a file.
    pub fn column(&self) -> String {
        self.name.replace(',', "").replace(' ', "_").to_lowercase()
    }

    /// A value of it, as people read it.
    pub fn show(&self, value: f64) -> String {
        if self.is_share { format!("{:.2} %", 100. * value) } else { format!("{value:.4}") }
    }
}

/// All metrics.
pub const METRICS: &[Metric] = &[
    accuracy::METRIC,
    top_k::TOP_2,
    top_k::TOP_5,
    balanced_accuracy::METRIC,
    macro_f1::METRIC,
    micro_f1::METRIC,
    roc_auc::METRIC,
    log_loss::METRIC,
    brier::METRIC,
    calibration::METRIC,
    calibration::SCALED,
    calibration::TEMPERATURE,
];

/// What was found on some rows.
#[derive(Debug)]
pub struct Evaluation {
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// How often each class was taken for which.
    pub confusion: Confusion,
    /// What the model said of each row, if it was kept.
    pub scores: Option<Scores>,
}

impl Evaluation {
    /// The share of examples whose most probable class is their class; 0 without examples.
    pub fn accuracy(&self) -> f64 {
        self.confusion.accuracy()
    }

    /// Loss and confusion matrix over the rows of all processes, of which each measured some.
    pub fn over(self, world: &World) -> Result<Self> {
        if world.is_alone() {
            return Ok(self);
        }
        let (classes, rows) = (self.confusion.classes(), self.confusion.total());
        let pairs = (0..classes).flat_map(|of| (0..classes).map(move |taken_for| (of, taken_for)));
        let counts: Vec<_> =
            pairs.map(|(of, taken_for)| self.confusion.count(of, taken_for) as i64).collect();
        let mut counts = Tensor::from_slice(&counts);
        world.sum(&mut counts)?;
        // A process without rows has no mean.
        let mut loss = Tensor::from_slice(&[if rows > 0 { self.loss * rows as f64 } else { 0. }]);
        world.sum(&mut loss)?;
        let counts = Vec::<i64>::try_from(&counts)?.into_iter().map(|count| count as u64).collect();
        let confusion = Confusion::new(classes, counts);
        let loss = loss.double_value(&[0]) / confusion.total() as f64;
        Ok(Evaluation { loss, confusion, scores: None })
    }
}

/// What a model said of each row, on the CPU.
#[derive(Debug)]
pub struct Scores {
    /// Float32 (N, classes).
    pub logits: Tensor,
    /// The right classes, int64 (N).
    pub labels: Tensor,
}

impl Scores {
    /// Probabilities, float64 (N, classes), of the logits divided by a temperature.
    pub fn probabilities(&self, temperature: f64) -> Tensor {
        (self.logits.to_kind(Kind::Double) / temperature).softmax(-1, Kind::Double)
    }
}

/// Whether what a model says of each row is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Loss and confusion matrix are enough, as during training.
    Sums,
    /// All metrics are wanted.
    Scores,
}

/// Scores that would take more memory than this, 4 bytes each, are not kept.
const MOST_SCORES: usize = 1 << 28;

/// Runs `logits_of`, inputs (N, …) to logits (N, classes), over the examples of a feed.
pub fn evaluate(
    feed: &dyn HeldOutFeed,
    classes: usize,
    keep: Keep,
    mut logits_of: impl FnMut(&Tensor) -> Result<Tensor>,
) -> Result<Evaluation> {
    let mut sums = Sums::new(classes, feed.device());
    let mut kept = Vec::new();
    let is_kept = keep == Keep::Scores && feed.rows().saturating_mul(classes) <= MOST_SCORES;
    tch::no_grad(|| {
        for batch in feed.in_order() {
            let Batch { inputs, labels, .. } = batch?;
            let logits = logits_of(&inputs)?.to_kind(Kind::Float);
            sums.add(&logits, &labels)?;
            if is_kept {
                kept.push((logits.to_device(Device::Cpu), labels.to_device(Device::Cpu)));
            }
        }
        let (loss, confusion) = sums.read()?;
        Ok(Evaluation { loss, confusion, scores: joined(&kept) })
    })
}

fn joined(kept: &[(Tensor, Tensor)]) -> Option<Scores> {
    if kept.is_empty() {
        return None;
    }
    let (logits, labels): (Vec<_>, Vec<_>) = kept.iter().map(|(logits, labels)| (logits, labels)).unzip();
    Some(Scores { logits: Tensor::cat(&logits, 0), labels: Tensor::cat(&labels, 0) })
}
