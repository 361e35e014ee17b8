//! Parsers of values that other modules know.

use super::ModelChoice;
use crate::loader::augment::Augmentation;

/// An architecture, or the file of a model.
pub fn model(text: &str) -> std::result::Result<String, String> {
    ModelChoice::check(text).map(|()| text.to_string())
}

/// An augmentation.
pub fn augmentation(text: &str) -> std::result::Result<String, String> {
    text.parse::<Augmentation>().map(|augmentation| augmentation.to_string())
}
