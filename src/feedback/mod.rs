//! Corrections of what a model answered: a set that grows while a model is served, and that it can be trained on.
//!
//! ```text
//! feedback/
//!   feedback.jsonl   a JSON object a line, a correction each, in the order in which they came
//!   inputs/ID.png    the pictures, with the bytes that were sent (.jpg, .gif, … by what they hold)
//! ```
//!
//! ```json
//! {"id": "…", "time": "2026-07-31T12:34:56Z", "input": {"image": "inputs/ID.png"},
//!  "answer": {"class": "3", "probability": 0.61}, "correction": "8", "model_sha256": "…"}
//! ```
//!
//! A row of a table has `"input": {"values": […]}` instead: raw values as the model takes them, a number a feature, with texts
//! one-hot and `null` where a value is missing. `model_version` is the name that whoever answered gives to the model, if it has
//! one.
//!
//! A correction is on the disk before its writer says so. A process that is killed in between leaves at most a line without its
//! end, which is passed over when the set is read, and gets its end before the next line is written.

mod corrections;
mod read;
mod review;
#[cfg(test)]
mod tests;
mod write;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use corrections::Corrections;
pub(crate) use corrections::{add, own_rows};
pub use read::{Set, read};
pub use write::{Given, Writer};

/// The name of the file with the corrections.
pub const CORRECTIONS: &str = "feedback.jsonl";

/// The name of the folder with the pictures.
const INPUTS: &str = "inputs";

/// A correction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Correction {
    /// A name that no other has; letters and digits.
    pub id: String,
    /// When it was made: RFC 3339, UTC.
    pub time: String,
    /// What the model was asked.
    pub input: Input,
    /// What it answered.
    pub answer: Answer,
    /// The class that it should have answered.
    pub correction: String,
    /// SHA-256 of the model's file.
    pub model_sha256: String,
    /// What the model is called by whoever answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_version: Option<String>,
}

/// What a model was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Input {
    /// A picture: where it stands in the set's folder, `inputs/NAME`.
    Image(String),
    /// Raw values, a number a feature; NaN where one is missing.
    #[serde(serialize_with = "write_values", deserialize_with = "read_values")]
    Values(Vec<f32>),
}

/// What a model answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The most probable class.
    pub class: String,
    /// Its probability, from 0 to 1.
    pub probability: f64,
}

impl Input {
    /// The picture's file in the set of this folder; none for values.
    pub fn picture(&self, folder: &Path) -> Option<PathBuf> {
        match self {
            Input::Image(name) => Some(folder.join(name)),
            Input::Values(_) => None,
        }
    }
}

/// JSON has no NaN.
fn write_values<S: Serializer>(values: &[f32], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(values.iter().map(|value| (!value.is_nan()).then_some(value)))
}

fn read_values<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f32>, D::Error> {
    let values = Vec::<Option<f32>>::deserialize(from)?;
    Ok(values.into_iter().map(|value| value.unwrap_or(f32::NAN)).collect())
}
