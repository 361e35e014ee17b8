//! What can go wrong, as sentences with a subject, a place and a remedy.

use std::fmt;
use std::path::{Path, PathBuf};

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
    #[error("{}: {problem}", path.display())]
    Artifact {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The operating system refused something.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: "write", "create", …
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Training came to nothing.
    #[error("{0}")]
    Diverged(String),
    /// libtorch failed.
    #[error("libtorch: {0}")]
    Libtorch(#[from] cresset_bridge::Error),
}

impl Error {
    /// Is what the user gave at fault (exit code 2), rather than its execution (1)?
    pub fn is_users(&self) -> bool {
        matches!(self, Error::Data { .. } | Error::Usage(_) | Error::Artifact { .. })
    }

    pub(crate) fn data(place: impl Into<Place>, problem: impl Into<String>) -> Self {
        Error::Data { place: place.into(), problem: problem.into() }
    }

    pub(crate) fn artifact(path: &Path, problem: impl Into<String>) -> Self {
        Error::Artifact { path: path.to_path_buf(), problem: problem.into() }
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Error::Io { action, path, source }
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

/// A place in a file: its path, and as far as known the line and the column (both from 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The line.
    pub line: Option<u64>,
    /// The column, by number and, where the file has a header, by name.
    pub column: Option<String>,
}

impl Place {
    /// A line of a file.
    pub fn line(path: &Path, line: u64) -> Self {
        Place { path: path.to_path_buf(), line: Some(line), column: None }
    }

    /// The same place, with a column.
    pub fn column(self, column: String) -> Self {
        Place { column: Some(column), ..self }
    }
}

impl From<&Path> for Place {
    fn from(path: &Path) -> Self {
        Place { path: path.to_path_buf(), line: None, column: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        if let Some(column) = &self.column {
            write!(f, ", column {column}")?;
        }
        Ok(())
    }
}

/// Runs `work`, and turns a panic inside tch (most of its operations panic on a libtorch error) into an [`Error`].
pub fn guard<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|payload| {
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

/// The member of `candidates` that `word` was probably meant to be.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
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
    fn the_nearest_word_is_found_or_none() {
        assert_eq!(nearest("epoch", ["lr", "epochs"]), Some("epochs"));
        assert_eq!(nearest("xyz", ["lr", "epochs"]), None);
    }
}
