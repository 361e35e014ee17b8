//! What becomes of each column of a table: an input of a type, or nothing.

use std::collections::HashSet;
use std::path::Path;

use super::kinds::{self, MAX_CATEGORIES, TextColumnCells, Use};
use super::layout::{InputColumn, Layout, choices, find};
use super::parse::Parsed;
use super::{TextUse, names};
use crate::column::{Column, ColumnKind};
use crate::error::{Error, Location, Result, quoted};
use crate::format::options::{ColumnTypes, DataOptions, Missing};
use crate::format::text_column;
use crate::hashing::ROWS;
use crate::notation::Notation;
use crate::schema::{ColumnSummary, Declared};
use crate::sorted_classes;
use crate::texts::TextIds;

/// The cells of the input columns of a layout.
pub(super) trait Cells {
    /// The different texts of a column.
    fn texts(&self, index: usize) -> &[String];

    /// The texts that occur in a column, with their number of cells, and the number of missing values.
    fn counted(&self, index: usize) -> (Vec<(&str, u32)>, usize);

    /// Why a column of numbers with this name is left out, if it is.
    fn why_left_out(&self, index: usize, name: &str) -> Option<&'static str>;
}

impl Cells for Parsed {
    fn texts(&self, index: usize) -> &[String] {
        &self.categories[index].texts
    }

    fn counted(&self, index: usize) -> (Vec<(&str, u32)>, usize) {
        kinds::counted(self.column(index), &self.categories[index].texts)
    }

    fn why_left_out(&self, index: usize, name: &str) -> Option<&'static str> {
        kinds::of_numbers(name, &self.column(index).collect::<Vec<_>>())
    }
}

/// The input columns, and those that are left out.
pub(super) struct Uses {
    /// The columns that are inputs.
    pub columns: Vec<Column>,
    /// The index in `columns` of each input column of the layout, …
    pub slots: Vec<Option<usize>>,
    /// … or why it is left out.
    reasons: Vec<Option<&'static str>>,
    /// The token ids of the columns, if all are texts.
    pub ids: Vec<TextIds>,
}

/// More distinct texts cannot be counted in the float32 values of a column.
const MAX_TEXTS: usize = 1 << 24;

/// The number of values shown for a column.
const EXAMPLES: usize = 3;

/// The maximum number of columns in a message.
const SHOWN: usize = 8;

impl Uses {
    /// Infers the use of all columns.
    ///
    /// # Errors
    /// Dates with an ambiguous day and month, options with a column that does not exist, or no column that is an input.
    pub fn of(
        path: &Path,
        cells: &dyn Cells,
        layout: &Layout,
        (options, text_use): (&DataOptions, TextUse),
    ) -> Result<Self> {
        let kept = options.keep.as_deref().map(choices).transpose()?.unwrap_or_default();
        let header = layout.header.as_ref().map(|(names, _)| names.as_slice());
        let kept = kept.iter().map(|choice| find(path, choice, layout.width, header));
        let kept = kept.collect::<Result<Vec<usize>>>()?;
        let names = names(layout);
        let infer = |(index, input): (usize, &InputColumn), is_kept: bool| match options.column_types {
            _ if let Some(rows) = input.hash_rows => Use::Input(ColumnKind::Hash { rows }, Notation::Plain),
            ColumnTypes::Basic if options.text.is_none() && options.user.is_none() => {
                basic(input, cells.texts(index))
            }
            _ => of_column(index, input, &names[input.position], cells, layout, is_kept),
        };
        let inputs = || layout.inputs.iter().enumerate();
        let mut uses: Vec<Use> =
            inputs().map(|(index, input)| infer((index, input), kept.contains(&input.position))).collect();
        // A table of identifiers alone would leave nothing to learn from.
        if uses.iter().all(|found| matches!(found, Use::LeftOut(_))) {
            uses = inputs().map(|input| infer(input, true)).collect();
        }
        let mut ids = Vec::new();
        let takes_tokens = text_use == TextUse::Tokens && options.column_types == ColumnTypes::All;
        if options.text.is_some() || takes_tokens && are_texts(&uses) {
            for (index, found) in uses.iter_mut().enumerate() {
                let texts = cells.texts(index);
                if let Use::Input(ColumnKind::Text { .. }, _) = found {
                    let position = layout.inputs[index].position;
                    let of_column = text_column::tokenize(texts, options).map_err(|error| {
                        located(error, Location::from(path).column(layout.shown(position)))
                    })?;
                    *found = Use::Input(of_column.kind(), Notation::Plain);
                    ids.push(of_column);
                }
            }
        }
        let mut found = Uses { columns: Vec::new(), slots: Vec::new(), reasons: Vec::new(), ids };
        for (index, (input, found_use)) in layout.inputs.iter().zip(uses).enumerate() {
            if cells.texts(index).len() > MAX_TEXTS {
                return Err(too_many(path, layout, input));
            }
            if let (Some(Declared::Ordinal(order)), texts) = (&input.declared, cells.texts(index))
                && let Some(other) = texts.iter().find(|text| !order.contains(text))
            {
                let problem =
                    format!("{} is not in the order of the categories of the schema", quoted(other));
                return Err(Error::data(Location::from(path).column(layout.shown(input.position)), problem));
            }
            let slot = match found_use {
                Use::Input(kind, notation) => {
                    let name = names[input.position].clone();
                    found.columns.push(Column { name, position: input.position, kind, notation });
                    Ok(found.columns.len() - 1)
                }
                Use::LeftOut(why) => Err(why),
                Use::Ambiguous(date) => {
                    return Err(Error::data(
                        Location::from(path).column(layout.shown(input.position)),
                        ambiguous_date(layout, input.position, &date),
                    ));
                }
            };
            found.slots.push(slot.ok());
            found.reasons.push(slot.err());
        }
        Ok(found)
    }

