//! The entries of a TOML file with their line numbers.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{Error, Location, Result};

/// A name and its value.
pub(crate) struct Entry {
    /// The name.
    pub name: String,
    /// The value as text; none for a list or a table.
    pub value: Option<String>,
    /// The line of the name.
    pub location: Location,
}

/// A TOML file, with the line and column of each offset.
pub struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// Reads a file. `what` ("run file") names it in errors.
    ///
    /// # Errors
    /// A file that cannot be read or is not UTF-8.
    pub fn read(path: &Path, what: &str) -> Result<Self> {
        let bytes =
            std::fs::read(path).map_err(|e| Error::data(path, format!("cannot read the {what}: {e}")))?;
        let text = String::from_utf8(bytes).map_err(|e| {
            let (valid, bytes) = (e.utf8_error().valid_up_to(), e.into_bytes());
            let location = line(path, &bytes[..valid]).column(column(&bytes[..valid]).to_string());
            Error::data(location, "the text is not UTF-8; save the file in UTF-8")
        })?;
        Ok(Source { path: path.to_path_buf(), text })
    }

    /// Parses the file.
    ///
    /// # Errors
    /// Invalid TOML, with line and column.
    pub fn table(&self) -> Result<Spanned<DeTable<'_>>> {
        DeTable::parse(&self.text).map_err(|e| {
            let location = e.span().map_or(self.path.as_path().into(), |span| self.at(span.start));
            Error::data(location, format!("invalid TOML: {}", e.message()))
        })
    }

    /// The line of an offset in the text.
    pub fn line(&self, offset: usize) -> Location {
        line(&self.path, &self.text.as_bytes()[..offset])
    }

    /// Line and column of an offset in the text.
    pub fn at(&self, offset: usize) -> Location {
        self.line(offset).column(column(&self.text.as_bytes()[..offset]).to_string())
    }
}

/// Reads the top-level entries of a file. `what` ("run file") names it in errors.
///
/// # Errors
/// A file that cannot be read or is not TOML, with line and column.
pub fn read(path: &Path, what: &str) -> Result<Vec<Entry>> {
    let source = Source::read(path, what)?;
    let table = source.table()?;
    let entries = table.get_ref().iter().map(|(key, value)| Entry {
        name: key.get_ref().to_string(),
        value: scalar(value.get_ref()),
        location: source.line(key.span().start),
    });
    Ok(entries.collect())
}

/// The line after the text `before`.
fn line(path: &Path, before: &[u8]) -> Location {
    Location::line(path, 1 + before.iter().filter(|byte| **byte == b'\n').count() as u64)
}

/// The column after the text `before`, from 1.
fn column(before: &[u8]) -> usize {
    let last_line = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    1 + String::from_utf8_lossy(last_line).chars().count()
}

/// A string, number or boolean as text.
pub fn scalar(value: &DeValue) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        // TOML integers may be hexadecimal, octal or binary.
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
