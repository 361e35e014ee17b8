//! What is known of a text before its rows are: how it is packed, and what stands between its cells.

use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::rows::for_each_row;
use crate::error::{Error, Result};

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
