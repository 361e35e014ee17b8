//! Whether a model serves all groups alike: figures a group, and how far they lie apart.
//!
//! The differences are those of fairlearn, each class against the rest: demographic parity is about how often a class is
//! said, equalised odds (Hardt, Price and Srebro, "Equality of opportunity in supervised learning", 2016) about how often it
//! is said rightly and wrongly. Other than there, a group without rows of a class has no rate, not a rate of 0.

#[cfg(test)]
mod tests;
mod text;

use serde::Serialize;
use tch::Tensor;

use super::interval::wilson;
use super::{Confusion, Evaluation, Interval, Scores, calibration};
use crate::data::Grouping;
use crate::error::{Error, Result};

/// What was found of each group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupReport {
    /// What makes the groups: a column.
    pub by: String,
    /// Groups with fewer rows take no part in the differences.
    pub least_rows: u64,
    /// The groups that have rows.
    pub groups: Vec<GroupFigures>,
    /// The largest accuracy less the smallest.
    pub accuracy_gap: Option<Difference>,
    /// The largest difference of a selection rate.
    pub demographic_parity_difference: Option<Difference>,
    /// The largest difference of a true or a false positive rate.
    pub equalized_odds_difference: Option<Difference>,
}

/// What was found of a group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupFigures {
    /// The group.
    pub group: String,
    /// Its rows.
    pub rows: u64,
    /// Whether it has rows enough to take part in the differences.
    pub is_compared: bool,
    /// The share of its rows that were classified rightly.
    pub accuracy: f64,
    /// Wilson's interval of that, with 95 % confidence.
    pub accuracy_interval: Interval,
    /// The expected calibration error.
    pub calibration_error: f64,
    /// Each class against the rest.
    pub classes: Vec<Rates>,
}

/// Shares from 0 to 1 of a group's rows; none where there is nothing to divide by.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rates {
    /// The class.
    pub class: String,
    /// The rows of the group that are of it.
    pub rows: u64,
    /// The share of these that were recognised.
    pub true_positive_rate: Option<f64>,
    /// The share of the group's other rows that were taken for it.
    pub false_positive_rate: Option<f64>,
    /// The share of all the group's rows that were taken for it.
    pub selection_rate: f64,
}

/// How far two groups lie apart.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The difference, from 0 to 1.
    pub value: f64,
    /// The group with the smallest figure.
    pub least: String,
    /// The group with the largest figure.
    pub most: String,
    /// The class, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The figure that lies apart.
    pub figure: &'static str,
    /// The rows that it was found on in the one of the two groups that has fewer of them.
    pub rows: u64,
}

impl GroupReport {
    /// From what was found on some rows, of which `grouping` has the groups, in their order. A difference is about groups of
    /// at least `least_rows` rows.
    ///
    /// # Errors
    /// Rows of which it was not kept what the model says.
    pub fn new(found: &Evaluation, classes: &[String], grouping: &Grouping, least_rows: u64) -> Result<Self> {
        let scores = found.scores.as_ref().ok_or_else(|| {
            let problem = "there are too many rows and classes to keep what the model says of each, so there are no figures of groups; measure it on fewer rows";
            Error::Usage(problem.to_string())
        })?;
        let mut groups = Vec::new();
        for (index, name) in grouping.names.iter().enumerate() {
            let rows: Vec<i64> =
                (0i64..).zip(&grouping.of).filter(|(_, of)| **of == index).map(|(row, _)| row).collect();
            if !rows.is_empty() {
                groups.push(GroupFigures::new(name, scores, &Tensor::from_slice(&rows), classes, least_rows));
            }
        }
        let accuracy = difference("accuracy", None, &groups, |group| Some((group.accuracy, group.rows)));
        let largest = |figures: &[(&'static str, RateOf)]| {
            let of_class = |class: usize| {
                let groups = &groups;
                figures.iter().filter_map(move |(figure, rate)| {
                    difference(figure, Some(&classes[class]), groups, |group| {
                        rate(group, &group.classes[class])
                    })
                })
            };
            // Of equals, but for rounding, the first: the rates of two classes mirror each other.
            let larger = |a: Difference, b: Difference| if b.value > a.value + 1e-12 { b } else { a };
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

    /// The differences, each with its name.
    pub fn differences(&self) -> [(&'static str, &Option<Difference>); 3] {
        [
            ("accuracy gap", &self.accuracy_gap),
            ("demographic parity difference", &self.demographic_parity_difference),
            ("equalised odds difference", &self.equalized_odds_difference),
        ]
    }
}

impl GroupFigures {
    fn new(group: &str, scores: &Scores, rows: &Tensor, classes: &[String], least_rows: u64) -> Self {
        let scores = Scores {
            logits: scores.logits.index_select(0, rows),
            labels: scores.labels.index_select(0, rows),
        };
        let confusion = Confusion::of(&scores.logits, &scores.labels, classes.len() as i64);
        let total = confusion.total();
        let rates = |(index, class): (usize, &String)| Rates {
            class: class.clone(),
            rows: confusion.support(index),
            true_positive_rate: confusion.recall(index),
            false_positive_rate: confusion.false_positive_rate(index),
            selection_rate: confusion.predicted(index) as f64 / total as f64,
        };
        GroupFigures {
            group: group.to_string(),
            rows: total,
            is_compared: total >= least_rows,
            accuracy: confusion.accuracy(),
            accuracy_interval: wilson(confusion.right(), total).expect("the group has rows"),
            calibration_error: calibration::error(&scores, 1.),
            classes: classes.iter().enumerate().map(rates).collect(),
        }
    }
}

/// A rate of a class in a group, and the number of rows that it was found on.
type RateOf = fn(&GroupFigures, &Rates) -> Option<(f64, u64)>;

/// The largest figure less the smallest, over the groups that are compared and have one; none if no group has.
fn difference(
    figure: &'static str,
    class: Option<&String>,
    groups: &[GroupFigures],
    of: impl Fn(&GroupFigures) -> Option<(f64, u64)>,
) -> Option<Difference> {
    let compared = groups.iter().filter(|group| group.is_compared);
    let figures: Vec<_> = compared.filter_map(|group| Some((of(group)?, &group.group))).collect();
    let (least, of_least) = figures.iter().min_by(|(a, _), (b, _)| a.0.total_cmp(&b.0))?;
    let (most, of_most) = figures.iter().max_by(|(a, _), (b, _)| a.0.total_cmp(&b.0))?;
    Some(Difference {
        value: most.0 - least.0,
        least: of_least.to_string(),
        most: of_most.to_string(),
        class: class.cloned(),
        figure,
        rows: least.1.min(most.1),
    })
}
