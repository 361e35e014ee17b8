//! What an exported model says of itself: the extra file `metadata.json`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::Config;
use crate::data::{Dataset, InputShape, Split, TableLayout, ValueRange};
use crate::evaluate::{Evaluation, METRICS, Metric};
use crate::transform::Preprocessing;

/// The name of the extra file.
pub const METADATA: &str = "metadata.json";

/// The version of the metadata's form. A reader refuses any other.
pub const FORMAT: &str = "cresset-model-1";

/// The contents of `metadata.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// [`FORMAT`].
    pub format: String,
    /// The classes; a predicted index points into them.
    pub classes: Vec<String>,
    /// What `forward` and `predict` take.
    pub input: InputDescription,
    /// What the model does to raw values, inside.
    pub preprocessing: Preprocessing,
    /// How well it does.
    pub metrics: Metrics,
    /// How it was made of another model, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// The options of the run.
    pub config: Map<String, Value>,
    /// Seed of the run.
    pub seed: u64,
    /// The file that it was trained on.
    pub data_file: String,
    /// SHA-256 of that file.
    pub data_sha256: String,
    /// Version of cresset.
    pub cresset: String,
    /// Version of libtorch.
    pub libtorch: String,
}

/// How a model was made of another one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Compression {
    /// SHA-256 of the other one's file.
    pub from_sha256: String,
    /// The share of the channels that was taken out of each layer that can lose some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pruned: Option<f64>,
    /// SHA-256 of the file of the model that taught it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher_sha256: Option<String>,
    /// `static` or `dynamic`, if it computes with 8-bit integers, which the CPU alone can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub int8: Option<String>,
}

/// What `forward` and `predict` take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputDescription {
    /// The shape of one example. A batch may come as (N, shape…), flattened as (N, features), or without a channel
    /// dimension of 1.
    pub shape: InputShape,
    /// The dtypes that are taken.
    pub dtypes: Vec<String>,
    /// The range of raw values, where it is known.
    pub value_range: Option<ValueRange>,
    /// What the columns of a table are that the model was trained on; none for anything else. Texts come one-hot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<TableLayout>,
}

/// Figures of the exported weights on the held-out rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// The epoch that the weights are of.
    pub epoch: u32,
    /// The number of rows trained on.
    pub train_rows: usize,
    /// The number of rows held out.
    pub held_out_rows: usize,
    /// Mean cross-entropy on the held-out rows, in nats.
    pub held_out_loss: f64,
    /// The metrics by name, on the held-out rows.
    pub held_out: Map<String, Value>,
    /// The last word: figures on rows that no epoch was chosen by. None where the data has no such part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<TestMetrics>,
}

/// Figures of the exported weights on the test rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestMetrics {
    /// The number of rows.
    pub rows: u64,
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// The metrics by name.
    pub figures: Map<String, Value>,
}

/// What the exported weights were found to be worth.
#[derive(Debug)]
pub struct Found {
    /// The epoch that the weights are of.
    pub epoch: u32,
    /// On the held-out rows.
    pub held_out: Evaluation,
    /// On the test rows, if there are any.
    pub test: Option<Evaluation>,
}

fn figures(found: &Evaluation) -> Map<String, Value> {
    let figure = |metric: &Metric| Some((metric.name.to_string(), (metric.of)(found)?.into()));
    METRICS.iter().filter_map(figure).collect()
}

impl Metadata {
    /// Describes weights that were found to be worth `found`.
    pub fn new(
        config: &Config,
        dataset: &Dataset,
        split: &Split,
        preprocessing: &Preprocessing,
        found: &Found,
    ) -> Self {
        let test = found.test.as_ref().map(|test| TestMetrics {
            rows: test.confusion.total(),
            loss: test.loss,
            figures: figures(test),
        });
        let options = config.entries().into_iter().map(|(name, value)| {
            (name.to_string(), serde_json::to_value(value).expect("an option is a number or a string"))
        });
        Metadata {
            format: FORMAT.to_string(),
            classes: dataset.classes.clone(),
            input: InputDescription {
                shape: dataset.shape.clone(),
                dtypes: ["uint8", "float32"].map(str::to_string).to_vec(),
                value_range: dataset.range,
                table: dataset.table.clone(),
            },
            preprocessing: preprocessing.clone(),
            metrics: Metrics {
                epoch: found.epoch,
                train_rows: split.train.len(),
                held_out_rows: split.held_out.len(),
                held_out_loss: found.held_out.loss,
                held_out: figures(&found.held_out),
                test,
            },
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
