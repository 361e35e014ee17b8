//! Evaluation reports as text, JSON and CSV.

use std::borrow::Cow;
use std::fmt::Write;

use serde::Serialize;

use super::conformal::Conformal;
use super::groups::GroupReport;
use super::multilabel::{LabelCounts, average_precisions};
use super::numbers::percent;
use super::ood::OodThreshold;
use super::regression::measure;
use super::{ConfusionMatrix, Evaluation, METRICS, Scores, Sums};
use crate::data::terminal;
use crate::model::Outputs;

/// An evaluation report.
///
/// ```
/// use cresset::evaluate::{ClassificationReport, ConfusionMatrix, Evaluation};
///
/// let confusion = ConfusionMatrix::new(2, vec![40, 10, 5, 45]);
/// let evaluation = Evaluation::of_classes(0.4, confusion);
/// let report = ClassificationReport::new(&evaluation, &["cat".into(), "dog".into()]);
/// assert_eq!(report.classes[0].recall, Some(0.8));
/// assert_eq!(report.metrics[0].shown, "85.00 %");
/// assert!(report.to_text().contains("dog"));
/// assert!(report.to_json().contains("\"precision\""));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassificationReport {
    /// The number of examples.
    pub rows: u64,
    /// The metrics that are defined here, in the order of [`METRICS`].
    pub metrics: Vec<MetricValue>,
    /// Metrics of each class or label; empty for numbers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassMetrics>,
    /// The confusion matrix: a row for each actual class, a column for each predicted class, in the order of `classes`. Empty for
    /// other tasks than classification.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub confusion: Vec<Vec<u64>>,
    /// Metrics of each group, if groups were compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<GroupReport>,
}

/// The value of a metric.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricValue {
    /// The name of the metric.
    pub name: String,
    /// The value.
    pub value: f64,
    /// The value, formatted for display.
    #[serde(skip)]
    pub shown: String,
}

/// Metrics of a class or label, from 0 to 1; `None` if the denominator is 0.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassMetrics {
    /// The name of the class or label.
    pub class: String,
    /// The number of examples of the class, or with the label.
    pub rows: u64,
    /// Precision.
    pub precision: Option<f64>,
    /// Recall.
    pub recall: Option<f64>,
    /// F1 score.
    pub f1: Option<f64>,
    /// Average precision of a label; `None` for a class, without examples, and if the scores were not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average_precision: Option<f64>,
    /// The probability from which on a label is predicted; `None` for a class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
}

/// The largest number of classes for which text reports show the confusion matrix.
pub const MAX_SHOWN_CLASSES: usize = 20;

impl ClassificationReport {
    /// Creates a report from an evaluation and the names of the classes or labels.
    pub fn new(evaluation: &Evaluation, classes: &[String]) -> Self {
        let figure = |metric: &super::Metric| {
            let value = (metric.of)(evaluation).filter(|value| value.is_finite())?;
            Some(MetricValue { name: metric.name.to_string(), value, shown: metric.show(value) })
        };
        let named = |(index, class): (usize, &String)| (index, class.clone());
        let classes = classes.iter().enumerate().map(named);
        let (classes, confusion) = match &evaluation.sums {
            Sums::Classes(confusion) => (of_classes(classes, confusion), confusion.rows()),
            Sums::Labels(counts) => (of_labels(classes, counts, evaluation), Vec::new()),
            Sums::Values(_) | Sums::Ranking(_) => (Vec::new(), Vec::new()),
        };
        ClassificationReport {
            rows: evaluation.rows(),
            metrics: METRICS.iter().filter_map(figure).collect(),
            classes,
            confusion,
            groups: None,
        }
    }

    /// Adds what the outputs of the model know: the thresholds of labels, or the coverage and the width of prediction intervals, if
    /// the scores were kept.
    ///
    /// ```
    /// use cresset::evaluate::{ClassificationReport, Evaluation, Scores};
    /// use cresset::model::{Outputs, ValueInterval};
    /// use tch::Tensor;
    ///
    /// let (logits, labels) = (Tensor::from_slice(&[1f32, 2., 3.]), Tensor::from_slice(&[1.5f32, 2., 5.]));
    /// let interval = Some(ValueInterval { coverage: 0.5, half_width: 1. });
    /// let outputs = Outputs::Regression { offset: 0., scale: 1., interval };
    /// let scores = Scores { logits: logits.view([3, 1]), labels: labels.view([3, 1]) };
    /// let evaluation = Evaluation::of_scores(scores, &outputs);
    /// let report = ClassificationReport::new(&evaluation, &["price".into()]).with_outputs(&outputs, &evaluation);
    /// let [.., coverage, width] = &report.metrics[..] else { panic!("two figures") };
    /// assert_eq!((coverage.value, width.value), (2. / 3., 2.));
    /// ```
    pub fn with_outputs(mut self, outputs: &Outputs, evaluation: &Evaluation) -> Self {
        match outputs {
            Outputs::Classification | Outputs::Ranking => {}
            Outputs::Multilabel { thresholds } => {
                let labels = self.classes.iter_mut().zip(thresholds);
                labels.for_each(|(label, threshold)| label.threshold = Some(*threshold));
            }
            Outputs::Regression { interval, .. } => {
                if let (Some(interval), Some(scores)) = (interval, &evaluation.scores) {
                    self.metrics.extend(measure(interval, scores));
                }
            }
        }
        self
    }

    /// Adds the coverage and the size of the prediction sets, if the model has them and the scores were kept.
    pub fn with_sets(mut self, conformal: Option<&Conformal>, evaluation: &Evaluation) -> Self {
        if let (Some(conformal), Some(scores)) = (conformal, evaluation.class_scores()) {
            self.metrics.extend(conformal.measure(scores));
        }
        self
    }

