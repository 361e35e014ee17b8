//! Tables as text: a row an example; numbers and texts, one of which is the label. Header and delimiter are recognised.

mod assumed;
mod column;
mod delimiter;
mod expected;
mod fast;
mod faults;
mod header;
mod incoming;
mod layout;
mod notation;
mod parallel;
mod parse;
mod pieces;
mod places;
mod reading;
mod rows;
mod text;

use std::path::Path;

pub use column::{TextColumn, read_column};
pub(super) use column::{first_rows, rows};
pub use expected::{Allowed, InputRow, read_row, read_rows};
pub use faults::{Fault, Faults};
pub use incoming::{Incoming, Stretch, Unread};
use layout::Layout;
pub(super) use layout::find as find_column;
pub use layout::is_missing;
use parallel::parse;
use parse::Parsed;
use reading::Reading;

use super::{Format, has_extension};
use crate::column::{Column, ColumnKind, LabelColumn, TableLayout, unique_names};
use crate::error::{Error, Place, Result, quoted};
use crate::options::{DataOptions, Missing};
use crate::{Dataset, InputShape, Table, sorted_classes};

/// The format.
pub struct Csv;

impl Format for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn summary(&self) -> &'static str {
        "a table as text (.csv, .tsv, .txt, also .gz)"
    }

    fn recognises(&self, path: &Path) -> bool {
        has_extension(path, &["csv", "tsv", "csv.gz", "tsv.gz"])
            || has_extension(path, &["txt", "txt.gz"]) && path.is_file()
    }

    fn read(&self, path: &Path, options: &DataOptions) -> Result<Dataset> {
        let table = read(path, options)?;
        let shape = InputShape(vec![table.width() as i64]);
        table.into_dataset(shape, None)
    }
}

/// Reads a table of labelled rows.
///
/// # Errors
/// A file that cannot be read or holds no rows, options that name no column of it, and cells that cannot be used, with
/// line and column; of several faults, all of them.
pub fn read(path: &Path, options: &DataOptions) -> Result<Table> {
    read_first_fault(path, options).map_err(|first| Faults::explain(path, options, first))
}

fn read_first_fault(path: &Path, options: &DataOptions) -> Result<Table> {
    let reading = Reading::open(path)?;
    let beginning = reading.beginning();
    let (layout, assumed) = Layout::of(path, beginning, delimiter::delimiter(path, beginning), options)?;
    let fingerprint = reading.fingerprint();
    let parsed = parse(reading, &layout)?;
    if parsed.seen == 0 {
        return Err(Error::data(path, "the file holds a header and no rows"));
    }
    let dropped = parsed.seen - parsed.rows.len() as u64;
    if parsed.rows.is_empty() {
        return Err(Error::data(path, "every row lacks a value, so that no row is left"));
    }
    if let Some((column, date)) = assumed.ambiguous.first() {
        return Err(Error::data(
            Place::from(path).column(layout.shown(*column)),
            two_ways(&layout, *column, date),
        ));
    }
    let columns = columns(path, &parsed, &layout)?;
    let table = table(path, fingerprint.sha256(), parsed, &layout, columns);
    table.check_labels()?;
    assumed.say(path, &layout);
    if dropped > 0 {
        let (seen, path) = (dropped + table.rows.len() as u64, path.display());
        let what = if options.missing == Missing::Drop { "value" } else { "label" };
        tracing::warn!("{path}: left out {dropped} of {seen} rows, which lack a {what}");
    }
    Ok(table)
}

/// What is wrong with a column of dates such as `03/04/2020`.
fn two_ways(layout: &Layout, column: usize, date: &str) -> String {
    format!(
        "day and month of dates such as {} cannot be told apart; write them as 2020-12-31, or leave the column out with --ignore {}",
        quoted(date),
        layout.choice(column)
    )
}

/// Whether texts are too many to be categories: they name things, or are free text.
fn are_many(texts: usize, rows: usize) -> bool {
    texts > 100 || texts > 20 && texts * 2 > rows
}

