//! What the columns of a text are: by its first rows, and by what the user says.

use std::path::Path;

use super::assumed::Assumed;
use super::fast::short_decimal;
use super::header::FirstRow;
use super::notation::{Kind, kinds};
use super::reading::SAMPLE;
use super::rows::{Row, for_each_row, text_of};
use crate::DataOptions;
use crate::error::{Error, Place, Result, excerpt, nearest, quoted};
use crate::notation::Notation;
use crate::options::{ColumnChoice, Missing};

/// How the columns of a text are read.
pub struct Layout {
    /// The byte between cells.
    pub delimiter: u8,
    /// The number of columns.
    pub width: usize,
    /// The names of the columns, if the file has a header, and its line.
    pub header: Option<(Vec<String>, u64)>,
    /// The columns that are inputs.
    pub inputs: Vec<Input>,
    /// The column of the label, if there is one.
    pub label: Option<usize>,
    /// The column of the group, if there is one.
    pub group: Option<usize>,
    /// What becomes of missing values.
    pub missing: Missing,
    /// Whether rows without a label are left out.
    pub drops_unlabelled: bool,
}

/// A column that is an input.
pub struct Input {
    /// Its place among all columns, from 0.
    pub position: usize,
    /// Whether its cells are texts and not numbers.
    pub is_category: bool,
    /// How its numbers are written.
    pub notation: Notation,
}

impl Input {
    /// A cell of it as a number, finite or not.
    pub fn number(&self, cell: &[u8]) -> Option<f32> {
        match self.notation {
            Notation::Plain => number(cell),
            _ => self.notation.number(cell),
        }
    }
}

impl Layout {
    /// What the columns of a labelled table are, and what was assumed to tell it.
    ///
    /// # Errors
    /// A text without rows, and options that name no column of it.
    pub fn of(path: &Path, text: &[u8], delimiter: u8, options: &DataOptions) -> Result<(Self, Assumed)> {
        let sample = Sample::take(path, text, delimiter)?;
        let width = sample.rows[0].len();
        if width < 2 {
            let problem = format!(
                "a row needs at least one value and a label, separated by commas, tabs, semicolons or bars; this one has a single value{}",
                sample.swallowed
            );
            return Err(Error::data(Place::line(path, sample.line), problem));
        }
        let by_name = |choice: &Option<ColumnChoice>| matches!(choice, Some(ColumnChoice::Name(_)));
        let named = by_name(&Some(options.label.clone())) || by_name(&options.group);
        let position = |choice: &ColumnChoice, names: Option<&[String]>| find(path, choice, width, names);
        // Where the label stands is known without a header, unless it is called by its name.
        let label = if named { None } else { Some(position(&options.label, None)?) };
        let first = if named { FirstRow::Names } else { FirstRow::of(&sample.rows, label) };
        let is_header = matches!(first, FirstRow::Names | FirstRow::Numbers);
        let header = if is_header { Some(sample.header(path)?) } else { None };
        let names = header.as_ref().map(|(names, _)| names.as_slice());
        let label = position(&options.label, names)?;
        let group = options.group.as_ref().map(|group| position(group, names)).transpose()?;
        let ignored: Vec<usize> = match &options.ignore {
            Some(columns) => {
                let choices = columns.split(',').map(|column| column.trim().parse::<ColumnChoice>());
                let choice = |choice: std::result::Result<ColumnChoice, String>| {
                    position(&choice.map_err(Error::Usage)?, names)
                };
                choices.map(choice).collect::<Result<_>>()?
            }
            None => Vec::new(),
        };
        let is_input =
            |column: &usize| *column != label && Some(*column) != group && !ignored.contains(column);
        let rows = if header.is_some() { &sample.rows[1..] } else { &sample.rows[..] };
        let columns: Vec<usize> = (0..width).filter(is_input).collect();
        if columns.is_empty() {
            return Err(Error::data(path, "no column is left as an input"));
        }
        let kinds = kinds(rows, &columns, delimiter);
        let assumed = Assumed::of(&sample, first, &columns, &kinds);
        let input = |(position, kind): (usize, Kind)| Input {
            position,
            is_category: kind.is_category,
            notation: kind.notation,
        };
        let inputs = columns.into_iter().zip(kinds).map(input).collect();
        let (missing, drops_unlabelled) = (options.missing, options.missing != Missing::Error);
        let label = Some(label);
        let layout = Layout { delimiter, width, header, inputs, label, group, missing, drops_unlabelled };
        Ok((layout, assumed))
    }

    /// A column by its name in the header, or else by its number, from 1.
    pub fn name(&self, column: usize) -> String {
        match &self.header {
            Some((names, _)) => names[column].clone(),
            None => (column + 1).to_string(),
        }
    }

    /// A column by its number, from 1, with its name if it has one, as messages name it.
    pub fn shown(&self, column: usize) -> String {
        match &self.header {
            Some((names, _)) if !names[column].is_empty() => {
                format!("{} ({})", column + 1, excerpt(&names[column]))
            }
            _ => (column + 1).to_string(),
        }
    }

