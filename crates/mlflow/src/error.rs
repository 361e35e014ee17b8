//! Errors of the tracking server and of the journal.

use cresset_data::error::Error as DataError;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server cannot be reached or cannot answer now; the same request may succeed later.
    #[error("{0}")]
    Unavailable(String),
    /// The server refuses this request, now and later.
    #[error("{0}")]
    Refused(String),
    /// A file of the run folder cannot be read or written.
    #[error(transparent)]
    File(#[from] DataError),
    /// Invalid settings.
    #[error("{0}")]
    Usage(String),
}

/// A result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;
