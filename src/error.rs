//! Error type of the library. Messages state the problem, its location and a remedy.

use std::path::{Path, PathBuf};

use cresset_data::atomic::WithPath;
pub use cresset_data::error::Location;
use cresset_data::terminal;
pub use cresset_options::text::{did_you_mean, excerpt, nearest, quoted};

/// The result type of the library.
///
/// ```
/// use cresset::error::{Error, Result};
///
/// fn half(rows: usize) -> Result<usize> {
///     if rows < 2 {
///         return Err(Error::Usage("there is one row; at least 2 are required".to_string()));
///     }
///     Ok(rows / 2)
/// }
///
/// assert_eq!(half(10)?, 5);
/// assert!(half(1).is_err());
/// # Ok::<(), Error>(())
/// ```
pub type Result<T> = std::result::Result<T, Error>;

/// An error of the library.
///
/// ```
/// use cresset::error::{Error, Location};
/// use cresset::prelude::*;
/// use std::path::Path;
///
/// match Trainer::new("digitz").fit().err().unwrap() {
///     Error::Data { location, problem } => {
///         assert_eq!(location, Location::from(Path::new("digitz")));
///         assert!(problem.contains("did you mean `digits`"));
///     }
///     other => panic!("{other}"),
/// }
/// ```
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Invalid data in a user's file.
    #[error("{location}: {problem}")]
    Data {
        /// The location of the problem.
        location: Location,
        /// The problem and a remedy.
        problem: String,
    },
    /// An invalid option value, or conflicting options.
    #[error("{0}")]
    Usage(String),
    /// An invalid model file or run folder.
    #[error("{}: {problem}", terminal::path(path))]
    Artifact {
        /// The file or folder.
        path: PathBuf,
        /// The problem and a remedy.
        problem: String,
    },
    /// An I/O error.
    #[error("cannot {action} {}: {reason}", terminal::path(path))]
    Io {
        /// The action that failed: "write", "create", …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        reason: std::io::Error,
    },
    /// Training diverged.
    #[error("{0}")]
    Diverged(String),
    /// Training was interrupted after writing a checkpoint.
    #[error(
        "training stopped in epoch {epoch} after step {step}; resume the run in {}",
        terminal::path(folder)
    )]
    Interrupted {
        /// The run folder.
        folder: PathBuf,
        /// The current epoch, from 1.
        epoch: u32,
        /// The number of completed steps of the epoch.
        step: usize,
    },
    /// Out of memory on the device.
    #[error("{0}")]
    Memory(String),
    /// Another rank failed, or is unreachable.
    #[error("{0}")]
    Peer(String),
    /// A server cannot be reached, or a download failed.
    #[error("{0}")]
    Network(String),
    /// An error of libtorch.
    #[error("libtorch: {0}")]
    Libtorch(cresset_bridge::Error),
}

impl Error {
    /// Whether the error is caused by the user's input (exit code 2) rather than a failure at run time (exit code 1).
    ///
    /// ```
    /// use cresset::error::Error;
    /// use std::path::Path;
    ///
    /// assert!(Error::data(Path::new("a.csv"), "the file is empty").is_user_error());
    /// assert!(!Error::Diverged("the loss is NaN".to_string()).is_user_error());
    /// ```
    pub fn is_user_error(&self) -> bool {
        matches!(self, Error::Data { .. } | Error::Usage(_) | Error::Artifact { .. })
    }

    /// Creates an [`Error::Data`].
    ///
    /// ```
    /// use cresset::error::{Error, Location};
    /// use std::path::Path;
    ///
    /// let error = Error::data(Location::line(Path::new("a.csv"), 3), "the label is empty");
    /// assert_eq!(error.to_string(), "a.csv, line 3: the label is empty");
    /// ```
    pub fn data(location: impl Into<Location>, problem: impl Into<String>) -> Self {
        Error::Data { location: location.into(), problem: problem.into() }
    }

