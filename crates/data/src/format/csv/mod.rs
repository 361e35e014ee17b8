//! Delimited text tables: one row per example, with numeric and categorical columns and a label. Header and
//! delimiter are inferred.

mod chunk_reader;
mod chunks;
mod column;
mod column_positions;
mod converted;
mod delimiter;
mod encode;
mod estimate;
mod fast;
mod faults;
mod files;
mod header;
mod inferred;
mod input_column;
mod joined;
mod json_rows;
mod kinds;
mod labeled_rows;
mod layout;
mod model_rows;
mod notation;
mod parallel;
#[cfg(feature = "parquet")]
mod parquet;
#[cfg(feature = "parquet")]
mod parquet_cells;
#[cfg(feature = "parquet")]
mod parquet_columns;
#[cfg(feature = "parquet")]
mod parquet_file;
mod parse;
mod ratings;
mod row_stream;
mod rows;
mod streamed;
mod text;
mod uses;

use std::path::Path;
use std::sync::Arc;

pub use crate::cell::is_missing;
use chunk_reader::ChunkReader;
use column::header_of;
pub use column::{TextColumn, read_column};
pub(super) use column::{first_rows, rows};
use encode::{CellFault, Encoder};
pub(crate) use estimate::estimated_memory;
pub use faults::{Fault, Faults, MISSING_LABELS};
use inferred::Inferred;
pub use labeled_rows::{LabeledRows, RowsOfModel};
use layout::Layout;
pub(super) use layout::{choices as column_choices, find as find_column, label_columns};
pub use model_rows::{InputRow, RowPolicy, read_row, read_rows};
pub(crate) use notation::date_order;
use parallel::parse;
use parse::Parsed;
pub use row_stream::{RowChunk, RowStream, RowStreamError};
pub(crate) use streamed::{NOT_STREAMED, read as read_streamed};

use uses::Uses;

use super::{Format, has_extension};
use crate::column::{Column, LabelColumn, TableLayout, unique_names};
use crate::error::{Error, Location, Result};
use crate::format::options::{DataOptions, Missing};
use crate::schema::ColumnSummary;
use crate::table_files;
use crate::texts::{ColumnTexts, TextIds, Texts};
use crate::{Dataset, InputShape, Table};

/// The format.
pub struct Csv;

/// Tables in JSON lines and in Apache Parquet.
pub struct Converted;

impl Format for Converted {
    fn name(&self) -> &'static str {
        "records"
    }

    fn summary(&self) -> &'static str {
        if cfg!(feature = "parquet") {
            "a table in JSON lines (.jsonl, .ndjson, also .gz, .zst) or Apache Parquet (.parquet)"
        } else {
            "a table in JSON lines (.jsonl, .ndjson, also .gz, .zst)"
        }
    }

    fn recognizes(&self, path: &Path) -> bool {
        converted::source_of(path).is_some() || is_arrow(path)
    }

    fn read(&self, path: &Path, options: &DataOptions) -> Result<Dataset> {
        if is_arrow(path) {
            let problem = "this is an Arrow IPC (Feather) file, which cresset does not read; save it as Parquet, in Python with pandas.read_feather(…).to_parquet(…)";
            return Err(Error::data(path, problem));
        }
        if converted::source_of(path).is_none() {
            let problem =
                "not the name of JSON lines (.jsonl, .ndjson) or of Parquet (.parquet); rename the file";
            return Err(Error::data(path, problem));
        }
        Csv.read(path, options)
    }
}

impl Format for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn summary(&self) -> &'static str {
        "a delimited text table (.csv, .tsv, .txt, also .gz, .zst)"
    }

    fn recognizes(&self, path: &Path) -> bool {
        has_extension(path, &["csv", "tsv", "csv.gz", "tsv.gz", "csv.zst", "tsv.zst"])
            || has_extension(path, &["txt", "txt.gz", "txt.zst"]) && path.is_file()
    }

    fn read(&self, path: &Path, options: &DataOptions) -> Result<Dataset> {
        let table = read(path, &joined::of_choices(options))?;
        let (table, min_rating) = ratings::good(table, options)?;
        let shape = InputShape(vec![table.width() as i64]);
        let mut dataset = table.into_dataset(shape, None, options.targets()?)?;
        dataset.choices.min_rating = min_rating;
        joined::join(dataset, options)
    }
}

/// Whether a file is Arrow IPC, by its extension.
fn is_arrow(path: &Path) -> bool {
    has_extension(path, &["arrow", "feather"])
}

/// Reads a table of labelled rows.
///
/// # Errors
/// A file that is unreadable or has no rows, options with a column that does not exist, or invalid cells,
/// with line and column; if there are several errors, all of them.
pub fn read(path: &Path, options: &DataOptions) -> Result<Table> {
    let table = read_to_first_error(path, options, TextUse::Tokens);
    table.map_err(|first| Faults::explain(path, options, first))
}

/// Like [`read`], for a table in which texts are always hashed.
///
/// # Errors
/// As for [`read`].
fn read_with_hashed_texts(path: &Path, options: &DataOptions) -> Result<Table> {
    let table = read_to_first_error(path, options, TextUse::Hashes);
    table.map_err(|first| Faults::explain(path, options, first))
}

/// What becomes of one or two texts if a table has no other inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextUse {
    /// Sequences of tokens, for models of texts.
    Tokens,
    /// Hashed words, as among other columns.
    Hashes,
}

