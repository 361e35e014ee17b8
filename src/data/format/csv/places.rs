//! Where the columns of a model stand in a table: by the names in its header, or by position if it has none.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::layout::{is_missing, number};
use crate::data::column::{Column, ColumnKind, TableLayout, folded, unique};
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

/// So many numbers of a row may be all names of columns by chance, …
const FEW_NUMBERS: usize = 2;
/// … and so many may be some of them.
const SOME_NUMBERS: usize = 7;

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
        let names = unique(cells.iter().map(String::as_str));
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
            || named * 2 > inputs.len() && all_differ(cells) && (has_text || named > SOME_NUMBERS)
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
mod tests {
    use super::*;
    use crate::data::column::LabelColumn;
    use crate::data::notation::Notation;

    fn model(header: &str) -> TableLayout {
        let names: Vec<_> = header.split(',').map(String::from).collect();
        let unique: Vec<_> =
            unique(names.iter().map(String::as_str)).iter().map(|name| name.to_string()).collect();
        let (label, inputs) = unique.split_last().unwrap();
        let column = |(position, name): (usize, &String)| Column {
            name: name.clone(),
            position,
            kind: ColumnKind::Number,
            notation: Notation::Plain,
        };
        TableLayout {
            columns: inputs.iter().enumerate().map(column).collect(),
            width: names.len(),
            label: Some(LabelColumn { name: label.clone(), position: inputs.len() }),
            header: Some(names),
        }
    }

    fn unnamed(inputs: usize) -> TableLayout {
        let names: Vec<_> = (1..=inputs + 1).map(|number| number.to_string()).collect();
        TableLayout { header: None, ..model(&names.join(",")) }
    }

    /// Where the columns are found, or what is wrong.
    fn find(row: &str, model: &TableLayout) -> Result<Places, String> {
        let cells: Vec<_> = row.split(',').map(String::from).collect();
        places(Path::new("a"), 1, &cells, model).map_err(|misfit| {
            let kind = if misfit.is_header { "header" } else { "row" };
            format!("{kind}: {}", misfit.error)
        })
    }

    #[track_caller]
    fn by_name(row: &str, model: &TableLayout, columns: &[usize], label: Option<usize>) {
        let places = find(row, model).unwrap_or_else(|problem| panic!("{row}: {problem}"));
        assert!(places.by_name && places.has_header, "{row}");
        assert_eq!((&*places.columns, places.label), (columns, label), "{row}");
    }

    #[track_caller]
    fn by_place(row: &str, model: &TableLayout, columns: &[usize], label: Option<usize>) {
        let places = find(row, model).unwrap_or_else(|problem| panic!("{row}: {problem}"));
        assert!(!places.by_name && !places.has_header, "{row}");
        assert_eq!((&*places.columns, places.label), (columns, label), "{row}");
    }

    #[track_caller]
    fn refused(row: &str, model: &TableLayout, kind: &str, words: &[&str]) {
        let problem = find(row, model).err().unwrap_or_else(|| panic!("{row} is read"));
        let has = problem.starts_with(kind) && words.iter().all(|word| problem.contains(word));
        assert!(has && problem.len() < 900, "{row}: {problem}");
    }

    #[test]
    fn columns_are_found_by_name_in_any_order_whatever_their_case_and_white_space() {
        let model = model("sl,sw,pl,species");
        by_name("sl,sw,pl,species", &model, &[0, 1, 2], Some(3));
        by_name("PL,SW,SL", &model, &[2, 1, 0], None);
        by_name("id,\u{feff}Sl,pl\u{a0},note, sw ,Species", &model, &[1, 4, 2], Some(5));
        assert_eq!(find("id,sl,,sw,pl,Species", &model).unwrap().extra, ["id", "column 3"]);
        by_place("1,2,3", &model, &[0, 1, 2], None);
        by_place("1,2,3,a", &model, &[0, 1, 2], Some(3));
    }

    #[test]
    fn a_header_without_all_columns_is_refused_and_names_the_missing_ones() {
        let model = model("sl,sw,pl,pw,species");
        refused("id,sl,sw,pl", &model, "header", &["`pw`", "It has id, sl, sw, pl"]);
        refused(
            "PassengerId,sl,sw,pl,PW_",
            &model,
            "header",
            &["`pw`, which the model needs; did you mean `PW_`? It has"],
        );
        refused("a,b,c,d", &model, "header", &["none of the 4 columns", "sl, sw, pl, pw", "a, b, c, d"]);
        refused("sl,species", &model, "header", &["no columns `sw`, `pl`, `pw`"]);
        refused("1,2,3", &model, "row", &["3 value(s)", "takes 4, or 5 with the label"]);
        refused("pw,PL,sl,sw,Pl", &model, "header", &["`PL` and `Pl` for the column `pl`"]);
        // A faulty cell makes no header of a row.
        by_place("1,oops,3,4", &model, &[0, 1, 2, 3], None);
    }

    #[test]
    fn names_that_are_numbers_are_told_from_values() {
        let model = model("0,1,2,3,target");
        by_name("0,1,2,3", &model, &[0, 1, 2, 3], None);
        by_name("3,2,1,0,target", &model, &[3, 2, 1, 0], Some(4));
        by_place("5.1,3.5,1.4,0.2", &model, &[0, 1, 2, 3], None);
        by_place("1,0,0,3", &model, &[0, 1, 2, 3], None);
        refused("1,2,3,4", &model, "header", &["`0`"]);
        refused("id,0,1,2", &model, "header", &["`3`"]);
        refused("0,1,2,target", &model, "header", &["`3`"]);
    }

    #[test]
    fn columns_of_one_name_are_kept_apart_by_their_order() {
        let model = model("value,value,label");
        by_name("value,value,label", &model, &[0, 1], Some(2));
        by_name("label,VALUE,id,Value.1", &model, &[1, 3], Some(0));
        by_name("value,value.1", &model, &[0, 1], None);
        refused("value,label", &model, "header", &["`value.1`"]);
        refused("value,value,value,label", &model, "header", &["3 columns called `value`", "has 2"]);
        refused("value,value,w", &super::tests::model("value,w,label"), "header", &["2 columns", "has 1"]);
    }

    #[test]
    fn positions_count_where_neither_has_names_and_a_width_says_which() {
        let model = unnamed(3);
        by_place("1,2,3", &model, &[0, 1, 2], None);
        by_place("1,2,3,a", &model, &[0, 1, 2], Some(3));
        let places = find("a,b,c", &model).unwrap();
        assert!(places.has_header && !places.by_name);
        refused("1,2,3,4,5", &model, "row", &["5 value(s)"]);
        // One column was ignored in training: is it there, or the label?
        let mut model = super::tests::model("id,a,b,label");
        model.columns.remove(0);
        refused("1,2,3", &model, "row", &["3 value(s)", "takes 2, or all 4 columns"]);
        by_place("1,2", &model, &[0, 1], None);
        by_place("1,2,3,x", &model, &[1, 2], Some(3));
        assert_eq!(find("ID,a,b,extra", &model).unwrap().extra, ["extra"]);
    }

    #[test]
    fn of_texts_alone_a_row_is_told_by_those_that_are_known() {
        let mut model = model("colour,size,label");
        for column in &mut model.columns {
            let categories = ["red", "size"].map(String::from).to_vec();
            column.kind = ColumnKind::Category { categories, unknown: true };
        }
        by_place("red,size", &model, &[0, 1], None);
        by_place("red,huge", &model, &[0, 1], None);
        by_name("size,colour", &model, &[1, 0], None);
        refused("hue,width", &model, "header", &["none of the 2 columns"]);
    }
}
