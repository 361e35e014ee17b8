//! What can go wrong, as sentences with a subject, a place and a remedy.

use std::path::{Path, PathBuf};

use cresset_data::atomic::NamesPath;
pub use cresset_data::error::Place;
use cresset_data::terminal;
pub use cresset_options::text::{did_you_mean, excerpt, nearest, quoted};

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
    /// Training was stopped before its end, with a checkpoint.
    #[error(
        "training stopped in epoch {epoch} after step {step}; resume the run in {}",
        terminal::path(folder)
    )]
    Interrupted {
        /// The run folder.
        folder: PathBuf,
        /// The epoch under way, from 1.
        epoch: u32,
        /// The steps of it that are done.
        step: usize,
    },
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

    /// Something in a file of the user's that cannot be used.
    pub fn data(place: impl Into<Place>, problem: impl Into<String>) -> Self {
        Error::Data { place: place.into(), problem: problem.into() }
    }

    /// A file or folder of ours, or one that is read as such, that is not as it should be.
    pub fn artifact(path: &Path, problem: impl Into<String>) -> Self {
        Error::Artifact { path: path.to_path_buf(), problem: problem.into() }
    }

    /// What the operating system refused, for `map_err`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let error = cresset_data::error::Error::io(action, path);
        move |reason| error(reason).into()
    }
}

impl NamesPath for Error {
    fn moved(mut self, from: &Path, to: &Path) -> Self {
        if let Error::Io { path, .. } | Error::Artifact { path, .. } = &mut self
            && let Ok(rest) = path.strip_prefix(from)
        {
            *path = if rest.as_os_str().is_empty() { to.to_path_buf() } else { to.join(rest) };
        }
        self
    }
}

impl From<cresset_data::error::Error> for Error {
    fn from(error: cresset_data::error::Error) -> Self {
        use cresset_data::error::Error as DataError;
        match error {
            DataError::Data { place, problem } => Error::Data { place, problem },
            DataError::Usage(problem) => Error::Usage(problem),
            DataError::Io { action, path, reason } => Error::Io { action, path, reason },
        }
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
    fn an_error_that_is_printed_with_its_sources_says_its_reason_once() {
        let refused = Error::io("write", Path::new("a"))(std::io::Error::other("disk full"));
        assert_eq!(format!("{:#}", anyhow::Error::from(refused)), "cannot write a: disk full");
        let failed = Error::from(cresset_bridge::Error("bad width".into()));
        assert_eq!(format!("{:#}", anyhow::Error::from(failed)), "libtorch: bad width");
    }
}
