//! Group fairness: metrics by group, and the differences between groups.
//!
//! The differences are defined as in fairlearn, one-vs-rest for each class. Demographic parity compares selection rates;
//! equalized odds (Hardt, Price and Srebro, "Equality of opportunity in supervised learning", 2016) compares true and false
//! positive rates. Unlike in fairlearn, the rate of a group without examples of a class is undefined, not 0.

#[cfg(test)]
mod tests;
mod text;

use serde::Serialize;
use tch::Tensor;

use super::interval::wilson;
use super::{ConfusionMatrix, Evaluation, Interval, Scores, calibration};
use crate::data::Grouping;
use crate::error::{Error, Result};

/// Metrics by group.
///
/// ```
/// use cresset::data::Grouping;
/// use cresset::evaluate::groups::GroupReport;
/// use cresset::evaluate::{ConfusionMatrix, Evaluation, Scores};
/// use tch::Tensor;
///
/// let logits = Tensor::from_slice2(&[[1f32, 0.], [0., 1.], [1., 0.], [1., 0.]]);
/// let labels = Tensor::from_slice(&[0i64, 1, 1, 0]);
/// let confusion = ConfusionMatrix::of(&logits, &labels, 2);
/// let scores = Some(Scores { logits, labels });
/// let evaluation = Evaluation { scores, ..Evaluation::of_classes(0.6, confusion) };
///
/// let names = vec!["old".to_string(), "young".to_string()];
/// let grouping = Grouping { by: "age".to_string(), names, of: vec![0, 0, 1, 1] };
/// let report = GroupReport::new(&evaluation, &["no".into(), "yes".into()], &grouping, 1)?;
/// assert_eq!(report.groups[0].accuracy, 1.);
/// assert_eq!(report.accuracy_gap.unwrap().value, 0.5);
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupReport {
    /// The column that defines the groups.
    pub by: String,
    /// Groups with fewer examples are excluded from the differences.
    pub least_rows: u64,
    /// The groups that have examples.
    pub groups: Vec<GroupMetrics>,
    /// The largest minus the smallest accuracy.
    pub accuracy_gap: Option<GroupDifference>,
    /// The largest difference in selection rate.
    pub demographic_parity_difference: Option<GroupDifference>,
    /// The largest difference in true or false positive rate.
    pub equalized_odds_difference: Option<GroupDifference>,
}

/// Metrics of a group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupMetrics {
    /// The name of the group.
    pub group: String,
    /// The number of examples in the group.
    pub rows: u64,
    /// Whether the group has enough examples to be included in the differences.
    pub is_compared: bool,
    /// Accuracy.
    pub accuracy: f64,
    /// 95 % confidence interval of the accuracy (Wilson).
    pub accuracy_interval: Interval,
    /// Expected calibration error.
    pub calibration_error: f64,
    /// One-vs-rest rates of each class.
    pub classes: Vec<Rates>,
}

/// One-vs-rest rates of a class in a group, from 0 to 1; `None` if the denominator is 0.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rates {
    /// The class.
    pub class: String,
    /// The number of examples of the class in the group.
    pub rows: u64,
    /// True positive rate (recall).
    pub true_positive_rate: Option<f64>,
    /// False positive rate.
    pub false_positive_rate: Option<f64>,
    /// The fraction of the group's examples predicted as the class.
    pub selection_rate: f64,
}

/// The largest difference in a metric between two groups.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupDifference {
    /// The difference, from 0 to 1.
    pub value: f64,
    /// The group with the smallest value.
    pub least: String,
    /// The group with the largest value.
    pub most: String,
    /// The class, for one-vs-rest rates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The name of the metric.
    pub figure: &'static str,
    /// The number of examples behind the value in the smaller of the two groups.
    pub rows: u64,
}

