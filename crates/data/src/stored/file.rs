//! The file of stored rows: blocks, then a description of them, whose place is at the end of the file.
//!
//! A block and the description each have a checksum. The file gets its name once it is complete.

use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use flate2::Crc;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use super::block::{Block, encode};
use super::texts::{self, BlockTexts, PendingTexts};
use crate::atomic;
use crate::error::{Error, Result};

/// The last bytes of a file.
const MAGIC: &[u8; 8] = b"CRSROWS2";

/// The bytes after the description: its checksum, its length, and [`MAGIC`].
const TAIL: usize = 4 + 8 + MAGIC.len();

/// Where a block is, and how many rows it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Place {
    offset: u64,
    pub bytes: u32,
    checksum: u32,
    pub rows: u32,
}

/// A file that is being written.
pub(super) struct FileWriter {
    path: PathBuf,
    /// Removed with what is in it, unless the file is completed.
    folder: TempDir,
    file: BufWriter<File>,
    offset: u64,
    encoded: Vec<u8>,
}

impl FileWriter {
    /// Begins the file that `path` becomes.
    ///
    /// # Errors
    /// A folder that cannot be written to.
    pub fn create(path: &Path) -> Result<Self> {
        let parent = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(Error::io("create the folder", parent))?;
        let folder = atomic::partial(parent)?;
        let file = File::create(temporary(&folder)).map_err(Error::io("write", path))?;
        let file = BufWriter::with_capacity(1 << 20, file);
        Ok(FileWriter { path: path.to_path_buf(), folder, file, offset: 0, encoded: Vec::new() })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|reason| unwritable(&self.path, reason))?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    /// Adds a block of columns of the same length.
    ///
    /// # Errors
    /// A full disk.
    pub fn block(&mut self, columns: &[Vec<f32>], rows: usize) -> Result<Place> {
        self.part(rows, |bytes| encode(columns, bytes))
    }

    /// Adds the texts of the rows of a block, and clears these.
    ///
    /// # Errors
    /// A full disk.
    pub fn texts(&mut self, columns: &mut [PendingTexts], rows: usize) -> Result<Place> {
        self.part(rows, |bytes| texts::encode(columns, bytes))
    }

    /// Adds what `encode` makes of rows.
    fn part(&mut self, rows: usize, encode: impl FnOnce(&mut Vec<u8>)) -> Result<Place> {
        let mut bytes = std::mem::take(&mut self.encoded);
        bytes.clear();
        encode(&mut bytes);
        let place = Place {
            offset: self.offset,
            bytes: bytes.len() as u32,
            checksum: checksum(&bytes),
            rows: rows as u32,
        };
        let written = self.write(&bytes);
        self.encoded = bytes;
        written.map(|()| place)
    }

    /// Adds the description and gives the file its name. Returns its size.
    ///
    /// # Errors
    /// A full disk.
    pub fn finish(mut self, description: &impl Serialize) -> Result<u64> {
        let text = serde_json::to_vec(description).expect("a description can be serialized");
        self.write(&text)?;
        self.write(&checksum(&text).to_le_bytes())?;
        self.write(&(text.len() as u64).to_le_bytes())?;
        self.write(MAGIC)?;
        let FileWriter { path, folder, file, offset, .. } = self;
        let file = file.into_inner().map_err(|error| unwritable(&path, error.into_error()))?;
        file.sync_all().map_err(|reason| unwritable(&path, reason))?;
        fs::rename(temporary(&folder), &path).map_err(Error::io("write", &path))?;
        Ok(offset)
    }
}

fn temporary(folder: &TempDir) -> PathBuf {
    folder.path().join("rows")
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// The error for a file that cannot be written, with a remedy if the disk is full.
fn unwritable(path: &Path, reason: std::io::Error) -> Error {
    let reason = match reason.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            let remedy = "the rows of a table that is streamed need room there; set XDG_CACHE_HOME to a folder on a larger disk";
            std::io::Error::new(reason.kind(), format!("{reason}; {remedy}"))
        }
        _ => reason,
    };
    Error::io("write", path)(reason)
}

/// A complete file.
#[derive(Debug)]
pub(crate) struct StoredFile {
    path: PathBuf,
    file: File,
    size: u64,
}

