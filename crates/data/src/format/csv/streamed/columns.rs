//! What is gathered about the columns of a table while its rows are stored.

use std::collections::HashSet;

use super::super::kinds::{ALL_DIFFERENT, EMPTY, MAX_CATEGORIES, MIN_ROWS, ROW_NUMBERS};
use super::super::layout::Layout;
use super::super::parse::Texts;
use super::super::uses::Cells;
use crate::hashing;
use crate::identifier::is_index_name;
use crate::tokens::words;

/// The most different texts of a column that have numbers. A column with more is hashed, and the value of another text is this number
/// plus its row.
const MAX_TEXTS: usize = MAX_CATEGORIES;

/// Whole numbers are counted up to here without a gap in float32, and different ones are collected.
const MAX_COUNTED: usize = 1 << 24;

/// Values among which equal ones are searched.
const MAX_COMPARED: usize = 1 << 16;

/// An input column.
pub(in crate::format::csv) enum StoredColumn {
    Number(NumberCells),
    /// A column whose different texts are collected.
    Text(TextCells),
    /// A column of a table of texts alone, which are stored themselves.
    Tokens,
}

impl StoredColumn {
    /// The input columns of a layout, without any cells; `are_texts` if their texts are stored.
    pub fn all(layout: &Layout, are_texts: bool) -> Vec<Self> {
        let of = |is_text: bool| match is_text {
            _ if are_texts => StoredColumn::Tokens,
            true => StoredColumn::Text(TextCells::default()),
            false => StoredColumn::Number(NumberCells::default()),
        };
        layout.inputs.iter().map(|input| of(input.is_text)).collect()
    }

    /// Counts the values of the next rows, which begin at these lines.
    pub fn count(&mut self, values: &[f32], lines: impl Iterator<Item = u64>) {
        match self {
            StoredColumn::Number(cells) => cells.count(values),
            StoredColumn::Text(cells) => cells.count(values, lines),
            StoredColumn::Tokens => {}
        }
    }
}

/// The value of a text that is stored itself: its number of words. `None` if it is not UTF-8.
pub(in crate::format::csv) fn number_of_words(cell: &[u8]) -> Option<f32> {
    std::str::from_utf8(cell).ok().map(|text| words(text.as_bytes()).count() as f32)
}

/// What is known about the values of a column of numbers.
pub(in crate::format::csv) struct NumberCells {
    rows: usize,
    has_value: bool,
    are_whole: bool,
    counts_up: bool,
    last: f32,
    compared: HashSet<u32>,
    equal: usize,
}

impl Default for NumberCells {
    fn default() -> Self {
        NumberCells {
            rows: 0,
            has_value: false,
            are_whole: true,
            counts_up: true,
            last: 0.,
            compared: HashSet::new(),
            equal: 0,
        }
    }
}

impl NumberCells {
    fn count(&mut self, values: &[f32]) {
        for value in values {
            self.has_value |= !value.is_nan();
            self.are_whole &= value.is_finite() && value.fract() == 0.;
            if !self.are_whole {
                continue;
            }
            if self.rows < MAX_COUNTED {
                self.counts_up &= match self.rows {
                    0 => *value == 0. || *value == 1.,
                    _ => value - self.last == 1.,
                };
            }
            if self.rows < MAX_COMPARED && !self.compared.insert(value.to_bits()) {
                self.equal += 1;
            }
            self.last = *value;
            self.rows += 1;
        }
    }

    fn why_left_out(&self, name: &str) -> Option<&'static str> {
        if !self.has_value {
            return Some(EMPTY);
        }
        if !self.are_whole || self.rows < MIN_ROWS {
            return None;
        }
        if self.counts_up {
            return Some(ROW_NUMBERS);
        }
        let are_different = self.equal * 100 <= self.rows.min(MAX_COMPARED);
        (is_index_name(name) && are_different).then_some(ALL_DIFFERENT)
    }
}

/// The cells of a column of texts.
#[derive(Default)]
pub(in crate::format::csv) struct TextCells {
    texts: Texts,
    counts: Vec<u32>,
    /// The line of the first cell of each text.
    lines: Vec<u64>,
    missing: usize,
    /// The number of cells with a text that has no number.
    pub others: u64,
}