impl GroupReport {
    /// Computes the report. `grouping` assigns a group to each example, in the order of the evaluation. Only groups of at
    /// least `least_rows` examples are included in the differences.
    ///
    /// # Errors
    /// An evaluation without scores, and one of labels or numbers.
    pub fn new(
        evaluation: &Evaluation,
        classes: &[String],
        grouping: &Grouping,
        least_rows: u64,
    ) -> Result<Self> {
        if evaluation.confusion().is_none() {
            let problem = "groups are compared only for classification, by the accuracy and the rates of the classes; remove --group-by \
                           or --groups";
            return Err(Error::Usage(problem.to_string()));
        }
        let scores = evaluation.scores.as_ref().ok_or_else(|| {
            let problem = "cannot compute metrics by group: the scores of that many examples and classes do not fit the memory limit; evaluate on fewer examples";
            Error::Usage(problem.to_string())
        })?;
        let mut groups = Vec::new();
        for (index, name) in grouping.names.iter().enumerate() {
            let rows: Vec<i64> =
                (0i64..).zip(&grouping.of).filter(|(_, of)| **of == index).map(|(row, _)| row).collect();
            if !rows.is_empty() {
                groups.push(GroupMetrics::new(name, scores, &Tensor::from_slice(&rows), classes, least_rows));
            }
        }
        let accuracy = difference("accuracy", None, &groups, |group| Some((group.accuracy, group.rows)));
        let largest = |metrics: &[(&'static str, RateFn)]| {
            let of_class = |class: usize| {
                let groups = &groups;
                metrics.iter().filter_map(move |(figure, rate)| {
                    difference(figure, Some(&classes[class]), groups, |group| {
                        rate(group, &group.classes[class])
                    })
                })
            };
            // Prefer the first of equal differences; with two classes, their rates mirror each other up to rounding.
            let larger =
                |a: GroupDifference, b: GroupDifference| if b.value > a.value + 1e-12 { b } else { a };
            (0..classes.len()).flat_map(of_class).reduce(larger)
        };
        Ok(GroupReport {
            by: grouping.by.clone(),
            least_rows,
            accuracy_gap: accuracy,
            demographic_parity_difference: largest(&[("selection rate", |group, rates| {
                Some((rates.selection_rate, group.rows))
            })]),
            equalized_odds_difference: largest(&[
                ("true positive rate", |_, rates| Some((rates.true_positive_rate?, rates.rows))),
                ("false positive rate", |group, rates| {
                    Some((rates.false_positive_rate?, group.rows - rates.rows))
                }),
            ]),
            groups,
        })
    }

    /// The differences with their names.
    pub fn differences(&self) -> [(&'static str, &Option<GroupDifference>); 3] {
        [
            ("accuracy gap", &self.accuracy_gap),
            ("demographic parity difference", &self.demographic_parity_difference),
            ("equalised odds difference", &self.equalized_odds_difference),
        ]
    }
}

impl GroupMetrics {
    fn new(group: &str, scores: &Scores, rows: &Tensor, classes: &[String], least_rows: u64) -> Self {
        let scores = Scores {
            logits: scores.logits.index_select(0, rows),
            labels: scores.labels.index_select(0, rows),
        };
        let confusion = ConfusionMatrix::of(&scores.logits, &scores.labels, classes.len() as i64);
        let total = confusion.total();
        let rates = |(index, class): (usize, &String)| Rates {
            class: class.clone(),
            rows: confusion.support(index),
            true_positive_rate: confusion.recall(index),
            false_positive_rate: confusion.false_positive_rate(index),
            selection_rate: confusion.predicted(index) as f64 / total as f64,
        };
        GroupMetrics {
            group: group.to_string(),
            rows: total,
            is_compared: total >= least_rows,
            accuracy: confusion.accuracy(),
            accuracy_interval: wilson(confusion.correct(), total).expect("the group has examples"),
            calibration_error: calibration::error(&scores, 1.),
            classes: classes.iter().enumerate().map(rates).collect(),
        }
    }
}

/// Returns a rate of a class in a group and the size of its denominator.
type RateFn = fn(&GroupMetrics, &Rates) -> Option<(f64, u64)>;

/// The largest minus the smallest value over the compared groups for which it is defined; `None` if there are none.
fn difference(
    figure: &'static str,
    class: Option<&String>,
    groups: &[GroupMetrics],
    of: impl Fn(&GroupMetrics) -> Option<(f64, u64)>,
) -> Option<GroupDifference> {
    let compared = groups.iter().filter(|group| group.is_compared);
    let values: Vec<_> = compared.filter_map(|group| Some((of(group)?, &group.group))).collect();
    let (least, least_group) = values.iter().min_by(|(a, _), (b, _)| a.0.total_cmp(&b.0))?;
    let (most, most_group) = values.iter().max_by(|(a, _), (b, _)| a.0.total_cmp(&b.0))?;
    Some(GroupDifference {
        value: most.0 - least.0,
        least: least_group.to_string(),
        most: most_group.to_string(),
        class: class.cloned(),
        figure,
        rows: least.1.min(most.1),
    })
}
