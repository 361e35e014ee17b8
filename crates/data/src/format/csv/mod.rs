//! Delimited text tables: one row per example, with numeric and categorical columns and a label. Header and
//! delimiter are inferred.

mod chunk_reader;
mod chunks;
mod column;
mod column_positions;
mod delimiter;
mod fast;
mod faults;
mod header;
mod inferred;
mod layout;
mod model_rows;
mod notation;
mod parallel;
mod parse;
mod row_stream;
mod rows;
mod text;

use std::path::Path;

pub use crate::cell::is_missing;
use chunk_reader::ChunkReader;
pub use column::{TextColumn, read_column};
pub(super) use column::{first_rows, rows};
pub use faults::{Fault, Faults};
use layout::Layout;
pub(super) use layout::{choices as column_choices, find as find_column, label_columns};
pub use model_rows::{InputRow, RowPolicy, read_row, read_rows};
use parallel::parse;
use parse::Parsed;
pub use row_stream::{RowChunk, RowStream, RowStreamError};

use super::{Format, has_extension};
use crate::column::{Column, ColumnKind, LabelColumn, TableLayout, unique_names};
use crate::error::{Error, Location, Result, quoted};
use crate::format::options::{DataOptions, Missing};
use crate::{Dataset, InputShape, Table, sorted_classes};

/// The format.
pub struct Csv;

impl Format for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn summary(&self) -> &'static str {
        "a delimited text table (.csv, .tsv, .txt, also .gz)"
    }

    fn recognizes(&self, path: &Path) -> bool {
        has_extension(path, &["csv", "tsv", "csv.gz", "tsv.gz"])
            || has_extension(path, &["txt", "txt.gz"]) && path.is_file()
    }

    fn read(&self, path: &Path, options: &DataOptions) -> Result<Dataset> {
        let table = read(path, options)?;
        let shape = InputShape(vec![table.width() as i64]);
        table.into_dataset(shape, None, options.targets()?)
    }
}

/// Reads a table of labelled rows.
///
/// # Errors
/// A file that is unreadable or has no rows, options with a column that does not exist, or invalid cells,
/// with line and column; if there are several errors, all of them.
pub fn read(path: &Path, options: &DataOptions) -> Result<Table> {
    read_to_first_error(path, options).map_err(|first| Faults::explain(path, options, first))
}

fn read_to_first_error(path: &Path, options: &DataOptions) -> Result<Table> {
    let reader = ChunkReader::open(path)?;
    let beginning = reader.beginning();
    let (layout, inferred) = Layout::of(path, beginning, delimiter::delimiter(path, beginning), options)?;
    let fingerprint = reader.fingerprint();
    let parsed = parse(reader, &layout)?;
    if parsed.seen == 0 {
        return Err(Error::data(path, "the file has a header but no rows"));
    }
    let dropped = parsed.seen - parsed.rows.len() as u64;
    if parsed.rows.is_empty() {
        return Err(Error::data(path, "every row has a missing value, so no row is left"));
    }
    if let Some((column, date)) = inferred.ambiguous.first() {
        return Err(Error::data(
            Location::from(path).column(layout.shown(*column)),
            ambiguous_date(&layout, *column, date),
        ));
    }
    let columns = columns(path, &parsed, &layout)?;
    let table = table(path, fingerprint.sha256(), parsed, &layout, columns);
    table.check_labels(options.targets()?)?;
    inferred.warn(path, &layout);
    if dropped > 0 {
        let (seen, path) = (dropped + table.rows.len() as u64, path.display());
        let name = if options.missing == Missing::Drop { "value" } else { "label" };
        tracing::warn!("{path}: dropped {dropped} of {seen} rows without a {name}");
    }
    Ok(table)
}

/// The error for a column of dates such as `03/04/2020`.
fn ambiguous_date(layout: &Layout, column: usize, date: &str) -> String {
    format!(
        "ambiguous day and month in dates such as {}; write them as 2020-12-31, or ignore the column with --ignore {}",
        quoted(date),
        layout.choice(column)
    )
}

/// Whether there are too many distinct texts for categories, as in identifiers or free text.
fn are_too_many(texts: usize, rows: usize) -> bool {
    texts > 100 || texts > 20 && texts * 2 > rows
}

fn columns(path: &Path, parsed: &Parsed, layout: &Layout) -> Result<Vec<Column>> {
    let mut columns = Vec::new();
    let names = names(layout);
    for (input, texts) in layout.inputs.iter().zip(&parsed.categories) {
        let name = names[input.position].clone();
        let (count, rows) = (texts.texts.len(), parsed.rows.len());
        if are_too_many(count, rows) {
            let problem = format!(
                "column {} has {count} different texts in {rows} rows, so it is not categorical; ignore it with --ignore {}",
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

/// The unique names of all columns.
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
    let layout = TableLayout {
        columns,
        width: layout.width,
        label,
        label_columns: layout.label_columns.clone(),
        header,
    };
    let texts: Vec<_> = parsed.categories.into_iter().map(|texts| texts.texts).collect();
    let values = one_hot(parsed.values, &category_indexes(&texts, &layout), &layout);
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

/// The category index of each text of a column, by the text's number; `None` for unknown categories.
fn category_indexes<T: AsRef<[String]>>(texts: &[T], layout: &TableLayout) -> Vec<Vec<Option<usize>>> {
    let indexes = |(column, texts): (&Column, &T)| match &column.kind {
        ColumnKind::Number => Vec::new(),
        ColumnKind::Category { categories, .. } => {
            let index = |text| categories.iter().position(|category| category == text);
            texts.as_ref().iter().map(index).collect()
        }
    };
    layout.columns.iter().zip(texts).map(indexes).collect()
}

/// One-hot encodes the categorical columns: 1 for the category and 0 for the others; all 0 for an unknown
/// category, and all NaN for a missing value.
fn one_hot(values: Vec<f32>, indexes: &[Vec<Option<usize>>], layout: &TableLayout) -> Vec<f32> {
    if layout.columns.iter().all(|column| column.kind == ColumnKind::Number) {
        return values;
    }
    let mut encoded = Vec::with_capacity(values.len() / layout.columns.len() * layout.features());
    for row in values.chunks_exact(layout.columns.len()) {
        for ((value, column), indexes) in row.iter().zip(&layout.columns).zip(indexes) {
            match &column.kind {
                ColumnKind::Number => encoded.push(*value),
                ColumnKind::Category { categories, .. } if value.is_nan() => {
                    encoded.extend(std::iter::repeat_n(f32::NAN, categories.len()));
                }
                ColumnKind::Category { categories, .. } => {
                    let start = encoded.len();
                    encoded.resize(start + categories.len(), 0.);
                    if let Some(index) = indexes[*value as usize] {
                        encoded[start + index] = 1.;
                    }
                }
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
