//! Reads single columns and unparsed rows of a table.

use std::collections::HashMap;
use std::path::Path;

use super::chunk_reader::ChunkReader;
use super::converted::first_line;
use super::delimiter;
use super::layout::find;
use super::rows::{Row, for_each_row, text_of};
use super::text;
use crate::column_choice::ColumnChoice;
use crate::error::{Error, Location, Result, quoted};

/// A column of a table.
pub struct TextColumn {
    /// The name in the header, or the number, from 1.
    pub name: String,
    /// The cells, including the header's, by the line at which their row begins.
    pub cells: HashMap<u64, String>,
}

/// The cells of all rows of a table, including the header, with the line at which each row begins.
///
/// # Errors
/// A file that cannot be read, or a cell that is not UTF-8.
pub fn rows(path: &Path) -> Result<Vec<(u64, Vec<String>)>> {
    let mut reader = ChunkReader::open(path)?;
    let delimiter = delimiter::delimiter(path, reader.beginning());
    reader.set_delimiter(delimiter);
    let mut rows = Vec::new();
    let mut take = |row: Row| {
        let cell = |cell: &&[u8]| text_of(cell, || Location::line(path, row.line)).map(str::to_string);
        rows.push((row.line, row.cells.iter().map(cell).collect::<Result<_>>()?));
        Ok(())
    };
    for chunk in reader {
        let chunk = chunk?;
        let text = chunk.text.strip_prefix(text::BYTE_ORDER_MARK).unwrap_or(&chunk.text);
        for_each_row(path, text, delimiter, chunk.first_line, &mut take)?;
    }
    Ok(rows)
}

/// The first rows of a table, for inferring its format.
///
/// # Errors
/// A file that cannot be read.
pub fn first_rows(path: &Path) -> Result<Vec<Vec<String>>> {
    const MAX_ROWS: usize = 64;
    let reader = ChunkReader::open(path)?;
    let text = reader.beginning();
    let mut rows = Vec::new();
    let text = text.strip_prefix(text::BYTE_ORDER_MARK).unwrap_or(text);
    let _ = for_each_row(path, text, delimiter::delimiter(path, text), first_line(path), &mut |row| {
        rows.push(row.cells.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect());
        // An error stops the iteration.
        if rows.len() < MAX_ROWS { Ok(()) } else { Err(Error::Usage(String::new())) }
    });
    Ok(rows)
}

/// The cells of the first row of a table, which is its header if it has one.
///
/// # Errors
/// A file that cannot be read.
pub fn header_of(path: &Path) -> Result<Vec<String>> {
    Ok(first_rows(path)?.into_iter().next().unwrap_or_default())
}

/// The header of a table, if its first row begins above `first_line`.
fn header(reader: &ChunkReader, path: &Path, delimiter: u8, first_line_of_rows: u64) -> Option<Vec<String>> {
    let mut header = None;
    let _ = for_each_row(path, reader.beginning(), delimiter, first_line(path), &mut |row| {
        let cells = row.cells.iter().map(|cell| String::from_utf8_lossy(cell).into_owned());
        header = (row.line < first_line_of_rows).then(|| cells.collect());
        // An error stops the iteration.
        Err(Error::Usage(String::new()))
    });
    header
}

/// Reads one column of a table whose first example begins at `first_line`. Rows without the column have no
/// cell.
///
/// # Errors
/// A file that cannot be read, a column that does not exist, or a cell that is not UTF-8.
pub fn read_column(path: &Path, choice: &ColumnChoice, first_line: u64) -> Result<TextColumn> {
    let mut reader = ChunkReader::open(path)?;
    let delimiter = delimiter::delimiter(path, reader.beginning());
    reader.set_delimiter(delimiter);
    reader.set_header(header(&reader, path, delimiter, first_line));
    let mut position = None;
    let mut name = String::new();
    let mut cells = HashMap::new();
    let mut take = |row: Row| {
        let column = match position {
            Some(column) => column,
            None => {
                let has_header = row.line < first_line;
                let names = row.cells.iter().map(|cell| String::from_utf8_lossy(cell).into_owned());
                let names: Vec<_> = names.filter(|_| has_header).collect();
                if let ColumnChoice::Name(name) = choice
                    && !has_header
                {
                    let problem = format!(
                        "the table has no header, so column {} cannot be selected by name; use its number",
                        quoted(name)
                    );
                    return Err(Error::data(path, problem));
                }
                let column = find(path, choice, row.cells.len(), Some(&names))?;
                name = names.get(column).cloned().unwrap_or_else(|| (column + 1).to_string());
                *position.insert(column)
            }
        };
        if let Some(cell) = row.cells.get(column) {
            let position = || Location::line(path, row.line).column((column + 1).to_string());
            cells.insert(row.line, text_of(cell, position)?.to_string());
        }
        Ok(())
    };
    for chunk in reader {
        let chunk = chunk?;
        for_each_row(path, &chunk.text, delimiter, chunk.first_line, &mut take)?;
    }
    Ok(TextColumn { name, cells })
}
