//! What was assumed of a table, in words: so that nobody is surprised who meant something else.

use std::path::Path;

use super::header::FirstRow;
use super::layout::{Layout, Sample, is_missing, number};
use super::notation::Kind;
use crate::error::{excerpt, quoted};
use crate::notation::{DateOrder, Notation};

/// What was assumed to tell the layout of a table.
pub struct Assumed {
    first: FirstRow,
    line: u64,
    /// Of each column whose numbers are not plain, its place and a cell of it.
    examples: Vec<(usize, String)>,
    /// Columns of dates of which day and month cannot be told apart, with one of them.
    pub ambiguous: Vec<(usize, String)>,
    /// Columns of texts of which many are numbers, with their share in percent.
    mixed: Vec<(usize, usize)>,
}

/// Columns that are named.
const SHOWN: usize = 8;

impl Assumed {
    pub(super) fn of(sample: &Sample, first: FirstRow, columns: &[usize], kinds: &[Kind]) -> Self {
        let is_header = matches!(first, FirstRow::Names | FirstRow::Numbers);
        let rows = &sample.rows[usize::from(is_header)..];
        let cells = |column: usize| {
            rows.iter().filter_map(move |row| row.get(column)).filter(|cell| !is_missing(cell))
        };
        let mut assumed = Assumed {
            first,
            line: sample.line,
            examples: Vec::new(),
            ambiguous: Vec::new(),
            mixed: Vec::new(),
        };
        for (column, kind) in columns.iter().copied().zip(kinds) {
            assumed.ambiguous.extend(kind.ambiguous.clone().map(|date| (column, date)));
            if !kind.notation.is_plain() && kind.ambiguous.is_none() {
                // One that shows the notation, where there is one.
                let read = || cells(column).filter(|cell| kind.notation.number(cell).is_some());
                let example = read().find(|cell| number(cell).is_none()).or_else(|| read().next());
                let text = example.map(|cell| String::from_utf8_lossy(cell).into_owned());
                assumed.examples.extend(text.map(|text| (column, text)));
            }
            if kind.is_category {
                let numbers = cells(column).filter(|cell| number(cell).is_some()).count();
                let share = 100 * numbers / cells(column).count().max(1);
                assumed.mixed.extend((share >= 10).then_some((column, share)));
            }
        }
        assumed
    }

    /// Says it, in a warning each.
    pub fn say(&self, path: &Path, layout: &Layout) {
        let path = path.display();
        match self.first {
            FirstRow::Numbers => {
                let names = layout.header.iter().flat_map(|(names, _)| names).take(SHOWN);
                let names: Vec<_> = names.map(|name| excerpt(name)).collect();
                tracing::warn!(
                    "{path}: line {} is read as a header ({}, …), although some names are numbers; write other names above the rows if it is an example",
                    self.line,
                    names.join(", ")
                );
            }
            FirstRow::ExampleAfterAll => tracing::warn!(
                "{path}: line {} is read as an example, but its label comes nowhere else; if it is a header, write names with letters",
                self.line
            ),
            FirstRow::Example | FirstRow::Names => {}
        }
        let read: Vec<_> =
            self.examples.iter().take(SHOWN).map(|(column, cell)| read(layout, *column, cell)).collect();
        if !read.is_empty() {
            tracing::warn!("{path}: read as numbers: {}{}", read.join("; "), more(self.examples.len()));
        }
        let mixed: Vec<_> = self
            .mixed
            .iter()
            .take(SHOWN)
            .map(|(column, share)| format!("column {} ({share} % are numbers)", layout.shown(*column)))
            .collect();
        if !mixed.is_empty() {
            tracing::warn!(
                "{path}: read as texts, each a category of its own: {}{}",
                mixed.join("; "),
                more(self.mixed.len())
            );
        }
    }
}

fn more(count: usize) -> String {
    count
        .checked_sub(SHOWN)
        .filter(|more| *more > 0)
        .map_or(String::new(), |more| format!("; and {more} more columns"))
}

/// How a column is read, with a cell of it.
fn read(layout: &Layout, column: usize, cell: &str) -> String {
    let input = layout.inputs.iter().find(|input| input.position == column);
    let notation = input.map_or(&Notation::Plain, |input| &input.notation);
    let value = notation.number(cell.as_bytes()).unwrap_or(f32::NAN);
    let unit = match notation {
        Notation::Date(order) => {
            let order = match order {
                DateOrder::YearFirst => "year first",
                DateOrder::DayFirst => "day first",
                DateOrder::MonthFirst => "month first",
            };
            format!(" (days since 1970-01-01, {order})")
        }
        _ => String::new(),
    };
    format!("column {}, such as {} as {value}{unit}", layout.shown(column), quoted(cell))
}
