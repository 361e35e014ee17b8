//! Evaluates a model on labeled examples.

mod absolute_error;
mod accumulator;
mod accuracy;
mod balanced_accuracy;
mod brier;
pub mod calibration;
pub mod conformal;
mod confusion;
mod cross_entropy;
pub mod drift;
mod exact_match;
mod grouped_auc;
pub mod groups;
mod hamming_loss;
mod hit_rate;
pub mod interval;
mod item_coverage;
pub mod label_errors;
mod log_loss;
mod macro_f1;
pub mod mcnemar;
mod mean_average_precision;
mod micro_f1;
pub mod multilabel;
mod ndcg;
pub mod numbers;
pub mod ood;
pub(crate) mod picture;
mod r_squared;
pub mod ranking;
mod recall_at_k;
pub mod regression;
mod report;
mod roc_auc;
mod root_squared_error;
#[cfg(test)]
mod tests;
mod top_k;

use tch::{Device, Kind, Reduction, Tensor};

use accumulator::MetricAccumulator;
use multilabel::LabelCounts;
use ranking::RankingSums;
use regression::ErrorSums;

use crate::distributed::World;
use crate::error::{Error, Result};
use crate::loader::{Batch, EvaluationLoader};
use crate::model::Outputs;
use crate::model::layer::{combined, out_of_fold};
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
    /// Whether the value is a fraction from 0 (worst) to 1 (best), shown in percent.
    pub is_share: bool,
    /// Whether a higher value is better.
    pub is_higher_better: bool,
    /// Whether short tables include it.
    pub is_headline: bool,
    /// How its confidence interval is computed.
    pub uncertainty: Uncertainty,
}

impl Metric {
    /// A fraction from 0 to 1.
    const fn share(name: &'static str, of: fn(&Evaluation) -> Option<f64>) -> Self {
        Metric {
            name,
            of,
            is_share: true,
            is_higher_better: true,
            is_headline: false,
            uncertainty: Uncertainty::Resampled,
        }
    }

    /// A loss.
    const fn loss(name: &'static str, of: fn(&Evaluation) -> Option<f64>) -> Self {
        Metric { is_share: false, is_higher_better: false, ..Metric::share(name, of) }
    }

    const fn higher_is_better(self) -> Self {
        Metric { is_higher_better: true, ..self }
    }

    const fn headline(self) -> Self {
        Metric { is_headline: true, ..self }
    }

    const fn with(self, uncertainty: Uncertainty) -> Self {
        Metric { uncertainty, ..self }
    }

    /// The name as a column of a file.
    pub fn column(&self) -> String {
        self.name.replace(',', "").replace('²', "2").replace(' ', "_").to_lowercase()
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
    exact_match::METRIC,
    r_squared::METRIC,
    absolute_error::METRIC,
    root_squared_error::METRIC,
    top_k::TOP_2,
    top_k::TOP_5,
    balanced_accuracy::METRIC,
    macro_f1::METRIC,
    micro_f1::METRIC,
    mean_average_precision::METRIC,
    hamming_loss::METRIC,
    ndcg::METRIC,
    recall_at_k::METRIC,
    hit_rate::METRIC,
    item_coverage::METRIC,
    grouped_auc::METRIC,
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
/// // All rows, as the recipe trains a bag of so few.
/// assert_eq!(evaluation.rows(), 150);
/// assert_eq!(evaluation.accuracy(), (METRICS[0].of)(evaluation).unwrap());
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug)]
pub struct Evaluation {
    /// Mean loss: cross-entropy in nats, of labels the mean of their binary cross-entropies, or the mean squared error of numbers in
    /// units of the variance of the training values. Of recommendations, that of the softmax over the items.
    pub loss: f64,
    /// Right and wrong predictions.
    pub sums: Sums,
    /// The outputs and targets of all examples, if they were kept.
    pub scores: Option<Scores>,
}

/// Right and wrong predictions, by task.
#[derive(Debug, Clone, PartialEq)]
pub enum Sums {
    /// Of classes.
    Classes(ConfusionMatrix),
    /// Of labels.
    Labels(LabelCounts),
    /// Of numbers.
    Values(ErrorSums),
    /// Of recommendations.
    Ranking(RankingSums),
}

impl Evaluation {
    /// The evaluation of a classifier.
    pub fn of_classes(loss: f64, confusion: ConfusionMatrix) -> Self {
        Evaluation { loss, sums: Sums::Classes(confusion), scores: None }
    }

    /// The evaluation of outputs ([`Scores`]) that are read as `outputs` has them.
    pub fn of_scores(scores: Scores, outputs: &Outputs) -> Self {
        let Scores { logits, labels } = &scores;
        let sums = match outputs {
            Outputs::Classification => Sums::Classes(ConfusionMatrix::of(logits, labels, logits.size()[1])),
            Outputs::Multilabel { .. } => {
                Sums::Labels(LabelCounts::of(&outputs.decisions(&outputs.probabilities(logits)), labels))
            }
            Outputs::Regression { .. } => Sums::Values(ErrorSums::of(logits, labels)),
            Outputs::Ranking => unreachable!("a ranking is evaluated by its RankingSet"),
        };
        Evaluation { loss: mean_loss(logits, labels, outputs).double_value(&[]), sums, scores: Some(scores) }
    }