fn columns(path: &Path, parsed: &Parsed, layout: &Layout) -> Result<Vec<Column>> {
    let mut columns = Vec::new();
    let names = names(layout);
    for (input, texts) in layout.inputs.iter().zip(&parsed.categories) {
        let name = names[input.position].clone();
        let (count, rows) = (texts.texts.len(), parsed.rows.len());
        if are_many(count, rows) {
            let problem = format!(
                "column {} holds {count} different texts in {rows} rows, so it is no category; leave it out with --ignore {}",
                layout.shown(input.position),
                quoted(&layout.choice(input.position))
            );
            return Err(Error::data(path, problem));
        }
        let categories = || sorted_classes(texts.texts.clone());
        let kind = if input.is_category {
            ColumnKind::Category { categories: categories(), unknown: false }
        } else {
            ColumnKind::Number
        };
        columns.push(Column { name, position: input.position, kind, notation: input.notation.clone() });
    }
    Ok(columns)
}

/// The names of all columns, each once.
fn names(layout: &Layout) -> Vec<String> {
    match &layout.header {
        Some((names, _)) => {
            unique_names(names.iter().map(String::as_str)).into_iter().map(|name| name.into_owned()).collect()
        }
        None => (0..layout.width).map(|column| layout.name(column)).collect(),
    }
}

fn table(path: &Path, sha256: String, parsed: Parsed, layout: &Layout, columns: Vec<Column>) -> Table {
    let names = names(layout);
    let label = layout.label.map(|position| LabelColumn { name: names[position].clone(), position });
    let group = |number: &u32| parsed.group_texts.texts[*number as usize].clone();
    let groups = layout.group.map(|_| parsed.groups.iter().map(group).collect());
    let header = layout.header.as_ref().map(|(names, _)| names.clone());
    let layout = TableLayout { columns, width: layout.width, label, header };
    let texts: Vec<_> = parsed.categories.into_iter().map(|texts| texts.texts).collect();
    let values = one_hot(parsed.values, &category_places(&texts, &layout), &layout);
    Table {
        path: path.to_path_buf(),
        layout,
        values,
        labels: parsed.labels,
        label_texts: parsed.label_texts.texts,
        groups,
        rows: parsed.rows,
        lines: parsed.lines,
        sha256,
    }
}

/// The place of each text of a column among its categories, by the text's number; none of an unknown text.
fn category_places<T: AsRef<[String]>>(texts: &[T], layout: &TableLayout) -> Vec<Vec<Option<usize>>> {
    let places = |(column, texts): (&Column, &T)| match &column.kind {
        ColumnKind::Number => Vec::new(),
        ColumnKind::Category { categories, .. } => {
            let place = |text| categories.iter().position(|category| category == text);
            texts.as_ref().iter().map(place).collect()
        }
    };
    layout.columns.iter().zip(texts).map(places).collect()
}

/// Puts as many values in the place of a text's number as its column has categories: 1 for its own and 0 for the others, 0
/// for all where the text is unknown, and NaN for all where it is missing.
fn one_hot(values: Vec<f32>, places: &[Vec<Option<usize>>], layout: &TableLayout) -> Vec<f32> {
    if layout.columns.iter().all(|column| column.kind == ColumnKind::Number) {
        return values;
    }
    let mut wide = Vec::with_capacity(values.len() / layout.columns.len() * layout.features());
    for row in values.chunks_exact(layout.columns.len()) {
        for ((value, column), places) in row.iter().zip(&layout.columns).zip(places) {
            match &column.kind {
                ColumnKind::Number => wide.push(*value),
                ColumnKind::Category { categories, .. } if value.is_nan() => {
                    wide.extend(std::iter::repeat_n(f32::NAN, categories.len()));
                }
                ColumnKind::Category { categories, .. } => {
                    let start = wide.len();
                    wide.resize(start + categories.len(), 0.);
                    if let Some(place) = places[*value as usize] {
                        wide[start + place] = 1.;
                    }
                }
            }
        }
    }
    wide
}

#[cfg(test)]
mod tests;
