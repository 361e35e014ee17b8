//! Evaluates a model on labeled examples.

mod accumulator;
mod accuracy;
mod balanced_accuracy;
mod brier;
pub mod calibration;
pub mod conformal;
mod confusion;
mod cross_entropy;
pub mod groups;
pub mod interval;
pub mod label_errors;
mod log_loss;
mod macro_f1;
pub mod mcnemar;
mod micro_f1;
pub mod multilabel;
pub mod numbers;
pub mod ood;
pub(crate) mod picture;
pub mod regression;
mod report;
mod roc_auc;
#[cfg(test)]
mod tests;
mod top_k;

use tch::{Device, Kind, Tensor};

use accumulator::MetricAccumulator;

use crate::distributed::World;
use crate::error::Result;
use crate::loader::{Batch, EvaluationLoader};
pub use confusion::ConfusionMatrix;
pub use cross_entropy::cross_entropy;
pub use interval::{Interval, Uncertainty};
pub use mcnemar::McNemar;
pub use report::{ClassMetrics, ClassificationReport, MAX_SHOWN_CLASSES, MetricValue};

/// A metric.
///
/// To add a metric, create a file next to `accuracy.rs` with a constant of this type and add it to [`METRICS`].
///
/// ```
/// use cresset::evaluate::METRICS;
/// use cresset::prelude::*;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let fitted = Trainer::new("digits").out(&out).fit()?;
/// for metric in METRICS {
///     if let Some(value) = (metric.of)(fitted.validation()) {
///         println!("{}: {}", metric.name, metric.show(value));
///     }
/// }
/// assert_eq!(METRICS[0].column(), "accuracy");
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug)]
pub struct Metric {
    /// The name shown in reports.
    pub name: &'static str,
    /// Computes the value. `None` if the metric is undefined here or needs scores that were not kept.
    pub of: fn(&Evaluation) -> Option<f64>,
    /// Whether the value is a fraction from 0 (worst) to 1 (best), shown in percent. Otherwise it is a loss: lower is better.
    pub is_share: bool,
    /// Whether short tables include it.
    pub is_headline: bool,
    /// How its confidence interval is computed.
    pub uncertainty: Uncertainty,
}

impl Metric {
    /// A fraction from 0 to 1.
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

    /// The name as a column of a file.
    pub fn column(&self) -> String {
        self.name.replace(',', "").replace(' ', "_").to_lowercase()
    }

    /// Formats a value for display.
    pub fn show(&self, value: f64) -> String {
        if self.is_share { format!("{:.2} %", 100. * value) } else { format!("{value:.4}") }
    }
}

/// All metrics.
///
/// ```
/// use cresset::evaluate::METRICS;
///
/// let names: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
/// assert!(names.contains(&"accuracy") && names.contains(&"ROC-AUC"));
/// ```
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

/// The evaluation of a model on a set of examples.
///
/// ```
/// use cresset::evaluate::METRICS;
/// use cresset::prelude::*;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let evaluation: &Evaluation = fitted.validation();
/// assert_eq!(evaluation.confusion.total(), 30);
/// assert_eq!(evaluation.accuracy(), (METRICS[0].of)(evaluation).unwrap());
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug)]
pub struct Evaluation {
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// The confusion matrix.
    pub confusion: ConfusionMatrix,
    /// The logits and labels of all examples, if they were kept.
    pub scores: Option<Scores>,
}

impl Evaluation {
    /// Accuracy, from 0 to 1; 0 without examples.
    pub fn accuracy(&self) -> f64 {
        self.confusion.accuracy()
    }

    /// All-reduces the loss and the confusion matrix over all ranks, each of which evaluated a part of the examples.
    /// Drops the scores.
    pub fn all_reduce(self, world: &World) -> Result<Self> {
        if world.is_alone() {
            return Ok(self);
        }
        let (classes, rows) = (self.confusion.classes(), self.confusion.total());
        let pairs = (0..classes).flat_map(|actual| (0..classes).map(move |predicted| (actual, predicted)));
        let counts: Vec<_> =
            pairs.map(|(actual, predicted)| self.confusion.count(actual, predicted) as i64).collect();
        let mut counts = Tensor::from_slice(&counts);
        world.all_reduce_sum(&mut counts)?;
        // The mean loss of a rank without examples is NaN.
        let mut loss = Tensor::from_slice(&[if rows > 0 { self.loss * rows as f64 } else { 0. }]);
        world.all_reduce_sum(&mut loss)?;
        let counts = Vec::<i64>::try_from(&counts)?.into_iter().map(|count| count as u64).collect();
        let confusion = ConfusionMatrix::new(classes, counts);
        let loss = loss.double_value(&[0]) / confusion.total() as f64;
        Ok(Evaluation { loss, confusion, scores: None })
    }
}

