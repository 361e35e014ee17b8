//! A text that is read through once, from its file to its last row.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::pieces::{Piece, Pieces};
use super::text;
use crate::error::{Error, Place, Result};
use crate::{hexadecimal, room};

/// Bytes that are read at once, and the least that is looked at before the rest is read. What is no larger is not worth more than one
/// thread; of a quarter as many, handing them on takes a fifth of the time.
const AT_ONCE: usize = 1 << 20;

/// The rows by which header, delimiter and kinds of columns are told, …
pub const SAMPLE: usize = 1000;
/// … unless so many bytes have fewer.
const LONGEST_SAMPLE: usize = 1 << 26;

/// The rows of a file, piece by piece: whole rows of about [`AT_ONCE`] bytes, the first piece with the rows by which the others
/// are understood.
pub struct Reading {
    path: PathBuf,
    beginning: Option<Piece>,
    pieces: Pieces,
    fingerprint: Fingerprint,
}

impl Reading {
    /// Opens a file, unpacks it if it is gzip, and reads its beginning.
    ///
    /// # Errors
    /// A file that cannot be read or unpacked, or whose first rows hold NUL bytes.
    pub fn open(path: &Path) -> Result<Self> {
        let fingerprint = Fingerprint::default();
        let source = source(path, &fingerprint)?;
        let pieces = Pieces::new(source, AT_ONCE, text::delimiters(path));
        let beginning = Piece { first_line: 1, text: Vec::new(), line_ends: 0 };
        let mut reading = Reading { path: path.to_path_buf(), beginning: None, pieces, fingerprint };
        reading.beginning = Some(reading.read_beginning(beginning)?);
        Ok(reading)
    }

    fn read_beginning(&mut self, mut beginning: Piece) -> Result<Piece> {
        let mut enough = AT_ONCE;
        for piece in self.by_ref() {
            let piece = piece?;
            beginning.text.extend(piece.text);
            beginning.line_ends += piece.line_ends;
            if beginning.text.len() >= enough {
                if has_sample(&beginning.text) {
                    break;
                }
                enough = 2 * beginning.text.len();
            }
        }
        Ok(beginning)
    }

    /// The first rows: at least [`SAMPLE`] of them, if there are as many and they are not very long.
    pub fn beginning(&self) -> &[u8] {
        self.beginning.as_ref().map_or(&[], |piece| &piece.text)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Says what stands between cells, by which quotation marks are understood.
    pub fn settle(&mut self, delimiter: u8) {
        self.pieces.settle(delimiter);
    }

    /// What tells the SHA-256 of the file as it is on the disk, once all pieces were read.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint.clone()
    }
}

impl Iterator for Reading {
    type Item = Result<Piece>;

    fn next(&mut self) -> Option<Result<Piece>> {
        if let Some(beginning) = self.beginning.take() {
            return Some(Ok(beginning));
        }
        let fault = |(line, problem)| Error::data(Place::line(&self.path, line), problem);
        self.pieces.next().map(|piece| piece.map_err(fault))
    }
}

fn has_sample(text: &[u8]) -> bool {
    let rows = text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    text.len() >= LONGEST_SAMPLE || rows.take(SAMPLE).count() == SAMPLE
}

/// The bytes of a file, unpacked. Those on the disk are counted in.
fn source(path: &Path, fingerprint: &Fingerprint) -> Result<Box<dyn Read + Send>> {
    let unreadable = |e: io::Error| Error::data(path, format!("cannot read the file: {e}"));
    let mut file = BufReader::new(room::open(path).map_err(unreadable)?);
    let is_gzip = text::is_gzip(path, file.fill_buf().map_err(unreadable)?);
    let mut file = Counted { file, fingerprint: fingerprint.clone() };
    if !is_gzip {
        return Ok(Box::new(file));
    }
    let mut packed = Vec::new();
    file.read_to_end(&mut packed).map_err(unreadable)?;
    Ok(Box::new(Cursor::new(text::unpack(path, &packed)?)))
}

/// SHA-256 of what was read so far.
#[derive(Clone, Default)]
pub struct Fingerprint(Arc<Mutex<Sha256>>);

impl Fingerprint {
    fn add(&self, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).update(bytes);
    }

    /// As 64 hexadecimal digits.
    pub fn sha256(&self) -> String {
        hexadecimal(&self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().finalize())
    }
}

/// A file whose bytes are added to a fingerprint as they are read.
struct Counted<R> {
    file: R,
    fingerprint: Fingerprint,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(bytes)?;
        self.fingerprint.add(&bytes[..count]);
        Ok(count)
    }
}