impl TextCells {
    /// The value of a text: its number, or [`MAX_TEXTS`] and its row for another one. `None` if it is not UTF-8.
    pub fn value(&mut self, cell: &[u8]) -> Option<f32> {
        if let Some(known) = self.texts.known(cell) {
            return Some(known as f32);
        }
        if self.texts.texts.len() == MAX_TEXTS {
            return std::str::from_utf8(cell)
                .ok()
                .map(|_| (MAX_TEXTS + hashing::row(cell, hashing::ROWS)) as f32);
        }
        self.texts.number(cell).map(|number| number as f32)
    }

    /// The value of a cell whose text has a number; for most cells, this is all that is asked.
    pub fn known(&self, cell: &[u8]) -> Option<f32> {
        self.texts.known(cell).map(|number| number as f32)
    }

    fn count(&mut self, values: &[f32], lines: impl Iterator<Item = u64>) {
        self.counts.resize(self.texts.texts.len(), 0);
        self.lines.resize(self.texts.texts.len(), 0);
        for (value, line) in values.iter().zip(lines) {
            if value.is_nan() {
                self.missing += 1;
                continue;
            }
            match self.counts.get_mut(*value as usize) {
                None => self.others += 1,
                Some(count) => {
                    if *count == 0 {
                        self.lines[*value as usize] = line;
                    }
                    *count = count.saturating_add(1);
                }
            }
        }
    }

    /// The texts, the number of cells of each, and the line of its first cell.
    pub fn finish(self) -> (Vec<String>, Vec<u32>, Vec<u64>) {
        (self.texts.texts, self.counts, self.lines)
    }
}

impl Cells for Vec<StoredColumn> {
    fn texts(&self, index: usize) -> &[String] {
        match &self[index] {
            StoredColumn::Text(cells) => &cells.texts.texts,
            StoredColumn::Number(_) | StoredColumn::Tokens => &[],
        }
    }

    fn counted(&self, index: usize) -> (Vec<(&str, u32)>, usize) {
        match &self[index] {
            StoredColumn::Text(TextCells { texts, counts, missing, .. }) => {
                let all = texts.texts.iter().map(String::as_str).zip(counts.iter().copied());
                (all.filter(|(_, count)| *count > 0).collect(), *missing)
            }
            StoredColumn::Number(_) | StoredColumn::Tokens => (Vec::new(), 0),
        }
    }

    fn why_left_out(&self, index: usize, name: &str) -> Option<&'static str> {
        match &self[index] {
            StoredColumn::Number(cells) => cells.why_left_out(name),
            StoredColumn::Text(_) | StoredColumn::Tokens => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::kinds::of_numbers;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_are_left_out_as_those_in_memory(
            values in prop::collection::vec(prop_oneof![(0u8..30).prop_map(f32::from), Just(f32::NAN), Just(0.5)], 1..40),
            counts in any::<bool>(), name in "id|x", at_once in 1usize..9
        ) {
            let counted: Vec<f32> = (0..values.len() as u16).map(f32::from).collect();
            let values = if counts { counted } else { values };
            let mut cells = NumberCells::default();
            values.chunks(at_once).for_each(|values| cells.count(values));
            prop_assert_eq!(cells.why_left_out(&name), of_numbers(&name, &values));
        }
    }

    #[test]
    fn texts_beyond_the_most_are_hashed() {
        let mut cells = TextCells::default();
        for number in 0..MAX_TEXTS + 2 {
            let text = number.to_string();
            let row = hashing::row(text.as_bytes(), hashing::ROWS);
            let expected = if number < MAX_TEXTS { number } else { MAX_TEXTS + row };
            assert_eq!(cells.value(text.as_bytes()), Some(expected as f32));
        }
        assert_eq!((cells.value(b"7"), cells.value(b"\xff")), (Some(7.), None));
        cells.count(&[7., f32::NAN, MAX_TEXTS as f32, 7.], [3u64, 4, 5, 6].into_iter());
        assert_eq!((cells.missing, cells.others), (1, 1));
        let (texts, counts, lines) = cells.finish();
        assert_eq!((texts.len(), counts[7], lines[7]), (MAX_TEXTS, 2, 3));
    }
}
