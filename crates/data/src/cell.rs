//! The cells of tables.

/// Whether a cell marks a missing value.
pub fn is_missing(cell: &[u8]) -> bool {
    const MARKS: [&[u8]; 7] = [b"", b"?", b"na", b"n/a", b"nan", b"null", b"none"];
    cell.len() <= 4 && MARKS.iter().any(|mark| cell.eq_ignore_ascii_case(mark))
}
