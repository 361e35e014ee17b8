//! Compares a model before and after fine-tuning on corrections.

use std::path::Path;

use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result, catch_panics};
use crate::evaluate::McNemar;
use crate::evaluate::numbers::thousands;
use crate::loader::EvaluationLoader;
use crate::options::Config;
use crate::predict::Classifier;
use crate::run::Examples;
use crate::run::RunFolder;
use crate::run::examples::raw_feed;

/// The model before and after fine-tuning.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// On the validation set of the old run.
    pub validation: PairedResults,
    /// On the corrections in the validation set; `None` if there are too few.
    pub kept: Option<PairedResults>,
    /// On the corrections in the training set.
    pub trained: PairedResults,
}

/// Both models on the same examples.
///
/// ```
/// use cresset::run::fine_tune::{ExampleResult, PairedResults};
///
/// let result = |is_right| ExampleResult { is_right, loss: if is_right { 0.1 } else { 2.3 } };
/// let results = PairedResults {
///     before: [false, false, true].map(result).to_vec(),
///     after: [true, true, true].map(result).to_vec(),
///     control: None,
/// };
/// assert_eq!((results.rows(), results.correct()), (3, (1, 3)));
/// assert_eq!(results.test().only_b, 2);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct PairedResults {
    /// Before, one entry per example.
    pub before: Vec<ExampleResult>,
    /// After, one entry per example.
    pub after: Vec<ExampleResult>,
    /// The control, one entry per example.
    pub control: Option<Vec<ExampleResult>>,
}

/// The prediction for one example.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExampleResult {
    /// Whether it is correct.
    pub is_right: bool,
    /// The cross-entropy in nats.
    pub loss: f64,
}

impl PairedResults {
    /// The control and the fine-tuned model.
    pub(crate) fn against_control(&self) -> Option<PairedResults> {
        let before = self.control.clone()?;
        Some(PairedResults { before, after: self.after.clone(), control: None })
    }

    /// Number of examples.
    pub fn rows(&self) -> usize {
        self.before.len()
    }

    /// Number of correct predictions before and after.
    pub fn correct(&self) -> (usize, usize) {
        let count = |rows: &[ExampleResult]| rows.iter().filter(|row| row.is_right).count();
        (count(&self.before), count(&self.after))
    }

    /// Mean loss before and after.
    pub fn loss(&self) -> (f64, f64) {
        let mean =
            |rows: &[ExampleResult]| rows.iter().map(|row| row.loss).sum::<f64>() / rows.len().max(1) as f64;
        (mean(&self.before), mean(&self.after))
    }

    /// McNemar's test of the difference in accuracy.
    pub fn test(&self) -> McNemar {
        McNemar::new(
            self.before.iter().zip(&self.after).map(|(before, after)| (before.is_right, after.is_right)),
        )
    }

    /// Increase of the mean loss, and its standard error over the examples.
    pub(crate) fn loss_rise(&self) -> (f64, f64) {
        let rises = self.before.iter().zip(&self.after).map(|(before, after)| after.loss - before.loss);
        let rises: Vec<f64> = rises.collect();
        let count = rises.len() as f64;
        let mean = rises.iter().sum::<f64>() / count;
        let squares = rises.iter().map(|rise| (rise - mean).powi(2)).sum::<f64>();
        (mean, (squares / (count - 1.).max(1.) / count).sqrt())
    }
}

