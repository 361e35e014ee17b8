//! Drift of the inputs and predictions of a model.

use std::sync::Arc;

use tch::{Device, Kind, Tensor};

use super::Classifier;
use crate::error::Result;
use crate::evaluate::Evaluation;
use crate::evaluate::drift::{Decision, DriftCounter, DriftReport};
use crate::loader::EvaluationLoader;
use crate::model::Outputs;

impl Classifier {
    /// An empty counter for inputs and predictions; `None` if the model has no histograms of its training data.
    pub fn drift_counter(&self) -> Option<DriftCounter> {
        let reference = Arc::new(self.metadata.drift.clone()?);
        Some(DriftCounter::new(reference, &self.metadata.outputs))
    }

    /// Evaluates the model on labeled raw examples, and compares them with the training data if the model has histograms of it.
    ///
    /// ```
    /// use cresset::prelude::*;
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let out = folder.path().join("run");
    /// let options = Config { epochs: 3, ..Config::default() };
    /// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
    /// let classifier = fitted.classifier()?;
    /// let (examples, _names) = classifier.read_labeled("data/iris.csv".as_ref())?;
    /// let (_evaluation, drift) = classifier.evaluate_with_drift(&*examples)?;
    /// assert_eq!(drift.unwrap().warning(), None);
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Classifier::evaluate`].
    pub fn evaluate_with_drift(
        &self,
        feed: &dyn EvaluationLoader,
    ) -> Result<(Evaluation, Option<DriftReport>)> {
        let Some(mut counter) = self.drift_counter() else { return Ok((self.evaluate(feed)?, None)) };
        let evaluation = self.evaluate_counting(feed, &mut |inputs, logits| {
            let probabilities: Vec<f64> =
                values_of(&self.metadata.outputs.probabilities(logits), Kind::Double)?;
            let raw: Vec<f32> = values_of(inputs, Kind::Float)?;
            let width = self.metadata.input.shape.features().max(1) as usize;
            let rows = raw.chunks_exact(width).zip(probabilities.chunks_exact(self.metadata.classes.len()));
            // The evaluation reports probabilities that are NaN.
            rows.for_each(|(raw, probabilities)| counter.add(raw, probabilities));
            Ok(())
        })?;
        if let Some(scores) = &evaluation.scores {
            labels(&self.metadata.outputs, &scores.labels)?.iter().for_each(|label| counter.add_label(label));
        }
        Ok((evaluation, Some(counter.report(&self.metadata.data_sha256))))
    }
}

/// The targets of an evaluation: class indexes, int64 (N), or multi-hot labels or numbers, float32 (N, outputs).
fn labels(outputs: &Outputs, targets: &Tensor) -> Result<Vec<Decision>> {
    if outputs.is_classification() {
        let classes: Vec<i64> = values_of(targets, Kind::Int64)?;
        return Ok(classes.into_iter().map(|class| Decision::Indexes(vec![class as usize])).collect());
    }
    let width = targets.size().get(1).copied().unwrap_or(1).max(1) as usize;
    let values: Vec<f32> = values_of(targets, Kind::Float)?;
    let of_row = |row: &[f32]| match outputs {
        Outputs::Regression { .. } => Decision::Number(row[0]),
        _ => Decision::Indexes((0..row.len()).filter(|label| row[*label] > 0.5).collect()),
    };
    Ok(values.chunks_exact(width).map(of_row).collect())
}

/// The flattened values of a tensor on any device.
fn values_of<T>(tensor: &Tensor, kind: Kind) -> Result<Vec<T>>
where
    Vec<T>: TryFrom<Tensor, Error = tch::TchError>,
{
    Ok(Vec::try_from(tensor.to_device(Device::Cpu).to_kind(kind).contiguous().view(-1))?)
}
