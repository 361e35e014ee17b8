//! What can go wrong, as sentences with a subject, a place and a remedy.

use std::fmt;
use std::path::{Path, PathBuf};

pub use cresset_options::text::{did_you_mean, excerpt, nearest, quoted};

use crate::terminal;

/// The result of the library's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of the library.
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
    /// A model file or run folder is not what it should be.
    #[error("{}: {problem}", terminal::path(path))]
    Artifact {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
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
    /// Training came to nothing.
    #[error("{0}")]
    Diverged(String),
    /// The memory of the device does not suffice.
    #[error("{0}")]
    Memory(String),
    /// Another process of the job failed, or cannot be reached.
    #[error("{0}")]
    Peer(String),
    /// libtorch failed.
    #[error("libtorch: {0}")]
    Libtorch(cresset_bridge::Error),
}

impl Error {
    /// Is what the user gave at fault (exit code 2), rather than its execution (1)?
    pub fn is_users(&self) -> bool {
        matches!(self, Error::Data { .. } | Error::Usage(_) | Error::Artifact { .. })
    }

    pub(crate) fn data(place: impl Into<Place>, problem: impl Into<String>) -> Self {
        Error::Data { place: place.into(), problem: problem.into() }
    }

    /// A file or folder of ours, or one that is read as such, that is not as it should be.
    pub fn artifact(path: &Path, problem: impl Into<String>) -> Self {
        Error::Artifact { path: path.to_path_buf(), problem: problem.into() }
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |reason| Error::Io { action, path, reason: explained(reason) }
    }

    /// An error on something in the folder `from`, said of its place in the folder `to`, where it would have gone.
    pub(crate) fn moved(mut self, from: &Path, to: &Path) -> Self {
        if let Error::Io { path, .. } | Error::Artifact { path, .. } = &mut self
            && let Ok(rest) = path.strip_prefix(from)
        {
            *path = if rest.as_os_str().is_empty() { to.to_path_buf() } else { to.join(rest) };
        }
        self
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

// Not by `#[from]`, which would make the inner error a source too: whoever prints the chain would print it twice.
impl From<cresset_bridge::Error> for Error {
    fn from(error: cresset_bridge::Error) -> Self {
        Error::Libtorch(error)
    }
}

impl From<tch::TchError> for Error {
    fn from(error: tch::TchError) -> Self {
        let message = match error {
            tch::TchError::Torch(message) => message,
            other => other.to_string(),
        };
        Error::Libtorch(cresset_bridge::Error(cresset_bridge::first_line(&message)))
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

/// Runs `work`, and turns a panic inside tch (most of its operations panic on a libtorch error) or with an
/// [`Error`] into an [`Error`].
pub fn guard<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        // Where a layer's function cannot return an error.
        let payload = match payload.downcast::<Error>() {
            Ok(error) => return Err(*error),
            Err(payload) => payload,
        };
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|s| s.to_string())).unwrap_or_default();
        match text.split_once("Torch(\"") {
            // tch's panic shows the message as Rust's Debug does, with the line ends escaped.
            Some((_, message)) => {
                let message = message.replace("\\n", "\n").replace("\\\"", "\"");
                let line = cresset_bridge::first_line(message.trim_end_matches("\")"));
                Err(Error::Libtorch(cresset_bridge::Error(line)))
            }
            None => std::panic::resume_unwind(payload),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Tensor;

    #[test]
    fn a_panic_of_tch_becomes_one_line() {
        let error = guard(|| Ok(Tensor::from_slice(&[1f32]).matmul(&Tensor::from_slice(&[1f32, 2.]))));
        let text = error.unwrap_err().to_string();
        assert!(text.starts_with("libtorch: ") && !text.contains("Exception raised"), "{text}");
        assert!(!text.contains('\n') && !text.contains("\\n"), "{text}");
    }

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

    #[test]
    fn an_error_that_is_printed_with_its_sources_says_its_reason_once() {
        let refused = Error::io("write", Path::new("a"))(std::io::Error::other("disk full"));
        assert_eq!(format!("{:#}", anyhow::Error::from(refused)), "cannot write a: disk full");
        let failed = Error::from(cresset_bridge::Error("bad width".into()));
        assert_eq!(format!("{:#}", anyhow::Error::from(failed)), "libtorch: bad width");
    }

    #[test]
    fn the_nearest_word_is_found_or_none() {
        assert_eq!(nearest("epoch", ["lr", "epochs"]), Some("epochs"));
        assert_eq!(nearest("xyz", ["lr", "epochs"]), None);
    }
}