    /// Adds the share of the examples flagged as out of distribution, if the model has a threshold and their scores are known.
    pub fn with_ood(mut self, ood: Option<&OodThreshold>, scores: Option<&[f32]>) -> Self {
        self.metrics.extend(ood.zip(scores).map(|(ood, scores)| ood.measure(scores)));
        self
    }

    /// The report as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report serializes to JSON") + "\n"
    }

    /// The report as CSV with the columns figure, class and value, one row for each value.
    pub fn to_csv(&self) -> Vec<u8> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut write = |record: [&str; 3]| {
            writer.write_record(record).expect("a record can be written to memory");
        };
        write(["figure", "class", "value"]);
        write(["rows", "", &self.rows.to_string()]);
        for MetricValue { name, value, .. } in &self.metrics {
            write([name, "", &value.to_string()]);
        }
        for of_class in &self.classes {
            let shares =
                [("precision", of_class.precision), ("recall", of_class.recall), ("F1", of_class.f1)];
            let of_label =
                [("average precision", of_class.average_precision), ("threshold", of_class.threshold)];
            let of_label = of_label.into_iter().filter(|_| self.has_labels());
            write(["rows", &of_class.class, &of_class.rows.to_string()]);
            for (figure, share) in shares.into_iter().chain(of_label) {
                write([figure, &of_class.class, &share.map_or(String::new(), |share| share.to_string())]);
            }
        }
        for (actual, counts) in self.classes.iter().zip(&self.confusion) {
            for (predicted, count) in self.classes.iter().zip(counts) {
                write([&format!("taken for {}", predicted.class), &actual.class, &count.to_string()]);
            }
        }
        if let Some(groups) = &self.groups {
            groups.records().iter().for_each(|record| write(record.each_ref().map(String::as_str)));
        }
        writer.into_inner().expect("a record can be written to memory")
    }

    /// The report as text tables.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for MetricValue { name, shown, .. } in &self.metrics {
            text += &format!("{name:<26} {shown}\n");
        }
        if self.classes.is_empty() {
            return text;
        }
        let names: Vec<_> = self.classes.iter().map(|class| terminal::line(&class.class)).collect();
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(6);
        let noun = if self.has_labels() { "label" } else { "class" };
        let heads = format!("{:>8}  {:>9}  {:>8}  {:>8}", "examples", "precision", "recall", "F1");
        let of_labels = if self.has_labels() { "  average precision  threshold" } else { "" };
        text += &format!("\n{noun:<width$}  {heads}{of_labels}\n");
        for (name, class) in names.iter().zip(&self.classes) {
            let ClassMetrics { rows, precision, recall, f1, average_precision, threshold, .. } = class;
            let (precision, recall, f1) = (percent(*precision), percent(*recall), percent(*f1));
            text += &format!("{name:<width$}  {rows:>8}  {precision:>9}  {recall:>8}  {f1:>8}");
            if self.has_labels() {
                let threshold = threshold.map_or("–".to_string(), |threshold| format!("{threshold:.4}"));
                text += &format!("  {:>17}  {threshold:>9}", percent(*average_precision));
            }
            text.push('\n');
        }
        if self.confusion.len() <= MAX_SHOWN_CLASSES && !self.confusion.is_empty() {
            text += &self.matrix(&names, width);
        }
        text + &self.groups.as_ref().map(GroupReport::to_text).unwrap_or_default()
    }

    /// Whether the rows of the table are labels rather than classes.
    fn has_labels(&self) -> bool {
        !self.classes.is_empty() && self.confusion.is_empty()
    }

    fn matrix(&self, names: &[Cow<str>], width: usize) -> String {
        let cell = |text: &str| text.chars().take(8).collect::<String>();
        let mut text = format!("\n{:<width$}  predicted\n{:<width$}", "", "actual");
        names.iter().for_each(|name| write!(text, "  {:>8}", cell(name)).expect(INFALLIBLE));
        for (name, counts) in names.iter().zip(&self.confusion) {
            write!(text, "\n{name:<width$}").expect(INFALLIBLE);
            counts.iter().for_each(|count| write!(text, "  {count:>8}").expect(INFALLIBLE));
        }
        text + "\n"
    }
}

/// Metrics of each class.
fn of_classes(
    classes: impl Iterator<Item = (usize, String)>,
    confusion: &ConfusionMatrix,
) -> Vec<ClassMetrics> {
    let of_class = |(index, class)| ClassMetrics {
        class,
        rows: confusion.support(index),
        precision: confusion.precision(index),
        recall: confusion.recall(index),
        f1: confusion.f1(index),
        average_precision: None,
        threshold: None,
    };
    classes.map(of_class).collect()
}

/// Metrics of each label.
fn of_labels(
    labels: impl Iterator<Item = (usize, String)>,
    counts: &LabelCounts,
    evaluation: &Evaluation,
) -> Vec<ClassMetrics> {
    let precisions = evaluation.label_scores();
    let precisions =
        precisions.map(|Scores { logits, labels }| average_precisions(&logits.sigmoid(), labels));
    let of_label = |(index, class)| {
        let (predicted, actual) = (counts.predicted(index), counts.support(index));
        ClassMetrics {
            class,
            rows: actual,
            precision: (predicted > 0).then(|| counts.precision(index)),
            recall: (actual > 0).then(|| counts.recall(index)),
            f1: (predicted + actual > 0).then(|| counts.f1(index)),
            average_precision: precisions.as_ref().and_then(|precisions| precisions[index]),
            threshold: None,
        }
    };
    labels.map(of_label).collect()
}

const INFALLIBLE: &str = "writing to a string does not fail";
