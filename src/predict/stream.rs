//! Classifies any number of inputs in batches. Worker threads read and decode ahead of the model; the order is kept.

use std::collections::VecDeque;
use std::sync::Arc;

use tch::{Device, Kind, Tensor};

use super::sources::Sources;
use super::{Classifier, Input, InputSpec, Notes};
use crate::data::parallel::OrderedMap;
use crate::error::{Error, Result, catch_panics};
use crate::evaluate::Evaluation;
use crate::evaluate::drift::{DriftCounter, DriftReport};
use crate::evaluate::ood::{OodScore, energies};
use crate::loader::{Batch, EvaluationLoader};

/// How inputs are read and batched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    /// Batch size, at least 1. Inputs that cannot be read count.
    pub size: usize,
    /// The number of worker threads that read and decode. The results do not depend on it.
    pub threads: usize,
    /// Whether to compute features, the inputs of the last layer.
    pub features: bool,
}

/// The probability of each class or label, or the predicted number; or the error of the input.
///
/// ```
/// use cresset::predict::ClassProbabilities;
///
/// let probabilities: ClassProbabilities = Ok(vec![0.2, 0.8]);
/// assert_eq!(probabilities.map(|values| values.len()), Ok(2));
/// ```
pub type ClassProbabilities = std::result::Result<Vec<f64>, String>;

/// The results of the model for an input.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The probability of each class or label, or the predicted number.
    pub probabilities: Vec<f64>,
    /// The energy or the distance that detects out-of-distribution inputs; `None` if the model does not detect them.
    pub ood_score: Option<f32>,
}

/// A classified input.
#[derive(Debug, Clone, PartialEq)]
pub struct Classified {
    /// The path of an image, or `file:line`.
    pub input: String,
    /// The probability of each class or label, or the predicted number; or the error.
    pub probabilities: ClassProbabilities,
    /// The energy or the distance that detects out-of-distribution inputs; `None` for an error, and if the model does not detect them.
    pub ood_score: Option<f32>,
    /// Warnings.
    pub notes: Notes,
}

/// A batch of classified inputs.
#[derive(Debug)]
pub struct ClassifiedBatch {
    /// The inputs, in order.
    pub rows: Vec<Classified>,
    /// The inputs of the last layer for each classified input, in order, if requested: float32 (N, width), on the CPU.
    pub features: Option<Tensor>,
}

/// A lazy iterator over batches of classified inputs.
///
/// ```
/// use cresset::predict::{Batching, Sources};
/// use cresset::prelude::*;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// # let table = out.join("flowers.csv");
/// std::fs::write(&table, "5.1,3.5,1.4,0.2\n6.3,2.9,5.6,1.8\n7.0,3.2,4.7,1.4\n").unwrap();
/// let classifier = fitted.classifier()?;
/// let batching = Batching { size: 2, threads: 1, features: false };
/// let mut sizes = Vec::new();
/// for batch in classifier.stream(Sources::new(vec![table], None)?, batching)? {
///     sizes.push(batch?.rows.len());
/// }
/// assert_eq!(sizes, [2, 1]);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct Stream<'a> {
    classifier: &'a Classifier,
    batching: Batching,
    read: OrderedMap<Vec<Input>>,
    waiting: VecDeque<Input>,
    /// The number of warnings about inputs.
    remarks: usize,
    drift: Option<DriftCounter>,
}

/// Jobs (images or chunks of a table) that each worker reads ahead.
const AHEAD: usize = 4;
/// Jobs read ahead in total, so that large batches are not in memory twice.
const MAX_AHEAD: usize = 128;

