//! Labels and predictions, and their bins.

use super::bins::Bins;
use crate::model::Outputs;

/// A label or a prediction.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// A class, or any number of labels.
    Indexes(Vec<usize>),
    /// A number.
    Number(f32),
}

impl Decision {
    /// The prediction for these probabilities or this number.
    ///
    /// ```
    /// use cresset::evaluate::drift::Decision;
    /// use cresset::model::Outputs;
    ///
    /// assert_eq!(Decision::of(&Outputs::Classification, &[0.2, 0.8]), Decision::Indexes(vec![1]));
    /// ```
    pub fn of(outputs: &Outputs, probabilities: &[f64]) -> Self {
        match outputs {
            Outputs::Classification => {
                let first = |best: usize, index: usize| {
                    if probabilities[index] > probabilities[best] { index } else { best }
                };
                Decision::Indexes(vec![(0..probabilities.len()).fold(0, first)])
            }
            Outputs::Multilabel { .. } => {
                Decision::Indexes(outputs.labels(probabilities).unwrap_or_default())
            }
            Outputs::Regression { .. } | Outputs::Ranking => Decision::Number(probabilities[0] as f32),
        }
    }

    pub(super) fn count(&self, bins: &Bins, counts: &mut [u64]) {
        match self {
            Decision::Number(value) => counts[bins.of_number(*value)] += 1,
            Decision::Indexes(indexes) if indexes.is_empty() => counts[bins.of_no_category()] += 1,
            Decision::Indexes(indexes) => {
                indexes.iter().for_each(|index| counts[bins.of_category(*index)] += 1);
            }
        }
    }
}

/// The largest probability.
pub(super) fn confidence(probabilities: &[f64]) -> f32 {
    // A sum of shares may be a little above 1.
    probabilities.iter().copied().fold(0., f64::max).min(1.) as f32
}
