//! Warnings about what was inferred from a table and may be unexpected.

use std::path::Path;

use super::header::FirstRow;
use super::layout::{Layout, Sample, number};
use super::notation::ColumnFormat;
use crate::cell::is_missing;
use crate::error::{excerpt, quoted};
use crate::notation::Notation;

/// Facts inferred about a table.
pub(crate) struct Inferred {
    first: FirstRow,
    line: u64,
    /// Columns with a number notation other than the plain one, each with an example cell.
    examples: Vec<(usize, String)>,
    /// Text columns with many numbers, each with their percentage.
    mixed: Vec<(usize, usize)>,
}

/// The maximum number of columns in a warning.
const SHOWN: usize = 8;

/// The least percentage of numbers among categories that is reported.
const MIXED: usize = 10;

impl Inferred {
    pub(super) fn of(
        sample: &Sample,
        first: FirstRow,
        columns: &[usize],
        column_formats: &[ColumnFormat],
    ) -> Self {
        let is_header = matches!(first, FirstRow::Names | FirstRow::Numbers);
        let rows = &sample.rows[usize::from(is_header)..];
        let cells = |column: usize| {
            rows.iter().filter_map(move |row| row.get(column)).filter(|cell| !is_missing(cell))
        };
        let mut inferred = Inferred { first, line: sample.line, examples: Vec::new(), mixed: Vec::new() };
        for (column, format) in columns.iter().copied().zip(column_formats) {
            if !format.notation.is_plain() && !format.is_text {
                // Prefer a cell that shows the notation.
                let parsed = || cells(column).filter(|cell| format.notation.number(cell).is_some());
                let example = parsed().find(|cell| number(cell).is_none()).or_else(|| parsed().next());
                let text = example.map(|cell| String::from_utf8_lossy(cell).into_owned());
                inferred.examples.extend(text.map(|text| (column, text)));
            }
            if format.is_text && format.notation.is_plain() {
                let numbers = cells(column).filter(|cell| number(cell).is_some()).count();
                let share = 100 * numbers / cells(column).count().max(1);
                inferred.mixed.extend((share >= MIXED).then_some((column, share)));
            }
        }
        inferred
    }

    /// Takes columns as categories of which the first rows were numbers, with the percentage of their cells that are numbers.
    pub(super) fn read_as_texts(&mut self, columns: Vec<(usize, u64)>) {
        let mixed = columns.into_iter().map(|(column, share)| (column, share as usize));
        self.mixed.extend(mixed.filter(|(_, share)| *share >= MIXED));
    }

    /// Logs the warnings.
    pub fn warn(&self, path: &Path, layout: &Layout) {
        let path = path.display();
        match self.first {
            FirstRow::Numbers => {
                let names = layout.header.iter().flat_map(|(names, _)| names).take(SHOWN);
                let names: Vec<_> = names.map(|name| excerpt(name)).collect();
                tracing::warn!(
                    "{path}: reading line {} as a header ({}, …), although some names are numbers; if it is an example, add a header above it",
                    self.line,
                    names.join(", ")
                );
            }
            FirstRow::UnusualExample => tracing::warn!(
                "{path}: reading line {} as an example, although its label occurs nowhere else; if it is a header, use names with letters",
                self.line
            ),
            FirstRow::Example | FirstRow::Names => {}
        }
        let parsed: Vec<_> =
            self.examples.iter().take(SHOWN).map(|(column, cell)| parsed(layout, *column, cell)).collect();
        if !parsed.is_empty() {
            tracing::warn!("{path}: parsed as numbers: {}{}", parsed.join("; "), more(self.examples.len()));
        }
        let mixed: Vec<_> = self
            .mixed
            .iter()
            .take(SHOWN)
            .map(|(column, share)| format!("column {} ({share} % are numbers)", layout.shown(*column)))
            .collect();
        if !mixed.is_empty() {
            tracing::warn!("{path}: parsed as categories: {}{}", mixed.join("; "), more(self.mixed.len()));
        }
    }
}

fn more(count: usize) -> String {
    count
        .checked_sub(SHOWN)
        .filter(|more| *more > 0)
        .map_or(String::new(), |more| format!("; and {more} more columns"))
}

/// Describes how a column is parsed, with an example.
fn parsed(layout: &Layout, column: usize, cell: &str) -> String {
    let input = layout.inputs.iter().find(|input| input.position == column);
    let notation = input.map_or(&Notation::Plain, |input| &input.notation);
    let value = notation.number(cell.as_bytes()).unwrap_or(f32::NAN);
    format!("column {}, such as {} as {value}", layout.shown(column), quoted(cell))
}
