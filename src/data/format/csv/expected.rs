//! Rows for a model that is trained: read as those that it was trained on.

use std::path::Path;
use std::sync::Arc;

use super::delimiter::ranked;
use super::layout::{Input, Layout, number};
use super::parallel::parse;
use super::parse::Parsed;
use super::reading::Reading;
use super::rows::{Row, for_each_row, text_of};
use super::{Missing, one_hot};
use crate::data::Table;
use crate::data::column::{Column, ColumnKind, TableLayout};
use crate::error::{Error, Place, Result, excerpt, quoted};

/// Reads rows for a model that was trained on a table of this layout. A header with the names of the model's columns says
/// where they are. Without one they stand in the model's order, as in the file that it was trained on, or alone, or with
/// the label behind them. `missing` says whether a value may be missing.
///
/// # Errors
/// A file that cannot be read or holds no rows, and rows that do not fit the model, with line and column.
pub fn read_rows(path: &Path, model: &TableLayout, missing: bool) -> Result<Table> {
    let reading = Reading::open(path)?;
    let beginning = reading.beginning();
    let layout = layout_of(path, beginning, 1, model, missing)?
        .ok_or_else(|| Error::data(path, "the file is empty; it needs a row an input"))?;
    let first = First::take(path, beginning, 1, layout.delimiter)?;
    let fingerprint = reading.fingerprint();
    let mut parsed = parse(reading, &layout)?;
    if parsed.rows.is_empty() {
        let swallowed = first.map_or("", |first| first.swallowed);
        return Err(Error::data(path, format!("{HEADER_ALONE}{swallowed}")));
    }
    let texts: Vec<_> = parsed.categories.iter_mut().map(|texts| std::mem::take(&mut texts.texts)).collect();
    for (row, line) in parsed.values.chunks_exact(model.columns.len().max(1)).zip(&parsed.lines) {
        check_categories(path, *line, row, &texts, model, &layout)?;
    }
    Ok(Table {
        path: path.to_path_buf(),
        layout: model.clone(),
        values: one_hot(parsed.values, &texts, model),
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
        missing: bool,
    ) -> Result<Option<Self>> {
        let layout = layout_of(path, text, first_line, model, missing)?;
        let unlabelled =
            |layout| Expected { layout: Layout { label: None, ..layout }, model: Arc::clone(model) };
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

    /// The rows of a stretch of the text, each with its line: a value a feature (NaN where one is missing), or what is wrong
    /// with the row.
    pub fn rows(&self, path: &Path, text: &[u8], first_line: u64) -> Vec<(u64, Result<Vec<f32>>)> {
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

    fn row(&self, path: &Path, row: &Row, parsed: &mut Parsed) -> Result<Vec<f32>> {
        parsed.values.clear();
        parsed.add(path, row, &self.layout)?;
        let texts: Vec<_> = parsed.categories.iter().map(|texts| &texts.texts[..]).collect();
        check_categories(path, row.line, &parsed.values, &texts, &self.model, &self.layout)?;
        Ok(one_hot(parsed.values.clone(), &texts, &self.model))
    }
}

/// How the columns of a text, whose first line has this number, are read; none if all lines are blank. Of the delimiters, the
/// first is taken with which the first row fits the model, best by the names of its columns.
fn layout_of(
    path: &Path,
    text: &[u8],
    first_line: u64,
    model: &TableLayout,
    missing: bool,
) -> Result<Option<Layout>> {
    let (mut found, mut fault) = (None, None);
    let mut most_cells = 0;
    for delimiter in &ranked(path, text, first_line, 1) {
        let Some(first) = First::take(path, text, first_line, *delimiter)? else { return Ok(None) };
        match places(path, model, &first) {
            Ok(places) if found.is_none() || places.by_name => {
                let is_over = places.by_name;
                found = Some(first.layout(&places, model, *delimiter, missing));
                if is_over {
                    break;
                }
            }
            Ok(_) => {}
            Err(error) if first.cells.len() > most_cells => {
                most_cells = first.cells.len();
                fault = Some(error);
            }
            Err(_) => {}
        }
    }
    found.map(Some).ok_or_else(|| fault.expect("a row has cells"))
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

    fn layout(self, places: &Places, model: &TableLayout, delimiter: u8, missing: bool) -> Layout {
        let is_header = places.by_name || self.is_header(places, model);
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
            header: is_header.then_some((self.cells, self.line)),
            label: places.label,
            group: None,
            missing: if missing { Missing::Mean } else { Missing::Error },
            drops_unlabelled: false,
        }
    }

    /// A header has names where rows have numbers.
    fn is_header(&self, places: &Places, model: &TableLayout) -> bool {
        let mut numbers = model
            .columns
            .iter()
            .zip(&places.columns)
            .filter(|(column, _)| column.kind == ColumnKind::Number)
            .map(|(column, position)| (column, &self.cells[*position]))
            .peekable();
        let any_text = self.cells.iter().any(|cell| !cell.is_empty());
        numbers.peek().is_some()
            && any_text
            && numbers.all(|(column, cell)| {
                let is_number =
                    || number(cell.as_bytes()).is_some() || column.notation.number(cell.as_bytes()).is_some();
                !cell.is_empty() && !is_number()
            })
    }
}

/// Where the model's columns stand.
struct Places {
    columns: Vec<usize>,
    label: Option<usize>,
    by_name: bool,
}

fn places(path: &Path, model: &TableLayout, first: &First) -> Result<Places> {
    let inputs = model.columns.len();
    let find = |name: &str| first.cells.iter().position(|cell| cell == name);
    let named: Option<Vec<_>> = model.columns.iter().map(|column| find(&column.name)).collect();
    // A first row that repeats names which are numbers is their header, unless there are so few that chance may do it.
    let is_text = |cell: &String| number(cell.as_bytes()).is_none();
    let tells = |columns: &Vec<usize>| {
        let are_texts = columns.iter().all(|column| is_text(&first.cells[*column]));
        are_texts || columns.len() > 2 || first.cells.iter().any(is_text)
    };
    if let Some(columns) = named.filter(|columns| model.has_header() && tells(columns)) {
        let label = model.label.as_ref().and_then(|label| find(&label.name));
        return Ok(Places { columns, label, by_name: true });
    }
    let width = first.cells.len();
    let in_order = (0..inputs).collect();
    if width == inputs {
        Ok(Places { columns: in_order, label: None, by_name: false })
    } else if width == model.width {
        let columns = model.columns.iter().map(|column| column.position).collect();
        let label = model.label.as_ref().map(|label| label.position);
        Ok(Places { columns, label, by_name: false })
    } else if width == inputs + 1 {
        Ok(Places { columns: in_order, label: Some(inputs), by_name: false })
    } else {
        let problem = format!(
            "the row has {width} value(s), but the model takes {inputs} (and may be given a label behind them){}",
            first.swallowed
        );
        Err(Error::data(Place::line(path, first.line), problem))
    }
}

/// Refuses a row, a value an input column, with a text that is none of its column's categories.
fn check_categories<T: AsRef<[String]>>(
    path: &Path,
    line: u64,
    row: &[f32],
    texts: &[T],
    model: &TableLayout,
    layout: &Layout,
) -> Result<()> {
    for (((value, column), texts), input) in row.iter().zip(&model.columns).zip(texts).zip(&layout.inputs) {
        let ColumnKind::Category { categories } = &column.kind else { continue };
        let text = texts.as_ref().get(*value as usize).filter(|_| !value.is_nan());
        let Some(unknown) = text.filter(|text| !categories.contains(text)) else { continue };
        let known: Vec<_> = categories.iter().map(|category| excerpt(category)).collect();
        let problem = format!(
            "{} is none of the texts that the model knows in this column ({})",
            quoted(unknown),
            known.join(", ")
        );
        return Err(Error::data(Place::line(path, line).column(layout.shown(input.position)), problem));
    }
    Ok(())
}
