//! Converts the cells of a table to features, as the types of its columns demand.

use std::collections::HashMap;

use super::layout::number;
use crate::booleans::boolean;
use crate::cell::is_missing;
use crate::column::{Column, ColumnKind, MISSING, TableLayout};
use crate::error::quoted;
use crate::notation::{DateOrder, Notation, days};
use crate::tokens::Tokenization;
use crate::{dates, hashing};

/// A cell that its column cannot have.
#[derive(Debug)]
pub(super) struct CellFault {
    /// The index of the row among the parsed ones.
    pub row: usize,
    /// The index of the input column.
    pub input: usize,
    pub problem: String,
}

/// Converts the cells of rows to the features of a layout.
pub(super) struct Encoder {
    columns: Vec<CellEncoder>,
    missing_is_value: bool,
}

enum CellEncoder {
    Number,
    /// One feature per category.
    OneHot {
        index_of: HashMap<String, usize>,
        count: usize,
    },
    /// One feature, the index of the category.
    Index {
        index_of: HashMap<String, usize>,
    },
    /// One feature, the row that the category is hashed into.
    Hash {
        rows: usize,
    },
    Boolean,
    Date {
        order: DateOrder,
        time: bool,
    },
    List {
        separator: char,
        index_of: HashMap<String, usize>,
        count: usize,
    },
    Text {
        features: usize,
    },
    Tokens {
        tokenization: Tokenization,
        length: usize,
    },
}

/// Features computed once for the distinct texts of a column are at most this number.
const MAX_CACHED: usize = 1 << 22;

impl Encoder {
    pub fn new(layout: &TableLayout) -> Self {
        let columns = layout.columns.iter().map(CellEncoder::new).collect();
        Encoder { columns, missing_is_value: layout.missing_is_value }
    }

    /// Whether the feature of a column with these texts is its value: a number, or a row that was hashed as the cell was read.
    pub(super) fn is_value(&self, slot: usize, texts: &[String]) -> bool {
        match self.columns[slot] {
            CellEncoder::Number => true,
            CellEncoder::Hash { .. } => texts.is_empty(),
            _ => false,
        }
    }

    /// Whether the categories of a column are hashed.
    pub(super) fn is_hashed(&self, slot: usize) -> bool {
        matches!(self.columns[slot], CellEncoder::Hash { .. })
    }

    /// Whether the features of a row are its numbers.
    fn is_plain(&self) -> bool {
        self.columns.iter().all(|column| matches!(column, CellEncoder::Number))
    }

    /// The features of rows with one value per input column: the number, or the index of the text; NaN if missing. `slots` has
    /// the column of each input in the layout, if it is one. `unknown` is called with the row, the input and the text of each
    /// unknown category.
    pub fn rows<T: AsRef<[String]>>(
        &self,
        values: Vec<f32>,
        slots: &[Option<usize>],
        texts: &[T],
        mut unknown: impl FnMut(usize, usize, &str),
    ) -> Result<Vec<f32>, CellFault> {
        if self.is_plain() && slots.iter().all(Option::is_some) {
            return Ok(values);
        }
        let caches = slots.iter().zip(texts).map(|(slot, texts)| self.cache((*slot)?, texts.as_ref()));
        let caches: Vec<Option<Cache>> = caches.collect();
        let mut encoded = Vec::new();
        for (row, values) in values.chunks_exact(slots.len()).enumerate() {
            for (input, ((value, slot), texts)) in values.iter().zip(slots).zip(texts).enumerate() {
                let Some(slot) = *slot else { continue };
                if self.is_value(slot, texts.as_ref()) {
                    encoded.push(*value);
                    continue;
                }
                let text = (!value.is_nan()).then_some(*value as usize);
                let known = match (&caches[input], text) {
                    (Some(cache), Some(text)) => cache.add(text, &mut encoded),
                    (_, text) => {
                        let text = text.map(|text| texts.as_ref()[text].as_str());
                        self.cell(slot, text, &mut encoded)
                    }
                };
                match known {
                    Ok(true) => {}
                    Ok(false) => unknown(row, input, &texts.as_ref()[*value as usize]),
                    Err(problem) => return Err(CellFault { row, input, problem }),
                }
            }
        }
        Ok(encoded)
    }

