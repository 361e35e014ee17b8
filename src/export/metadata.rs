//! What an exported model says of itself: the extra file `metadata.json`.

use std::cmp::Ordering;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Variant;
use crate::data::image::Channels;
use crate::data::{Dataset, InputShape, Split, TableLayout, ValueRange};
use crate::error::{Error, quoted};
use crate::evaluate::numbers;
use crate::evaluate::{Evaluation, METRICS, Metric};
use crate::model::preprocessing::Preprocessing;
use crate::options::{Config, portable};

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
    /// How the file differs from the plain export.
    #[serde(default)]
    pub variant: Variant,
    /// What the model does to raw values, inside.
    pub preprocessing: Preprocessing,
    /// How well it does.
    pub metrics: Metrics,
    /// How it was made of another model, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// The options of the run; of paths, the names of the files alone.
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
    /// dimension of 1; of pictures, in grey or color alike.
    pub shape: InputShape,
    /// The dtypes that are taken.
    pub dtypes: Vec<String>,
    /// The range of raw values, where it is known.
    pub value_range: Option<ValueRange>,
    /// How many bits are used by the images that have 16 a value, if the model was trained on such images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<u8>,
    /// What becomes of pictures of another size.
    #[serde(default)]
    pub sizing: Sizing,
    /// What the columns of a table are that the model was trained on; none for anything else. Texts come one-hot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<TableLayout>,
}

