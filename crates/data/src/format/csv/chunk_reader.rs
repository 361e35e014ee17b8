//! Reads a table in chunks, in one pass: a file, or the files of a pattern one after the other.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::chunks::{Chunk, Chunks};
use super::converted::{CellType, Content, Converted, convert, first_line, source_of};
use super::layout::Layout;
use super::{files, text};
use crate::compression::Codec;
use crate::error::{Error, Result};
use crate::{hexadecimal, room, table_files};

/// The chunk size, and the minimum size of the first chunk. Smaller files are not worth more than one thread;
/// with a quarter of this size, handing over chunks takes a fifth of the time.
const CHUNK_SIZE: usize = 1 << 20;

/// The number of rows used to infer header, delimiter and column formats, …
pub const SAMPLE: usize = 1000;
/// … unless this number of bytes has fewer rows.
const MAX_SAMPLE_SIZE: usize = 1 << 26;

/// An iterator over chunks of complete rows of about [`CHUNK_SIZE`] bytes. The first chunk contains the rows
/// from which the layout is inferred.
pub(crate) struct ChunkReader {
    path: PathBuf,
    beginning: Option<Chunk>,
    chunks: Chunks,
    fingerprint: Fingerprint,
    types: Vec<Option<CellType>>,
    files: Vec<PathBuf>,
    /// The index of the file that is read.
    file: usize,
    delimiter: Option<u8>,
    /// The header that the other files must have, too.
    header: Option<Vec<String>>,
}

impl ChunkReader {
    /// Opens a file, decompresses it if it is gzip or zstd, and reads its beginning.
    ///
    /// # Errors
    /// A file that cannot be read or decompressed, or whose first rows contain NUL bytes.
    pub fn open(path: &Path) -> Result<Self> {
        let mut files = table_files::files(path);
        if files.is_empty() {
            files.push(path.to_path_buf());
        }
        let fingerprint = Fingerprint::default();
        let (chunks, types) = chunks(&files, 0, &fingerprint)?;
        let mut reader = ChunkReader {
            path: path.to_path_buf(),
            beginning: None,
            chunks,
            fingerprint,
            types,
            files,
            file: 0,
            delimiter: None,
            header: None,
        };
        let beginning = Chunk { first_line: first_line(path), text: Vec::new(), line_ends: 0 };
        reader.beginning = Some(reader.read_beginning(beginning)?);
        Ok(reader)
    }

    /// The first rows of a file, and the types of its columns, without those of other files.
    ///
    /// # Errors
    /// As for [`ChunkReader::open`].
    pub fn beginning_of(path: &Path, file: &Path) -> Result<(Vec<u8>, Vec<Option<CellType>>)> {
        let mut reader = ChunkReader::open(file)?;
        reader.path = path.to_path_buf();
        Ok((reader.beginning().to_vec(), reader.types))
    }

    /// The next chunk of the file that is read.
    fn next_of_file(&mut self) -> Option<Result<Chunk>> {
        self.chunks.next().map(|chunk| chunk.map_err(|fault| fault.of(&self.path)))
    }

    /// Opens the next file and reads its first chunk, without the header; `None` after the last file, and for an empty file.
    fn next_file(&mut self) -> Result<Option<Chunk>> {
        self.file += 1;
        (self.chunks, _) = chunks(&self.files, self.file, &self.fingerprint)?;
        if let Some(delimiter) = self.delimiter {
            self.chunks.set_delimiter(delimiter);
        }
        let Some(chunk) = self.next_of_file() else { return Ok(None) };
        let mut chunk = chunk?;
        if let (Some(header), Some(delimiter)) = (&self.header, self.delimiter) {
            files::remove_header(&self.files, self.file, &mut chunk, delimiter, header)?;
        }
        Ok(Some(chunk))
    }

    fn read_beginning(&mut self, mut beginning: Chunk) -> Result<Chunk> {
        let mut min_size = CHUNK_SIZE;
        while let Some(chunk) = self.next_of_file() {
            let chunk = chunk?;
            beginning.text.extend(chunk.text);
            beginning.line_ends += chunk.line_ends;
            if beginning.text.len() >= min_size {
                if has_sample(&beginning.text) {
                    break;
                }
                min_size = 2 * beginning.text.len();
            }
        }
        Ok(beginning)
    }

