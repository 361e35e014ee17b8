//! Where an encoded picture is: a file, or a stretch of an archive.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where an encoded picture is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSource {
    /// A file of its own.
    File(PathBuf),
    /// A stretch of an archive that holds many.
    Member {
        /// The archive.
        archive: Arc<Path>,
        /// Where its bytes begin.
        offset: u64,
        /// The number of its bytes.
        length: u64,
    },
}

impl ImageSource {
    /// Reads the encoded picture into `bytes`, whose old contents are dropped.
    pub fn read(&self, bytes: &mut Vec<u8>) -> io::Result<()> {
        bytes.clear();
        match self {
            ImageSource::File(path) => File::open(path)?.read_to_end(bytes).map(drop),
            ImageSource::Member { archive, offset, length } => {
                let mut file = File::open(archive)?;
                file.seek(SeekFrom::Start(*offset))?;
                file.take(*length).read_to_end(bytes).map(drop)
            }
        }
    }
}
