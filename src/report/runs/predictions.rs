//! Compares two models on the same validation examples.

use std::collections::HashMap;
use std::path::Path;

use serde::Serialize;
use tch::Device;

use crate::error::{Result, catch_panics};
use crate::evaluate::McNemar;
use crate::loader::EvaluationLoader;
use crate::predict::Classifier;
use crate::run::FinishedRun;
use crate::run::RunFolder;

/// Predictions of a model on its validation set.
///
/// ```
/// use cresset::prelude::*;
/// use cresset::report::runs::ValidationPredictions;
/// use tch::Device;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let predictions = ValidationPredictions::of(fitted.folder(), Device::Cpu)?;
/// let comparison = predictions.compare(&predictions).unwrap();
/// assert!(comparison.same_rows && comparison.accuracy_a == comparison.accuracy_b);
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ValidationPredictions {
    data_sha256: String,
    /// Actual and predicted class by name of the example.
    rows: HashMap<String, (String, String)>,
}

/// Two models on the examples in both validation sets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ModelComparison {
    /// Number of examples.
    pub rows: u64,
    /// Whether both validation sets are equal.
    pub same_rows: bool,
    /// Accuracy of the first model.
    pub accuracy_a: f64,
    /// Accuracy of the second model.
    pub accuracy_b: f64,
    /// McNemar's test of the difference.
    pub test: McNemar,
}

impl ValidationPredictions {
    /// Runs the exported model of a run on its validation set.
    ///
    /// # Errors
    /// If the run has no model, or the data is missing or has changed.
    pub fn of(path: &Path, device: Device) -> Result<Self> {
        catch_panics(|| {
            let folder = RunFolder::open(path)?;
            let FinishedRun { classifier, config, examples } = FinishedRun::open(&folder, device)?;
            examples.dataset.require_classes("the comparison of predictions")?;
            let feed = examples.raw(&examples.split.validation, &config, classifier.device());
            let predicted = predicted(&classifier, &*feed)?;
            let (dataset, names) = (&examples.dataset, &classifier.metadata().classes);
            let kept = feed.kept().into_iter().map(|place| examples.split.validation[place] as usize);
            let row = |(row, predicted): (usize, i64)| {
                (dataset.names.name(row), (dataset.target_text(row), names[predicted as usize].clone()))
            };
            Ok(ValidationPredictions {
                data_sha256: dataset.sha256.clone(),
                rows: kept.zip(predicted).map(row).collect(),
            })
        })
    }

    /// Compares two models on the examples in both validation sets.
    ///
    /// # Errors
    /// Why they cannot be compared: different data, different labels, no common example.
    pub fn compare(&self, other: &ValidationPredictions) -> std::result::Result<ModelComparison, String> {
        if self.data_sha256 != other.data_sha256 {
            let problem = "the runs use different data, so examples cannot be matched";
            return Err(problem.to_string());
        }
        let common: Vec<_> =
            self.rows.iter().filter_map(|(name, own)| Some((own, other.rows.get(name)?))).collect();
        if common.is_empty() {
            return Err("the validation sets have no example in common".to_string());
        }
        if common.iter().any(|((a, _), (b, _))| a != b) {
            return Err("the runs have different labels for the same examples".to_string());
        }
        let test = McNemar::new(common.iter().map(|((class, a), (_, b))| (class == a, class == b)));
        let rows = test.rows();
        let share = |right: u64| right as f64 / rows as f64;
        Ok(ModelComparison {
            rows,
            same_rows: rows == self.rows.len() as u64 && rows == other.rows.len() as u64,
            accuracy_a: share(test.both_right + test.only_a),
            accuracy_b: share(test.both_right + test.only_b),
            test,
        })
    }
}

/// The predicted class of each example.
fn predicted(classifier: &Classifier, feed: &dyn EvaluationLoader) -> Result<Vec<i64>> {
    let mut predicted = Vec::with_capacity(feed.rows());
    for batch in feed.in_order() {
        let classes = classifier.batch_logits(&batch?)?.argmax(-1, false).to_device(Device::Cpu);
        predicted.extend(Vec::<i64>::try_from(&classes)?);
    }
    Ok(predicted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validation(sha256: &str, rows: &[(&str, &str, &str)]) -> ValidationPredictions {
        let row = |(name, class, taken_for): &(&str, &str, &str)| {
            (name.to_string(), (class.to_string(), taken_for.to_string()))
        };
        ValidationPredictions { data_sha256: sha256.to_string(), rows: rows.iter().map(row).collect() }
    }

    #[test]
    fn models_are_compared_on_common_validation_examples() {
        let a = validation("x", &[("1", "a", "a"), ("2", "b", "b"), ("3", "a", "b")]);
        let b = validation("x", &[("2", "b", "a"), ("3", "a", "b"), ("4", "a", "a")]);
        let compared = a.compare(&b).unwrap();
        assert_eq!((compared.rows, compared.same_rows), (2, false));
        assert_eq!((compared.accuracy_a, compared.accuracy_b), (0.5, 0.));
        assert_eq!((compared.test.only_a, compared.test.only_b, compared.test.none_right), (1, 0, 1));
        assert!(a.compare(&a).unwrap().same_rows);
    }

    #[test]
    fn incomparable_models_give_the_reason() {
        let a = validation("x", &[("1", "a", "a")]);
        assert!(a.compare(&validation("y", &[("1", "a", "a")])).unwrap_err().contains("different data"));
        assert!(
            a.compare(&validation("x", &[("2", "a", "a")])).unwrap_err().contains("no example in common")
        );
        assert!(a.compare(&validation("x", &[("1", "b", "b")])).unwrap_err().contains("different labels"));
    }
}
