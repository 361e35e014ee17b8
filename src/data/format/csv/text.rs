//! A text file as bytes: unpacked, without a byte order mark, and free of what no table holds.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::rows::for_each_row;
use crate::data::sha256;
use crate::error::{Error, Place, Result};

/// The text of a file.
pub struct Text {
    /// The file as it is on the disk, if it is packed.
    packed: Option<Vec<u8>>,
    /// The unpacked bytes, with the byte order mark.
    bytes: Vec<u8>,
}

/// What a compressed file may unpack to: so much in any case, …
const UNPACKED_FREELY: u64 = 1 << 30;
/// … and beyond it so many times its own size. Tables pack to a tenth or a twentieth, bombs to a thousandth.
const UNPACKED_TIMES: u64 = 100;

/// What some programs put in front of UTF-8.
pub const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Whether a file is packed, by its name.
pub fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"))
}

/// What to say of a NUL byte.
pub const NUL: &str = "a NUL byte stands here, so the file is damaged or in an encoding such as UTF-16; save it as CSV in UTF-8";

impl Text {
    /// Reads a file, and unpacks it if its name ends in `.gz`.
    ///
    /// # Errors
    /// A file that cannot be read or unpacked, or that holds NUL bytes.
    pub fn read(path: &Path) -> Result<Self> {
        let unreadable = |e: std::io::Error| Error::data(path, format!("cannot read the file: {e}"));
        let bytes = read(path).map_err(unreadable)?;
        let text = if is_packed(path) {
            Text { bytes: unpack(path, &bytes)?, packed: Some(bytes) }
        } else {
            Text { bytes, packed: None }
        };
        refuse_nul(path, text.as_bytes())?;
        Ok(text)
    }

    /// SHA-256 of the file as it is on the disk.
    pub fn sha256(&self) -> String {
        sha256(self.packed.as_ref().unwrap_or(&self.bytes))
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&self.bytes)
    }
}

/// Unpacks gzip, but no bomb.
pub fn unpack(path: &Path, packed: &[u8]) -> Result<Vec<u8>> {
    let most = UNPACKED_FREELY.max(packed.len() as u64 * UNPACKED_TIMES);
    let mut bytes = Vec::new();
    let unpacked = MultiGzDecoder::new(packed).take(most + 1).read_to_end(&mut bytes);
    unpacked.map_err(|e| Error::data(path, format!("the file is no gzip, or it is damaged ({e})")))?;
    if bytes.len() as u64 > most {
        let problem = format!(
            "the file unpacks to more than {UNPACKED_TIMES} times its size and more than {} GiB, so it is no table; unpack it by hand if it is",
            UNPACKED_FREELY >> 30
        );
        return Err(Error::data(path, problem));
    }
    Ok(bytes)
}

/// Below this, threads cost more than they save.
const SMALLEST_PART: u64 = 1 << 22;

/// Reads a file, a large one in parts on all cores: copying it out of the page cache, into memory that the system has yet to
/// find, takes a good part of the time that parsing does.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let about = file.metadata()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    if !about.is_file() || about.len() < cores * SMALLEST_PART {
        return std::fs::read(path);
    }
    let mut bytes = vec![0; about.len() as usize];
    let part = about.len().div_ceil(cores);
    let is_read = std::thread::scope(|scope| {
        let file = &file;
        let start = |(place, into)| scope.spawn(move || file.read_exact_at(into, place));
        let parts = (0..).step_by(part as usize).zip(bytes.chunks_mut(part as usize));
        let threads: Vec<_> = parts.map(start).collect();
        threads.into_iter().all(|thread| thread.join().expect("reading does not panic").is_ok())
    });
    // One that changes while it is read, say, is read as it then is.
    if is_read { Ok(bytes) } else { std::fs::read(path) }
}

fn refuse_nul(path: &Path, text: &[u8]) -> Result<()> {
    let Some(at) = memchr::memchr(0, text) else {
        return Ok(());
    };
    let line = 1 + memchr::memchr_iter(b'\n', &text[..at]).count();
    Err(Error::data(Place::line(path, line as u64), NUL))
}

/// The rows by which the delimiter is told.
const SAMPLE: usize = 20;

/// The bytes that may stand between cells of a file, the likeliest first: a tab in a `.tsv`.
pub fn delimiters(path: &Path) -> &'static [u8] {
    if crate::data::format::has_extension(path, &["tsv", "tsv.gz"]) { b"\t" } else { b",;\t|" }
}

/// The byte between cells: a tab in a `.tsv`; else the one of `,` `;` tab and `|` that cuts the first rows into equally
/// many cells, and into the most. A comma if none does.
pub fn delimiter(path: &Path, text: &[u8]) -> u8 {
    let cells = |delimiter: u8| {
        let mut counts = Vec::new();
        let _ = for_each_row(path, text, delimiter, 1, &mut |row| {
            counts.push(row.cells.len());
            // An error ends the walk.
            if counts.len() < SAMPLE { Ok(()) } else { Err(Error::Usage(String::new())) }
        });
        let first = counts.first().copied().unwrap_or(0);
        if first > 1 && counts.iter().all(|count| *count == first) { first } else { 0 }
    };
    // Of equals, the last is taken.
    let candidates = delimiters(path).iter().rev().copied();
    candidates.max_by_key(|delimiter| cells(*delimiter)).expect("there are candidates")
}