    /// Creates an [`Error::Artifact`].
    ///
    /// ```
    /// use cresset::error::Error;
    /// use std::path::Path;
    ///
    /// let error = Error::artifact(Path::new("model.pt"), "the file is not TorchScript");
    /// assert_eq!(error.to_string(), "model.pt: the file is not TorchScript");
    /// ```
    pub fn artifact(path: &Path, problem: impl Into<String>) -> Self {
        Error::Artifact { path: path.to_path_buf(), problem: problem.into() }
    }

    /// Returns a function that creates an [`Error::Io`], for `map_err`.
    ///
    /// ```
    /// use cresset::error::Error;
    /// use std::path::Path;
    ///
    /// let path = Path::new("missing.toml");
    /// let error = std::fs::read(path).map_err(Error::io("read", path)).unwrap_err();
    /// assert!(error.to_string().starts_with("cannot read missing.toml: "));
    /// ```
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let error = cresset_data::error::Error::io(action, path);
        move |reason| error(reason).into()
    }
}

impl WithPath for Error {
    fn path_mut(&mut self) -> Option<&mut PathBuf> {
        match self {
            Error::Io { path, .. } | Error::Artifact { path, .. } => Some(path),
            _ => None,
        }
    }
}

impl From<cresset_data::error::Error> for Error {
    fn from(error: cresset_data::error::Error) -> Self {
        use cresset_data::error::Error as DataError;
        match error {
            DataError::Data { location, problem } => Error::Data { location, problem },
            DataError::Usage(problem) => Error::Usage(problem),
            DataError::Io { action, path, reason } => Error::Io { action, path, reason },
        }
    }
}

#[cfg(feature = "hub")]
impl From<cresset_hub::Error> for Error {
    fn from(error: cresset_hub::Error) -> Self {
        match error {
            cresset_hub::Error::Local(error) => error.into(),
            cresset_hub::Error::Network(problem) => Error::Network(problem),
        }
    }
}

// Not `#[from]`, which would also make the inner error a source, so that printing the error chain would repeat it.
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

/// Runs `work` and converts a panic of tch (most of its operations panic on a libtorch error), or a panic with an [`Error`] as its
/// payload, to an [`Error`].
///
/// ```
/// use cresset::error::catch_panics;
/// use tch::{Device, Kind, Tensor};
///
/// let matrix = || Tensor::zeros([2, 3], (Kind::Float, Device::Cpu));
/// assert_eq!(catch_panics(|| Ok(matrix().matmul(&matrix().tr()).size()))?, [2, 2]);
/// assert!(catch_panics(|| Ok(matrix().matmul(&matrix()))).is_err());
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub fn catch_panics<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        // Layer functions that cannot return an error panic with one.
        let payload = match payload.downcast::<Error>() {
            Ok(error) => return Err(*error),
            Err(payload) => payload,
        };
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|s| s.to_string())).unwrap_or_default();
        match text.split_once("Torch(\"") {
            // tch's panic message has Debug format, with escaped newlines.
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
        let error = catch_panics(|| Ok(Tensor::from_slice(&[1f32]).matmul(&Tensor::from_slice(&[1f32, 2.]))));
        let text = error.unwrap_err().to_string();
        assert!(text.starts_with("libtorch: ") && !text.contains("Exception raised"), "{text}");
        assert!(!text.contains('\n') && !text.contains("\\n"), "{text}");
    }

    #[test]
    fn an_error_chain_shows_its_reason_once() {
        let refused = Error::io("write", Path::new("a"))(std::io::Error::other("disk full"));
        assert_eq!(format!("{:#}", anyhow::Error::from(refused)), "cannot write a: disk full");
        let failed = Error::from(cresset_bridge::Error("bad width".into()));
        assert_eq!(format!("{:#}", anyhow::Error::from(failed)), "libtorch: bad width");
    }
}
