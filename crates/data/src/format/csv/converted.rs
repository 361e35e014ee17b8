//! Tables in other formats than delimited text, converted to rows of text with the types that the file declares.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
/// rows from 1. Errors of the reader are those of this crate.
pub(super) struct Converted {
    pub text: Box<dyn Read + Send>,
    /// The type of each column; `None` if it has no value.
    pub types: Vec<Option<CellType>>,
}

/// The bytes of a file that is converted, which are read more than once.
#[derive(Clone)]
pub(super) enum Content {
    File(PathBuf),
    Memory(Arc<[u8]>),
}

impl Content {
    /// The bytes of the file at `path`. A pipe can be read only once, so its bytes are held in memory.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn of(path: &Path) -> Result<Self> {
        let unreadable = |e: io::Error| Error::data(path, format!("cannot read the file: {e}"));
        let mut file = File::open(path).map_err(unreadable)?;
        if file.metadata().map_err(unreadable)?.is_file() {
            return Ok(Content::File(path.to_path_buf()));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(unreadable)?;
        Ok(Content::Memory(bytes.into()))
    }

    /// Reads from the beginning; `path` is the name in messages.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn open(&self, path: &Path) -> Result<Box<dyn BufRead + Send>> {
        let unreadable = |e: io::Error| Error::data(path, format!("cannot read the file: {e}"));
        Ok(match self {
            Content::File(file) => {
                Box::new(BufReader::with_capacity(1 << 16, File::open(file).map_err(unreadable)?))
            }
            Content::Memory(bytes) => Box::new(Cursor::new(Arc::clone(bytes))),
        })
    }

    /// The number of bytes.
    pub fn size(&self) -> u64 {
        match self {
            Content::File(file) => file.metadata().map_or(0, |metadata| metadata.len()),
            Content::Memory(bytes) => bytes.len() as u64,
        }
    }
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

/// Converts a file. Only its columns are known at first; its rows are converted as they are read.
///
/// # Errors
/// A file that is damaged, or has values that are no cells of a table, with their location.
pub(super) fn convert(path: &Path, source: Source, content: &Content) -> Result<Converted> {
    match source {
        Source::JsonLines => super::json_rows::convert(path, content),
        #[cfg(feature = "parquet")]
        Source::Parquet => super::parquet::convert(path, content),
    }
}

/// Rows that are converted in parts.
pub(super) trait Rows {
    /// Adds the next rows to `text`; returns false after the last one.
    ///
    /// # Errors
    /// Rows that cannot be converted.
    fn add(&mut self, text: &mut RowWriter) -> Result<bool>;
}

/// Reads the text of rows, which begins with a header.
pub(super) struct ConvertedText<R> {
    rows: R,
    writer: RowWriter,
    /// The number of bytes in `writer` that were read.
    read: usize,
}

impl<R: Rows> ConvertedText<R> {
    /// The text of a header that is in `writer`, and of rows.
    pub fn new(writer: RowWriter, rows: R) -> Self {
        ConvertedText { rows, writer, read: 0 }
    }
}

impl<R: Rows> Read for ConvertedText<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.read == self.writer.text.len() {
            self.writer.text.clear();
            self.read = 0;
            if !self.rows.add(&mut self.writer).map_err(io::Error::other)? {
                return Ok(0);
            }
        }
        let count = (&self.writer.text[self.read..]).read(bytes)?;
        self.read += count;
        Ok(count)
    }
}

/// Writes the rows of a converted table.
pub(super) struct RowWriter {
    path: PathBuf,
    text: Vec<u8>,
}

impl RowWriter {
    /// Starts with the names of the columns.
    ///
    /// # Errors
    /// Names with a NUL byte, and a table without columns.
    pub fn new<T: AsRef<str>>(path: &Path, names: &[T]) -> Result<Self> {
        if names.is_empty() {
            return Err(Error::data(path, "the table has no columns"));
        }
        let mut writer = RowWriter { path: path.to_path_buf(), text: Vec::new() };
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
                return Err(nul_byte(&self.path, line, column, cell));
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
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// The text.
    #[cfg(feature = "parquet")]
    pub fn finish(self) -> Vec<u8> {
        self.text
    }
}

/// The error for the cell of a row and a column, from 0, with a NUL byte.
pub(super) fn nul_byte(path: &Path, line: u64, column: usize, cell: &str) -> Error {
    let location = Location::line(path, line).column((column + 1).to_string());
    Error::data(location, format!("{} contains a NUL byte; remove it", quoted(cell)))
}
