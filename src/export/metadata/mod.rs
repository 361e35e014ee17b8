//! The metadata of an exported model: the extra file `metadata.json`.

mod checks;

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Variant;
use crate::data::image::{Channels, Decoding};
use crate::data::{Dataset, InputShape, Split, TableLayout, ValueRange};
use crate::error::{Error, quoted};
use crate::evaluate::conformal::Conformal;
use crate::evaluate::drift::DriftReference;
use crate::evaluate::numbers;
use crate::evaluate::ood::{OodScore, OodThreshold};
use crate::evaluate::{Evaluation, METRICS, Metric};
use crate::model::Outputs;
use crate::model::preprocessing::Preprocessing;
use crate::options::{Config, portable};

/// The name of the extra file.
pub const METADATA: &str = "metadata.json";

/// The version of the metadata format. Readers reject any other version.
pub const FORMAT: &str = "cresset-model-1";

/// The contents of `metadata.json`.
///
/// ```
/// use cresset::prelude::*;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let metadata = cresset::predict::metadata(&out.join("model.pt"))?;
/// assert_eq!(metadata.classes, ["setosa", "versicolor", "virginica"]);
/// assert_eq!(metadata.input.shape, InputShape(vec![4]));
/// assert_eq!(metadata.metrics.validation_rows, 150);
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// [`FORMAT`].
    pub format: String,
    /// The names of the classes or labels, by index, or the name of the predicted number.
    pub classes: Vec<String>,
    /// The meaning of the model's outputs.
    #[serde(default, skip_serializing_if = "Outputs::is_classification")]
    pub outputs: Outputs,
    /// The input of `forward` and `predict`.
    pub input: InputDescription,
    /// How the file differs from the plain export.
    #[serde(default)]
    pub variant: Variant,
    /// The preprocessing of raw values, which is part of the model.
    pub preprocessing: Preprocessing,
    /// Metrics of the exported weights.
    pub metrics: Metrics,
    /// The prediction sets of `predict_set`, if the run was to have them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conformal: Option<Conformal>,
    /// The threshold of `is_ood`, if the run was to have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ood: Option<OodThreshold>,
    /// Histograms of the training data, to detect drift; `None` in files of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftReference>,
    /// How the model was compressed, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// The options of the run. Paths are reduced to file names.
    pub config: Map<String, Value>,
    /// The seed of the run.
    pub seed: u64,
    /// The name of the training data file.
    pub data_file: String,
    /// SHA-256 of the training data file.
    pub data_sha256: String,
    /// The version of cresset.
    pub cresset: String,
    /// The version of libtorch.
    pub libtorch: String,
}

/// How a model was compressed.
///
/// ```
/// use cresset::export::Compression;
///
/// let compression = Compression { pruned: Some(0.5), ..Compression::default() };
/// assert_eq!(serde_json::to_value(&compression).unwrap()["pruned"], 0.5);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Compression {
    /// SHA-256 of the original model file.
    pub from_sha256: String,
    /// The fraction of channels that was pruned from each prunable layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pruned: Option<f64>,
    /// SHA-256 of the teacher's model file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher_sha256: Option<String>,
    /// `static` or `dynamic` if the model is quantized to 8-bit integers, which runs on the CPU only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub int8: Option<String>,
}

/// The input of `forward` and `predict`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputDescription {
    /// The shape of one example. A batch may be (N, shape…), flattened as (N, features), or without a channel dimension
    /// of 1. Images may be grayscale or color.
    pub shape: InputShape,
    /// The accepted dtypes.
    pub dtypes: Vec<String>,
    /// The range of raw values, if known.
    pub value_range: Option<ValueRange>,
    /// How images are decoded and resized: the bit depth of 16-bit images, if the model was trained on such images, the filter,
    /// and the size of the center crop.
    #[serde(flatten)]
    pub decoding: Decoding,
    /// The handling of images of another size.
    #[serde(default)]
    pub sizing: Sizing,
    /// The columns of the training table; `None` for other data. Categories are one-hot encoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<TableLayout>,
}

/// How a model handles images of another size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sizing {
    /// They are rejected.
    #[default]
    Refused,
    /// As in training: a center crop to the model's aspect ratio, then an antialiased resize, as [`InputDescription::decoding`] says.
    #[serde(rename = "middle-bilinear")]
    CenterCrop,
}