    /// The confusion matrix of a classifier; none for other tasks.
    pub fn confusion(&self) -> Option<&ConfusionMatrix> {
        match &self.sums {
            Sums::Classes(confusion) => Some(confusion),
            _ => None,
        }
    }

    /// The decisions about labels; none for other tasks.
    pub fn labels(&self) -> Option<&LabelCounts> {
        match &self.sums {
            Sums::Labels(counts) => Some(counts),
            _ => None,
        }
    }

    /// The errors of predicted numbers; none for other tasks.
    pub fn errors(&self) -> Option<&ErrorSums> {
        match &self.sums {
            Sums::Values(errors) => Some(errors),
            _ => None,
        }
    }

    /// The sums over users of recommendations; none for other tasks.
    pub fn ranking(&self) -> Option<&RankingSums> {
        match &self.sums {
            Sums::Ranking(sums) => Some(sums),
            _ => None,
        }
    }

    /// The logits and classes of all examples of a classifier, if they were kept.
    pub fn class_scores(&self) -> Option<&Scores> {
        self.scores.as_ref().filter(|_| self.confusion().is_some())
    }

    /// The logits and multi-hot labels of all examples, if they were kept; none for other tasks.
    pub fn label_scores(&self) -> Option<&Scores> {
        self.scores.as_ref().filter(|_| self.labels().is_some())
    }

    /// The number of examples.
    pub fn rows(&self) -> u64 {
        match &self.sums {
            Sums::Classes(confusion) => confusion.total(),
            Sums::Labels(counts) => counts.examples(),
            Sums::Values(errors) => errors.examples(),
            Sums::Ranking(sums) => sums.choices(),
        }
    }

    /// The share of examples that are predicted correctly, from 0 to 1: all labels of an example, if it has several. 0 without
    /// examples, for numbers and for recommendations.
    pub fn accuracy(&self) -> f64 {
        match &self.sums {
            Sums::Classes(confusion) => confusion.accuracy(),
            Sums::Labels(counts) => counts.exact_match(),
            Sums::Values(_) | Sums::Ranking(_) => 0.,
        }
    }

    /// The score that tables show ([`Outputs::score_name`]): accuracy, micro-averaged F1 score, R², or NDCG@10.
    pub fn score(&self) -> f64 {
        match &self.sums {
            Sums::Classes(confusion) => confusion.accuracy(),
            Sums::Labels(counts) => counts.micro_f1(),
            Sums::Values(errors) => errors.r2().unwrap_or(f64::NAN),
            Sums::Ranking(sums) => sums.ndcg(),
        }
    }

    /// All-reduces the loss and the sums over all ranks, each of which evaluated a part of the examples. Drops the scores.
    pub fn all_reduce(self, world: &World) -> Result<Self> {
        if world.is_alone() {
            return Ok(self);
        }
        let rows = self.rows();
        // The mean loss of a rank without examples is NaN.
        let mut loss = Tensor::from_slice(&[if rows > 0 { self.loss * rows as f64 } else { 0. }]);
        world.all_reduce_sum(&mut loss)?;
        let sums = self.sums.all_reduce(world)?;
        let reduced = Evaluation { loss: loss.double_value(&[0]), sums, scores: None };
        Ok(Evaluation { loss: reduced.loss / reduced.rows() as f64, ..reduced })
    }
}

impl Sums {
    fn all_reduce(self, world: &World) -> Result<Self> {
        let sum = |counts: Vec<i64>| {
            let mut counts = Tensor::from_slice(&counts);
            world.all_reduce_sum(&mut counts)?;
            Ok::<_, Error>(Vec::<i64>::try_from(&counts)?)
        };
        Ok(match self {
            Sums::Classes(confusion) => {
                let classes = confusion.classes();
                let pairs =
                    (0..classes).flat_map(|actual| (0..classes).map(move |predicted| (actual, predicted)));
                let counts = pairs.map(|(actual, predicted)| confusion.count(actual, predicted) as i64);
                let counts = sum(counts.collect())?.into_iter().map(|count| count as u64).collect();
                Sums::Classes(ConfusionMatrix::new(classes, counts))
            }
            Sums::Labels(counts) => {
                Sums::Labels(LabelCounts::from_counts(counts.labels(), sum(counts.to_counts())?))
            }
            Sums::Values(errors) => {
                // Each rank fills its own row.
                let rows = Tensor::zeros([i64::from(world.size()), 5], (Kind::Double, Device::Cpu));
                rows.get(i64::from(world.rank())).copy_(&Tensor::from_slice(&errors.to_values()));
                let mut rows = rows.view(-1);
                world.all_reduce_sum(&mut rows)?;
                let mut all = ErrorSums::default();
                for values in Vec::<f64>::try_from(&rows)?.chunks_exact(5) {
                    all.add(&ErrorSums::from_values(values.try_into().expect("five values")));
                }
                Sums::Values(all)
            }
            Sums::Ranking(_) => unreachable!("a ranking is trained by one process"),
        })
    }
}

