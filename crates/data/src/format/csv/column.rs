//! The cells of one column, as they are.

use std::collections::HashMap;
use std::path::Path;

use super::delimiter;
use super::layout::find;
use super::reading::Reading;
use super::rows::{Row, for_each_row, text_of};
use super::text;
use crate::error::{Error, Place, Result, quoted};
use crate::options::ColumnChoice;

/// A column of a table.
pub struct TextColumn {
    /// Its name in the header, or its number, from 1.
    pub name: String,
    /// Its cells, by the line at which their row begins; that of the header too.
    pub cells: HashMap<u64, String>,
}

/// The cells of all rows of a table, with the line at which each row begins; a header is one of them.
///
/// # Errors
/// A file that cannot be read, and a cell that is not UTF-8.
pub fn rows(path: &Path) -> Result<Vec<(u64, Vec<String>)>> {
    let mut reading = Reading::open(path)?;
    let delimiter = delimiter::delimiter(path, reading.beginning());
    reading.settle(delimiter);
    let mut rows = Vec::new();
    let mut take = |row: Row| {
        let cell = |cell: &&[u8]| text_of(cell, || Place::line(path, row.line)).map(str::to_string);
        rows.push((row.line, row.cells.iter().map(cell).collect::<Result<_>>()?));
        Ok(())
    };
    for piece in reading {
        let piece = piece?;
        let text = piece.text.strip_prefix(text::BYTE_ORDER_MARK).unwrap_or(&piece.text);
        for_each_row(path, text, delimiter, piece.first_line, &mut take)?;
    }
    Ok(rows)
}

/// Some of the first rows of a table, to find out what it is.
///
/// # Errors
/// A file that cannot be read.
pub fn first_rows(path: &Path) -> Result<Vec<Vec<String>>> {
    const SHOWN: usize = 64;
    let reading = Reading::open(path)?;
    let text = reading.beginning();
    let mut rows = Vec::new();
    let text = text.strip_prefix(text::BYTE_ORDER_MARK).unwrap_or(text);
    let _ = for_each_row(path, text, delimiter::delimiter(path, text), 1, &mut |row| {
        rows.push(row.cells.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect());
        // An error ends the walk.
        if rows.len() < SHOWN { Ok(()) } else { Err(Error::Usage(String::new())) }
    });
    Ok(rows)
}

/// Reads one column of a table whose first example begins at `first_line`. A row without that column has no cell.
///
/// # Errors
/// A file that cannot be read, a choice that names no column of it, and a cell that is not UTF-8.
pub fn read_column(path: &Path, choice: &ColumnChoice, first_line: u64) -> Result<TextColumn> {
    let mut reading = Reading::open(path)?;
    let delimiter = delimiter::delimiter(path, reading.beginning());
    reading.settle(delimiter);
    let mut place = None;
    let mut name = String::new();
    let mut cells = HashMap::new();
    let mut take = |row: Row| {
        let column = match place {
            Some(column) => column,
            None => {
                let has_header = row.line < first_line;
                let names = row.cells.iter().map(|cell| String::from_utf8_lossy(cell).into_owned());
                let names: Vec<_> = names.filter(|_| has_header).collect();
                if let ColumnChoice::Name(name) = choice
                    && !has_header
                {
                    let problem = format!(
                        "the table has no header, and so no column {}; give its number",
                        quoted(name)
                    );
                    return Err(Error::data(path, problem));
                }
                let column = find(path, choice, row.cells.len(), Some(&names))?;
                name = names.get(column).cloned().unwrap_or_else(|| (column + 1).to_string());
                *place.insert(column)
            }
        };
        if let Some(cell) = row.cells.get(column) {
            let place = || Place::line(path, row.line).column((column + 1).to_string());
            cells.insert(row.line, text_of(cell, place)?.to_string());
        }
        Ok(())
    };
    for piece in reading {
        let piece = piece?;
        for_each_row(path, &piece.text, delimiter, piece.first_line, &mut take)?;
    }
    Ok(TextColumn { name, cells })
}