impl Classifier {
    /// Classifies all inputs of `sources`, in bounded memory.
    ///
    /// # Errors
    /// Features are requested and the model has no method `features`. An input that cannot be read or classified is reported in
    /// its [`Classified`]. A batch is an error if the model fails.
    pub fn stream(&self, sources: Sources, batching: Batching) -> Result<Stream<'_>> {
        if batching.features {
            self.require_features()?;
        }
        let spec = Arc::new(InputSpec { images: sources.images.clone(), ..self.input_spec() });
        let worker = || {
            let spec = Arc::clone(&spec);
            let mut reader = None;
            move |job| spec.read(job, &mut reader)
        };
        let ahead = (batching.size + AHEAD * batching.threads).min(MAX_AHEAD);
        let read = OrderedMap::new(batching.threads, sources.jobs(&spec), ahead, worker);
        let drift = self.drift_counter();
        Ok(Stream { classifier: self, batching, read, waiting: VecDeque::new(), remarks: 0, drift })
    }

    /// Classifies the raw inputs in `rows`: the probability of each class and the score of out-of-distribution inputs, or the error of the input.
    ///
    /// ```
    /// use cresset::prelude::*;
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let out = folder.path().join("run");
    /// let options = Config { epochs: 3, ..Config::default() };
    /// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
    /// let classifier = fitted.classifier()?;
    /// let scored = classifier.classify(&[&[5.1, 3.5, 1.4, 0.2]])?.remove(0).unwrap();
    /// assert!((scored.probabilities.iter().sum::<f64>() - 1.).abs() < 1e-6);
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// Rows of the wrong width, and a model that fails.
    pub fn classify(&self, rows: &[&[f32]]) -> Result<Vec<std::result::Result<Scored, String>>> {
        let size = [rows.len() as i64, self.metadata.input.shape.features()];
        catch_panics(|| self.classify_batch(&Tensor::from_slice(&rows.concat()).f_view(size)?))
    }

    /// Classifies raw inputs (N, …).
    pub(super) fn classify_batch(&self, raw: &Tensor) -> Result<Vec<std::result::Result<Scored, String>>> {
        if raw.size()[0] == 0 {
            return Ok(Vec::new());
        }
        let logits = self.logits(raw)?;
        let probabilities = self.metadata.outputs.probabilities(&logits).to_device(Device::Cpu);
        let probabilities: Vec<f64> = Vec::try_from(probabilities.contiguous().view(-1))?;
        let scores = self.ood_scores_of(raw, &logits)?;
        let of_row = |(row, probabilities): (usize, &[f64])| {
            if probabilities.iter().any(|probability| !probability.is_finite()) {
                return Err(super::NON_FINITE.to_string());
            }
            let ood_score = scores.as_ref().map(|scores| scores[row]);
            Ok(Scored { probabilities: probabilities.to_vec(), ood_score })
        };
        Ok(probabilities.chunks_exact(self.metadata.classes.len()).enumerate().map(of_row).collect())
    }

    /// The scores of raw inputs (N, …) with these logits (N, classes), if the model detects out-of-distribution inputs.
    fn ood_scores_of(&self, raw: &Tensor, logits: &Tensor) -> Result<Option<Vec<f32>>> {
        let Some(ood) = self.metadata.ood else { return Ok(None) };
        Ok(Some(match ood.score {
            OodScore::Energy => energies(&logits.to_device(Device::Cpu)),
            OodScore::Knn => {
                let raw = raw.f_to_device(self.device)?;
                let module = self.module()?;
                let scores = tch::no_grad(|| module.call("ood_score", &raw))?.remove(0);
                Vec::try_from(scores.to_kind(Kind::Float).to_device(Device::Cpu).contiguous())?
            }
        }))
    }

    /// The scores of all examples of `feed`, whose evaluation is given, if the model detects out-of-distribution inputs. Distances take
    /// another pass over the examples; energies come from the logits of the evaluation, if it has them.
    ///
    /// # Errors
    /// Examples that cannot be read, and a model that fails.
    pub fn ood_scores(
        &self,
        feed: &dyn EvaluationLoader,
        evaluation: &Evaluation,
    ) -> Result<Option<Vec<f32>>> {
        match self.metadata.ood.map(|ood| ood.score) {
            None => Ok(None),
            Some(OodScore::Energy) => Ok(evaluation.scores.as_ref().map(|scores| energies(&scores.logits))),
            Some(OodScore::Knn) => catch_panics(|| {
                let mut all = Vec::new();
                for batch in feed.in_order() {
                    let Batch { inputs, .. } = batch?;
                    // The logits are not needed.
                    all.extend(self.ood_scores_of(&inputs, &inputs)?.unwrap_or_default());
                }
                Ok(Some(all))
            }),
        }
    }

    /// Fails if the model cannot compute features.
    pub(crate) fn require_features(&self) -> Result<()> {
        if self.module()?.methods()?.iter().any(|method| method == "features") {
            return Ok(());
        }
        let problem = "the model has no method `features`: it is quantized, or its last layer could not be determined when it was exported";
        Err(Error::artifact(&self.path, problem))
    }

    /// The inputs of the last layer, float32 (N, width) on the CPU, for raw inputs (N, …).
    pub(crate) fn features(&self, inputs: &Tensor) -> Result<Tensor> {
        let module = self.module()?;
        let inputs = self.metadata.preprocessing.trimmed(inputs).to_device(self.device);
        let features = tch::no_grad(|| module.call("features", &inputs))?.remove(0);
        Ok(features.flatten(1, -1).to_device(Device::Cpu).to_kind(Kind::Float))
    }
}

