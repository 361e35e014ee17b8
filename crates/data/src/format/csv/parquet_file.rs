//! A Parquet file whose columns are read in several threads.

use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length, SerializedFileReader};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::{hexadecimal, room};

/// A file that several threads read at once.
#[derive(Clone)]
pub(super) struct SharedFile {
    file: Arc<File>,
    length: u64,
}

/// Reads on from a place of a file.
pub(super) struct ReaderAt {
    file: SharedFile,
    offset: u64,
}

impl Read for ReaderAt {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.file.read_at(bytes, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

impl Length for SharedFile {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for SharedFile {
    type T = BufReader<ReaderAt>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        // Only the headers of pages are read in this way.
        Ok(BufReader::with_capacity(512, ReaderAt { file: self.clone(), offset: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.length) {
            return Err(ParquetError::EOF(format!(
                "{length} bytes at {start} are beyond the end of the file"
            )));
        }
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(bytes.into())
    }
}

/// Opens a file.
///
/// # Errors
/// A file that cannot be read, or is no Parquet.
pub(super) fn open(path: &Path) -> Result<SerializedFileReader<SharedFile>> {
    open_at(path, path)
}

/// Opens the file at `at`; `path` is its name in messages.
///
/// # Errors
/// As for [`open`].
pub(super) fn open_at(path: &Path, at: &Path) -> Result<SerializedFileReader<SharedFile>> {
    let unreadable = |e: std::io::Error| Error::data(path, format!("cannot read the file: {e}"));
    let file = room::open(at).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let file = SharedFile { file: Arc::new(file), length };
    guarded(path, || SerializedFileReader::new(file).map_err(|error| damaged(path, &error)))
}

/// The error for a file that cannot be decoded.
pub(super) fn damaged(path: &Path, problem: &dyn std::fmt::Display) -> Error {
    Error::data(path, format!("cannot read the Parquet file: {problem}"))
}

/// Calls `work`; the decoder indexes without checks in some damaged files.
///
/// # Errors
/// Those of `work`, and one for a panic.
pub(super) fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    result.unwrap_or_else(|_| Err(damaged(path, &"it is damaged")))
}

/// SHA-256 of the files, one after the other.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn sha256(files: &[PathBuf]) -> Result<String> {
    let mut hash = Sha256::new();
    let mut bytes = vec![0; 1 << 20];
    for path in files {
        let unreadable =
            |e: std::io::Error| Error::data(path.as_path(), format!("cannot read the file: {e}"));
        let mut file = room::open(path).map_err(unreadable)?;
        loop {
            match file.read(&mut bytes).map_err(unreadable)? {
                0 => break,
                count => hash.update(&bytes[..count]),
            }
        }
    }
    Ok(hexadecimal(&hash.finalize()))
}
