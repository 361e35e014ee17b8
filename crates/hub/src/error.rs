//! The error type.

use cresset_data::error::Error as DataError;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name or access to correct, or a file that cannot be read or written.
    #[error(transparent)]
    Local(#[from] DataError),
    /// An unreachable server, or a failed download.
    #[error("{0}")]
    Network(String),
}
