//! Rows for a model that is trained: read as those that it was trained on.

use std::path::Path;
use std::sync::Arc;

use super::delimiter::ranked;
use super::layout::{Input, Layout};
use super::parallel::parse;
use super::parse::Parsed;
use super::places::{Misfit, Places, places};
use super::reading::Reading;
use super::rows::{Row, for_each_row, text_of};
use super::{Missing, category_places, one_hot};
use crate::Table;
use crate::column::{Column, ColumnKind, TableLayout};
use crate::error::{Error, Place, Result, excerpt, quoted};
use crate::unknown::{OnUnknown, UnknownText, Unknowns};

/// What the cells of a row may be, beside values like those that the model was trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// Whether a value may be missing.
    pub missing: bool,
    /// What becomes of a category that the model was not trained on.
    pub unknown: OnUnknown,
}

/// A row for a model.
#[derive(Debug, Clone, PartialEq)]
pub struct InputRow {
    /// A value a feature; NaN where one is missing.
    pub values: Vec<f32>,
    /// The categories that the model was not trained on.
    pub unknown: Vec<UnknownText>,
}

impl From<Vec<f32>> for InputRow {
    fn from(values: Vec<f32>) -> Self {
        InputRow { values, unknown: Vec::new() }
    }
}

/// Reads rows for a model that was trained on a table of this layout. A header says by its names where the model's columns
/// are. Without one, they stand as in the file that it was trained on, or alone. Where that was no table, the label may
/// stand behind them.
///
/// # Errors
/// A file that cannot be read or holds no rows, a header that lacks columns of the model, and rows that do not fit it, with
/// line and column.
pub fn read_rows(path: &Path, model: &TableLayout, allowed: Allowed) -> Result<Table> {
    let reading = Reading::open(path)?;
    let beginning = reading.beginning();
    let layout = layout_of(path, beginning, 1, model, allowed)
        .map_err(|misfit| misfit.error)?
        .ok_or_else(|| Error::data(path, "the file is empty; it needs a row an input"))?;
    let first = First::take(path, beginning, 1, layout.delimiter)?;
    let fingerprint = reading.fingerprint();
    let mut parsed = parse(reading, &layout)?;
    if parsed.rows.is_empty() {
        let swallowed = first.map_or("", |first| first.swallowed);
        return Err(Error::data(path, format!("{HEADER_ALONE}{swallowed}")));
    }
    let texts: Vec<_> = parsed.categories.iter_mut().map(|texts| std::mem::take(&mut texts.texts)).collect();
    let places = category_places(&texts, model);
    let check = Check { path, model, layout: &layout, allowed };
    let mut unknowns = Unknowns::default();
    for (row, line) in parsed.values.chunks_exact(model.columns.len().max(1)).zip(&parsed.lines) {
        unknowns.add(&check.unknown(*line, row, &texts, &places)?);
    }
    if let Some(summary) = unknowns.summary(parsed.rows.len()) {
        tracing::warn!("{}: {summary}", Place::from(path).name());
    }
    Ok(Table {
        path: path.to_path_buf(),
        layout: model.clone(),
        values: one_hot(parsed.values, &places, model),
        labels: parsed.labels,
        label_texts: parsed.label_texts.texts,
        groups: None,
        rows: parsed.rows,
        lines: parsed.lines,
        sha256: fingerprint.sha256(),
    })
}

pub(super) const HEADER_ALONE: &str = "the file holds a header and no rows";

/// How the rows of a text become inputs of a model.
pub(super) struct Expected {
    layout: Layout,
    model: Arc<TableLayout>,
    allowed: Allowed,
}

impl Expected {
    /// What the first row of a text, whose first line has this number, says of those below; none if all lines are blank.
    /// Labels are passed over.
    ///
    /// # Errors
    /// A first row that does not fit the model.
    pub fn of(
        path: &Path,
        text: &[u8],
        first_line: u64,
        model: &Arc<TableLayout>,
        allowed: Allowed,
    ) -> std::result::Result<Option<Self>, Misfit> {
        let layout = layout_of(path, text, first_line, model, allowed)?;
        let unlabelled =
            |layout| Expected { layout: Layout { label: None, ..layout }, model: Arc::clone(model), allowed };
        Ok(layout.map(unlabelled))
    }