impl StoredFile {
    /// Opens a file and reads its description; `None` if it is incomplete or damaged.
    pub fn open<T: DeserializeOwned>(path: &Path) -> Option<(Self, T)> {
        let file = File::open(path).ok()?;
        let size = file.metadata().ok()?.len();
        let start = size.checked_sub(TAIL as u64)?;
        let mut tail = [0; TAIL];
        file.read_exact_at(&mut tail, start).ok()?;
        let (sum, rest) = tail.split_first_chunk::<4>()?;
        let (length, magic) = rest.split_first_chunk::<8>()?;
        let length = u64::from_le_bytes(*length);
        if magic != MAGIC || length > start {
            return None;
        }
        let mut text = vec![0; length as usize];
        file.read_exact_at(&mut text, start - length).ok()?;
        if checksum(&text) != u32::from_le_bytes(*sum) {
            return None;
        }
        let description = serde_json::from_slice(&text).ok()?;
        Some((StoredFile { path: path.to_path_buf(), file, size }, description))
    }

    /// Another handle of the file.
    ///
    /// # Errors
    /// Too many open files.
    pub fn again(&self) -> Result<Self> {
        let file = self.file.try_clone().map_err(Error::io("read", &self.path))?;
        Ok(StoredFile { path: self.path.clone(), file, size: self.size })
    }

    /// The size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Reads a block with this number of columns.
    ///
    /// # Errors
    /// A file that was changed since it was opened.
    pub(super) fn read(&self, place: &Place, columns: usize) -> Result<Block> {
        let bytes = self.bytes(place)?;
        bytes.and_then(|bytes| Block::new(bytes, columns, place.rows as usize)).ok_or_else(|| self.damaged())
    }

    /// Reads the texts of the rows of a block in this number of columns.
    ///
    /// # Errors
    /// As for [`StoredFile::read`].
    pub(super) fn read_texts(&self, place: &Place, columns: usize) -> Result<BlockTexts> {
        let bytes = self.bytes(place)?;
        let texts = bytes.and_then(|bytes| BlockTexts::new(&bytes, columns, place.rows as usize));
        texts.ok_or_else(|| self.damaged())
    }

    /// The bytes at a place; `None` if they were changed.
    fn bytes(&self, place: &Place) -> Result<Option<Vec<u8>>> {
        let mut bytes = vec![0; place.bytes as usize];
        let read = self.file.read_exact_at(&mut bytes, place.offset);
        read.map_err(Error::io("read", &self.path))?;
        Ok((checksum(&bytes) == place.checksum).then_some(bytes))
    }

    fn damaged(&self) -> Error {
        let problem = "the stored rows of a table that is streamed are damaged; remove the file, which is written again from the table";
        Error::data(self.path.as_path(), problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(path: &Path) -> Vec<Place> {
        let mut writer = FileWriter::create(path).unwrap();
        let places = [vec![vec![1f32, 2.], vec![0.5, 0.25]], vec![vec![7f32], vec![f32::NAN]]]
            .map(|columns| writer.block(&columns, columns[0].len()).unwrap());
        writer.finish(&places.to_vec()).unwrap();
        places.to_vec()
    }

    #[test]
    fn blocks_are_read_at_their_places() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.rows");
        let places = written(&path);
        let (file, found) = StoredFile::open::<Vec<Place>>(&path).unwrap();
        assert_eq!((&found, file.size()), (&places, path.metadata().unwrap().len()));
        let block = file.read(&places[1], 2).unwrap();
        assert!(block.column(0).value(0) == 7. && block.column(1).value(0).is_nan());
        assert_eq!(file.read(&places[0], 2).unwrap().column(1).value(1), 0.25);
    }

    #[test]
    fn damage_is_noticed_wherever_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.rows");
        let places = written(&path);
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(StoredFile::open::<Vec<Place>>(&path).is_none(), "{length}");
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&path, &bytes).unwrap();
            let Some((file, found)) = StoredFile::open::<Vec<Place>>(&path) else { continue };
            assert_eq!(found, places);
            assert!(places.iter().any(|place| file.read(place, 2).is_err()), "{at}");
        }
    }

    #[test]
    fn an_unfinished_file_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.rows");
        let mut writer = FileWriter::create(&path).unwrap();
        writer.block(&[vec![1.]], 1).unwrap();
        drop(writer);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let full = std::io::Error::from(ErrorKind::StorageFull);
        let message = unwritable(&path, full).to_string();
        assert!(message.contains("a.rows") && message.contains("XDG_CACHE_HOME"), "{message}");
    }
}
