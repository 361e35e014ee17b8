//! The reference: histograms of the training data, in the file of a model.

use serde::{Deserialize, Serialize};

use super::bins::{Bins, Variable};
use super::decision::{Decision, confidence};
use super::picture::image_statistics;
use crate::data::TableLayout;
use crate::data::column::{ColumnKind, FeatureGroup};
use crate::model::Outputs;

/// The most columns in the reference; further ones are not compared.
pub const MAX_VARIABLES: usize = 256;

/// The most parts of a column, such as year and month of a date. The hashed words of a text are more, and are not compared.
const MAX_PARTS: usize = 16;

/// The upper bounds of the bins of the confidence.
const CONFIDENCE: [f32; 12] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.];

/// Histograms of the training data.
///
/// ```
/// use cresset::prelude::*;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let metadata = cresset::predict::metadata(&out.join("model.pt"))?;
/// let reference = metadata.drift.unwrap();
/// assert_eq!(reference.inputs.len(), 4);
/// assert_eq!(reference.labels.counts.iter().sum::<u64>(), 150);
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriftReference {
    /// The number of channels of images, whose statistics are the inputs; `None` if the features are the inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// The columns, or the statistics of images, in the training set or an evenly spaced sample of it.
    pub inputs: Vec<Variable>,
    /// The classes, labels or numbers of the training set.
    pub labels: Variable,
    /// The predicted classes, labels or numbers on the validation set.
    pub predictions: Variable,
    /// The probability of the predicted class on the validation set; only of classifiers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Variable>,
}

/// Labels and predictions for a reference.
pub struct ReferenceOutputs<'a> {
    /// The meaning of the outputs.
    pub outputs: &'a Outputs,
    /// The names of the classes or labels.
    pub classes: &'a [String],
    /// The targets of the training set.
    pub labels: Vec<Decision>,
    /// The probabilities or the number of each validation example.
    pub validation: Vec<Vec<f64>>,
}

impl DriftReference {
    /// The reference for training examples with `width` values each, concatenated: the features of `layout`, or numbers if it is
    /// `None`. Of images of `channels` channels, the values are those of [`image_statistics`].
    pub fn fit(
        values: &[f32],
        width: usize,
        layout: Option<&TableLayout>,
        channels: Option<usize>,
        outputs: &ReferenceOutputs,
    ) -> Self {
        let rows = || values.chunks_exact(width.max(1));
        let mut inputs = match (channels, layout) {
            (Some(channels), _) => {
                let names =
                    image_statistics(&[0.; 3], channels).into_iter().map(|(name, _)| name.to_string());
                numbers(names, values, width)
            }
            (None, Some(layout)) => columns(layout, values, width),
            (None, None) => {
                numbers((1..=width.min(MAX_VARIABLES)).map(|number| number.to_string()), values, width)
            }
        };
        for variable in &mut inputs {
            let mut counts = std::mem::take(&mut variable.counts);
            rows().for_each(|row| variable.count(row, &mut counts));
            variable.counts = counts;
        }
        let ReferenceOutputs { outputs: meaning, classes, labels, validation } = outputs;
        let predictions: Vec<_> = validation.iter().map(|row| Decision::of(meaning, row)).collect();
        let confidence = meaning.is_classification().then(|| {
            let bins = Bins::Number { low: 0., edges: CONFIDENCE.to_vec() };
            let mut variable = Variable::empty("confidence".to_string(), (0, 1), bins);
            for row in validation {
                let bin = variable.bins.of_number(confidence(row));
                variable.counts[bin] += 1;
            }
            variable
        });
        DriftReference {
            channels,
            inputs,
            labels: output("labels", labels, classes),
            predictions: output("predictions", &predictions, classes),
            confidence,
        }
    }

    /// Whether the reference fits a model with inputs of this many values.
    pub fn is_valid(&self, features: usize) -> bool {
        let values = match self.channels {
            Some(channels) => image_statistics(&[0.; 3], channels).len(),
            None => features,
        };
        self.inputs.iter().all(|variable| variable.is_valid(values))
            && [Some(&self.labels), Some(&self.predictions), self.confidence.as_ref()]
                .into_iter()
                .flatten()
                .all(|variable| variable.is_valid(1))
    }
}