    /// The features of the distinct texts of a column, unless there are too many.
    pub(super) fn cache(&self, slot: usize, texts: &[String]) -> Option<Cache> {
        let width = match &self.columns[slot] {
            CellEncoder::OneHot { count, .. } => *count,
            CellEncoder::Index { .. } | CellEncoder::Hash { .. } | CellEncoder::Boolean => 1,
            CellEncoder::Date { time, .. } => dates::suffixes(*time).len(),
            CellEncoder::Number
            | CellEncoder::List { .. }
            | CellEncoder::Text { .. }
            | CellEncoder::Tokens { .. } => return None,
        };
        if texts.len().saturating_mul(width) > MAX_CACHED {
            return None;
        }
        let mut features = Vec::with_capacity(texts.len() * width);
        let known = texts.iter().map(|text| {
            let known = self.cell(slot, Some(text), &mut features);
            if known.is_err() {
                features.resize(features.len() + width, f32::NAN);
            }
            known
        });
        let known = known.collect();
        Some(Cache { width, features, known })
    }

    /// Adds the features of a cell that is no number; `None` is a missing value. Returns whether its category is known.
    pub(super) fn cell(
        &self,
        slot: usize,
        text: Option<&str>,
        features: &mut Vec<f32>,
    ) -> Result<bool, String> {
        match (&self.columns[slot], text) {
            (CellEncoder::Number, _) => unreachable!("numbers are parsed with their rows"),
            (CellEncoder::OneHot { index_of, count }, text) => {
                let index = index_of.get(text.unwrap_or(MISSING));
                let is_nan = text.is_none() && index.is_none() && !self.missing_is_value;
                let start = features.len();
                features.resize(start + count, if is_nan { f32::NAN } else { 0. });
                index.iter().for_each(|index| features[start + **index] = 1.);
                Ok(index.is_some() || text.is_none())
            }
            (CellEncoder::Index { index_of }, Some(text)) => {
                let index = index_of.get(text);
                features.push(index.map_or(-1., |index| *index as f32));
                Ok(index.is_some())
            }
            (CellEncoder::Hash { rows }, Some(text)) => {
                features.push(hashing::row(text.as_bytes(), *rows) as f32);
                Ok(true)
            }
            (CellEncoder::Boolean, Some(text)) => {
                let value = boolean(text)
                    .ok_or_else(|| format!("{} is not a boolean, such as true or no", quoted(text)))?;
                features.push(f32::from(u8::from(value)));
                Ok(true)
            }
            (CellEncoder::Date { order, time }, Some(text)) => {
                features.extend(dates::features(date(text, *order)?, *time));
                Ok(true)
            }
            (CellEncoder::Index { .. } | CellEncoder::Hash { .. } | CellEncoder::Boolean, None) => {
                features.push(f32::NAN);
                Ok(true)
            }
            (CellEncoder::Date { time, .. }, None) => {
                features.extend(dates::suffixes(*time).iter().map(|_| f32::NAN));
                Ok(true)
            }
            (CellEncoder::List { separator, index_of, count }, text) => {
                let start = features.len();
                features.resize(start + count, 0.);
                let mut is_known = true;
                for item in text.map_or_else(|| vec![MISSING], |text| items(text, *separator).collect()) {
                    match index_of.get(item) {
                        Some(index) => features[start + index] = 1.,
                        None => is_known = text.is_none(),
                    }
                }
                Ok(is_known)
            }
            (CellEncoder::Text { features: count }, text) => {
                features.extend(hashing::features(text.unwrap_or_default(), *count));
                Ok(true)
            }
            (CellEncoder::Tokens { tokenization, length }, text) => {
                tokenization.extend(text.unwrap_or_default(), *length, features)?;
                Ok(true)
            }
        }
    }
}