/// Evaluates the model `before`, the fine-tuned model of the run `after`, and the control if there is one.
///
/// ```
/// use cresset::prelude::*;
/// use cresset::run::{RunFolder, fine_tune};
/// use tch::Device;
///
/// # use cresset::feedback::{Answer, Correction, FeedbackWriter, NewInput};
/// # let folder = tempfile::tempdir().unwrap();
/// # let (old, new) = (folder.path().join("old"), folder.path().join("new"));
/// # let feedback = folder.path().join("feedback");
/// # let writer = FeedbackWriter::new(&feedback)?;
/// # for (id, width) in [("a1", 3.5), ("a2", 3.6)] {
/// #     writer.add(
/// #         NewInput::Values(&[5.0, width, 1.5, 0.2]),
/// #         |input| Correction {
/// #             id: id.to_string(), time: "2026-07-31T12:34:56Z".to_string(), input,
/// #             answer: Answer { class: "virginica".to_string(), probability: 0.61 },
/// #             correction: "setosa".to_string(), model_sha256: String::new(), model_version: None,
/// #         },
/// #         id,
/// #     )?;
/// # }
/// let config = Config { epochs: 3, ..Config::default() };
/// Trainer::new("iris").options(config).out(&old).fit()?;
/// let run = RunFolder::open(&old)?;
///
/// // Fine-tune the model on the corrections in a feedback set.
/// let given = Config { feedback: Some(feedback), ..Config::read(&run.config_file())? };
/// let options = fine_tune::options(&run, given, &[])?;
/// Trainer::new("iris").options(options).out(&new).fit()?;
///
/// let comparison = fine_tune::compare(&run.model(), &RunFolder::open(&new)?, None, Device::Cpu)?;
/// // Each of the 150 rows is in a fold of the bag.
/// assert_eq!((comparison.validation.rows(), comparison.trained.rows()), (150, 2));
/// let _reasons = fine_tune::objections(&comparison);
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// If the models do not match, or data is missing or has changed.
pub fn compare(
    before: &Path,
    after: &RunFolder,
    control: Option<&RunFolder>,
    device: Device,
) -> Result<Comparison> {
    catch_panics(|| {
        let config = Config::read(&after.config_file())?;
        let examples = Examples::again(&config, after)?;
        let corrections = examples.corrections.as_ref();
        let corrections = corrections.ok_or_else(|| {
            Error::artifact(
                after.path(),
                "this run was not trained on corrections, so there is nothing to compare",
            )
        })?;
        let old = Classifier::load_on(before, device)?;
        let new = Classifier::load_on(&after.model(), device)?;
        let control = control.map(|run| Classifier::load_on(&run.model(), device)).transpose()?;
        if old.metadata().classes != new.metadata().classes {
            return Err(Error::artifact(before, "the model and the fine-tuned model have different classes"));
        }
        let pair = |feed: &dyn EvaluationLoader| {
            let control = control.as_ref().map(|control| predict_all(control, feed)).transpose()?;
            Ok::<_, Error>(PairedResults {
                before: predict_all(&old, feed)?,
                after: predict_all(&new, feed)?,
                control,
            })
        };
        // The examples of a bag are predicted by the members that were trained without them, and those that are to be learned by all.
        let validation = |rows: &[i64]| pair(&*examples.raw(rows, &config, old.device()));
        Ok(Comparison {
            validation: validation(&examples.split.validation)?,
            kept: (!corrections.kept.is_empty()).then(|| validation(&corrections.kept)).transpose()?,
            trained: pair(&*raw_feed(&examples.dataset, &corrections.trained, &config, old.device()))?,
        })
    })
}

fn predict_all(classifier: &Classifier, feed: &dyn EvaluationLoader) -> Result<Vec<ExampleResult>> {
    let mut rows = Vec::with_capacity(feed.rows());
    for batch in feed.in_order() {
        let batch = batch?;
        let logits = classifier.batch_logits(&batch)?.to_device(Device::Cpu);
        let labels = batch.labels.to_device(Device::Cpu);
        let right = Vec::<bool>::try_from(&logits.argmax(-1, false).eq_tensor(&labels))?;
        let logarithms: Tensor = logits.log_softmax(-1, Kind::Double);
        let losses = Vec::<f64>::try_from(-logarithms.gather(1, &labels.unsqueeze(1), false).squeeze_dim(1))?;
        rows.extend(right.into_iter().zip(losses).map(|(is_right, loss)| ExampleResult { is_right, loss }));
    }
    Ok(rows)
}

impl Comparison {
    /// The corrections for validation, or else those for training.
    pub fn feedback(&self) -> &PairedResults {
        self.kept.as_ref().unwrap_or(&self.trained)
    }

    /// Formats as a table.
    pub fn to_text(&self) -> String {
        let head = format!("{:<30} {:>8}  {:>17}  {:>17}\n", "", "examples", "accuracy", "loss");
        let pairs = [
            ("validation set", Some(&self.validation)),
            ("corrections, validation", self.kept.as_ref()),
            ("corrections, training", Some(&self.trained)),
        ];
        let own = pairs.iter().filter_map(|(what, pair)| Some(line(what, (*pair)?)));
        let text = head + &own.collect::<String>();
        let beside = pairs.iter().filter_map(|(what, pair)| Some(line(what, &(*pair)?.against_control()?)));
        let beside: String = beside.collect();
        if beside.is_empty() {
            return text;
        }
        format!("{text}\ncontrol (trained equally long without corrections) → after\n{beside}")
    }
}

fn line(what: &str, pair: &PairedResults) -> String {
    let rows = pair.rows();
    let ((right_before, right_after), (loss_before, loss_after)) = (pair.correct(), pair.loss());
    let share = |right: usize| format!("{:.2}", 100. * right as f64 / rows.max(1) as f64);
    let accuracy = format!("{} → {} %", share(right_before), share(right_after));
    let loss = format!("{loss_before:.4} → {loss_after:.4}");
    format!("{what:<30} {:>8}  {accuracy:>17}  {loss:>17}\n", thousands(rows))
}