    /// A column as `--ignore` takes it: its name, or its number where the name would be read as something else.
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

/// Whether a cell stands for a value that nobody knows.
pub fn is_missing(cell: &[u8]) -> bool {
    const MARKS: [&[u8]; 7] = [b"", b"?", b"na", b"n/a", b"nan", b"null", b"none"];
    cell.len() <= 4 && MARKS.iter().any(|mark| cell.eq_ignore_ascii_case(mark))
}

/// A cell as a number, finite or not.
pub fn number(cell: &[u8]) -> Option<f32> {
    let short = short_decimal(cell, 0).filter(|(_, behind)| *behind == cell.len());
    short.map(|(value, _)| value).or_else(|| fast_float2::parse(cell).ok())
}

/// The place of a column, from 0, among `width` columns of these names.
pub fn find(path: &Path, choice: &ColumnChoice, width: usize, names: Option<&[String]>) -> Result<usize> {
    let names = names.unwrap_or_default();
    match choice {
        ColumnChoice::First => Ok(0),
        ColumnChoice::Last => Ok(width - 1),
        ColumnChoice::Number(number) if *number <= width => Ok(number - 1),
        ColumnChoice::Number(number) => {
            Err(Error::data(path, format!("there is no column {number}; the table has {width}")))
        }
        ColumnChoice::Name(name) if names.iter().filter(|own| *own == name).count() > 1 => {
            let numbers = (1..).zip(names).filter(|(_, own)| *own == name);
            let numbers: Vec<_> = numbers.map(|(number, _)| number.to_string()).take(10).collect();
            let problem = format!(
                "the header has several columns called {}; choose one by its number ({})",
                quoted(name),
                numbers.join(", ")
            );
            Err(Error::data(path, problem))
        }
        ColumnChoice::Name(name) => names.iter().position(|own| own == name).ok_or_else(|| {
            let hint = nearest(name, names.iter().map(String::as_str))
                .map_or(String::new(), |near| format!("; did you mean {}?", quoted(near)));
            let shown: Vec<_> = names.iter().take(20).map(|name| excerpt(name)).collect();
            let more = if names.len() > 20 { ", …" } else { "" };
            let problem =
                format!("the header has no column {}{hint} It has: {}{more}", quoted(name), shown.join(", "));
            Error::data(path, problem)
        }),
    }
}

/// The first rows.
pub(super) struct Sample {
    pub line: u64,
    swallowed: &'static str,
    pub rows: Vec<Vec<Vec<u8>>>,
}

/// The most columns of a table. What has more is no table with a model of its own, and would fill the memory.
const MOST_COLUMNS: usize = 1 << 20;

impl Sample {
    fn take(path: &Path, text: &[u8], delimiter: u8) -> Result<Self> {
        let mut sample = Sample { line: 0, swallowed: "", rows: Vec::new() };
        let mut too_wide = None;
        let _ = for_each_row(path, text, delimiter, 1, &mut |row: Row| {
            if row.cells.len() > MOST_COLUMNS {
                too_wide = Some((row.line, row.cells.len()));
                return Err(Error::Usage(String::new()));
            }
            if sample.rows.is_empty() {
                (sample.line, sample.swallowed) = (row.line, row.swallowed());
            }
            sample.rows.push(row.cells.iter().map(|cell| cell.to_vec()).collect());
            // An error ends the walk. A few very wide rows tell as much as many narrow ones.
            let cells = sample.rows.len() * row.cells.len();
            if sample.rows.len() < SAMPLE && cells < 1_000_000 {
                Ok(())
            } else {
                Err(Error::Usage(String::new()))
            }
        });
        if let Some((line, count)) = too_wide {
            let problem = format!("the row has {count} columns; at most {MOST_COLUMNS} are read");
            return Err(Error::data(Place::line(path, line), problem));
        }
        if sample.rows.is_empty() {
            let problem = "the file is empty; it needs a row an example, with a label among its values";
            return Err(Error::data(path, problem));
        }
        Ok(sample)
    }

    fn header(&self, path: &Path) -> Result<(Vec<String>, u64)> {
        let name = |(column, cell): (usize, &Vec<u8>)| {
            let place = || Place::line(path, self.line).column((column + 1).to_string());
            text_of(cell, place).map(str::to_string)
        };
        Ok((self.rows[0].iter().enumerate().map(name).collect::<Result<_>>()?, self.line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn short_decimals_are_the_numbers_that_rust_reads(text in "-?[0-9]{0,5}\\.?[0-9]{0,5}") {
            let expected = text.parse::<f32>().ok();
            if let Some((value, behind)) = short_decimal(text.as_bytes(), 0) {
                prop_assert_eq!(behind, text.len());
                prop_assert_eq!(Some(value.to_bits()), expected.map(f32::to_bits), "{}", text);
            }
            prop_assert_eq!(number(text.as_bytes()), expected, "{}", text);
        }

        #[test]
        fn all_numbers_are_those_that_rust_reads(value: f32) {
            prop_assert_eq!(number(value.to_string().as_bytes()).map(f32::to_bits), Some(value.to_bits()));
        }
    }
}
