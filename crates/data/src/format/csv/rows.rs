//! Rows and cells of a text.

use std::path::Path;

use csv::{ByteRecord, ReaderBuilder};

use crate::cell::ZERO_WIDTH;
use crate::error::{Error, Location, Result};

/// A row of a table.
pub struct Row<'a> {
    /// The first line, from 1.
    pub line: u64,
    /// The cells, without surrounding white space.
    pub cells: &'a [&'a [u8]],
}

impl Row<'_> {
    /// A hint for a row over several lines, which is rarely intended.
    pub(crate) fn unclosed_quote_hint(&self) -> &'static str {
        if self.cells.iter().any(|cell| cell.contains(&b'\n')) {
            "; a quotation mark in this row is not closed, so it includes the following lines"
        } else {
            ""
        }
    }
}

/// Calls `work` for each row of a text that begins at line `first_line`, skipping blank lines.
///
/// # Errors
/// Errors of `work`, which stop the iteration.
pub(crate) fn for_each_row(
    path: &Path,
    text: &[u8],
    delimiter: u8,
    first_line: u64,
    work: &mut dyn FnMut(Row) -> Result<()>,
) -> Result<()> {
    let mut cells = Vec::new();
    let (mut rest, mut line) = (text, first_line);
    // Quotation marks are searched row by row, because iteration often stops after a few rows.
    while !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest);
        let row = &rest[..end.unwrap_or(rest.len())];
        if memchr::memchr(b'"', row).is_some() {
            return quoted_rows(path, rest, delimiter, line, work);
        }
        cells.clear();
        cells.extend(row.split(|byte| *byte == delimiter).map(trim));
        if !matches!(cells[..], [b""]) {
            work(Row { line, cells: &cells })?;
        }
        rest = end.map_or(&[], |end| &rest[end + 1..]);
        line += 1;
    }
    Ok(())
}

fn quoted_rows(
    path: &Path,
    text: &[u8],
    delimiter: u8,
    first_line: u64,
    work: &mut dyn FnMut(Row) -> Result<()>,
) -> Result<()> {
    let mut reader =
        ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(text);
    let mut record = ByteRecord::new();
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(false) => return Ok(()),
            Ok(true) => {}
            Err(error) => return Err(Error::data(path, format!("invalid CSV: {error}"))),
        }
        let position = record.position().expect("a record that was read has a position");
        let line = first_line + position.line() - 1 + blank_lines(&text[position.byte() as usize..]);
        let cells: Vec<_> = record.iter().map(trim).collect();
        work(Row { line, cells: &cells })?;
    }
}

/// The csv reader's position of a row is before the blank lines above it.
fn blank_lines(rest: &[u8]) -> u64 {
    let blank = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    blank.filter(|byte| **byte == b'\n').count() as u64
}

/// Removes surrounding ASCII and Unicode white space and zero-width characters, such as a byte order mark.
pub fn trim(cell: &[u8]) -> &[u8] {
    let cell = cell.trim_ascii();
    let is_ascii = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii);
    if is_ascii(cell.first()) && is_ascii(cell.last()) {
        return cell;
    }
    let is_blank = |c: char| c.is_whitespace() || ZERO_WIDTH.contains(&c);
    std::str::from_utf8(cell).map_or(cell, |text| text.trim_matches(is_blank).as_bytes())
}

/// The problem of a cell that is not UTF-8.
pub const NOT_UTF8: &str = "the text is not UTF-8; save the file as CSV in UTF-8";

/// Decodes a cell as UTF-8.
///
/// # Errors
/// A cell that is not UTF-8.
pub fn text_of(cell: &[u8], location: impl FnOnce() -> Location) -> Result<&str> {
    std::str::from_utf8(cell).map_err(|_| Error::data(location(), NOT_UTF8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows_of(text: &[u8], first_line: u64) -> Vec<(u64, Vec<Vec<u8>>)> {
        let mut rows = Vec::new();
        for_each_row(Path::new("a.csv"), text, b',', first_line, &mut |row| {
            rows.push((row.line, row.cells.iter().map(|cell| cell.to_vec()).collect()));
            Ok(())
        })
        .unwrap();
        rows
    }

    #[test]
    fn white_space_of_all_kinds_is_trimmed() {
        for text in ["a b", " a b\t", "a b\u{a0}", "\u{feff}a b", "\u{200b}\u{3000} a b \u{202f}\r"] {
            assert_eq!(trim(text.as_bytes()), b"a b", "{text:?}");
        }
        assert_eq!(trim("\u{a0}".as_bytes()), b"");
        assert_eq!(trim("é".as_bytes()), "é".as_bytes());
        assert_eq!(trim(b" \xa0a\xff "), b"\xa0a\xff");
    }

    proptest! {
        #[test]
        fn rows_with_and_without_quotation_marks_are_the_same(
            rows in prop::collection::vec(prop::collection::vec("[a-z]{1,3}", 1..4), 1..6), blank in 0usize..3
        ) {
            let text = |mark: &str| {
                let cell = |cell: &String| format!("{mark}{cell}{mark}");
                let line = |row: &Vec<String>| row.iter().map(cell).collect::<Vec<_>>().join(",") + "\n";
                rows.iter().map(|row| line(row) + &"\n".repeat(blank)).collect::<String>()
            };
            prop_assert_eq!(rows_of(text("").as_bytes(), 5), rows_of(text("\"").as_bytes(), 5));
        }
    }
}
