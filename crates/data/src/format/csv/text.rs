//! What is known of a text before its rows are: how it is packed, and what stands between its cells.

use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;

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

/// The bytes that may stand between cells of a file, the likeliest first: a tab in a `.tsv`.
pub fn delimiters(path: &Path) -> &'static [u8] {
    if crate::format::has_extension(path, &["tsv", "tsv.gz"]) { b"\t" } else { b",;\t|" }
}

/// What a file is that is no text, by its first bytes, and what to do with it.
pub fn binary(beginning: &[u8]) -> Option<String> {
    let is =
        |signature: &[u8], at: usize| beginning.get(at..).is_some_and(|rest| rest.starts_with(signature));
    let has_nul = || memchr::memchr(0, beginning).is_some();
    let unpack = "unpack it, and give the table that is in it";
    let kind = if is(b"PK\x03\x04", 0) {
        let has = |name: &[u8]| memchr::memmem::find(beginning, name).is_some();
        if has(b"xl/") || has(b"[Content_Types].xml") {
            ("an Excel workbook or another office document", "save its sheet as CSV in UTF-8")
        } else {
            ("a zip archive", unpack)
        }
    } else if is(b"\x1f\x8b", 0) {
        ("compressed with gzip", unpack)
    } else if is(b"BZh", 0) && is(b"1AY&SY", 4) {
        ("compressed with bzip2", unpack)
    } else if is(b"\xfd7zXZ", 0) {
        ("compressed with xz", unpack)
    } else if is(b"\x28\xb5\x2f\xfd", 0) {
        ("compressed with zstd", unpack)
    } else if is(b"\xff\xfe", 0) || is(b"\xfe\xff", 0) {
        ("text in UTF-16", "save it as CSV in UTF-8")
    } else if is(b"\xd0\xcf\x11\xe0", 0) {
        ("an old Excel or office document", "save its sheet as CSV in UTF-8")
    } else if is(b"\x89HDF", 0) || (is(b"PAR1", 0) || is(b"SQLite format 3", 0)) && has_nul() {
        ("a data base or a file of columns (Parquet, HDF5 or SQLite)", "write its table as CSV in UTF-8")
    } else if is(b"%PDF-", 0) {
        ("a PDF", "a table is needed as CSV in UTF-8")
    } else if is(b"\x89PNG", 0) || is(b"\xff\xd8\xff", 0) || is(b"GIF8", 0) && has_nul() {
        ("an image", "give it with the ending of its format")
    } else if is(b"\0", 0) && is(b"ftyp", 4) {
        ("a HEIC or AVIF image or a video", "save it as JPEG or PNG")
    } else {
        return None;
    };
    Some(format!("the file is {}, not a table as text in UTF-8; {}", kind.0, kind.1))
}

/// The bytes of a file that may be packed: gzip is unpacked whatever the name says.
pub fn is_gzip(path: &Path, beginning: &[u8]) -> bool {
    is_packed(path) || beginning.starts_with(b"\x1f\x8b")
}
