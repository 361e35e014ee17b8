//! Finds the columns of a model in a table: by the names in its header, or by position without one.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::encode::{has_form, is_value};
use super::layout::number;
use crate::cell::is_missing;
use crate::column::{LabelColumn, TableLayout, folded, unique_names};
use crate::error::{Error, Location, excerpt, nearest, quoted};

/// The positions of the model's columns.
pub(super) struct ColumnPositions {
    pub columns: Vec<usize>,
    pub label: Option<usize>,
    /// The label columns, if there are several and the table has all of them.
    pub label_columns: Vec<LabelColumn>,
    pub has_header: bool,
    /// Whether the columns were found by name.
    pub by_name: bool,
    /// Whether the first row can be an example: each cell is a valid value for the model.
    pub is_row: bool,
    /// Named columns that are in neither the model nor its training table.
    pub extra: Vec<String>,
}

/// A first row that does not match the model.
pub(super) struct RowMismatch {
    pub error: Error,
    /// Whether it is a header, so that the whole table is unusable.
    pub is_header: bool,
}

impl RowMismatch {
    /// Appends a note to the message.
    pub(crate) fn with_note(self, note: &str) -> Self {
        match self.error {
            Error::Data { location, problem } => {
                RowMismatch { error: Error::Data { location, problem: format!("{problem}{note}") }, ..self }
            }
            error => RowMismatch { error, ..self },
        }
    }
}

impl ColumnPositions {
    /// Warns about unused columns and names.
    pub fn warn(&self, path: &Path) {
        let path = Location::from(path).name();
        if !self.extra.is_empty() {
            let (count, names) = (self.extra.len(), shortened(&self.extra));
            tracing::warn!("{path}: ignored {count} column(s) that the model does not use: {names}");
        }
        if self.has_header && !self.by_name {
            tracing::warn!(
                "{path}: the names in the header are not used, because the model was trained on a table without a header; \
                 columns are matched by position"
            );
        }
    }
}

/// Finds the positions of the model's columns from the first row of a table.
pub(super) fn positions(
    path: &Path,
    line: u64,
    cells: &[String],
    model: &TableLayout,
) -> std::result::Result<ColumnPositions, RowMismatch> {
    let mismatch = |is_header| {
        move |problem: String| RowMismatch {
            error: Error::data(Location::line(path, line), problem),
            is_header,
        }
    };
    let by_position = by_position(cells.len(), model);
    if !model.has_names() {
        let mut positions = by_position.map_err(mismatch(false))?;
        positions.has_header = looks_like_names(cells, &positions.columns, model);
        positions.is_row = is_row(cells, &positions.columns, model);
        return Ok(positions);
    }
    let named = MatchedNames::of(cells, model);
    if named.is_header(by_position.as_ref().ok()) {
        return named.positions().map_err(mismatch(true));
    }
    let mut positions = by_position.map_err(mismatch(false))?;
    positions.is_row = is_row(cells, &positions.columns, model);
    Ok(positions)
}

/// The column positions without a header: only the inputs, or all columns of the training table. If the model
/// was not trained on a table, a label may follow the inputs.
fn by_position(width: usize, model: &TableLayout) -> std::result::Result<ColumnPositions, String> {
    let inputs = model.columns.len();
    let is_labelled = model.label.is_some() || !model.label_columns.is_empty();
    let (columns, label) = if width == inputs {
        ((0..inputs).collect(), None)
    } else if width == model.width {
        (
            model.columns.iter().map(|column| column.position).collect(),
            model.label.as_ref().map(|label| label.position),
        )
    } else if !is_labelled && width == inputs + 1 {
        ((0..inputs).collect(), Some(inputs))
    } else {
        let label = if !is_labelled {
            " (optionally followed by a label)".to_string()
        } else if model.width == inputs + 1 {
            format!(", or {} with the label column", model.width)
        } else {
            format!(", or all {} columns of the training table", model.width)
        };
        return Err(format!("the row has {width} value(s), but the model takes {inputs}{label}"));
    };
    Ok(ColumnPositions {
        columns,
        label,
        label_columns: if width == model.width { model.label_columns.clone() } else { Vec::new() },
        has_header: false,
        by_name: false,
        is_row: false,
        extra: Vec::new(),
    })
}

/// Whether most cells in columns of numbers, dates and booleans are other text; for a model without such columns, whether all
/// cells are distinct and unknown.
fn looks_like_names(cells: &[String], positions: &[usize], model: &TableLayout) -> bool {
    let (mut numbers, mut texts, mut known) = (0, 0, 0);
    for (column, position) in model.columns.iter().zip(positions) {
        let cell = &cells[*position];
        if has_form(column) {
            numbers += 1;
            texts += usize::from(!is_value(column, cell));
        } else {
            known += usize::from(is_value(column, cell));
        }
    }
    if numbers > 0 { texts * 2 > numbers } else { positions.len() > 1 && known == 0 && all_differ(cells) }
}

