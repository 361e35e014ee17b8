//! Errors about data: messages with a subject, a location and a remedy.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::{table_files, terminal};
pub use cresset_options::text::{did_you_mean, excerpt, nearest, quoted};

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Invalid data in a user's file.
    #[error("{location}: {problem}")]
    Data {
        /// The location of the problem.
        location: Location,
        /// The problem and its remedy.
        problem: String,
    },
    /// An invalid option value, or options that conflict.
    #[error("{0}")]
    Usage(String),
    /// A failed system call.
    #[error("cannot {action} {}: {reason}", terminal::path(path))]
    Io {
        /// The attempted action: "write", "create", …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        reason: std::io::Error,
    },
}

impl Error {
    /// Whether the error is caused by the user's input (exit code 2) rather than a failure at run time (exit code 1).
    pub fn is_user_error(&self) -> bool {
        matches!(self, Error::Data { .. } | Error::Usage(_))
    }

    /// Creates an error about invalid data.
    pub fn data(location: impl Into<Location>, problem: impl Into<String>) -> Self {
        Error::Data { location: location.into(), problem: problem.into() }
    }

    /// Returns a function that creates an I/O error, for `map_err`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |reason| Error::Io { action, path, reason: with_remedy(reason) }
    }
}

/// Adds a remedy to an operating system error that suggests none.
fn with_remedy(reason: std::io::Error) -> std::io::Error {
    match reason.kind() {
        std::io::ErrorKind::FileTooLarge => {
            let problem =
                format!("{reason}; the shell (`ulimit -f`) or the file system limits the file size");
            std::io::Error::new(reason.kind(), problem)
        }
        _ => reason,
    }
}

/// A location in a file: its path and, if known, the line and column (from 1) or the index of the example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The file.
    pub path: PathBuf,
    /// The line.
    pub line: Option<u64>,
    /// The index of the example, from 0, in a file without lines.
    pub row: Option<u64>,
    /// The column: its number and, if the file has a header, its name.
    pub column: Option<String>,
}

impl Location {
    /// The location in the usual notation of tools: `path` or `path:line`.
    pub fn name(&self) -> String {
        let path = self.path.display();
        self.line.map_or_else(|| path.to_string(), |line| format!("{path}:{line}"))
    }

    /// The location of a line. The path may be a pattern, of one of whose files the line is.
    pub fn line(path: &Path, line: u64) -> Self {
        let (file, line) = table_files::place(path, line);
        Location { line: Some(line), ..file.as_path().into() }
    }

    /// The location of an example in a file without lines, by its index from 0.
    pub fn row(path: &Path, row: u64) -> Self {
        Location { row: Some(row), ..path.into() }
    }

    /// Adds a column to the location.
    pub fn column(self, column: String) -> Self {
        Location { column: Some(column), ..self }
    }
}

/// Whether a file has rows instead of lines.
fn has_rows(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| ["parquet", "pq"].iter().any(|own| extension.eq_ignore_ascii_case(own)))
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        Location { path: path.to_path_buf(), line: None, row: None, column: None }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&terminal::path(&self.path))?;
        if let Some(line) = self.line {
            let unit = if has_rows(&self.path) { "row" } else { "line" };
            write!(f, ", {unit} {line}")?;
        }
        if let Some(row) = self.row {
            write!(f, ", example {row}")?;
        }
        if let Some(column) = &self.column {
            write!(f, ", column {}", terminal::line(column))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_names_file_line_and_column() {
        let location = Location::line(Path::new("a.csv"), 3).column("2 (width)".into());
        assert_eq!(location.to_string(), "a.csv, line 3, column 2 (width)");
    }

    #[test]
    fn untrusted_text_stays_on_one_short_line() {
        assert_eq!(quoted("a b"), "`a b`");
        assert_eq!(quoted("a\nb\u{1b}[31m"), "`a\\nb\\u{1b}[31m`");
        assert_eq!(quoted(&"ü".repeat(1000)), format!("`{}…`", "ü".repeat(60)));
        assert_eq!(Location::from(Path::new("a\nb.csv")).to_string(), "a\\nb.csv");
    }
}