/// What is known about each input column of a table.
///
/// # Errors
/// As for [`read`].
pub fn describe(path: &Path, options: &DataOptions) -> Result<Vec<ColumnSummary>> {
    let described = || {
        let TableParts { parsed, layout, uses, .. } = TableParts::read(path, options, TextUse::Tokens)?;
        Ok(uses.describe(&parsed, &layout))
    };
    described().map_err(|first| Faults::explain(path, options, first))
}

/// A table whose cells were parsed, and the use of its columns.
struct TableParts {
    parsed: Parsed,
    layout: Layout,
    inferred: Inferred,
    uses: Uses,
    sha256: String,
}

impl TableParts {
    fn read(path: &Path, options: &DataOptions, texts: TextUse) -> Result<Self> {
        let reader = ChunkReader::open(path)?;
        let beginning = reader.beginning();
        let (mut layout, mut inferred) =
            Layout::of(path, beginning, delimiter::delimiter(path, beginning), reader.types(), options)?;
        let mut fingerprint = reader.fingerprint();
        let parsed = parse(reader, &layout).or_else(|error| {
            // The first rows may have looked like numbers.
            let columns =
                if table_files::are_files(path) { Faults::text_columns(path, &layout) } else { Vec::new() };
            if columns.is_empty() {
                return Err(error);
            }
            layout.read_as_texts(&columns);
            inferred.read_as_texts(columns);
            let reader = ChunkReader::open(path)?;
            fingerprint = reader.fingerprint();
            parse(reader, &layout)
        })?;
        if parsed.seen == 0 {
            return Err(Error::data(path, "the file has a header but no rows"));
        }
        if parsed.rows.is_empty() {
            return Err(Error::data(path, "every row has a missing value, so no row is left"));
        }
        let uses = Uses::of(path, &parsed, &layout, (options, texts))?;
        Ok(TableParts { parsed, layout, inferred, uses, sha256: fingerprint.sha256() })
    }
}

fn read_to_first_error(path: &Path, options: &DataOptions, texts: TextUse) -> Result<Table> {
    let TableParts { parsed, layout, inferred, uses, sha256 } = TableParts::read(path, options, texts)?;
    let dropped = parsed.seen - parsed.rows.len() as u64;
    let warnings = uses.warnings(&layout);
    let table = table(path, sha256, parsed, &layout, uses)?;
    table.check_labels(options.targets()?)?;
    inferred.warn(path, &layout);
    for warning in warnings {
        tracing::warn!("{}: {warning}", path.display());
    }
    if dropped > 0 {
        let (seen, path) = (dropped + table.rows.len() as u64, path.display());
        let name = match options.missing {
            Missing::Drop => "value",
            _ if options.rating.is_some() => "rating",
            _ => "label",
        };
        tracing::warn!("{path}: dropped {dropped} of {seen} rows without a {name}");
    }
    Ok(table)
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

/// The layout of a table with these input columns.
fn table_layout(layout: &Layout, columns: Vec<Column>) -> TableLayout {
    let names = names(layout);
    TableLayout {
        columns,
        width: layout.width,
        label: layout.label.map(|position| LabelColumn { name: names[position].clone(), position }),
        label_columns: layout.label_columns.clone(),
        header: layout.header.as_ref().map(|(names, _)| names.clone()),
        missing_is_value: layout.missing == Missing::Value,
    }
}

/// The error of a cell of an input that its column cannot have.
fn cell_error(path: &Path, layout: &Layout, input: usize, line: u64, problem: &str) -> Error {
    let column = layout.inputs[input].position;
    let remedy = format!("; correct it, or ignore the column with --ignore {}", layout.choice(column));
    let location = Location::line(path, line).column(layout.shown(column));
    Error::data(location, format!("{problem}{remedy}"))
}

fn table(path: &Path, sha256: String, parsed: Parsed, layout: &Layout, uses: Uses) -> Result<Table> {
    let group = |number: &u32| parsed.group_texts.texts[*number as usize].clone();
    let groups = layout.group.map(|_| parsed.groups.iter().map(group).collect());
    let Uses { columns, slots, ids, .. } = uses;
    let table = table_layout(layout, columns);
    let categories: Vec<_> = parsed.categories.into_iter().map(|texts| texts.texts).collect();
    let (values, texts) = match ids.is_empty() {
        true => {
            let values = Encoder::new(&table).rows(parsed.values, &slots, &categories, |_, _, _| {});
            let fault = |CellFault { row, input, problem }| {
                cell_error(path, layout, input, parsed.lines[row], &problem)
            };
            (values.map_err(fault)?, None)
        }
        false => {
            let texts = texts_of(&parsed.values, &slots, categories, &ids);
            (texts.features(&ids), Some(texts))
        }
    };
    Ok(Table {
        path: path.to_path_buf(),
        layout: table,
        values,
        labels: parsed.labels,
        label_texts: parsed.label_texts.texts,
        groups,
        rows: parsed.rows,
        lines: parsed.lines,
        sha256,
        texts,
    })
}

/// The texts of a table whose inputs are texts. `values` has, row by row, the index of the text in each column; NaN if missing.
fn texts_of(values: &[f32], slots: &[Option<usize>], categories: Vec<Vec<String>>, ids: &[TextIds]) -> Texts {
    let used = slots.iter().zip(categories).enumerate().filter(|(_, (slot, _))| slot.is_some());
    let columns = used.zip(ids).map(|((input, (_, texts)), ids)| {
        let own = values.iter().skip(input).step_by(slots.len());
        let of_example = own.map(|value| (!value.is_nan()).then_some(*value as u32)).collect();
        ColumnTexts { texts: Arc::new(texts), of_example, longer: ids.longer }
    });
    Texts { columns: columns.collect() }
}

#[cfg(test)]
mod tests;
