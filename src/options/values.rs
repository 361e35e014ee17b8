//! How the values of options are read, each with the words that a wrong one is refused with.

use std::path::PathBuf;

use clap::builder::{NonEmptyStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};

use super::ModelChoice;
use crate::loader::augment::Augmentation;

/// One of some names, each with what it is.
pub fn named<'a>(entries: impl Iterator<Item = (&'static str, &'static str)> + 'a) -> PossibleValuesParser {
    PossibleValuesParser::new(entries.map(|(name, summary)| PossibleValue::new(name).help(summary)))
}

/// A model, in its own words.
pub fn model(text: &str) -> std::result::Result<String, String> {
    ModelChoice::check(text).map(|()| text.to_string())
}

/// A path.
pub fn path() -> impl TypedValueParser<Value = PathBuf> {
    NonEmptyStringValueParser::new().map(PathBuf::from)
}

/// An augmentation, in its own words.
pub fn augmentation(text: &str) -> std::result::Result<String, String> {
    text.parse::<Augmentation>().map(|augmentation| augmentation.to_string())
}

/// A whole number from 1.
pub fn whole_above_0(text: &str) -> std::result::Result<u32, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err(format!("it is a whole number from 1 to {}", u32::MAX)),
        Ok(count) => Ok(count),
    }
}

/// A whole number from 0.
pub fn whole(text: &str) -> std::result::Result<u64, String> {
    text.parse().map_err(|_| format!("it is a whole number from 0 to {}", u64::MAX))
}

/// A number above 0.
pub fn positive(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value > 0. => Ok(value),
        _ => Err("it is a number above 0".to_string()),
    }
}

/// A number between 0 and 1.
pub fn open_unit_interval(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0. && value < 1. => Ok(value),
        _ => Err("it is a number between 0 and 1".to_string()),
    }
}

/// A share that may be nothing, but not all.
pub fn share_below_1(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0. ..1.).contains(&value) => Ok(value),
        _ => Err("it is a number from 0 to below 1".to_string()),
    }
}

/// A number from 0.
pub fn not_negative(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0. => Ok(value),
        _ => Err("it is a number from 0".to_string()),
    }
}

/// A number from 0 that is less than 1.
pub fn fraction(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0. ..1.).contains(&value) => Ok(value),
        _ => Err("it is a number from 0, less than 1".to_string()),
    }
}

/// `true` or `false`.
pub fn yes_or_no(text: &str) -> std::result::Result<bool, String> {
    text.parse().map_err(|_| "it is `true` or `false`".to_string())
}
