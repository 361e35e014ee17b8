//! The column layout of a table, from its first rows and the user's options.

use std::path::Path;

use super::chunk_reader::SAMPLE;
use super::converted::{CellType, first_line};
use super::header::FirstRow;
use super::inferred::Inferred;
pub(crate) use super::input_column::{InputColumn, number};
use super::notation::{ColumnFormat, column_formats};
use super::rows::{Row, for_each_row, text_of};
use crate::column::{LabelColumn, unique_names};
use crate::column_choice::ColumnChoice;
use crate::error::{Error, Location, Result, excerpt, nearest, quoted};
use crate::format::options::{ColumnTypes, Missing};
use crate::label_columns;
use crate::notation::Notation;
use crate::schema::{Declared, Schema};
use crate::{DataOptions, TaskKind};

/// The column layout of a table.
pub struct Layout {
    /// The delimiter.
    pub delimiter: u8,
    /// The number of columns.
    pub width: usize,
    /// The column names and the line of the header, if there is one.
    pub header: Option<(Vec<String>, u64)>,
    /// The input columns.
    pub inputs: Vec<InputColumn>,
    /// The label column, if there is one.
    pub label: Option<usize>,
    /// The label columns, if there are several.
    pub label_columns: Vec<LabelColumn>,
    /// The group column, if there is one.
    pub group: Option<usize>,
    /// How missing values are handled.
    pub missing: Missing,
    /// Whether rows without a label are dropped.
    pub drops_unlabelled: bool,
    /// Whether a row may have no label: the empty set of labels.
    pub allows_no_label: bool,
}

impl Layout {
    /// Infers the layout of a labelled table, and what to warn about. A converted file has `types` and a header.
    ///
    /// # Errors
    /// A text without rows, or options with a column that does not exist.
    pub fn of(
        path: &Path,
        text: &[u8],
        delimiter: u8,
        types: &[Option<CellType>],
        options: &DataOptions,
    ) -> Result<(Self, Inferred)> {
        let sample = Sample::take(path, text, delimiter)?;
        let width = sample.rows[0].len();
        if width < 2 {
            let problem = format!(
                "a row needs at least one value and a label, separated by commas, tabs, semicolons or bars; this row has a single value{}",
                sample.unclosed_quote_hint
            );
            return Err(Error::data(Location::line(path, sample.line), problem));
        }
        let by_name = |choice: &Option<ColumnChoice>| matches!(choice, Some(ColumnChoice::Name(_)));
        let several = options.labels.as_deref().map(choices).transpose()?.unwrap_or_default();
        let texts = options.text.as_deref().map(choices).transpose()?.unwrap_or_default();
        let needs_names = !types.is_empty()
            || by_name(&Some(options.label.clone()))
            || [&options.group, &options.user, &options.item, &options.rating]
                .iter()
                .any(|choice| by_name(choice))
            || several.iter().chain(&texts).any(|choice| matches!(choice, ColumnChoice::Name(_)));
        let position = |choice: &ColumnChoice, names: Option<&[String]>| find(path, choice, width, names);
        // The label position is known without a header, unless it is selected by name, which a number may be.
        let may_be_name = matches!(options.label, ColumnChoice::Number(number) if number > width);
        let label = if needs_names || may_be_name { None } else { Some(position(&options.label, None)?) };
        let first = if needs_names { FirstRow::Names } else { FirstRow::of(&sample.rows, label) };
        let is_header = matches!(first, FirstRow::Names | FirstRow::Numbers);
        let header = if is_header { Some(sample.header(path)?) } else { None };
        let names = header.as_ref().map(|(names, _)| names.as_slice());
        let label = position(&options.label, names)?;
        let ranked = match (&options.user, &options.item) {
            (Some(user), Some(item)) => Some([position(user, names)?, position(item, names)?]),
            _ => None,
        };
        if ranked.is_some_and(|[user, item]| user == item) {
            return Err(Error::data(path, "--user and --item select the same column"));
        }
        let rating = options.rating.as_ref().map(|rating| position(rating, names)).transpose()?;
        if rating.is_some_and(|rating| ranked.is_some_and(|columns| columns.contains(&rating))) {
            return Err(Error::data(path, "--rating selects the column of --user or --item"));
        }
        let group = options.group.as_ref().map(|group| position(group, names)).transpose()?;
        let ignored = options.ignore.as_deref().map(choices).transpose()?.unwrap_or_default();
        let ignored = ignored.iter().map(|choice| position(choice, names)).collect::<Result<Vec<_>>>()?;
        let texts = texts.iter().map(|choice| position(choice, names)).collect::<Result<Vec<_>>>()?;
        check_texts(path, &texts, label)?;
        let label_columns = label_columns(path, options, width, names)?;
        let label = match ranked {
            Some(_) => rating,
            None => label_columns.is_empty().then_some(label),
        };
        let declared = match &options.schema {
            Some(schema) => {
                let names: Vec<_> = (0..width).map(|column| column_name(names, column)).collect();
                let unique = unique_names(names.iter().map(String::as_str));
                let names: Vec<_> = unique.into_iter().map(|name| name.into_owned()).collect();
                Schema::read(schema)?.of_columns(&names)?
            }
            None => vec![None; width],
        };
        let is_input = |column: &usize| {
            declared[*column] != Some(Declared::Ignore)
                && Some(*column) != label
                && Some(*column) != group
                && !ignored.contains(column)
                && (texts.is_empty() || texts.contains(column))
                && !label_columns.iter().any(|label| label.position == *column)
        };
        let rows = if header.is_some() { &sample.rows[1..] } else { &sample.rows[..] };
        let columns: Vec<usize> = match ranked {
            Some(columns) => columns.to_vec(),
            None => (0..width).filter(is_input).collect(),
        };
        if columns.is_empty() {
            return Err(Error::data(path, "there are no input columns"));
        }
        let column_formats = column_formats(rows, &columns, delimiter);
        let inferred = Inferred::of(&sample, first, &columns, &column_formats);
        let basic = options.column_types == ColumnTypes::Basic;
        let input = |(position, format): (usize, ColumnFormat)| InputColumn {
            position,
            is_text: format.is_text && (!basic || format.notation.is_plain()),
            hash_rows: None,
            notation: format.notation,
            // Who chose what has to be known.
            takes_missing: options.missing != Missing::Error && ranked.is_none(),
            is_fixed: false,
            declared: None,
        };
        let mut inputs: Vec<InputColumn> = columns.into_iter().zip(column_formats).map(input).collect();
        for input in &mut inputs {
            input.fix(types.get(input.position).copied().flatten());
            input.declare(declared[input.position].clone());
            if !texts.is_empty() {
                input.declare(Some(Declared::Text));
            }
            if ranked.is_some() {
                input.declare(Some(Declared::Index));
            }
        }
        let missing = options.missing;
        let allows_no_label = options.targets()?.task == Some(TaskKind::Multilabel);
        let drops_unlabelled = missing != Missing::Error && !allows_no_label;
        let layout = Layout {
            delimiter,
            width,
            header,
            inputs,
            label,
            label_columns,
            group,
            missing,
            drops_unlabelled,
            allows_no_label,
        };
        Ok((layout, inferred))
    }