fn is_text(cell: &str) -> bool {
    !is_missing(cell.as_bytes()) && number(cell.as_bytes()).is_none()
}

fn all_differ(cells: &[String]) -> bool {
    cells.iter().collect::<HashSet<_>>().len() == cells.len()
}

/// Whether each cell is a known value of its column or missing.
fn is_row(cells: &[String], positions: &[usize], model: &TableLayout) -> bool {
    model.columns.iter().zip(positions).all(|(column, position)| is_value(column, &cells[*position]))
}

/// The model's column names found in a first row.
struct MatchedNames<'a> {
    cells: &'a [String],
    model: &'a TableLayout,
    /// The cells as unique names.
    names: Vec<Cow<'a, str>>,
    /// The expected names: the inputs, followed by the label.
    expected: Vec<Cow<'a, str>>,
    /// The match of each expected name.
    found: Vec<NameMatch>,
}

/// The number of values that may equal column names by chance.
const MAX_CHANCE_MATCHES: usize = 2;

#[derive(Clone, PartialEq)]
enum NameMatch {
    At(usize),
    /// Several cells that differ from the name only in case or white space.
    Several(Vec<usize>),
    None,
}

impl<'a> MatchedNames<'a> {
    fn of(cells: &'a [String], model: &'a TableLayout) -> Self {
        let mut expected = model.names();
        expected.extend(model.label.iter().map(|label| Cow::Borrowed(label.name.as_str())));
        let names = unique_names(cells.iter().map(String::as_str));
        let exact: HashMap<&str, usize> =
            names.iter().enumerate().map(|(position, name)| (&**name, position)).collect();
        let find =
            |name: &Cow<str>| exact.get(&**name).map_or(NameMatch::None, |position| NameMatch::At(*position));
        let mut found: Vec<_> = expected.iter().map(find).collect();
        let matched: HashSet<_> = found.iter().filter_map(NameMatch::at).collect();
        let mut by_normalized: HashMap<String, Vec<usize>> = HashMap::new();
        for (position, name) in names.iter().enumerate().filter(|(position, _)| !matched.contains(position)) {
            by_normalized.entry(folded(name)).or_default().push(position);
        }
        let mut open: Vec<_> =
            expected.iter().zip(&mut found).filter(|(_, found)| **found == NameMatch::None).collect();
        // The model's columns may differ only in case too.
        let mut name_counts: HashMap<String, usize> = HashMap::new();
        open.iter().for_each(|(name, _)| *name_counts.entry(folded(name)).or_default() += 1);
        for (name, found) in &mut open {
            let name = folded(name);
            match by_normalized.get(&name).map(Vec::as_slice) {
                Some([position]) if name_counts[&name] == 1 => **found = NameMatch::At(*position),
                Some(several) => **found = NameMatch::Several(several.to_vec()),
                None => {}
            }
        }
        MatchedNames { cells, model, names, expected, found }
    }

    /// Whether the first row is a header, judged by known names or text in numeric columns.
    fn is_header(&self, by_position: Option<&ColumnPositions>) -> bool {
        let inputs = self.inputs();
        let named = inputs.iter().filter(|(_, found)| **found != NameMatch::None).count();
        let is_named = |(name, found): (&Cow<str>, &NameMatch)| *found != NameMatch::None && is_text(name);
        let any_text = self.expected.iter().zip(&self.found).any(is_named);
        let (cells, model) = (self.cells, self.model);
        let has_text = cells.iter().any(|cell| is_text(cell));
        named == inputs.len() && (has_text || named > MAX_CHANCE_MATCHES)
            || any_text && by_position.is_none_or(|positions| !is_row(cells, &positions.columns, model))
            // Numeric names may be values, but the values of a row are rarely all distinct.
            || named * 2 > inputs.len() && all_differ(cells) && (has_text || named > MAX_CHANCE_MATCHES)
            || by_position.is_some_and(|positions| looks_like_names(cells, &positions.columns, model))
    }

    fn inputs(&self) -> Vec<(&Cow<'a, str>, &NameMatch)> {
        self.expected.iter().zip(&self.found).take(self.model.columns.len()).collect()
    }

