//! Where the columns of a model stand in a table: by the names in its header, or by position if it has none.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::layout::{is_missing, number};
use crate::column::{Column, ColumnKind, TableLayout, folded, unique_names};
use crate::error::{Error, Place, excerpt, nearest, quoted};

/// Where the model's columns stand.
pub(super) struct Places {
    pub columns: Vec<usize>,
    pub label: Option<usize>,
    pub has_header: bool,
    /// Whether the columns are found by their names.
    pub by_name: bool,
    /// Whether the first row can be an example: each cell is a value that the model takes.
    pub is_row: bool,
    /// Named columns that neither the model nor its training table has.
    pub extra: Vec<String>,
}

/// Why a first row says nothing of those below it.
pub(super) struct Misfit {
    pub error: Error,
    /// It is a header, so no row of the table can be used.
    pub is_header: bool,
}

impl Misfit {
    /// The same with what is known of the row.
    pub fn behind(self, note: &str) -> Self {
        match self.error {
            Error::Data { place, problem } => {
                Misfit { error: Error::Data { place, problem: format!("{problem}{note}") }, ..self }
            }
            error => Misfit { error, ..self },
        }
    }
}

impl Places {
    /// Says what of the table is not used.
    pub fn say(&self, path: &Path) {
        let path = Place::from(path).name();
        if !self.extra.is_empty() {
            let (count, names) = (self.extra.len(), listed(&self.extra));
            tracing::warn!("{path}: ignored {count} column(s) that the model does not use: {names}");
        }
        if self.has_header && !self.by_name {
            tracing::warn!(
                "{path}: the names in the header are not used, because the model was trained on a table without a header; \
                 the columns are taken by their position"
            );
        }
    }
}

/// Where the model's columns stand, by the first row of a table.
pub(super) fn places(
    path: &Path,
    line: u64,
    cells: &[String],
    model: &TableLayout,
) -> std::result::Result<Places, Misfit> {
    let misfit = |is_header| {
        move |problem: String| Misfit { error: Error::data(Place::line(path, line), problem), is_header }
    };
    let by_position = by_position(cells.len(), model);
    if !model.has_names() {
        let mut places = by_position.map_err(misfit(false))?;
        places.has_header = looks_like_names(cells, &places.columns, model);
        places.is_row = is_row(cells, &places.columns, model);
        return Ok(places);
    }
    let named = Named::of(cells, model);
    if named.is_header(by_position.as_ref().ok()) {
        return named.places().map_err(misfit(true));
    }
    let mut places = by_position.map_err(misfit(false))?;
    places.is_row = is_row(cells, &places.columns, model);
    Ok(places)
}

/// The columns of a table without a header: the inputs alone, or all columns that it was trained on. Where the model was not
/// trained on a table, a label may stand behind the inputs.
fn by_position(width: usize, model: &TableLayout) -> std::result::Result<Places, String> {
    let inputs = model.columns.len();
    let (columns, label) = if width == inputs {
        ((0..inputs).collect(), None)
    } else if width == model.width {
        (
            model.columns.iter().map(|column| column.position).collect(),
            model.label.as_ref().map(|label| label.position),
        )
    } else if model.label.is_none() && width == inputs + 1 {
        ((0..inputs).collect(), Some(inputs))
    } else {
        let label = if model.label.is_none() {
            " (and may be given a label behind them)".to_string()
        } else if model.width == inputs + 1 {
            format!(", or {} with the label in its place", model.width)
        } else {
            format!(", or all {} columns of the table that it was trained on", model.width)
        };
        return Err(format!("the row has {width} value(s), but the model takes {inputs}{label}"));
    };
    Ok(Places { columns, label, has_header: false, by_name: false, is_row: false, extra: Vec::new() })
}

