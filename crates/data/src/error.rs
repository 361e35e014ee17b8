//! What can go wrong with data, as sentences with a subject, a place and a remedy.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::terminal;
pub use cresset_options::text::{did_you_mean, excerpt, nearest, quoted};

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the user's holds something that cannot be used.
    #[error("{place}: {problem}")]
    Data {
        /// Where it stands.
        place: Place,
        /// What is wrong and what to do.
        problem: String,
    },
    /// An option has no usable value, or options contradict each other.
    #[error("{0}")]
    Usage(String),
    /// The operating system refused something.
    #[error("cannot {action} {}: {reason}", terminal::path(path))]
    Io {
        /// What was tried: "write", "create", …
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The system's reason.
        reason: std::io::Error,
    },
}

impl Error {
    /// Something in a file of the user's that cannot be used.
    pub fn data(place: impl Into<Place>, problem: impl Into<String>) -> Self {
        Error::Data { place: place.into(), problem: problem.into() }
    }

    /// What the operating system refused, for `map_err`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |reason| Error::Io { action, path, reason: explained(reason) }
    }
}

/// The system's reason, with a remedy where its own words suggest none.
fn explained(reason: std::io::Error) -> std::io::Error {
    match reason.kind() {
        std::io::ErrorKind::FileTooLarge => {
            let problem =
                format!("{reason}; this shell (`ulimit -f`) or the file system limits the size of a file");
            std::io::Error::new(reason.kind(), problem)
        }
        _ => reason,
    }
}

/// A place in a file: its path, and as far as known the line and the column (both from 1) or the example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The line.
    pub line: Option<u64>,
    /// In a file that has no lines, the number of the example, from 0.
    pub row: Option<u64>,
    /// The column, by number and, where the file has a header, by name.
    pub column: Option<String>,
}

impl Place {
    /// The place as other programs like it: a path, or `path:line`.
    pub fn name(&self) -> String {
        let path = self.path.display();
        self.line.map_or_else(|| path.to_string(), |line| format!("{path}:{line}"))
    }

    /// A line of a file.
    pub fn line(path: &Path, line: u64) -> Self {
        Place { line: Some(line), ..path.into() }
    }

    /// A row of a file that has no lines, by its number from 0.
    pub fn row(path: &Path, row: u64) -> Self {
        Place { row: Some(row), ..path.into() }
    }

    /// The same place, with a column.
    pub fn column(self, column: String) -> Self {
        Place { column: Some(column), ..self }
    }
}

impl From<&Path> for Place {
    fn from(path: &Path) -> Self {
        Place { path: path.to_path_buf(), line: None, row: None, column: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&terminal::path(&self.path))?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
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
    fn a_place_names_file_line_and_column() {
        let place = Place::line(Path::new("a.csv"), 3).column("2 (width)".into());
        assert_eq!(place.to_string(), "a.csv, line 3, column 2 (width)");
    }

    #[test]
    fn foreign_text_stays_on_one_short_line() {
        assert_eq!(quoted("a b"), "`a b`");
        assert_eq!(quoted("a\nb\u{1b}[31m"), "`a\\nb\\u{1b}[31m`");
        assert_eq!(quoted(&"ü".repeat(1000)), format!("`{}…`", "ü".repeat(60)));
        assert_eq!(Place::from(Path::new("a\nb.csv")).to_string(), "a\\nb.csv");
    }
}