    fn positions(&self) -> std::result::Result<ColumnPositions, String> {
        let inputs = self.inputs();
        if let Some((name, NameMatch::Several(positions))) =
            inputs.iter().find(|(_, found)| matches!(found, NameMatch::Several(_)))
        {
            let names: Vec<_> = positions.iter().map(|position| quoted(&self.names[*position])).collect();
            let (names, name) = (names.join(" and "), quoted(name));
            return Err(format!(
                "the header has {names} for the column {name}, which is ambiguous; rename the intended one to {name}"
            ));
        }
        let missing: Vec<_> = inputs.iter().filter(|(_, found)| **found == NameMatch::None).collect();
        if !missing.is_empty() {
            let missing: Vec<_> = missing.iter().map(|(name, _)| &***name).collect();
            return Err(self.missing_columns(&missing));
        }
        self.check_repeats()?;
        let columns = self.found.iter().take(inputs.len()).filter_map(NameMatch::at).collect();
        let label = self.found.get(inputs.len()).and_then(NameMatch::at);
        let label_column = |column: &LabelColumn| {
            let position = self.cells.iter().position(|cell| folded(cell) == folded(&column.name))?;
            Some(LabelColumn { name: column.name.clone(), position })
        };
        let label_columns: Option<_> = self.model.label_columns.iter().map(label_column).collect();
        Ok(ColumnPositions {
            columns,
            label,
            label_columns: label_columns.unwrap_or_default(),
            has_header: true,
            by_name: true,
            is_row: false,
            extra: self.extra(),
        })
    }

    /// Rejects a header with more columns of the same name than in training, which is ambiguous.
    fn check_repeats(&self) -> std::result::Result<(), String> {
        let count = |names: &mut dyn Iterator<Item = &'a str>| {
            let mut counts: HashMap<&str, usize> = HashMap::new();
            names.for_each(|name| *counts.entry(name).or_default() += 1);
            counts
        };
        let counts_here = count(&mut self.cells.iter().map(String::as_str));
        if counts_here.len() == self.cells.len() {
            return Ok(());
        }
        let columns = &self.model.columns;
        let trained = match &self.model.header {
            Some(header) => count(&mut header.iter().map(String::as_str)),
            None => count(&mut columns.iter().map(|column| column.name.as_str())),
        };
        for (column, found) in columns.iter().zip(&self.found) {
            let Some(position) = found.at() else { continue };
            let header = self.model.header.as_ref().and_then(|header| header.get(column.position));
            let (found_count, trained_count) =
                (counts_here[&*self.cells[position]], trained[&**header.unwrap_or(&column.name)]);
            if found_count > trained_count {
                let name = quoted(&self.cells[position]);
                return Err(format!(
                    "the header has {found_count} columns named {name}, but the training table has {trained_count}; rename the others"
                ));
            }
        }
        Ok(())
    }

    /// The error for a header without these columns.
    fn missing_columns(&self, missing: &[&str]) -> String {
        let matched: HashSet<_> = self.found.iter().filter_map(NameMatch::at).collect();
        let free: Vec<&str> = (0..)
            .zip(&self.names)
            .filter(|(position, _)| !matched.contains(position))
            .map(|(_, name)| &**name)
            .collect();
        let (has, count) = (shortened(&self.names), self.model.columns.len());
        if missing.len() == count && count > 1 {
            return format!(
                "the header has none of the {count} columns of the model: {}; it has {has}; rename its columns",
                shortened(missing)
            );
        }
        let columns = if missing.len() == 1 { "column" } else { "columns" };
        let normalized: Vec<_> = free.iter().map(|name| folded(name)).collect();
        let near = nearest(&folded(missing[0]), normalized.iter().map(String::as_str));
        let near = near
            .and_then(|near| normalized.iter().position(|form| form == near))
            .map(|position| free[position]);
        let near = near.map_or(".".to_string(), |near| format!("; did you mean {}?", quoted(near)));
        let names: Vec<_> = missing.iter().map(|name| format!("`{name}`")).collect();
        format!(
            "the header has no {columns} {}, which the model requires{near} It has {has}; rename or add the {columns}",
            shortened(&names)
        )
    }

    /// The ignored columns, without those ignored in training too.
    fn extra(&self) -> Vec<String> {
        let matched: HashSet<_> = self.found.iter().filter_map(NameMatch::at).collect();
        let known: HashSet<_> = self.model.header.iter().flatten().map(|name| folded(name)).collect();
        let is_extra = |position: &usize| {
            !matched.contains(position) && !known.contains(&folded(&self.cells[*position]))
        };
        let shown = |position: usize| match self.cells[position].as_str() {
            "" => format!("column {}", position + 1),
            name => excerpt(name),
        };
        (0..self.cells.len()).filter(is_extra).map(shown).collect()
    }
}

impl NameMatch {
    fn at(&self) -> Option<usize> {
        match self {
            NameMatch::At(position) => Some(*position),
            _ => None,
        }
    }
}

/// Lists names, shortened if there are many.
fn shortened<T: AsRef<str>>(names: &[T]) -> String {
    /// The length after which the list is cut off.
    const MAX_LENGTH: usize = 150;
    let mut text = String::new();
    for (position, name) in names.iter().enumerate() {
        if text.len() > MAX_LENGTH {
            text += &format!(", … ({} in all)", names.len());
            break;
        }
        text += if position > 0 { ", " } else { "" };
        text += &excerpt(name.as_ref());
    }
    text
}

#[cfg(test)]
mod tests;