/// Whether most of the cells where the model takes numbers are texts; of a model that takes none, whether all cells are
/// different texts that it does not know.
fn looks_like_names(cells: &[String], positions: &[usize], model: &TableLayout) -> bool {
    let (mut numbers, mut texts, mut known) = (0, 0, 0);
    for (column, position) in model.columns.iter().zip(positions) {
        let cell = &cells[*position];
        match &column.kind {
            ColumnKind::Number => {
                numbers += 1;
                texts += usize::from(is_text(cell) && column.notation.number(cell.as_bytes()).is_none());
            }
            ColumnKind::Category { categories, .. } => {
                known += usize::from(categories.contains(cell) || is_missing(cell.as_bytes()));
            }
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

/// Whether each cell is a value that the model knows in its column, or a missing one.
fn is_row(cells: &[String], positions: &[usize], model: &TableLayout) -> bool {
    let is_value = |(column, position): (&Column, &usize)| {
        let cell = &cells[*position];
        is_missing(cell.as_bytes())
            || match &column.kind {
                ColumnKind::Number => !is_text(cell) || column.notation.number(cell.as_bytes()).is_some(),
                ColumnKind::Category { categories, .. } => categories.contains(cell),
            }
    };
    model.columns.iter().zip(positions).all(is_value)
}

/// The names of the model's columns among the cells of a first row.
struct Named<'a> {
    cells: &'a [String],
    model: &'a TableLayout,
    /// The cells as names, each once.
    names: Vec<Cow<'a, str>>,
    /// The names that are wanted: those of the inputs, and behind them the label's.
    wanted: Vec<Cow<'a, str>>,
    /// The place of each wanted name.
    found: Vec<Found>,
}

/// So many numbers of a row may be names of columns by chance.
const FEW_NUMBERS: usize = 2;

#[derive(Clone, PartialEq)]
enum Found {
    At(usize),
    /// These cells differ from the name by case or white space alone.
    Several(Vec<usize>),
    Nowhere,
}

impl<'a> Named<'a> {
    fn of(cells: &'a [String], model: &'a TableLayout) -> Self {
        let mut wanted = model.names();
        wanted.extend(model.label.iter().map(|label| Cow::Borrowed(label.name.as_str())));
        let names = unique_names(cells.iter().map(String::as_str));
        let exact: HashMap<&str, usize> =
            names.iter().enumerate().map(|(place, name)| (&**name, place)).collect();
        let find = |name: &Cow<str>| exact.get(&**name).map_or(Found::Nowhere, |place| Found::At(*place));
        let mut found: Vec<_> = wanted.iter().map(find).collect();
        let claimed: HashSet<_> = found.iter().filter_map(Found::at).collect();
        let mut by_fold: HashMap<String, Vec<usize>> = HashMap::new();
        for (place, name) in names.iter().enumerate().filter(|(place, _)| !claimed.contains(place)) {
            by_fold.entry(folded(name)).or_default().push(place);
        }
        let mut open: Vec<_> =
            wanted.iter().zip(&mut found).filter(|(_, found)| **found == Found::Nowhere).collect();
        // Columns of the model may differ by case alone, too.
        let mut seekers: HashMap<String, usize> = HashMap::new();
        open.iter().for_each(|(name, _)| *seekers.entry(folded(name)).or_default() += 1);
        for (name, found) in &mut open {
            let name = folded(name);
            match by_fold.get(&name).map(Vec::as_slice) {
                Some([place]) if seekers[&name] == 1 => **found = Found::At(*place),
                Some(several) => **found = Found::Several(several.to_vec()),
                None => {}
            }
        }
        Named { cells, model, names, wanted, found }
    }

    /// Whether the first row is a header: by the names in it, or by texts where the model takes numbers.
    fn is_header(&self, by_position: Option<&Places>) -> bool {
        let inputs = self.inputs();
        let named = inputs.iter().filter(|(_, found)| **found != Found::Nowhere).count();
        let is_named = |(name, found): (&Cow<str>, &Found)| *found != Found::Nowhere && is_text(name);
        let any_text = self.wanted.iter().zip(&self.found).any(is_named);
        let (cells, model) = (self.cells, self.model);
        let has_text = cells.iter().any(|cell| is_text(cell));
        named == inputs.len() && (has_text || named > FEW_NUMBERS)
            || any_text && by_position.is_none_or(|places| !is_row(cells, &places.columns, model))
            // Names that are numbers may be values, but many of a row are hardly all different.
            || named * 2 > inputs.len() && all_differ(cells) && (has_text || named > FEW_NUMBERS)
            || by_position.is_some_and(|places| looks_like_names(cells, &places.columns, model))
    }

    fn inputs(&self) -> Vec<(&Cow<'a, str>, &Found)> {
        self.wanted.iter().zip(&self.found).take(self.model.columns.len()).collect()
    }

    fn places(&self) -> std::result::Result<Places, String> {
        let inputs = self.inputs();
        if let Some((name, Found::Several(places))) =
            inputs.iter().find(|(_, found)| matches!(found, Found::Several(_)))
        {
            let names: Vec<_> = places.iter().map(|place| quoted(&self.names[*place])).collect();
            let (names, name) = (names.join(" and "), quoted(name));
            return Err(format!(
                "the header has {names} for the column {name}, so that it cannot be told which is meant; rename it to {name}"
            ));
        }
        let missing: Vec<_> = inputs.iter().filter(|(_, found)| **found == Found::Nowhere).collect();
        if !missing.is_empty() {
            let missing: Vec<_> = missing.iter().map(|(name, _)| &***name).collect();
            return Err(self.lacks(&missing));
        }
        self.refuse_more()?;
        let columns = self.found.iter().take(inputs.len()).filter_map(Found::at).collect();
        let label = self.found.get(inputs.len()).and_then(Found::at);
        Ok(Places { columns, label, has_header: true, by_name: true, is_row: false, extra: self.extra() })
    }

    /// Refuses a header with more columns of a name than the model was trained with: which ones are meant cannot be told.
    fn refuse_more(&self) -> std::result::Result<(), String> {
        let count = |names: &mut dyn Iterator<Item = &'a str>| {
            let mut counts: HashMap<&str, usize> = HashMap::new();
            names.for_each(|name| *counts.entry(name).or_default() += 1);
            counts
        };
        let own = count(&mut self.cells.iter().map(String::as_str));
        if own.len() == self.cells.len() {
            return Ok(());
        }
        let columns = &self.model.columns;
        let trained = match &self.model.header {
            Some(header) => count(&mut header.iter().map(String::as_str)),
            None => count(&mut columns.iter().map(|column| column.name.as_str())),
        };
        for (column, found) in columns.iter().zip(&self.found) {
            let Some(place) = found.at() else { continue };
            let header = self.model.header.as_ref().and_then(|header| header.get(column.position));
            let (there, before) = (own[&*self.cells[place]], trained[&**header.unwrap_or(&column.name)]);
            if there > before {
                let name = quoted(&self.cells[place]);
                return Err(format!(
                    "the header has {there} columns called {name}, but the table that the model was trained on has {before}; rename the others"
                ));
            }
        }
        Ok(())
    }

    /// What is said of a header without these columns.
    fn lacks(&self, missing: &[&str]) -> String {
        let claimed: HashSet<_> = self.found.iter().filter_map(Found::at).collect();
        let free: Vec<&str> = (0..)
            .zip(&self.names)
            .filter(|(place, _)| !claimed.contains(place))
            .map(|(_, name)| &**name)
            .collect();
        let (has, count) = (listed(&self.names), self.model.columns.len());
        if missing.len() == count && count > 1 {
            return format!(
                "the header has none of the {count} columns that the model takes: {}; it has {has}; rename its columns",
                listed(missing)
            );
        }
        let columns = if missing.len() == 1 { "column" } else { "columns" };
        let forms: Vec<_> = free.iter().map(|name| folded(name)).collect();
        let near = nearest(&folded(missing[0]), forms.iter().map(String::as_str));
        let near = near.and_then(|near| forms.iter().position(|form| form == near)).map(|place| free[place]);
        let near = near.map_or(".".to_string(), |near| format!("; did you mean {}?", quoted(near)));
        let names: Vec<_> = missing.iter().map(|name| format!("`{name}`")).collect();
        format!(
            "the header has no {columns} {}, which the model needs{near} It has {has}; rename or add the {columns}",
            listed(&names)
        )
    }

    /// The columns that are ignored, but for those that were ignored in training, too.
    fn extra(&self) -> Vec<String> {
        let claimed: HashSet<_> = self.found.iter().filter_map(Found::at).collect();
        let known: HashSet<_> = self.model.header.iter().flatten().map(|name| folded(name)).collect();
        let is_extra =
            |place: &usize| !claimed.contains(place) && !known.contains(&folded(&self.cells[*place]));
        let shown = |place: usize| match self.cells[place].as_str() {
            "" => format!("column {}", place + 1),
            name => excerpt(name),
        };
        (0..self.cells.len()).filter(is_extra).map(shown).collect()
    }
}

impl Found {
    fn at(&self) -> Option<usize> {
        match self {
            Found::At(place) => Some(*place),
            _ => None,
        }
    }
}

/// The first of these names.
fn listed<T: AsRef<str>>(names: &[T]) -> String {
    /// Bytes after which no further name is shown.
    const LONGEST: usize = 150;
    let mut text = String::new();
    for (place, name) in names.iter().enumerate() {
        if text.len() > LONGEST {
            text += &format!(", … ({} in all)", names.len());
            break;
        }
        text += if place > 0 { ", " } else { "" };
        text += &excerpt(name.as_ref());
    }
    text
}

#[cfg(test)]
mod tests;