    /// The byte between cells.
    pub fn delimiter(&self) -> u8 {
        self.layout.delimiter
    }

    /// The line of the header, if there is one.
    pub fn header(&self) -> Option<u64> {
        self.layout.header.as_ref().map(|(_, line)| *line)
    }

    /// The rows of a stretch of the text, each with its line, or what is wrong with the row.
    pub fn rows(&self, path: &Path, text: &[u8], first_line: u64) -> Vec<(u64, Result<InputRow>)> {
        let mut rows = Vec::new();
        let mut parsed = Parsed::of(&self.layout);
        let walked = for_each_row(path, text, self.layout.delimiter, first_line, &mut |row| {
            if Some(row.line) != self.header() {
                rows.push((row.line, self.row(path, &row, &mut parsed)));
            }
            Ok(())
        });
        rows.extend(walked.err().map(|error| (first_line, Err(error))));
        rows
    }

    fn row(&self, path: &Path, row: &Row, parsed: &mut Parsed) -> Result<InputRow> {
        if parsed.categories.iter().any(|texts| texts.texts.len() > MOST_TEXTS) {
            *parsed = Parsed::of(&self.layout);
        }
        parsed.values.clear();
        parsed.add(path, row, &self.layout)?;
        let texts: Vec<_> = parsed.categories.iter().map(|texts| &texts.texts[..]).collect();
        let places = category_places(&texts, &self.model);
        let check = Check { path, model: &self.model, layout: &self.layout, allowed: self.allowed };
        let unknown = check.unknown(row.line, &parsed.values, &texts, &places)?;
        Ok(InputRow { values: one_hot(parsed.values.clone(), &places, &self.model), unknown })
    }
}

/// Texts of a column that are remembered from row to row. Each is looked up among the categories for every row.
const MOST_TEXTS: usize = 200;

/// Reads the text of a single row without a header, whose cells stand in the order of the model's columns.
///
/// # Errors
/// What is wrong with the row.
pub fn read_row(text: &[u8], model: &Arc<TableLayout>, allowed: Allowed) -> Result<InputRow> {
    let path = Path::new("");
    let names: Vec<_> = model.names().iter().map(|name| name.to_string()).collect();
    let places = Places {
        columns: (0..names.len()).collect(),
        label: None,
        has_header: true,
        by_name: true,
        is_row: false,
        extra: Vec::new(),
    };
    // A header above the first line.
    let first = First { line: 0, cells: names, swallowed: "" };
    let layout = first.layout(&places, model, b',', allowed);
    let expected = Expected { layout, model: Arc::clone(model), allowed };
    match expected.rows(path, text, 1).pop() {
        Some((_, row)) => row,
        None => Err(Error::data(path, "this is no row")),
    }
}

/// How the columns of a text, whose first line has this number, are read; none if all lines are blank. Of the delimiters, the
/// first is taken with which the first row fits the model, best by the names of its columns.
fn layout_of(
    path: &Path,
    text: &[u8],
    first_line: u64,
    model: &TableLayout,
    allowed: Allowed,
) -> std::result::Result<Option<Layout>, Misfit> {
    let mut found: Option<(First, Places, u8)> = None;
    let mut fault: Option<Misfit> = None;
    let mut greatest = (false, 0);
    for delimiter in &ranked(path, text, first_line, 1) {
        let first = First::take(path, text, first_line, *delimiter);
        let first = first.map_err(|error| Misfit { error, is_header: false })?;
        let Some(first) = first else { return Ok(None) };
        match places(path, first.line, &first.cells, model) {
            Ok(places) if found.is_none() || places.by_name => {
                let is_over = places.by_name;
                found = Some((first, places, *delimiter));
                if is_over {
                    break;
                }
            }
            Ok(_) => {}
            Err(misfit) => {
                // What can be told of most cells, best of a header.
                let rank = (misfit.is_header, first.cells.len());
                if rank > greatest {
                    greatest = rank;
                    fault = Some(misfit.behind(first.swallowed));
                }
            }
        }
    }
    match (found, fault) {
        // A header, cut by another delimiter, may have as many cells as the model takes values.
        (Some((_, places, _)), Some(fault)) if fault.is_header && !places.by_name && !places.is_row => {
            Err(fault)
        }
        (Some((first, places, delimiter)), _) => {
            // A request has no name, and its sender does not read the log.
            if !path.as_os_str().is_empty() {
                places.say(path);
            }
            Ok(Some(first.layout(&places, model, delimiter, allowed)))
        }
        (None, fault) => Err(fault.expect("a row has cells")),
    }
}

