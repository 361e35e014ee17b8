//! The meaning of a model's outputs.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::data::{Dataset, Targets, TaskKind};

/// What the outputs of a model mean. It is part of an exported model's metadata.
///
/// ```
/// use cresset::model::Outputs;
/// use tch::Tensor;
///
/// let outputs = Outputs::Regression { offset: 10., scale: 2., interval: None };
/// let values = outputs.results(&Tensor::from_slice2(&[[0f32], [-1.]]));
/// assert_eq!(Vec::<f32>::try_from(values.view(-1)).unwrap(), [10., 8.]);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "kebab-case")]
pub enum Outputs {
    /// A logit for each class; the softmax has their probabilities.
    #[default]
    Classification,
    /// A logit for each label; the sigmoid has its probability.
    Multilabel {
        /// The probability from which on a label is predicted, by label, from 0 to 1.
        thresholds: Vec<f64>,
    },
    /// A number. The network predicts `(value - offset) / scale`.
    Regression {
        /// The mean of the training values.
        offset: f64,
        /// The standard deviation of the training values.
        scale: f64,
        /// The prediction interval.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        interval: Option<ValueInterval>,
    },
    /// The score of a user and an item: the higher, the sooner the item is recommended to the user.
    Ranking,
}

/// An interval around a predicted number, from split conformal prediction (Lei et al., "Distribution-Free Predictive Inference for
/// Regression", 2018): it contains the true value of new examples with the probability `coverage`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ValueInterval {
    /// The probability, from 0 to 1.
    pub coverage: f64,
    /// Half the width of the interval, in units of the value.
    pub half_width: f64,
}

/// The threshold of a label until it is tuned.
const UNTUNED: f64 = 0.5;

impl Outputs {
    /// The outputs for a data set with these training examples, before thresholds and intervals are fitted.
    pub fn of(dataset: &Dataset, train: &[i64]) -> Self {
        match &dataset.targets {
            Targets::Classes => Outputs::Classification,
            Targets::Interactions => Outputs::Ranking,
            Targets::Sets(_) => Outputs::Multilabel { thresholds: vec![UNTUNED; dataset.classes.len()] },
            Targets::Values(values) => {
                let of = |row: &i64| f64::from(values[dataset.labels[*row as usize] as usize]);
                let count = train.len().max(1) as f64;
                let offset = train.iter().map(of).sum::<f64>() / count;
                let variance = train.iter().map(|row| (of(row) - offset).powi(2)).sum::<f64>() / count;
                // A constant has no standard deviation to divide by.
                let scale = if variance > 0. { variance.sqrt() } else { 1. };
                Outputs::Regression { offset, scale, interval: None }
            }
        }
    }

    /// The task.
    pub fn task(&self) -> TaskKind {
        match self {
            Outputs::Classification => TaskKind::Classification,
            Outputs::Multilabel { .. } => TaskKind::Multilabel,
            Outputs::Regression { .. } => TaskKind::Regression,
            Outputs::Ranking => TaskKind::Ranking,
        }
    }

    /// Whether these are the outputs of a classifier.
    pub fn is_classification(&self) -> bool {
        *self == Outputs::Classification
    }

    /// The outputs of a network (N, K) as those of the exported model: logits, or numbers in units of the target.
    pub fn results(&self, outputs: &Tensor) -> Tensor {
        match self {
            Outputs::Regression { offset, scale, .. } => outputs * *scale + *offset,
            _ => outputs.shallow_clone(),
        }
    }

    /// The targets of a batch as the network predicts them: numbers are standardized.
    pub fn standardized(&self, targets: &Tensor) -> Tensor {
        match self {
            Outputs::Regression { offset, scale, .. } => (targets - *offset) / *scale,
            _ => targets.shallow_clone(),
        }
    }

    /// The probabilities of logits (N, K), float64: of the classes, which add up to 1, or of each label. Numbers stay as they are.
    pub fn probabilities(&self, logits: &Tensor) -> Tensor {
        let logits = logits.to_kind(Kind::Double);
        match self {
            Outputs::Classification => logits.softmax(-1, Kind::Double),
            Outputs::Multilabel { .. } => logits.sigmoid(),
            Outputs::Regression { .. } | Outputs::Ranking => logits,
        }
    }

    /// Which labels are predicted at these probabilities (N, labels): bool (N, labels).
    ///
    /// # Panics
    /// If the model does not predict labels.
    pub fn decisions(&self, probabilities: &Tensor) -> Tensor {
        let Outputs::Multilabel { thresholds } = self else { panic!("the model does not predict labels") };
        probabilities.ge_tensor(&Tensor::from_slice(thresholds).to_device(probabilities.device()))
    }

    /// The indexes of the labels that are predicted at these probabilities; none for other tasks.
    pub fn labels(&self, probabilities: &[f64]) -> Option<Vec<usize>> {
        let Outputs::Multilabel { thresholds } = self else { return None };
        let is_predicted = |index: &usize| probabilities[*index] >= thresholds[*index];
        Some((0..thresholds.len()).filter(is_predicted).collect())
    }

    /// The names of the labels that are predicted at these probabilities; none for other tasks.
    pub fn named_labels(&self, probabilities: &[f64], names: &[String]) -> Option<Vec<String>> {
        Some(self.labels(probabilities)?.into_iter().map(|label| names[label].clone()).collect())
    }

    /// The bounds of the prediction interval around a number, if the model has intervals.
    pub fn interval(&self, value: f64) -> Option<[f64; 2]> {
        let Outputs::Regression { interval: Some(interval), .. } = self else { return None };
        Some([value - interval.half_width, value + interval.half_width])
    }

    /// The score from 0 to 1 that tables show for each epoch: the accuracy, the micro-averaged F1 score of the labels, or R², which
    /// may be negative.
    pub fn score_name(&self) -> &'static str {
        self.task().score_name()
    }

    /// The score of [`Outputs::score_name`] for display: in percent, or R² with four digits.
    pub fn show_score(&self, score: f64) -> String {
        self.task().show_score(score)
    }

    /// The output that attributions explain.
    pub fn explained(&self) -> &'static str {
        match self {
            Outputs::Classification | Outputs::Multilabel { .. } => "logit",
            Outputs::Regression { .. } => "value",
            Outputs::Ranking => "score",
        }
    }

    /// The word for one of the names in [`Metadata::classes`](crate::export::Metadata::classes).
    pub fn noun(&self) -> &'static str {
        match self {
            Outputs::Classification => "class",
            Outputs::Multilabel { .. } => "label",
            Outputs::Regression { .. } | Outputs::Ranking => "target",
        }
    }

    /// The names of what the exported `forward` and `predict` return, for code examples.
    pub fn names(&self) -> [&'static str; 2] {
        match self {
            Outputs::Classification => ["logits", "classes, probabilities"],
            Outputs::Multilabel { .. } => ["logits", "labels, probabilities"],
            Outputs::Regression { .. } => ["values", "values, intervals"],
            Outputs::Ranking => ["scores", "scores, scores"],
        }
    }
}
