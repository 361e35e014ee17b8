//! Rows for a model that is trained: read as those that it was trained on.

use std::path::Path;

use super::layout::{Input, Layout, number};
use super::parse::parse;
use super::rows::{for_each_row, text_of};
use super::text::{self, Text};
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
    let text = Text::read(path)?;
    let bytes = text.as_bytes();
    let delimiter = text::delimiter(path, bytes);
    let first = First::take(path, bytes, delimiter)?;
    let places = places(path, model, &first)?;
    let is_header = places.by_name || first.is_header(&places, model);
    let inputs = model.columns.iter().zip(&places.columns);
    let is_category = |column: &Column| matches!(column.kind, ColumnKind::Category { .. });
    let layout = Layout {
        delimiter,
        width: first.cells.len(),
        header: is_header.then(|| (first.cells.clone(), first.line)),
        inputs: inputs
            .map(|(column, position)| Input { position: *position, is_category: is_category(column) })
            .collect(),
        label: places.label,
        group: None,
        missing: if missing { Missing::Mean } else { Missing::Error },
    };
    let mut parsed = parse(path, bytes, &layout)?;
    if parsed.rows.is_empty() {
        let problem = format!("the file holds a header and no rows{}", first.swallowed);
        return Err(Error::data(path, problem));
    }
    let texts: Vec<_> = parsed.categories.iter_mut().map(|texts| std::mem::take(&mut texts.texts)).collect();
    refuse_unknown(path, model, &layout, &texts, &parsed.values, &parsed.lines)?;
    Ok(Table {
        path: path.to_path_buf(),
        layout: model.clone(),
        values: one_hot(parsed.values, &texts, model),
        labels: parsed.labels,
        label_texts: parsed.label_texts.texts,
        groups: None,
        rows: parsed.rows,
        lines: parsed.lines,
        sha256: text.sha256(),
    })
}

/// The first row.
struct First {
    line: u64,
    cells: Vec<String>,
    swallowed: &'static str,
}

impl First {
    fn take(path: &Path, text: &[u8], delimiter: u8) -> Result<Self> {
        let mut first = None;
        let mut fault = None;
        let _ = for_each_row(path, text, delimiter, 1, &mut |row| {
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
        match (first, fault) {
            (Some(first), _) => Ok(first),
            (None, Some(error)) => Err(error),
            (None, None) => Err(Error::data(path, "the file is empty; it needs a row an input")),
        }
    }

    /// A header has names where rows have numbers.
    fn is_header(&self, places: &Places, model: &TableLayout) -> bool {
        let mut numbers = model
            .columns
            .iter()
            .zip(&places.columns)
            .filter(|(column, _)| column.kind == ColumnKind::Number)
            .map(|(_, position)| &self.cells[*position])
            .peekable();
        let any_text = self.cells.iter().any(|cell| !cell.is_empty());
        numbers.peek().is_some()
            && any_text
            && numbers.all(|cell| !cell.is_empty() && number(cell.as_bytes()).is_none())
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
    let is_named = |column: &Column| column.name.parse::<usize>().is_err();
    if let Some(columns) = named.filter(|_| model.columns.iter().all(is_named)) {
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

/// Refuses the first text that is none of its column's categories.
fn refuse_unknown(
    path: &Path,
    model: &TableLayout,
    layout: &Layout,
    texts: &[Vec<String>],
    values: &[f32],
    lines: &[u64],
) -> Result<()> {
    for (index, column) in model.columns.iter().enumerate() {
        let ColumnKind::Category { categories } = &column.kind else { continue };
        let Some(number) = texts[index].iter().position(|text| !categories.contains(text)) else { continue };
        let mut cells = values.iter().skip(index).step_by(model.columns.len());
        let row = cells.position(|value| *value == number as f32).expect("a text that was seen is of a row");
        let known: Vec<_> = categories.iter().map(|category| excerpt(category)).collect();
        let problem = format!(
            "{} is none of the texts that the model knows in this column ({})",
            quoted(&texts[index][number]),
            known.join(", ")
        );
        let place = Place::line(path, lines[row]).column(layout.shown(layout.inputs[index].position));
        return Err(Error::data(place, problem));
    }
    Ok(())
}