/// The first row.
struct First {
    line: u64,
    cells: Vec<String>,
    swallowed: &'static str,
}

impl First {
    fn take(path: &Path, text: &[u8], first_line: u64, delimiter: u8) -> Result<Option<Self>> {
        let mut first = None;
        let mut fault = None;
        let _ = for_each_row(path, text, delimiter, first_line, &mut |row| {
            let place = || Place::line(path, row.line);
            let cells = row.cells.iter().enumerate().map(|(column, cell)| {
                text_of(cell, || place().column((column + 1).to_string())).map(str::to_string)
            });
            match cells.collect() {
                Ok(cells) => first = Some(First { line: row.line, cells, swallowed: row.swallowed() }),
                Err(error) => fault = Some(error),
            }
            // An error ends the walk.
            Err(Error::Usage(String::new()))
        });
        fault.map_or(Ok(first), Err)
    }

    fn layout(self, places: &Places, model: &TableLayout, delimiter: u8, allowed: Allowed) -> Layout {
        let inputs = model.columns.iter().zip(&places.columns);
        let is_category = |column: &Column| matches!(column.kind, ColumnKind::Category { .. });
        Layout {
            delimiter,
            width: self.cells.len(),
            inputs: inputs
                .map(|(column, position)| Input {
                    position: *position,
                    is_category: is_category(column),
                    notation: column.notation.clone(),
                })
                .collect(),
            header: places.has_header.then_some((self.cells, self.line)),
            label: places.label,
            group: None,
            missing: if allowed.missing { Missing::Mean } else { Missing::Error },
            drops_unlabelled: false,
        }
    }
}

/// What tells unknown categories.
struct Check<'a> {
    path: &'a Path,
    model: &'a TableLayout,
    layout: &'a Layout,
    allowed: Allowed,
}

impl Check<'_> {
    /// The categories of a row, a value an input column, that the model was not trained on.
    ///
    /// # Errors
    /// One that may not be.
    fn unknown<T: AsRef<[String]>>(
        &self,
        line: u64,
        row: &[f32],
        texts: &[T],
        places: &[Vec<Option<usize>>],
    ) -> Result<Vec<UnknownText>> {
        let mut found = Vec::new();
        for (index, (value, column)) in row.iter().zip(&self.model.columns).enumerate() {
            let ColumnKind::Category { categories, unknown } = &column.kind else { continue };
            if value.is_nan() || places[index][*value as usize].is_some() {
                continue;
            }
            let text = &texts[index].as_ref()[*value as usize];
            if *unknown && self.allowed.unknown == OnUnknown::Allow {
                found.push(UnknownText { column: column.name.clone(), text: text.clone() });
                continue;
            }
            let known: Vec<_> = categories.iter().take(SHOWN).map(|category| excerpt(category)).collect();
            let more = if categories.len() > SHOWN { ", …" } else { "" };
            let remedy =
                if *unknown { "" } else { "; train it again, and it takes texts that it does not know" };
            let problem = format!(
                "{} is none of the texts that the model knows in this column ({}{more}){remedy}",
                quoted(text),
                known.join(", ")
            );
            let place =
                Place::line(self.path, line).column(self.layout.shown(self.layout.inputs[index].position));
            return Err(Error::data(place, problem));
        }
        Ok(found)
    }
}

/// The categories that an error lists.
const SHOWN: usize = 10;
