//! An input column of a table, and the values of its cells.

use super::converted::CellType;
use super::fast::short_decimal;
use super::rows::NOT_UTF8;
use crate::cell::is_missing;
use crate::error::quoted;
use crate::hashing;
use crate::notation::Notation;
use crate::schema::Declared;

/// An input column.
pub(crate) struct InputColumn {
    /// The index among all columns, from 0.
    pub position: usize,
    /// Whether its cells are texts, such as categories and dates, and not numbers or hashed.
    pub is_text: bool,
    /// The number of rows that its cells are hashed into, if they are.
    pub hash_rows: Option<usize>,
    /// The number notation.
    pub notation: Notation,
    /// Whether a cell may be missing.
    pub takes_missing: bool,
    /// Whether the file says that the cells are texts or numbers.
    pub is_fixed: bool,
    /// The type that the schema declares.
    pub declared: Option<Declared>,
}

impl InputColumn {
    /// Takes the type of the cells that the file declares.
    pub(super) fn fix(&mut self, cells: Option<CellType>) {
        let Some(cells) = cells else { return };
        self.is_fixed = true;
        self.is_text = cells == CellType::Text;
        if !matches!((&self.notation, self.is_text), (Notation::Date(_), true)) {
            self.notation = Notation::Plain;
        }
    }

    /// Takes the type that a schema declares.
    pub(super) fn declare(&mut self, declared: Option<Declared>) {
        if let Some(declared) = &declared {
            if self.is_text != declared.is_text() {
                self.notation = Notation::Plain;
            }
            self.is_text = declared.is_text();
            if let Declared::Hash(rows) = declared {
                (self.hash_rows, self.notation) = (Some(*rows), Notation::Plain);
            }
        }
        self.declared = declared;
    }

    /// Whether the cells of its column are wanted as texts.
    pub fn takes_text(&self) -> bool {
        self.is_text || self.hash_rows.is_some() || !self.notation.is_plain()
    }

    /// Parses a cell as a number, finite or not.
    pub fn number(&self, cell: &[u8]) -> Option<f32> {
        match self.notation {
            Notation::Plain => number(cell),
            _ => self.notation.number(cell),
        }
    }

    /// The value of a cell: the number, the row that it is hashed into, or `number_of` its text; NaN if it is missing. `None` if the row
    /// must be dropped (`drops`).
    ///
    /// # Errors
    /// What is wrong with the cell.
    pub fn value(
        &self,
        cell: &[u8],
        number_of: impl FnOnce(&[u8]) -> Option<f32>,
        drops: bool,
    ) -> std::result::Result<Option<f32>, String> {
        let number = if self.is_text || self.hash_rows.is_some() { None } else { self.number(cell) };
        let text = || std::str::from_utf8(cell).map_err(|_| NOT_UTF8.to_string());
        match number {
            Some(number) if number.is_finite() => Ok(Some(number)),
            _ if is_missing(cell) && drops => Ok(None),
            _ if is_missing(cell) && self.takes_missing => Ok(Some(f32::NAN)),
            _ if is_missing(cell) => Err(missing(cell)),
            _ if let Some(rows) = self.hash_rows => {
                text().map(|text| Some(hashing::row(text.as_bytes(), rows) as f32))
            }
            _ if self.is_text => number_of(cell).map(Some).ok_or_else(|| NOT_UTF8.to_string()),
            Some(_) => Err(format!("{} is not a finite number", quoted(text()?))),
            None => Err(format!("{} is not a number", quoted(text()?))),
        }
    }
}

fn missing(cell: &[u8]) -> String {
    let mark = if cell.is_empty() {
        String::new()
    } else {
        format!(" ({})", quoted(&String::from_utf8_lossy(cell)))
    };
    format!("missing value{mark}; fill it in, remove the row, or handle it with --missing")
}

/// Parses a cell as a number, finite or not.
pub fn number(cell: &[u8]) -> Option<f32> {
    let short = short_decimal(cell, 0).filter(|(_, end)| *end == cell.len());
    short.map(|(value, _)| value).or_else(|| fast_float2::parse(cell).ok())
}