    /// The use of columns of texts whose tokens are read later.
    ///
    /// # Errors
    /// A column whose texts have no word.
    pub fn of_texts(path: &Path, kinds: impl Iterator<Item = ColumnKind>, layout: &Layout) -> Result<Self> {
        let names = names(layout);
        let mut columns = Vec::new();
        for (input, kind) in layout.inputs.iter().zip(kinds) {
            let position = input.position;
            if kind.features() == 0 {
                let problem = text_column::without_words("the texts");
                return Err(Error::data(Location::from(path).column(layout.shown(position)), problem));
            }
            columns.push(Column { name: names[position].clone(), position, kind, notation: Notation::Plain });
        }
        let count = columns.len();
        let slots = (0..count).map(Some).collect();
        Ok(Uses { columns, slots, reasons: vec![None; count], ids: Vec::new() })
    }

    /// What is known about each input column of the layout.
    pub fn describe(&self, parsed: &Parsed, layout: &Layout) -> Vec<ColumnSummary> {
        let names = names(layout);
        let inputs = layout.inputs.iter().enumerate();
        inputs.map(|(index, input)| self.summary_of(index, &names[input.position], parsed, layout)).collect()
    }

    fn summary_of(&self, index: usize, name: &str, parsed: &Parsed, layout: &Layout) -> ColumnSummary {
        let values = || parsed.column(index);
        let missing = values().filter(|value| value.is_nan()).count();
        let mut seen = HashSet::new();
        let first = values().filter(|value| !value.is_nan() && seen.insert(value.to_bits()));
        let first: Vec<f32> = first.collect();
        let example = |value: &f32| match layout.inputs[index].is_text {
            true => parsed.categories[index].texts[*value as usize].clone(),
            false => value.to_string(),
        };
        let examples = first.iter().take(EXAMPLES).map(example).collect();
        let column = self.slots[index].map(|slot| &self.columns[slot]);
        let details = match column.map(|column| (&column.kind, &column.notation)) {
            Some((ColumnKind::List { separator, .. }, _)) => {
                vec![("separator", separator.to_string().into())]
            }
            Some((ColumnKind::Date { .. }, Notation::Date(order))) => {
                vec![("date-order", order.name().into())]
            }
            Some((ColumnKind::Hash { rows }, _)) => vec![("hash", (*rows as i64).into())],
            _ => Vec::new(),
        };
        let becomes = match (column, self.reasons[index]) {
            (Some(column), _) => match &column.kind {
                ColumnKind::Code { categories, .. } => format!("index of {} categories", categories.len()),
                ColumnKind::Hash { rows } => format!("hash, one of {rows} rows"),
                ColumnKind::Tokens { length, .. } => format!("{length} token ids"),
                kind if kind.features() == 1 => "1 feature".to_string(),
                kind => format!("{} features", kind.features()),
            },
            (None, reason) => format!("left out: {}", reason.unwrap_or_default()),
        };
        ColumnSummary {
            name: name.to_string(),
            kind: column.map_or("ignore", |column| column.kind.name()).to_string(),
            becomes,
            missing: missing as f64 / parsed.rows.len().max(1) as f64,
            distinct: first.len(),
            examples,
            details,
        }
    }