/// Validation and test metrics of the exported weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// The epoch of the weights.
    pub epoch: u32,
    /// The number of training examples.
    pub train_rows: usize,
    /// The number of validation examples.
    #[serde(rename = "held_out_rows")]
    pub validation_rows: usize,
    /// Validation loss: mean cross-entropy, in nats.
    #[serde(deserialize_with = "numbers::or_nan")]
    #[serde(rename = "held_out_loss")]
    pub validation_loss: f64,
    /// Validation metrics by name.
    #[serde(rename = "held_out")]
    pub validation: Map<String, Value>,
    /// Test metrics; `None` if the data has no test set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<TestMetrics>,
}

/// Test metrics of the exported weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestMetrics {
    /// The number of test examples.
    pub rows: u64,
    /// Mean cross-entropy, in nats.
    #[serde(deserialize_with = "numbers::or_nan")]
    pub loss: f64,
    /// The metrics by name.
    pub figures: Map<String, Value>,
}

/// The evaluations of the exported weights.
///
/// ```
/// use cresset::evaluate::{ConfusionMatrix, Evaluation};
/// use cresset::export::Evaluations;
/// use cresset::model::Outputs;
///
/// let confusion = ConfusionMatrix::new(2, vec![40, 10, 5, 45]);
/// let validation = Evaluation::of_classes(0.4, confusion);
/// let evaluations = Evaluations { epoch: 7, outputs: Outputs::Classification, validation, test: None };
/// assert_eq!(evaluations.validation.accuracy(), 0.85);
/// ```
#[derive(Debug)]
pub struct Evaluations {
    /// The epoch of the weights.
    pub epoch: u32,
    /// The meaning of the outputs, with thresholds or an interval fitted to the validation set.
    pub outputs: Outputs,
    /// On the validation set.
    pub validation: Evaluation,
    /// On the test set, if there is one.
    pub test: Option<Evaluation>,
}

fn metrics_by_name(evaluation: &Evaluation) -> Map<String, Value> {
    let entry = |metric: &Metric| Some((metric.name.to_string(), (metric.of)(evaluation)?.into()));
    METRICS.iter().filter_map(entry).collect()
}

/// The message for a file of another program, given its format as a noun with its article.
pub(crate) fn without_metadata(format: &str) -> String {
    format!(
        "this is {format} that was not exported by cresset: it has no {METADATA}, so classes and preprocessing are unknown; it can \
         call any operator, so run it elsewhere only if you trust its source"
    )
}

