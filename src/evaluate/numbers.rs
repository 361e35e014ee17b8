//! Number formatting.

use serde::{Deserialize, Deserializer};

/// Formats 12345 as `12,345`.
///
/// ```
/// use cresset::evaluate::numbers::thousands;
///
/// assert_eq!(thousands(12345), "12,345");
/// assert_eq!(thousands(999), "999");
/// ```
pub fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats a fraction from 0 to 1 in percent, and `None` as a dash.
///
/// ```
/// use cresset::evaluate::numbers::percent;
///
/// assert_eq!(percent(Some(0.9712)), "97.12 %");
/// assert_eq!(percent(None), "–");
/// ```
pub fn percent(share: Option<f64>) -> String {
    share.map_or("–".to_string(), |share| format!("{:.2} %", 100. * share))
}

/// Deserializes a number, and null as NaN: JSON has no NaN, so serde_json writes null.
pub(crate) fn or_nan<'de, D: Deserializer<'de>>(value: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated_by_commas() {
        assert_eq!([thousands(7), thousands(1797), thousands(1234567)], ["7", "1,797", "1,234,567"]);
    }
}