    /// Takes the cells of these columns as texts: those that [`Faults::text_columns`](super::Faults::text_columns) finds.
    pub(super) fn read_as_texts(&mut self, columns: &[(usize, u64)]) {
        let is_text = |input: &InputColumn| columns.iter().any(|(column, _)| *column == input.position);
        let is_read =
            |input: &&mut InputColumn| input.declared.is_none() && !input.is_fixed && is_text(input);
        for input in self.inputs.iter_mut().filter(is_read) {
            (input.is_text, input.notation) = (true, Notation::Plain);
        }
    }

    /// A column's name in the header, or else its number, from 1.
    pub fn name(&self, column: usize) -> String {
        column_name(self.header.as_ref().map(|(names, _)| names.as_slice()), column)
    }

    /// A column's number, from 1, with its name if it has one, for messages.
    pub fn shown(&self, column: usize) -> String {
        match &self.header {
            Some((names, _)) if !names[column].is_empty() => {
                format!("{} ({})", column + 1, excerpt(&names[column]))
            }
            _ => (column + 1).to_string(),
        }
    }

    /// A column as an argument of `--ignore`: its name, or its number if the name would be ambiguous.
    pub fn choice(&self, column: usize) -> String {
        let is_plain = |name: &&String| {
            !name.is_empty()
                && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
                && matches!(name.parse(), Ok(ColumnChoice::Name(_)))
                && self.header.iter().flat_map(|(names, _)| names).filter(|other| other == name).count() == 1
        };
        let name = self.header.as_ref().map(|(names, _)| &names[column]).filter(is_plain);
        name.cloned().unwrap_or_else(|| (column + 1).to_string())
    }
}

/// Checks the positions of the columns of `--text`.
fn check_texts(path: &Path, texts: &[usize], label: usize) -> Result<()> {
    let problem = match texts {
        [a, b] if a == b => "--text selects the same column twice",
        texts if texts.contains(&label) => "--text selects the label column; select that with --label",
        [] | [_] | [_, _] => return Ok(()),
        _ => "--text takes at most two columns",
    };
    Err(Error::data(path, problem))
}

/// A column's name in a header, or else its number, from 1.
fn column_name(names: Option<&[String]>, column: usize) -> String {
    names.map_or_else(|| (column + 1).to_string(), |names| names[column].clone())
}

/// The columns of `--labels`, among `width` columns with these names.
pub fn label_columns(
    path: &Path,
    options: &DataOptions,
    width: usize,
    names: Option<&[String]>,
) -> Result<Vec<LabelColumn>> {
    let choices = options.labels.as_deref().map(choices).transpose()?.unwrap_or_default();
    let column = |choice: &ColumnChoice| {
        let position = find(path, choice, width, names)?;
        Ok(LabelColumn { name: column_name(names, position), position })
    };
    let columns = choices.iter().map(column).collect::<Result<Vec<_>>>()?;
    label_columns::check(&columns).map_err(|problem| Error::data(path, problem))?;
    Ok(columns)
}