/// The logits and labels of all examples, on the CPU.
///
/// ```
/// use cresset::evaluate::Scores;
/// use tch::{Kind, Tensor};
///
/// let logits = Tensor::from_slice2(&[[2f32, 0.], [0., 1.]]);
/// let scores = Scores { logits, labels: Tensor::from_slice(&[0i64, 1]) };
/// let sums = scores.probabilities(1.).sum_dim_intlist(-1, false, Kind::Double);
/// assert!(sums.allclose(&Tensor::from_slice(&[1f64, 1.]), 1e-9, 1e-9, false));
/// ```
#[derive(Debug)]
pub struct Scores {
    /// Float32 (N, classes).
    pub logits: Tensor,
    /// Class indices, int64 (N).
    pub labels: Tensor,
}

impl Scores {
    /// The softmax of the logits divided by `temperature`, float64 (N, classes).
    pub fn probabilities(&self, temperature: f64) -> Tensor {
        (self.logits.to_kind(Kind::Double) / temperature).softmax(-1, Kind::Double)
    }
}

/// The results that an evaluation keeps.
///
/// ```
/// use cresset::evaluate::{Keep, evaluate};
/// # use cresset::loader::MemoryExamples;
/// # use cresset::model::preprocessing::TensorDataset;
/// # use tch::Tensor;
/// # let inputs = Tensor::from_slice2(&[[2f32, 0.], [0., 1.]]);
/// # let feed = MemoryExamples::ready(TensorDataset { inputs, labels: Tensor::from_slice(&[0i64, 1]) });
///
/// let evaluation = evaluate(&feed, 2, Keep::Sums, |inputs| Ok(inputs.shallow_clone()))?;
/// assert!(evaluation.scores.is_none());
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The loss and the confusion matrix only, as during training.
    Sums,
    /// Also the logits of each example, for all metrics.
    Scores,
}

/// The largest number of scores (4 bytes each) that an evaluation keeps.
const MAX_KEPT_SCORES: usize = 1 << 28;

/// Evaluates `logits_of`, a function from inputs (N, …) to logits (N, classes), on all examples of `feed`.
///
/// ```
/// use cresset::evaluate::{Keep, evaluate};
/// use cresset::loader::MemoryExamples;
/// use cresset::model::preprocessing::TensorDataset;
/// use tch::Tensor;
///
/// // A model whose logits are its inputs.
/// let inputs = Tensor::from_slice2(&[[2f32, 0.], [0., 1.], [1., 0.]]);
/// let labels = Tensor::from_slice(&[0i64, 1, 1]);
/// let examples = MemoryExamples::ready(TensorDataset { inputs, labels });
/// let evaluation = evaluate(&examples, 2, Keep::Scores, |inputs| Ok(inputs.shallow_clone()))?;
/// assert_eq!(evaluation.accuracy(), 2. / 3.);
/// assert_eq!(evaluation.scores.unwrap().logits.size(), [3, 2]);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub fn evaluate(
    feed: &dyn EvaluationLoader,
    classes: usize,
    keep: Keep,
    mut logits_of: impl FnMut(&Tensor) -> Result<Tensor>,
) -> Result<Evaluation> {
    let mut accumulator = MetricAccumulator::new(classes, feed.device());
    let mut kept = Vec::new();
    let is_kept = keep == Keep::Scores && feed.rows().saturating_mul(classes) <= MAX_KEPT_SCORES;
    tch::no_grad(|| {
        for batch in feed.in_order() {
            let Batch { inputs, labels, .. } = batch?;
            let logits = logits_of(&inputs)?.to_kind(Kind::Float);
            accumulator.add(&logits, &labels)?;
            if is_kept {
                kept.push((logits.to_device(Device::Cpu), labels.to_device(Device::Cpu)));
            }
        }
        let (loss, confusion) = accumulator.result()?;
        Ok(Evaluation { loss, confusion, scores: concatenate(&kept) })
    })
}

fn concatenate(kept: &[(Tensor, Tensor)]) -> Option<Scores> {
    if kept.is_empty() {
        return None;
    }
    let (logits, labels): (Vec<_>, Vec<_>) = kept.iter().map(|(logits, labels)| (logits, labels)).unzip();
    Some(Scores { logits: Tensor::cat(&logits, 0), labels: Tensor::cat(&labels, 0) })
}
