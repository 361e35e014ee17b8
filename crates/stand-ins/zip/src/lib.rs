//! The part of zip 0.6 that tch and torch-sys name, without the archives: everything fails with [`result::ZipError`].
//!
//! tch calls it in `Tensor::read_npz` and `Tensor::write_npz`, torch-sys when it is to download libtorch. This project calls
//! neither: it reads `.npz` files with zip 9, and scripts/fetch-libtorch brings libtorch. The real crate would compile zstd, bzip2
//! and AES for them, a minute of a build.

use std::convert::Infallible;
use std::io::{Read, Result as IoResult, Write};
use std::marker::PhantomData;
use std::path::PathBuf;

use result::{ZipError, ZipResult};
use write::FileOptions;

/// What went wrong.
pub mod result {
    use std::error::Error;
    use std::fmt::{Display, Formatter, Result as FmtResult};

    /// The result of each operation.
    pub type ZipResult<T> = Result<T, ZipError>;

    /// The only error: there is no support for archives.
    #[derive(Debug)]
    pub struct ZipError;

    impl Display for ZipError {
        fn fmt(&self, formatter: &mut Formatter) -> FmtResult {
            formatter.write_str("this build has no support for zip archives in tch")
        }
    }

    impl Error for ZipError {}
}

/// Options for writing.
pub mod write {
    use super::CompressionMethod;

    /// How a file is stored in an archive.
    #[derive(Debug, Clone, Copy, Default)]
    pub struct FileOptions;

    impl FileOptions {
        /// The same with this compression.
        pub fn compression_method(self, _method: CompressionMethod) -> Self {
            self
        }
    }
}

/// How the bytes of a file are compressed.
#[derive(Debug, Clone, Copy)]
pub enum CompressionMethod {
    /// Not at all.
    Stored,
}

/// An archive that is read; there is none.
#[derive(Debug)]
pub struct ZipArchive<R> {
    none: Infallible,
    reader: PhantomData<R>,
}

impl<R: Read> ZipArchive<R> {
    /// Fails.
    pub fn new(_reader: R) -> ZipResult<Self> {
        Err(ZipError)
    }

    /// The number of files.
    pub fn len(&self) -> usize {
        match self.none {}
    }

    /// Whether there are no files.
    pub fn is_empty(&self) -> bool {
        match self.none {}
    }

    /// A file of the archive.
    pub fn by_index(&mut self, _index: usize) -> ZipResult<ZipFile<'_>> {
        match self.none {}
    }
}

/// A file in an archive; there is none.
#[derive(Debug)]
pub struct ZipFile<'a> {
    none: Infallible,
    archive: PhantomData<&'a mut ()>,
}

impl ZipFile<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        match self.none {}
    }

    /// Its name as a relative path.
    pub fn mangled_name(&self) -> PathBuf {
        match self.none {}
    }

    /// Its size, in bytes.
    pub fn size(&self) -> u64 {
        match self.none {}
    }
}

impl Read for ZipFile<'_> {
    fn read(&mut self, _buffer: &mut [u8]) -> IoResult<usize> {
        match self.none {}
    }
}

/// An archive that is written, to which no file can be added.
#[derive(Debug)]
pub struct ZipWriter<W>(PhantomData<W>);

impl<W: Write> ZipWriter<W> {
    /// An archive without files; nothing is written to `_writer`.
    pub fn new(_writer: W) -> Self {
        Self(PhantomData)
    }

    /// Fails.
    pub fn start_file(&mut self, _name: impl Into<String>, _options: FileOptions) -> ZipResult<()> {
        Err(ZipError)
    }
}

impl<W> Write for ZipWriter<W> {
    fn write(&mut self, _buffer: &[u8]) -> IoResult<usize> {
        Err(std::io::Error::other(ZipError))
    }

    fn flush(&mut self) -> IoResult<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_refused() {
        assert!(ZipArchive::new(&b"PK\x05\x06"[..]).is_err());
        assert!(ZipWriter::new(Vec::new()).start_file("a.npy", FileOptions).is_err());
    }
}
