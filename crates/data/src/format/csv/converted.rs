//! Tables in other formats than delimited text, converted to rows of text with the types that the file declares.

use std::io::Write;
use std::path::Path;

use crate::compression::Codec;
use crate::error::{Error, Location, Result, quoted};
use crate::format::has_extension;

/// A format that is converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// An object per line.
    JsonLines,
    /// Apache Parquet.
    #[cfg(feature = "parquet")]
    Parquet,
}

/// Whether the cells of a column are numbers or texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CellType {
    Number,
    Text,
}

/// Delimited text with a header, delimited by commas. The header is line 0, so that the lines are those of the source, or its
/// rows from 1.
pub(super) struct Converted {
    pub text: Vec<u8>,
    /// The type of each column; `None` if it has no value.
    pub types: Vec<Option<CellType>>,
}

/// The format of a file that is converted, by its extension.
pub(crate) fn source_of(path: &Path) -> Option<Source> {
    if has_extension(path, &["jsonl", "ndjson", "jsonl.gz", "ndjson.gz", "jsonl.zst", "ndjson.zst"]) {
        return Some(Source::JsonLines);
    }
    #[cfg(feature = "parquet")]
    if has_extension(path, &["parquet", "pq"]) {
        return Some(Source::Parquet);
    }
    None
}

/// The number of the first line of a table: 0 for the header that precedes the rows of a converted file.
pub(super) fn first_line(path: &Path) -> u64 {
    u64::from(source_of(path).is_none())
}

/// Converts the bytes of a file.
///
/// # Errors
/// A file that is damaged, or has values that are no cells of a table, with their location.
pub(super) fn convert(path: &Path, source: Source, bytes: Vec<u8>) -> Result<Converted> {
    match source {
        Source::JsonLines => {
            let codec = Codec::of(path, &bytes);
            let bytes = codec.map(|codec| codec.decompress(path, &bytes)).transpose()?.unwrap_or(bytes);
            super::json_rows::convert(path, &bytes)
        }
        #[cfg(feature = "parquet")]
        Source::Parquet => super::parquet::convert(path, bytes),
    }
}

/// Writes the rows of a converted table.
pub(super) struct RowWriter<'a> {
    path: &'a Path,
    text: Vec<u8>,
}

impl<'a> RowWriter<'a> {
    /// Starts with the names of the columns.
    ///
    /// # Errors
    /// Names with a NUL byte, and a table without columns.
    pub fn new(path: &'a Path, names: &[&str]) -> Result<Self> {
        if names.is_empty() {
            return Err(Error::data(path, "the table has no columns"));
        }
        let mut writer = RowWriter { path, text: Vec::new() };
        writer.row(0, names)?;
        Ok(writer)
    }

    /// Adds a row, which begins at this line of the source. Line breaks in cells become spaces, so that each row is a line.
    ///
    /// # Errors
    /// A cell with a NUL byte.
    pub fn row<T: AsRef<str>>(&mut self, line: u64, cells: &[T]) -> Result<()> {
        for (column, cell) in cells.iter().enumerate() {
            let cell = cell.as_ref();
            if cell.contains('\0') {
                let location = Location::line(self.path, line).column((column + 1).to_string());
                return Err(Error::data(
                    location,
                    format!("{} contains a NUL byte; remove it", quoted(cell)),
                ));
            }
            if column > 0 {
                self.text.push(b',');
            }
            // Only the empty cell of a single column would be a blank line.
            if cell.is_empty() && cells.len() > 1 {
                continue;
            }
            let cell = cell.replace(['\n', '\r'], " ").replace('"', "\"\"");
            write!(self.text, "\"{cell}\"").expect("memory can be written");
        }
        self.text.push(b'\n');
        Ok(())
    }

    /// Adds a blank line of the source.
    pub fn blank(&mut self) {
        self.text.push(b'\n');
    }

    /// The number of bytes so far.
    #[cfg(feature = "parquet")]
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// The text.
    pub fn finish(self) -> Vec<u8> {
        self.text
    }
}
