//! The entries of a TOML file, each with its line.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use crate::error::{Error, Place, Result};

/// A name and its value.
pub struct Entry {
    /// The name.
    pub name: String,
    /// The value as text; none if it is a list or a table.
    pub value: Option<String>,
    /// The line of the name.
    pub place: Place,
}

/// Reads a file of entries that is called `what` ("run file").
///
/// # Errors
/// A file that cannot be read or is no TOML, with line and column.
pub fn read(path: &Path, what: &str) -> Result<Vec<Entry>> {
    let bytes = std::fs::read(path).map_err(|e| Error::data(path, format!("cannot read the {what}: {e}")))?;
    let line = |offset: usize| {
        Place::line(path, 1 + bytes[..offset].iter().filter(|byte| **byte == b'\n').count() as u64)
    };
    let at = |offset: usize| line(offset).column(column(&bytes[..offset]).to_string());
    let text = std::str::from_utf8(&bytes)
        .map_err(|e| Error::data(at(e.valid_up_to()), "the text is not UTF-8; save the file in UTF-8"))?;
    let table = DeTable::parse(text).map_err(|e| {
        let place = e.span().map_or(path.into(), |span| at(span.start));
        Error::data(place, format!("this is no TOML: {}", e.message()))
    })?;
    let entries = table.get_ref().iter().map(|(key, value)| Entry {
        name: key.get_ref().to_string(),
        value: scalar(value.get_ref()),
        place: line(key.span().start),
    });
    Ok(entries.collect())
}

/// The column behind the text `before`, from 1.
fn column(before: &[u8]) -> usize {
    let own = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    1 + String::from_utf8_lossy(own).chars().count()
}

fn scalar(value: &DeValue) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        // TOML writes integers in hexadecimal, octal and binary too.
        DeValue::Integer(number) => {
            let digits = number.as_str();
            let decimal = i128::from_str_radix(digits, number.radix()).map(|number| number.to_string());
            Some(decimal.unwrap_or_else(|_| digits.to_string()))
        }
        DeValue::Float(number) => Some(number.as_str().to_string()),
        DeValue::Boolean(yes) => Some(yes.to_string()),
        _ => None,
    }
}
