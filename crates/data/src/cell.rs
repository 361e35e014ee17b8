//! The cells of tables.

/// The marks of missing values, in lower case.
pub const MISSING_MARKS: [&str; 7] = ["", "?", "na", "n/a", "nan", "null", "none"];

/// The characters without a width that are removed around cells, such as a byte order mark.
pub const ZERO_WIDTH: [char; 6] = ['\u{feff}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{180e}'];

/// Whether a cell marks a missing value.
pub fn is_missing(cell: &[u8]) -> bool {
    cell.len() <= 4 && MISSING_MARKS.iter().any(|mark| cell.eq_ignore_ascii_case(mark.as_bytes()))
}
