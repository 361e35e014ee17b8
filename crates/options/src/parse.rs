//! Parsers of values with a range. The error completes "invalid value `x` for `lr`: ".

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// An integer in a range.
pub fn within<T: FromStr + PartialOrd + Display>(
    range: RangeInclusive<T>,
) -> impl Fn(&str) -> Result<T, String> {
    move |text| match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!("expected a whole number from {} to {}", range.start(), range.end())),
    }
}

/// A finite number above 0.
pub fn positive(text: &str) -> Result<f64, String> {
    number(text, |value| value.is_finite() && value > 0., "expected a number above 0")
}

/// A finite number from 0.
pub fn not_negative(text: &str) -> Result<f64, String> {
    number(text, |value| value.is_finite() && value >= 0., "expected a number from 0")
}

/// A number in the open interval (0, 1).
pub fn between_0_and_1(text: &str) -> Result<f64, String> {
    number(text, |value| value > 0. && value < 1., "expected a number between 0 and 1")
}

/// A number in [0, 1).
pub fn from_0_below_1(text: &str) -> Result<f64, String> {
    number(text, |value| (0. ..1.).contains(&value), "expected a number from 0 to below 1")
}

/// A number in [0, 1].
pub fn from_0_to_1(text: &str) -> Result<f64, String> {
    number(text, |value| (0. ..=1.).contains(&value), "expected a number from 0 to 1")
}

fn number(text: &str, is_valid: impl Fn(f64) -> bool, problem: &str) -> Result<f64, String> {
    text.parse().ok().filter(|value| is_valid(*value)).ok_or_else(|| problem.to_string())
}