/// What the file does to pictures of another size than the model's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sizing {
    /// It refuses them.
    #[default]
    Refused,
    /// The largest part in the middle that has the model's proportions is resized by an antialiased triangle filter
    /// (bilinear), as it was for training.
    MiddleBilinear,
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
    #[serde(deserialize_with = "numbers::or_nan")]
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
    #[serde(deserialize_with = "numbers::or_nan")]
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
    /// Reads the text of `metadata.json`.
    ///
    /// # Errors
    /// What is wrong with it: a text that is empty, no JSON, of another format, or that would not describe any model.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err(format!(
                "this TorchScript model was not exported by cresset: it holds no {METADATA}; TorchScript is code, so run it \
                 elsewhere only if you trust its source"
            ));
        }
        let mut metadata: Metadata = serde_json::from_str(text)
            .map_err(|e| format!("its {METADATA} cannot be read ({e}); export the model again"))?;
        if metadata.format != FORMAT {
            return Err(format!(
                "its {METADATA} has the format {}, this version of cresset reads `{FORMAT}`; export the model again",
                quoted(&metadata.format)
            ));
        }
        let nonsense = |problem| format!("its {METADATA} makes no sense: {problem}; export the model again");
        metadata.check().map_err(nonsense)?;
        // Older versions wrote whole paths, which would travel on in what is made of the model.
        for (name, value) in &mut metadata.config {
            if let Value::String(text) = value {
                *text = portable(name, text);
            }
        }
        Ok(metadata)
    }

    /// Refuses what would not describe any model.
    fn check(&self) -> Result<(), String> {
        let InputShape(sizes) = &self.input.shape;
        let features = sizes.iter().try_fold(1i64, |features, size| features.checked_mul(*size));
        let Some(features) = features.filter(|_| !sizes.is_empty() && sizes.iter().all(|size| *size > 0))
        else {
            return Err(format!("the shape of an input is {sizes:?}"));
        };
        if self.classes.is_empty() {
            return Err("it names no classes".to_string());
        }
        if let Some(table) = &self.input.table {
            if table.features() as i64 != features {
                return Err("the columns of its table do not make an input".to_string());
            }
            if table.header.as_ref().is_some_and(|header| header.len() != table.width) {
                return Err("the header of its table has another number of columns".to_string());
            }
            let mut positions = table.columns.iter().map(|column| column.position);
            let label = table.label.as_ref().map(|label| label.position);
            if positions.any(|position| position >= table.width) || label >= Some(table.width) {
                return Err(format!("of its table's {} columns, one stands behind the last", table.width));
            }
        }
        let Preprocessing { offset, scale, fill, .. } = &self.preprocessing;
        let fits = |values: &[f32]| {
            [1, sizes[0], features].contains(&(values.len() as i64)) && values.len() == offset.len()
        };
        if !fits(offset) || !fits(scale) || fill.as_ref().is_some_and(|fill| fill.len() as i64 != features) {
            return Err("the figures of its preprocessing do not fit an input".to_string());
        }
        match self.input.value_range {
            Some(ValueRange { min, max }) if min.partial_cmp(&max) != Some(Ordering::Less) => {
                Err(format!("the values of an input go from {min} to {max}"))
            }
            _ => Ok(()),
        }
    }

    /// Refuses the model in `path` where it was trained on other data than the run that it is taken for.
    ///
    /// # Errors
    /// Other data, or other classes.
    pub fn refuse_other_data(&self, path: &Path, dataset: &Dataset) -> Result<(), Error> {
        if self.data_sha256 == dataset.sha256 && self.classes == dataset.classes {
            return Ok(());
        }
        let problem = "this model was trained on other data than this run's; bring the run's own back by `cresset export`";
        Err(Error::artifact(path, problem))
    }

    /// Whether the model computes with 8-bit integers.
    pub fn is_int8(&self) -> bool {
        self.compression.as_ref().is_some_and(|compression| compression.int8.is_some())
    }

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
        let options = config.portable_entries().into_iter().map(|(name, value)| {
            (name.to_string(), serde_json::to_value(value).expect("an option is a number or a string"))
        });
        Metadata {
            format: FORMAT.to_string(),
            classes: dataset.classes.clone(),
            input: InputDescription {
                shape: dataset.shape.clone(),
                dtypes: ["uint8", "float32"].map(str::to_string).to_vec(),
                value_range: dataset.range,
                depth: dataset.depth,
                sizing: Channels::of(&dataset.shape).map_or(Sizing::Refused, |_| Sizing::MiddleBilinear),
                table: dataset.table.clone(),
            },
            variant: Variant::default(),
            preprocessing: preprocessing.clone(),
            metrics: Metrics {
                epoch: found.epoch,
                train_rows: split.train_rows(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn sound() -> Value {
        json!({
            "format": FORMAT, "classes": ["a", "b"],
            "input": {
                "shape": [3], "dtypes": ["float32"], "value_range": null,
                "table": {
                    "columns": [
                        { "name": "x", "position": 0, "kind": "number" },
                        { "name": "c", "position": 1, "kind": "category", "categories": ["r", "g"] },
                    ],
                    "width": 3, "label": { "name": "y", "position": 2 },
                },
            },
            "preprocessing": {
                "kind": "standardize", "offset": [0., 0., 0.], "scale": [1., 1., 1.], "fill": [0., 0., 0.],
                "shape": [3],
            },
            "metrics": {
                "epoch": 1, "train_rows": 8, "held_out_rows": 2, "held_out_loss": 0.1, "held_out": { "accuracy": 1. },
            },
            "config": { "model": "mlp" }, "seed": 0, "data_file": "t.csv", "data_sha256": "00",
            "cresset": "0.1.0", "libtorch": "2.11.0",
        })
    }

    fn problem(change: impl FnOnce(&mut Value)) -> String {
        let mut metadata = sound();
        change(&mut metadata);
        Metadata::read(&metadata.to_string()).unwrap_err()
    }

    #[test]
    fn what_describes_no_model_is_refused_with_the_reason() {
        assert!(Metadata::read(&sound().to_string()).is_ok());
        assert!(Metadata::read("").unwrap_err().contains("was not exported by cresset"));
        assert!(Metadata::read("{").unwrap_err().contains("cannot be read"));
        assert!(
            problem(|m| m["format"] = "cresset-model-9".into()).contains("has the format `cresset-model-9`")
        );
        assert!(problem(|m| m["classes"] = json!([])).contains("it names no classes"));
        for shape in [json!([]), json!([0]), json!([-3]), json!([i64::MAX, 2])] {
            assert!(problem(|m| m["input"]["shape"] = shape).contains("the shape of an input is ["));
        }
        assert!(problem(|m| m["input"]["shape"] = json!([4])).contains("the columns of its table"));
        assert!(
            problem(|m| m["input"]["table"]["header"] = json!(["a"])).contains("the header of its table")
        );
        assert!(problem(|m| m["input"]["table"]["width"] = json!(1)).contains("stands behind the last"));
        assert!(problem(|m| m["input"]["table"]["label"]["position"] = json!(3)).contains("stands behind"));
        assert!(
            problem(|m| m["input"]["value_range"] = json!({"min": 1, "max": 1})).contains("go from 1 to 1")
        );
        for figure in ["offset", "scale", "fill"] {
            assert!(problem(|m| m["preprocessing"][figure] = json!([0., 0.])).contains("its preprocessing"));
        }
    }

    #[test]
    fn paths_of_older_versions_are_reduced() {
        let mut metadata = sound();
        metadata["config"] =
            json!({ "data": "/home/ann/t.csv", "label": "km/h", "model": "/home/ann/net.pt" });
        let read = Metadata::read(&metadata.to_string()).unwrap();
        assert_eq!(Value::from(read.config), json!({ "data": "t.csv", "label": "km/h", "model": "net.pt" }));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,200}", at in 0usize..900, with in "[\\[\\]{}\",:0-9a-z-]{0,12}") {
            let _ = Metadata::read(&text);
            let sound = sound().to_string();
            let at = at.min(sound.len());
            let rest = (at + with.len()).min(sound.len());
            let _ = Metadata::read(&format!("{}{with}{}", &sound[..at], &sound[rest..]));
            let _ = Metadata::read(&sound[..at]);
        }

        #[test]
        fn no_sizes_make_the_reader_panic(shape: Vec<i64>, offset: Vec<f32>, fill: Option<Vec<f32>>, position: usize) {
            let mut metadata = sound();
            metadata["input"]["shape"] = json!(shape);
            metadata["input"]["table"]["columns"][0]["position"] = json!(position);
            metadata["preprocessing"]["offset"] = json!(offset);
            metadata["preprocessing"]["fill"] = json!(fill);
            let _ = Metadata::read(&metadata.to_string());
        }
    }
}