impl Metadata {
    /// Parses the text of `metadata.json`.
    ///
    /// ```
    /// use cresset::export::Metadata;
    ///
    /// let error = Metadata::read(r#"{"format": "cresset-model-0"}"#).unwrap_err();
    /// assert!(error.contains("export the model again"));
    /// ```
    ///
    /// # Errors
    /// Text that is empty, not JSON, of another format version, or inconsistent.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err(without_metadata("a TorchScript file"));
        }
        let mut metadata: Metadata = serde_json::from_str(text)
            .map_err(|e| format!("its {METADATA} cannot be read ({e}); export the model again"))?;
        if metadata.format != FORMAT {
            return Err(format!(
                "its {METADATA} has the format {}, but this version of cresset reads `{FORMAT}`; export the model again",
                quoted(&metadata.format)
            ));
        }
        let invalid = |problem| format!("its {METADATA} is invalid: {problem}; export the model again");
        metadata.check().map_err(invalid)?;
        // Older versions wrote full paths; keep them out of files derived from the model.
        for (name, value) in &mut metadata.config {
            if let Value::String(text) = value {
                *text = portable(name, text);
            }
        }
        Ok(metadata)
    }

    /// The validation score ([`Outputs::score_name`]), if it was recorded.
    pub fn validation_score(&self) -> Option<f64> {
        let metric = match self.outputs {
            Outputs::Classification => "accuracy",
            Outputs::Multilabel { .. } => "micro F1",
            Outputs::Regression { .. } => "R²",
            Outputs::Ranking => "NDCG@10",
        };
        self.metrics.validation.get(metric)?.as_f64()
    }

    /// Refuses a model that does not classify. `subject` names what needs a classifier.
    ///
    /// # Errors
    /// A model of several labels or of a number.
    pub fn require_classes(&self, path: &Path, subject: &str) -> Result<(), Error> {
        if self.outputs.is_classification() {
            return Ok(());
        }
        let task = self.outputs.task().described();
        Err(Error::artifact(
            path,
            format!("{subject} works only for classification, and the task of this model is {task}"),
        ))
    }

    /// Checks that the model in `path` was trained on `dataset`.
    ///
    /// # Errors
    /// Different data, or different classes.
    pub(crate) fn refuse_other_data(&self, path: &Path, dataset: &Dataset) -> Result<(), Error> {
        if self.data_sha256 == dataset.sha256 && self.classes == dataset.classes {
            return Ok(());
        }
        let problem = "this model was not trained on the data of this run; restore the run's model with `cresset export`";
        Err(Error::artifact(path, problem))
    }

    /// The names of the users and of the items of a model of recommendations, by their index; `None` of other models.
    pub fn names(&self) -> Option<[&[String]; 2]> {
        let layout = self.input.table.as_ref().filter(|_| self.outputs == Outputs::Ranking)?;
        Some(super::ranking::names(layout))
    }

    /// Whether the model is quantized to 8-bit integers.
    pub fn is_int8(&self) -> bool {
        self.compression.as_ref().is_some_and(|compression| compression.int8.is_some())
    }

    /// Describes exported weights by the run and their evaluations.
    pub fn new(
        config: &Config,
        dataset: &Dataset,
        split: &Split,
        preprocessing: &Preprocessing,
        evaluations: &Evaluations,
    ) -> Self {
        let test = evaluations.test.as_ref().map(|test| TestMetrics {
            rows: test.rows(),
            loss: test.loss,
            figures: metrics_by_name(test),
        });
        let options = config.portable_entries().into_iter().map(|(name, value)| {
            (name.to_string(), serde_json::to_value(value).expect("an option is a number or a string"))
        });
        Metadata {
            format: FORMAT.to_string(),
            classes: dataset.classes.clone(),
            outputs: evaluations.outputs.clone(),
            input: InputDescription {
                shape: dataset.shape.clone(),
                dtypes: ["uint8", "float32"].map(str::to_string).to_vec(),
                value_range: dataset.range,
                decoding: dataset.decoding,
                sizing: Channels::of(&dataset.shape).map_or(Sizing::Refused, |_| Sizing::CenterCrop),
                table: dataset.table.clone(),
            },
            variant: Variant::default(),
            preprocessing: preprocessing.clone(),
            metrics: Metrics {
                epoch: evaluations.epoch,
                train_rows: split.train_rows(),
                validation_rows: split.validation.len(),
                validation_loss: evaluations.validation.loss,
                validation: metrics_by_name(&evaluations.validation),
                test,
            },
            conformal: config
                .coverage
                .and_then(|coverage| Conformal::fit(evaluations.validation.class_scores()?, coverage)),
            // Distances are added when the model is exported, because the validation scores do not have them.
            ood: config
                .ood
                .filter(|_| config.ood_score == OodScore::Energy)
                .and_then(|share| ood_threshold(&evaluations.validation, share)),
            // Added when the model is exported, because it takes the training examples.
            drift: None,
            compression: None,
            config: options.collect(),
            seed: config.seed,
            data_file: dataset.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            data_sha256: dataset.sha256.clone(),
            cresset: env!("CARGO_PKG_VERSION").to_string(),
            libtorch: cresset_bridge::LIBTORCH_VERSION.to_string(),
        }
    }
}

/// The threshold for out-of-distribution inputs, with a warning if nothing will be flagged.
fn ood_threshold(validation: &Evaluation, share: f64) -> Option<OodThreshold> {
    let Some(ood) = validation.class_scores().and_then(|scores| OodThreshold::fit(scores, share)) else {
        tracing::warn!("--ood {share}: there are no validation scores, so the model gets no threshold");
        return None;
    };
    warn_without_threshold(&ood, validation.rows());
    Some(ood)
}

/// Warns that nothing will be flagged because the validation set has only `rows` examples.
pub(crate) fn warn_without_threshold(ood: &OodThreshold, rows: u64) {
    if ood.threshold.is_none() {
        let OodThreshold { share, .. } = ood;
        let least = OodThreshold::least_examples(*share);
        tracing::warn!(
            "--ood {share}: nothing will be flagged, because the validation set has {rows} examples and {least} are needed"
        );
    }
}

#[cfg(test)]
mod tests;
