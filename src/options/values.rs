//! Parsers of option values that other modules define.

use super::ModelChoice;
use crate::loader::augment::Augmentation;

/// Parses an architecture or the path of a TorchScript file.
pub fn model(text: &str) -> std::result::Result<String, String> {
    ModelChoice::check(text).map(|()| text.to_string())
}

/// Parses an augmentation and normalizes its text.
pub fn augmentation(text: &str) -> std::result::Result<String, String> {
    text.parse::<Augmentation>().map(|augmentation| augmentation.to_string())
}
