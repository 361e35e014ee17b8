//! The cells of one column, as they are.

use std::collections::HashMap;
use std::path::Path;

use super::delimiter;
use super::layout::find;
use super::reading::Reading;
use super::rows::{Row, for_each_row, text_of};
use crate::data::options::ColumnChoice;
use crate::error::{Error, Place, Result, quoted};

/// A column of a table.
pub struct TextColumn {
    /// Its name in the header, or its number, from 1.
    pub name: String,
    /// Its cells, by the line at which their row begins; that of the header too.
    pub cells: HashMap<u64, String>,
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
