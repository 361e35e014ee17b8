//! What becomes of each column of a table: an input of a type, or nothing.

use std::path::Path;

use super::kinds::{self, TextColumnCells, Use};
use super::layout::{InputColumn, Layout, choices, find};
use super::names;
use super::parse::Parsed;
use crate::column::{Column, ColumnKind};
use crate::error::{Error, Location, Result, quoted};
use crate::format::options::{ColumnTypes, DataOptions, Missing};
use crate::sorted_classes;

/// The input columns, and those that are left out.
pub(super) struct Uses {
    /// The columns that are inputs.
    pub columns: Vec<Column>,
    /// The index in `columns` of each input column of the layout, …
    pub slots: Vec<Option<usize>>,
    /// … or why it is left out.
    reasons: Vec<Option<&'static str>>,
}

/// More distinct texts cannot be counted in the float32 values of a column.
const MAX_TEXTS: usize = 1 << 24;

/// The maximum number of columns in a message.
const SHOWN: usize = 8;

impl Uses {
    /// Infers the use of all columns.
    ///
    /// # Errors
    /// Dates with an ambiguous day and month, options with a column that does not exist, or no column that is an input.
    pub fn of(path: &Path, parsed: &Parsed, layout: &Layout, options: &DataOptions) -> Result<Self> {
        let kept = options.keep.as_deref().map(choices).transpose()?.unwrap_or_default();
        let header = layout.header.as_ref().map(|(names, _)| names.as_slice());
        let kept = kept.iter().map(|choice| find(path, choice, layout.width, header));
        let kept = kept.collect::<Result<Vec<usize>>>()?;
        let names = names(layout);
        let infer = |(index, input): (usize, &InputColumn), is_kept: bool| match options.column_types {
            ColumnTypes::All => of_column(index, input, &names[input.position], parsed, layout, is_kept),
            ColumnTypes::Basic => basic(input, &parsed.categories[index].texts),
        };
        let inputs = || layout.inputs.iter().enumerate();
        let mut uses: Vec<Use> =
            inputs().map(|(index, input)| infer((index, input), kept.contains(&input.position))).collect();
        // A table of identifiers alone would leave nothing to learn from.
        if uses.iter().all(|found| matches!(found, Use::LeftOut(_))) {
            uses = inputs().map(|input| infer(input, true)).collect();
        }
        let mut found = Uses { columns: Vec::new(), slots: Vec::new(), reasons: Vec::new() };
        for (index, (input, found_use)) in layout.inputs.iter().zip(uses).enumerate() {
            if parsed.categories[index].texts.len() > MAX_TEXTS {
                return Err(refusal(path, layout, input, "has more than 16 million different texts"));
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

    /// A sentence about the columns that are left out.
    pub fn summary(&self, layout: &Layout) -> Option<String> {
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
        Some(format!("left out {}{more}; use them with --keep {}", shown.join(", "), choices.join(",")))
    }
}

/// What becomes of the input column at this index.
fn of_column(
    index: usize,
    input: &InputColumn,
    name: &str,
    parsed: &Parsed,
    layout: &Layout,
    is_kept: bool,
) -> Use {
    let values = || parsed.values.iter().skip(index).step_by(layout.inputs.len()).copied();
    if !input.is_text {
        return kinds::of_numbers(name, &values().collect::<Vec<_>>(), &input.notation, is_kept);
    }
    let (texts, missing) = kinds::counted(values(), &parsed.categories[index].texts);
    let missing_is_value = layout.missing == Missing::Value;
    TextColumnCells { name, texts, missing, missing_is_value, is_kept }.infer()
}

/// What becomes of an input column in earlier versions: a number or a one-hot encoded category.
fn basic(input: &InputColumn, texts: &[String]) -> Use {
    let categories = || ColumnKind::Category { categories: sorted_classes(texts.to_vec()), unknown: false };
    let kind = if input.is_text { categories() } else { ColumnKind::Number };
    Use::Input(kind, input.notation.clone())
}

fn refusal(path: &Path, layout: &Layout, input: &InputColumn, problem: &str) -> Error {
    let column = input.position;
    let choice = quoted(&layout.choice(column));
    Error::data(path, format!("column {} {problem}; ignore it with --ignore {choice}", layout.shown(column)))
}

/// The error for a column of dates such as `03/04/2020`.
fn ambiguous_date(layout: &Layout, column: usize, date: &str) -> String {
    format!(
        "ambiguous day and month in dates such as {}; write them as 2020-12-31, or ignore the column with --ignore {}",
        quoted(date),
        layout.choice(column)
    )
}