/// The columns of an option such as `id,name`.
pub fn choices(columns: &str) -> Result<Vec<ColumnChoice>> {
    columns.split(',').map(|column| column.trim().parse().map_err(Error::Usage)).collect()
}

/// The index of a column, from 0, among `width` columns with these names.
pub fn find(path: &Path, choice: &ColumnChoice, width: usize, names: Option<&[String]>) -> Result<usize> {
    let names = names.unwrap_or_default();
    match choice {
        ColumnChoice::First => Ok(0),
        ColumnChoice::Last => Ok(width - 1),
        ColumnChoice::Number(number) if *number <= width => Ok(number - 1),
        // The header of a table with a column a year, for example.
        ColumnChoice::Number(number) if names.contains(&number.to_string()) => {
            find(path, &ColumnChoice::Name(number.to_string()), width, Some(names))
        }
        ColumnChoice::Number(number) => {
            Err(Error::data(path, format!("there is no column {number}; the table has {width}")))
        }
        ColumnChoice::Name(name) if names.iter().filter(|other| *other == name).count() > 1 => {
            let numbers = (1..).zip(names).filter(|(_, other)| *other == name);
            let numbers: Vec<_> = numbers.map(|(number, _)| number.to_string()).take(10).collect();
            let problem = format!(
                "the header has several columns named {}; select one by its number ({})",
                quoted(name),
                numbers.join(", ")
            );
            Err(Error::data(path, problem))
        }
        ColumnChoice::Name(name) => names.iter().position(|other| other == name).ok_or_else(|| {
            let hint = nearest(name, names.iter().map(String::as_str))
                .map_or(String::new(), |candidate| format!("; did you mean {}?", quoted(candidate)));
            let shown: Vec<_> = names.iter().take(20).map(|name| excerpt(name)).collect();
            let more = if names.len() > 20 { ", …" } else { "" };
            let problem =
                format!("the header has no column {}{hint} It has: {}{more}", quoted(name), shown.join(", "));
            Error::data(path, problem)
        }),
    }
}

/// The first rows of a table.
pub(super) struct Sample {
    pub line: u64,
    unclosed_quote_hint: &'static str,
    pub rows: Vec<Vec<Vec<u8>>>,
}

/// The maximum number of columns, to bound memory.
const MAX_COLUMNS: usize = 1 << 20;

impl Sample {
    fn take(path: &Path, text: &[u8], delimiter: u8) -> Result<Self> {
        let mut sample = Sample { line: 0, unclosed_quote_hint: "", rows: Vec::new() };
        let mut too_wide = None;
        let _ = for_each_row(path, text, delimiter, first_line(path), &mut |row: Row| {
            if row.cells.len() > MAX_COLUMNS {
                too_wide = Some((row.line, row.cells.len()));
                return Err(Error::Usage(String::new()));
            }
            if sample.rows.is_empty() {
                (sample.line, sample.unclosed_quote_hint) = (row.line, row.unclosed_quote_hint());
            }
            sample.rows.push(row.cells.iter().map(|cell| cell.to_vec()).collect());
            // An error stops the iteration. A few very wide rows are as informative as many narrow ones.
            let cells = sample.rows.len() * row.cells.len();
            if sample.rows.len() < SAMPLE && cells < 1_000_000 {
                Ok(())
            } else {
                Err(Error::Usage(String::new()))
            }
        });
        if let Some((line, count)) = too_wide {
            let problem = format!("the row has {count} columns; the maximum is {MAX_COLUMNS}");
            return Err(Error::data(Location::line(path, line), problem));
        }
        if sample.rows.is_empty() {
            let problem = "the file is empty; expected one row per example, with a label";
            return Err(Error::data(path, problem));
        }
        Ok(sample)
    }

    fn header(&self, path: &Path) -> Result<(Vec<String>, u64)> {
        let name = |(column, cell): (usize, &Vec<u8>)| {
            let location = || Location::line(path, self.line).column((column + 1).to_string());
            text_of(cell, location).map(str::to_string)
        };
        Ok((self.rows[0].iter().enumerate().map(name).collect::<Result<_>>()?, self.line))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fast::short_decimal;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn short_decimals_match_rust(text in "-?[0-9]{0,5}\\.?[0-9]{0,5}") {
            let expected = text.parse::<f32>().ok();
            if let Some((value, end)) = short_decimal(text.as_bytes(), 0) {
                prop_assert_eq!(end, text.len());
                prop_assert_eq!(Some(value.to_bits()), expected.map(f32::to_bits), "{}", text);
            }
            prop_assert_eq!(number(text.as_bytes()), expected, "{}", text);
        }

        #[test]
        fn all_numbers_match_rust(value: f32) {
            prop_assert_eq!(number(value.to_string().as_bytes()).map(f32::to_bits), Some(value.to_bits()));
        }
    }
}