impl Iterator for Stream<'_> {
    type Item = Result<ClassifiedBatch>;

    fn next(&mut self) -> Option<Result<ClassifiedBatch>> {
        while self.waiting.len() < self.batching.size {
            match self.read.next() {
                Some(inputs) => {
                    inputs.iter().for_each(|input| self.warn(input));
                    self.waiting.extend(inputs);
                }
                None => break,
            }
        }
        let size = self.batching.size.min(self.waiting.len());
        if size == self.batching.size {
            // After a full batch, the time for the optimization is worth it.
            self.classifier.optimize();
        }
        let inputs: Vec<_> = self.waiting.drain(..size).collect();
        (!inputs.is_empty()).then(|| catch_panics(|| self.classify_inputs(inputs)))
    }
}

/// The number of inputs whose warnings are shown.
const MAX_WARNINGS: usize = 5;

impl Stream<'_> {
    /// The counts of the inputs so far, to compare with the training data; `None` if the model has no histograms of it.
    pub fn drift(&self) -> Option<&DriftCounter> {
        self.drift.as_ref()
    }

    pub(super) fn drift_report(&self) -> Option<DriftReport> {
        Some(self.drift.as_ref()?.report(&self.classifier.metadata.data_sha256))
    }

    fn warn(&mut self, input: &Input) {
        let Some(remark) = &input.notes.remark else { return };
        self.remarks += 1;
        match self.remarks {
            count if count <= MAX_WARNINGS => tracing::warn!("{}: {remark}", input.name),
            count if count == MAX_WARNINGS + 1 => {
                tracing::warn!("further warnings about inputs are not shown")
            }
            _ => {}
        }
    }

    fn classify_inputs(&mut self, inputs: Vec<Input>) -> Result<ClassifiedBatch> {
        let readable: Vec<&[f32]> = inputs.iter().filter_map(|input| input.values.as_deref().ok()).collect();
        let features = self.classifier.metadata.input.shape.features();
        let raw = Tensor::from_slice(&readable.concat()).view([readable.len() as i64, features]);
        let results = self.classifier.classify_batch(&raw)?;
        if let Some(drift) = &mut self.drift {
            for (raw, scored) in readable.iter().zip(&results) {
                if let Ok(scored) = scored {
                    drift.add(raw, &scored.probabilities);
                }
            }
        }
        let is_finite: Vec<bool> = results.iter().map(|result| result.is_ok()).collect();
        let mut results = results.into_iter();
        let of_input = |input: Input| {
            let scored =
                input.values.and_then(|_| results.next().expect("the model returns a row for each input"));
            let ood_score = scored.as_ref().ok().and_then(|scored| scored.ood_score);
            let probabilities = scored.map(|scored| scored.probabilities);
            Classified { input: input.name, probabilities, ood_score, notes: input.notes }
        };
        let rows = inputs.into_iter().map(of_input).collect();
        let features = (self.batching.features && !is_finite.is_empty()).then(|| {
            let rows = Tensor::from_slice(&is_finite);
            Ok::<_, Error>(self.classifier.features(&raw)?.index(&[Some(rows)]))
        });
        Ok(ClassifiedBatch { rows, features: features.transpose()? })
    }
}