/// The features of the distinct texts of a column.
pub(super) struct Cache {
    width: usize,
    pub features: Vec<f32>,
    /// Whether the category of each text is known, or what is wrong with it.
    pub known: Vec<Result<bool, String>>,
}

impl Cache {
    fn add(&self, text: usize, features: &mut Vec<f32>) -> Result<bool, String> {
        features.extend_from_slice(&self.features[text * self.width..][..self.width]);
        self.known[text].clone()
    }
}

impl CellEncoder {
    fn new(column: &Column) -> Self {
        let index_of =
            |texts: &[String]| (0..).zip(texts).map(|(index, text)| (text.clone(), index)).collect();
        match &column.kind {
            ColumnKind::Number => CellEncoder::Number,
            ColumnKind::Category { categories, .. } => {
                CellEncoder::OneHot { index_of: index_of(categories), count: categories.len() }
            }
            ColumnKind::Code { categories, .. } | ColumnKind::Ordinal { categories } => {
                CellEncoder::Index { index_of: index_of(categories) }
            }
            ColumnKind::Hash { rows } => CellEncoder::Hash { rows: *rows },
            ColumnKind::Boolean => CellEncoder::Boolean,
            ColumnKind::Date { time } => CellEncoder::Date { order: order(&column.notation), time: *time },
            ColumnKind::List { separator, items } => {
                CellEncoder::List { separator: *separator, index_of: index_of(items), count: items.len() }
            }
            ColumnKind::Text { features } => CellEncoder::Text { features: *features },
            ColumnKind::Tokens { tokenization, length } => {
                CellEncoder::Tokens { tokenization: tokenization.clone(), length: *length }
            }
        }
    }
}

/// The items of a list, without surrounding white space and empty items.
pub(super) fn items(text: &str, separator: char) -> impl Iterator<Item = &str> {
    text.split(separator).map(str::trim).filter(|item| !item.is_empty())
}

/// The order of the parts of the dates of a column.
fn order(notation: &Notation) -> DateOrder {
    match notation {
        Notation::Date(order) => *order,
        _ => DateOrder::YearFirst,
    }
}

/// Parses a date of a column in days since 1970-01-01. Dates in ISO 8601 are accepted in any column.
fn date(text: &str, order: DateOrder) -> Result<f64, String> {
    let problem = || format!("{} is not a date such as {}", quoted(text), order.example());
    days(text, order).or_else(|| days(text, DateOrder::YearFirst)).ok_or_else(problem)
}

/// Whether a cell is a number, in any notation.
pub(super) fn is_number(cell: &str) -> bool {
    number(cell.as_bytes()).is_some()
}

/// Whether a cell is a value that a column of a model can have, and not only a text.
pub(super) fn is_value(column: &Column, cell: &str) -> bool {
    is_missing(cell.as_bytes())
        || match &column.kind {
            ColumnKind::Number => is_number(cell) || column.notation.number(cell.as_bytes()).is_some(),
            ColumnKind::Category { categories, .. }
            | ColumnKind::Code { categories, .. }
            | ColumnKind::Ordinal { categories } => categories.iter().any(|category| category == cell),
            ColumnKind::Boolean => boolean(cell).is_some(),
            ColumnKind::Date { .. } => date(cell, order(&column.notation)).is_ok(),
            ColumnKind::List { separator, items: known } => {
                items(cell, *separator).any(|item| known.iter().any(|known| known == item))
            }
            ColumnKind::Hash { .. } | ColumnKind::Text { .. } | ColumnKind::Tokens { .. } => true,
        }
}

/// Whether the values of a column have a form that names of columns do not have.
pub(super) fn has_form(column: &Column) -> bool {
    matches!(column.kind, ColumnKind::Number | ColumnKind::Boolean | ColumnKind::Date { .. })
}
