//! Locations of encoded images: files or archive members.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The location of an encoded image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSource {
    /// A file.
    File(PathBuf),
    /// A member of an uncompressed archive.
    Member {
        /// The archive.
        archive: Arc<Path>,
        /// The offset of its first byte.
        offset: u64,
        /// Its length in bytes.
        length: u64,
    },
}

impl ImageSource {
    /// Reads the encoded image into `bytes`, replacing their contents.
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
