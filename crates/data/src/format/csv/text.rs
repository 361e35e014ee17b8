//! Delimiters and binary signatures of table files.

use std::path::Path;

use super::converted::source_of;

/// The UTF-8 byte order mark, which some programs write.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The error for a NUL byte.
pub const NUL: &str =
    "unexpected NUL byte: the file is damaged or in an encoding such as UTF-16; save it as CSV in UTF-8";

/// The possible delimiters of a file, in order of preference: only a tab in a `.tsv`.
pub fn delimiters(path: &Path) -> &'static [u8] {
    if crate::format::has_extension(path, &["tsv", "tsv.gz", "tsv.zst"]) {
        b"\t"
    } else if source_of(path).is_some() {
        b","
    } else {
        b",;\t|"
    }
}

/// The error for a binary file with a known signature: its type and a remedy.
pub fn binary(beginning: &[u8]) -> Option<String> {
    let is =
        |signature: &[u8], at: usize| beginning.get(at..).is_some_and(|rest| rest.starts_with(signature));
    let has_nul = || memchr::memchr(0, beginning).is_some();
    let decompress = "decompress it, and use the table inside";
    let kind = if is(b"PK\x03\x04", 0) {
        let has = |name: &[u8]| memchr::memmem::find(beginning, name).is_some();
        if has(b"xl/") || has(b"[Content_Types].xml") {
            ("an Excel workbook or another office document", "save its sheet as CSV in UTF-8")
        } else {
            ("a zip archive", decompress)
        }
    } else if is(b"\x1f\x8b", 0) {
        ("compressed with gzip", decompress)
    } else if is(b"BZh", 0) && is(b"1AY&SY", 4) {
        ("compressed with bzip2", decompress)
    } else if is(b"\xfd7zXZ", 0) {
        ("compressed with xz", decompress)
    } else if is(b"\x28\xb5\x2f\xfd", 0) {
        ("compressed with zstd", decompress)
    } else if is(b"\xff\xfe", 0) || is(b"\xfe\xff", 0) {
        ("text in UTF-16", "save it as CSV in UTF-8")
    } else if is(b"\xd0\xcf\x11\xe0", 0) {
        ("an old Excel or office document", "save its sheet as CSV in UTF-8")
    } else if is(b"\x89HDF", 0) || (is(b"PAR1", 0) || is(b"SQLite format 3", 0)) && has_nul() {
        (
            "a database or columnar file (HDF5 or SQLite, or Parquet, whose name ends in .parquet)",
            "export its table as CSV in UTF-8",
        )
    } else if is(b"%PDF-", 0) {
        ("a PDF", "save its table as CSV in UTF-8")
    } else if is(b"\x89PNG", 0) || is(b"\xff\xd8\xff", 0) || is(b"GIF8", 0) && has_nul() {
        ("an image", "rename it with the extension of its format")
    } else if is(b"\0", 0) && is(b"ftyp", 4) {
        ("a HEIC or AVIF image or a video", "save it as JPEG or PNG")
    } else {
        return None;
    };
    Some(format!("the file is {}, not a text table in UTF-8; {}", kind.0, kind.1))
}