/// A variable for each value, which is a number.
fn numbers(names: impl Iterator<Item = String>, values: &[f32], width: usize) -> Vec<Variable> {
    let column = |(place, name): (usize, String)| {
        let bins = Bins::of_numbers(values.iter().skip(place).step_by(width.max(1)).copied());
        Variable::empty(name, (place, 1), bins)
    };
    names.enumerate().map(column).collect()
}

/// A variable for each group of features: a column, or a part of one.
fn columns(layout: &TableLayout, values: &[f32], width: usize) -> Vec<Variable> {
    let feature_names = layout.feature_names();
    let (mut variables, mut start) = (Vec::new(), 0);
    for (column, name) in layout.columns.iter().zip(layout.names()) {
        let groups = column.groups();
        let is_text = matches!(groups[..], [FeatureGroup::Tokens { .. }]);
        if is_text || groups.len() > MAX_PARTS {
            start += column.features();
            continue;
        }
        for group in &groups {
            let own = match groups.len() {
                1 => name.to_string(),
                _ => feature_names[start].clone(),
            };
            let category = |index: usize| match (group, &column.kind) {
                (FeatureGroup::Code { .. }, ColumnKind::Code { categories, .. }) => {
                    categories.get(index).cloned().unwrap_or_else(|| index.to_string())
                }
                (FeatureGroup::Code { .. }, ColumnKind::Hash { .. }) => format!("hash {index}"),
                (FeatureGroup::Code { .. }, _) => index.to_string(),
                _ => {
                    let feature = &feature_names[start + index];
                    let prefix = format!("{}=", column.name);
                    feature.strip_prefix(&prefix).unwrap_or(feature).to_string()
                }
            };
            variables.push(of_group(own, group, start, category, values, width));
            start += group.features();
        }
    }
    variables.truncate(MAX_VARIABLES);
    variables
}

fn of_group(
    name: String,
    group: &FeatureGroup,
    start: usize,
    category: impl Fn(usize) -> String,
    values: &[f32],
    width: usize,
) -> Variable {
    let of_feature = |feature: usize| values.iter().skip(feature).step_by(width.max(1)).copied();
    match group {
        FeatureGroup::Number => Variable::empty(name, (start, 1), Bins::of_numbers(of_feature(start))),
        FeatureGroup::Indicators { count } => {
            let counts: Vec<u64> = (start..start + count)
                .map(|feature| of_feature(feature).filter(|value| *value > 0.).count() as u64)
                .collect();
            Variable::empty(name, (start, *count), Bins::of_categories(&counts, category))
        }
        FeatureGroup::Code { categories } => {
            let mut counts = vec![0; *categories];
            of_feature(start).filter(|code| *code >= 0.).for_each(|code| {
                if let Some(count) = counts.get_mut(code as usize) {
                    *count += 1;
                }
            });
            Variable::empty(name, (start, 0), Bins::of_categories(&counts, category))
        }
        FeatureGroup::Tokens { .. } => unreachable!("the ids of tokens have no histogram"),
    }
}

/// The histogram of labels or predictions.
fn output(name: &str, decisions: &[Decision], classes: &[String]) -> Variable {
    let numbers = decisions.iter().filter_map(|decision| match decision {
        Decision::Number(value) => Some(*value),
        Decision::Indexes(_) => None,
    });
    let bins = match decisions.first() {
        Some(Decision::Number(_)) => Bins::of_numbers(numbers),
        _ => {
            let mut counts = vec![0; classes.len()];
            for decision in decisions {
                if let Decision::Indexes(indexes) = decision {
                    indexes.iter().for_each(|index| counts[*index] += 1);
                }
            }
            Bins::of_categories(&counts, |index| classes[index].clone())
        }
    };
    let mut variable = Variable::empty(name.to_string(), (0, 1), bins);
    decisions.iter().for_each(|decision| decision.count(&variable.bins, &mut variable.counts));
    variable
}