    /// The first rows: at least [`SAMPLE`], unless there are fewer or they are very long.
    pub fn beginning(&self) -> &[u8] {
        self.beginning.as_ref().map_or(&[], |chunk| &chunk.text)
    }

    /// The types of the columns of a converted file; none for delimited text.
    pub fn types(&self) -> &[Option<CellType>] {
        &self.types
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sets the delimiter, which determines the meaning of quotation marks.
    pub(crate) fn set_delimiter(&mut self, delimiter: u8) {
        self.delimiter = Some(delimiter);
        self.chunks.set_delimiter(delimiter);
    }

    /// Sets the header, which all files must have.
    pub(crate) fn set_header(&mut self, header: Option<Vec<String>>) {
        self.header = header;
    }

    /// Sets delimiter and header.
    pub(crate) fn set_layout(&mut self, layout: &Layout) {
        self.set_delimiter(layout.delimiter);
        self.set_header(layout.header.as_ref().map(|(names, _)| names.clone()));
    }

    /// The SHA-256 of the file on disk, complete once all chunks are read.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint.clone()
    }
}

impl Iterator for ChunkReader {
    type Item = Result<Chunk>;

    fn next(&mut self) -> Option<Result<Chunk>> {
        if let Some(beginning) = self.beginning.take() {
            return Some(Ok(beginning));
        }
        loop {
            if let Some(chunk) = self.next_of_file() {
                return Some(chunk);
            }
            if self.file + 1 == self.files.len() {
                return None;
            }
            match self.next_file() {
                Ok(Some(chunk)) => return Some(Ok(chunk)),
                Ok(None) => {}
                Err(error) => {
                    // The files after it are not read.
                    self.files.truncate(self.file + 1);
                    return Some(Err(error));
                }
            }
        }
    }
}

/// The chunks of one of the files of a table, and the types of its columns.
fn chunks(
    files: &[PathBuf],
    index: usize,
    fingerprint: &Fingerprint,
) -> Result<(Chunks, Vec<Option<CellType>>)> {
    let path = &files[index];
    let (source, types) = source(path, fingerprint)?;
    let first_line = table_files::line_of(index, first_line(path));
    Ok((Chunks::new(source, CHUNK_SIZE, text::delimiters(path), first_line), types))
}

fn has_sample(text: &[u8]) -> bool {
    let rows = text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    text.len() >= MAX_SAMPLE_SIZE || rows.take(SAMPLE).count() == SAMPLE
}

/// The text of a file, and the types of its columns, if it has any.
type OpenTable = (Box<dyn Read + Send>, Vec<Option<CellType>>);

/// Opens a file, decompressed or converted; the hash covers the bytes on disk.
fn source(path: &Path, fingerprint: &Fingerprint) -> Result<OpenTable> {
    let unreadable = |e: io::Error| Error::data(path, format!("cannot read the file: {e}"));
    let file = room::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let mut file = BufReader::new(file);
    let codec = Codec::of(path, file.fill_buf().map_err(unreadable)?);
    let mut file = HashingReader { file, fingerprint: fingerprint.clone() };
    if let Some(source) = source_of(path) {
        // Converted files are read more than once, and not from beginning to end.
        io::copy(&mut file, &mut io::sink()).map_err(unreadable)?;
        let Converted { text, types } = convert(path, source, &Content::of(path)?)?;
        return Ok((text, types));
    }
    let source: Box<dyn Read + Send> = match codec {
        Some(codec) => codec.table_reader(path, BufReader::new(file), size),
        None => Box::new(file),
    };
    Ok((source, Vec::new()))
}

/// SHA-256 of the bytes read so far.
#[derive(Clone, Default)]
pub(crate) struct Fingerprint(Arc<Mutex<Sha256>>);

impl Fingerprint {
    fn add(&self, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).update(bytes);
    }

    /// The hash as 64 hexadecimal digits.
    pub fn sha256(&self) -> String {
        hexadecimal(&self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().finalize())
    }
}

/// A reader that adds all bytes to a hash.
struct HashingReader<R> {
    file: R,
    fingerprint: Fingerprint,
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(bytes)?;
        self.fingerprint.add(&bytes[..count]);
        Ok(count)
    }
}