/// The outputs and targets of all examples, on the CPU.
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
    /// Logits or predicted numbers, float32 (N, outputs).
    pub logits: Tensor,
    /// Class indices, int64 (N); or multi-hot labels or numbers, float32 (N, outputs).
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
/// # use cresset::model::Outputs;
/// # use cresset::model::preprocessing::TensorDataset;
/// # use tch::Tensor;
/// # let inputs = Tensor::from_slice2(&[[2f32, 0.], [0., 1.]]);
/// # let feed = MemoryExamples::ready(TensorDataset { inputs, labels: Tensor::from_slice(&[0i64, 1]) });
///
/// let model = |inputs: &Tensor| Ok(inputs.shallow_clone());
/// let evaluation = evaluate(&feed, &Outputs::Classification, 2, Keep::Sums, model)?;
/// assert!(evaluation.scores.is_none());
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The loss and the sums only, as during training.
    Sums,
    /// Also the outputs for each example, for all metrics.
    Scores,
}

/// The largest number of scores (4 bytes each) that an evaluation keeps.
const MAX_KEPT_SCORES: usize = 1 << 28;

/// Evaluates `logits_of` on all examples of `feed`: a function from inputs (N, …) to logits or numbers (N, outputs), as an exported
/// model returns them ([`Outputs::results`]). `classes` is the number of outputs. Of a bag, the function may return those of all members,
/// (N, members, outputs): an example of the bag is evaluated by the member that was trained without it, any other one by all members.
///
/// ```
/// use cresset::evaluate::{Keep, evaluate};
/// use cresset::loader::MemoryExamples;
/// use cresset::model::Outputs;
/// use cresset::model::preprocessing::TensorDataset;
/// use tch::Tensor;
///
/// // A model whose logits are its inputs.
/// let inputs = Tensor::from_slice2(&[[2f32, 0.], [0., 1.], [1., 0.]]);
/// let labels = Tensor::from_slice(&[0i64, 1, 1]);
/// let examples = MemoryExamples::ready(TensorDataset { inputs, labels });
/// let model = |inputs: &Tensor| Ok(inputs.shallow_clone());
/// let evaluation = evaluate(&examples, &Outputs::Classification, 2, Keep::Scores, model)?;
/// assert_eq!(evaluation.accuracy(), 2. / 3.);
/// assert_eq!(evaluation.scores.unwrap().logits.size(), [3, 2]);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub fn evaluate(
    feed: &dyn EvaluationLoader,
    outputs: &Outputs,
    classes: usize,
    keep: Keep,
    mut logits_of: impl FnMut(&Tensor) -> Result<Tensor>,
) -> Result<Evaluation> {
    let mut accumulator = MetricAccumulator::new(outputs, classes, feed.device());
    let mut kept = Vec::new();
    let is_kept = keep == Keep::Scores && feed.rows().saturating_mul(classes) <= MAX_KEPT_SCORES;
    tch::no_grad(|| {
        for batch in feed.in_order() {
            let Batch { inputs, labels, folds, .. } = batch?;
            let logits = logits_of(&inputs)?.to_kind(Kind::Float);
            let logits = match (logits.dim(), folds) {
                (3, Some(folds)) => out_of_fold(&logits, &folds),
                (3, None) => combined(&logits, outputs.task()),
                _ => logits,
            };
            accumulator.add(&logits, &labels)?;
            if is_kept {
                kept.push((logits.to_device(Device::Cpu), labels.to_device(Device::Cpu)));
            }
        }
        let (loss, sums) = accumulator.result()?;
        Ok(Evaluation { loss, sums, scores: concatenate(&kept) })
    })
}

/// The mean loss of some examples, a float64 scalar; see [`Evaluation::loss`].
fn mean_loss(logits: &Tensor, targets: &Tensor, outputs: &Outputs) -> Tensor {
    match outputs {
        Outputs::Classification => cross_entropy(logits, targets).to_kind(Kind::Double),
        Outputs::Multilabel { .. } => {
            let none = None::<&Tensor>;
            let losses = logits.binary_cross_entropy_with_logits(targets, none, none, Reduction::None);
            losses.mean(Kind::Double)
        }
        Outputs::Ranking => unreachable!("a ranking is evaluated by its RankingSet"),
        Outputs::Regression { .. } => {
            (outputs.standardized(logits) - outputs.standardized(targets)).square().mean(Kind::Double)
        }
    }
}

fn concatenate(kept: &[(Tensor, Tensor)]) -> Option<Scores> {
    if kept.is_empty() {
        return None;
    }
    let (logits, labels): (Vec<_>, Vec<_>) = kept.iter().map(|(logits, labels)| (logits, labels)).unzip();
    Some(Scores { logits: Tensor::cat(&logits, 0), labels: Tensor::cat(&labels, 0) })
}
