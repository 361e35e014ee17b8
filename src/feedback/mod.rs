//! Feedback sets: corrections of predictions, collected while a model is served and used to fine-tune it.
//!
//! ```text
//! feedback/
//!   feedback.jsonl   one JSON object per line and correction, in order of arrival
//!   inputs/ID.png    the images, byte for byte (.jpg, .gif, … by content)
//! ```
//!
//! ```json
//! {"id": "…", "time": "2026-07-31T12:34:56Z", "input": {"image": "inputs/ID.png"},
//!  "answer": {"class": "3", "probability": 0.61}, "correction": "8", "model_sha256": "…"}
//! ```
//!
//! A table row has `"input": {"values": […]}` instead: raw values, one number per feature, with categories
//! one-hot and `null` for missing values. `model_version` is the optional name of the served model.
//!
//! [`FeedbackWriter::add`] returns once the correction is on disk. A process that is killed while writing leaves at most one incomplete
//! line, which [`read()`] skips and the next writer terminates.

mod corrections;
mod inputs;
mod read;
mod review;
#[cfg(test)]
mod tests;
mod write;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use corrections::Corrections;
pub(crate) use corrections::{add, own_rows};
pub use read::{FeedbackSet, read};
pub use write::{FeedbackWriter, NewInput};

/// Name of the file with the corrections.
pub(crate) const CORRECTIONS: &str = "feedback.jsonl";

/// Name of the folder with the images.
const INPUTS: &str = "inputs";

/// A correction.
///
/// ```
/// use cresset::feedback::Correction;
///
/// let line = r#"{"id": "a1", "time": "2026-07-31T12:34:56Z", "input": {"values": [5.1, null]},
///     "answer": {"class": "cat", "probability": 0.61}, "correction": "dog", "model_sha256": ""}"#;
/// let correction: Correction = serde_json::from_str(line).unwrap();
/// assert_eq!((correction.answer.class.as_str(), correction.correction.as_str()), ("cat", "dog"));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Correction {
    /// Unique name of letters and digits.
    pub id: String,
    /// Time in UTC, as RFC 3339.
    pub time: String,
    /// Input of the model.
    pub input: CorrectedInput,
    /// Prediction of the model.
    pub answer: Answer,
    /// The correct class.
    pub correction: String,
    /// SHA-256 of the model file.
    pub model_sha256: String,
    /// Name of the served model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_version: Option<String>,
}

/// An input of the model.
///
/// ```
/// use cresset::feedback::CorrectedInput;
/// use std::path::{Path, PathBuf};
///
/// let image = CorrectedInput::Image("inputs/a1.png".to_string());
/// assert_eq!(image.image_path(Path::new("feedback")), Some(PathBuf::from("feedback/inputs/a1.png")));
/// assert_eq!(CorrectedInput::Values(vec![5.1, 3.5]).image_path(Path::new("feedback")), None);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CorrectedInput {
    /// Path of an image in the folder of the set: `inputs/NAME`.
    Image(String),
    /// Raw values, one per feature; NaN if missing.
    #[serde(serialize_with = "write_values", deserialize_with = "read_values")]
    Values(Vec<f32>),
}

/// A prediction of the model.
///
/// ```
/// use cresset::feedback::Answer;
///
/// let answer = Answer { class: "cat".to_string(), probability: 0.61 };
/// assert!(answer.has_valid_probability());
/// assert!(!Answer { probability: 1.5, ..answer }.has_valid_probability());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The predicted class.
    pub class: String,
    /// Its probability (0 to 1).
    pub probability: f64,
}

impl CorrectedInput {
    /// Path of the image in the set of this folder; `None` for values.
    pub fn image_path(&self, folder: &Path) -> Option<PathBuf> {
        match self {
            CorrectedInput::Image(name) => Some(folder.join(name)),
            CorrectedInput::Values(_) => None,
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