    /// What to say about the columns: those that are left out, and those with so many categories that they are hashed.
    pub fn warnings(&self, layout: &Layout) -> Vec<String> {
        self.left_out(layout).into_iter().chain(self.hashed(layout)).collect()
    }

    /// A sentence about the columns that are hashed although no schema says so.
    fn hashed(&self, layout: &Layout) -> Option<String> {
        let inputs = layout.inputs.iter().zip(&self.slots);
        let is_hashed = |(input, slot): &(&InputColumn, &Option<usize>)| {
            let kind = slot.map(|slot| &self.columns[slot].kind);
            input.hash_rows.is_none() && matches!(kind, Some(ColumnKind::Hash { .. }))
        };
        let shown: Vec<_> = inputs.filter(is_hashed).map(|(input, _)| layout.shown(input.position)).collect();
        (!shown.is_empty()).then(|| {
            format!(
                "more than {MAX_CATEGORIES} different categories are hashed into {ROWS} rows, in column {}; set another number with `hash` in a --schema",
                shown.join(", ")
            )
        })
    }

    /// A sentence about the columns that are left out.
    fn left_out(&self, layout: &Layout) -> Option<String> {
        let reasons = layout.inputs.iter().zip(&self.reasons);
        let left_out: Vec<_> = reasons.filter_map(|(input, why)| Some((input.position, (*why)?))).collect();
        if left_out.is_empty() {
            return None;
        }
        let shown: Vec<_> = left_out
            .iter()
            .take(SHOWN)
            .map(|(column, why)| format!("column {} ({why})", layout.shown(*column)))
            .collect();
        let more = match left_out.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let choices: Vec<_> = left_out.iter().take(SHOWN).map(|(column, _)| layout.choice(*column)).collect();
        let hash = match self.reasons.contains(&Some(kinds::ALL_DIFFERENT)) {
            true => format!(
                ", or hash identifiers that new rows have, too, with `type = \"category\"` and `hash = {ROWS}` in a --schema"
            ),
            false => String::new(),
        };
        Some(format!("left out {}{more}; use them with --keep {}{hash}", shown.join(", "), choices.join(",")))
    }
}

/// An error about the texts of a column, with its location.
fn located(error: Error, column: Location) -> Error {
    match error {
        Error::Usage(problem) => Error::data(column, problem),
        other => other,
    }
}

/// Whether the inputs are one or two texts.
fn are_texts(uses: &[Use]) -> bool {
    let inputs = uses.iter().filter(|found| !matches!(found, Use::LeftOut(_)));
    let texts = uses.iter().filter(|found| matches!(found, Use::Input(ColumnKind::Text { .. }, _))).count();
    (1..=2).contains(&texts) && texts == inputs.count()
}

/// What becomes of the input column at this index.
fn of_column(
    index: usize,
    input: &InputColumn,
    name: &str,
    cells: &dyn Cells,
    layout: &Layout,
    is_kept: bool,
) -> Use {
    if !input.is_text {
        let is_used = is_kept || input.declared.is_some();
        return match cells.why_left_out(index, name).filter(|_| !is_used) {
            Some(why) => Use::LeftOut(why),
            None => Use::Input(ColumnKind::Number, input.notation.clone()),
        };
    }
    let (texts, missing) = cells.counted(index);
    let missing_is_value = layout.missing == Missing::Value;
    let cells = TextColumnCells { name, texts, missing, missing_is_value, is_kept };
    match &input.declared {
        Some(declared) => cells.declared(declared),
        None => cells.infer(),
    }
}

/// What becomes of an input column in earlier versions: a number or a one-hot encoded category.
fn basic(input: &InputColumn, texts: &[String]) -> Use {
    let categories = || ColumnKind::Category { categories: sorted_classes(texts.to_vec()), unknown: false };
    let kind = if input.is_text { categories() } else { ColumnKind::Number };
    Use::Input(kind, input.notation.clone())
}

fn too_many(path: &Path, layout: &Layout, input: &InputColumn) -> Error {
    let column = input.position;
    let problem = format!(
        "column {} has more than 16 million different texts; hash it with `type = \"category\"` and `hash = {ROWS}` in a --schema, or ignore it with --ignore {}",
        layout.shown(column),
        quoted(&layout.choice(column))
    );
    Error::data(path, problem)
}

/// The error for a column of dates such as `03/04/2020`.
fn ambiguous_date(layout: &Layout, column: usize, date: &str) -> String {
    format!(
        "ambiguous day and month in dates such as {}; write them as 2020-12-31, or ignore the column with --ignore {}",
        quoted(date),
        layout.choice(column)
    )
}
