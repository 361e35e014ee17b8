//! Parses cells to numbers, category codes and labels.

use std::collections::HashMap;
use std::path::Path;

use super::chunks::Chunk;
use super::fast::Fast;
use super::layout::Layout;
use super::rows::{Row, for_each_row, text_of, trim};
use crate::cell::is_missing;
use crate::error::{Error, Location, Result, quoted};
use crate::format::options::Missing;
use crate::label_columns::joined;

/// Distinct texts, each with a number.
#[derive(Default)]
pub struct Texts {
    number_of: HashMap<Vec<u8>, u32>,
    /// The texts, by number.
    pub texts: Vec<String>,
}

impl Texts {
    /// The number of a text that has one.
    pub(super) fn known(&self, cell: &[u8]) -> Option<u32> {
        self.number_of.get(cell).copied()
    }

    /// The number of a text; `None` if it is not UTF-8.
    pub(super) fn number(&mut self, cell: &[u8]) -> Option<u32> {
        if let Some(number) = self.number_of.get(cell) {
            return Some(*number);
        }
        let text = std::str::from_utf8(cell).ok()?;
        let number = self.texts.len() as u32;
        self.number_of.insert(cell.to_vec(), number);
        self.texts.push(text.to_string());
        Some(number)
    }
}

/// The parsed rows of a text or a part of it. Texts are stored as numbers.
#[derive(Default)]
pub struct Parsed {
    /// One value per input column, row by row. For a column of texts it is the text's number; NaN if
    /// missing.
    pub values: Vec<f32>,
    /// The texts of each column that is not numeric.
    pub categories: Vec<Texts>,
    /// The label of each row, as a number in `label_texts`.
    pub labels: Vec<u32>,
    /// The label texts.
    pub label_texts: Texts,
    /// The group of each row, as a number in `group_texts`.
    pub groups: Vec<u32>,
    /// The group texts.
    pub group_texts: Texts,
    /// The number of each row, from 0, including dropped rows.
    pub rows: Vec<u64>,
    /// The line at which each row begins.
    pub lines: Vec<u64>,
    /// The number of rows, including dropped rows.
    pub seen: u64,
}

impl Parsed {
    /// Creates an empty result.
    pub fn of(layout: &Layout) -> Self {
        let mut parsed = Parsed::default();
        parsed.categories.resize_with(layout.inputs.len(), Texts::default);
        parsed
    }

    /// The values of an input column.
    pub fn column(&self, index: usize) -> impl Iterator<Item = f32> {
        self.values.iter().skip(index).step_by(self.categories.len().max(1)).copied()
    }

    /// Parses a chunk.
    ///
    /// # Errors
    /// The first row that does not match the layout.
    pub fn chunk(path: &Path, chunk: &Chunk, layout: &Layout) -> Result<Self> {
        let mut parsed = Parsed::of(layout);
        // A row has more bytes than cells, so this is bounded by the file size.
        let cells = (1 + chunk.line_ends as usize) * layout.inputs.len();
        parsed.values.reserve_exact(cells.min(chunk.text.len()));
        match Fast::of(layout).filter(|_| memchr::memchr(b'"', &chunk.text).is_none()) {
            Some(fast) => parsed.add_lines(path, chunk, layout, fast)?,
            None => parsed.add_rows(path, &chunk.text, chunk.first_line, layout)?,
        }
        Ok(parsed)
    }

    /// Adds the lines of a chunk without quotation marks, with the fast parser where possible.
    fn add_lines(&mut self, path: &Path, chunk: &Chunk, layout: &Layout, mut fast: Fast) -> Result<()> {
        let header = layout.header.as_ref().map(|(_, line)| *line);
        let (text, mut line) = (&chunk.text[..], chunk.first_line);
        let mut at = 0;
        while at < text.len() {
            let plain = if Some(line) == header { None } else { fast.row(text, at, self) };
            at = match plain {
                Some(end) => {
                    self.keep(line);
                    end
                }
                None => {
                    let end = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |end| at + end + 1);
                    self.add_rows(path, &text[at..end], line, layout)?;
                    end
                }
            };
            line += 1;
        }
        Ok(())
    }

    /// Adds the rows of a text that begins at line `first_line`.
    fn add_rows(&mut self, path: &Path, text: &[u8], first_line: u64, layout: &Layout) -> Result<()> {
        let header = layout.header.as_ref().map(|(_, line)| *line);
        for_each_row(path, text, layout.delimiter, first_line, &mut |row| {
            if Some(row.line) == header {
                return Ok(());
            }
            let length = self.values.len();
            if self.add(path, &row, layout)? {
                self.keep(row.line);
            } else {
                self.values.truncate(length);
                self.seen += 1;
            }
            Ok(())
        })
    }

    /// Counts an added row.
    fn keep(&mut self, line: u64) {
        self.rows.push(self.seen);
        self.lines.push(line);
        self.seen += 1;
    }

    /// Adds a label without surrounding ASCII white space, if the table has labels; returns false if it needs
    /// the general parser.
    pub(super) fn add_plain_label(&mut self, label: &[u8]) -> bool {
        if label.is_empty() {
            return true;
        }
        let is_whole = !is_missing(label) && trim(label).len() == label.len();
        let number = if is_whole { self.label_texts.number(label) } else { None };
        self.labels.extend(number);
        number.is_some()
    }

    /// Adds a row; returns false if it has a missing value and must be dropped.
    pub fn add(&mut self, path: &Path, row: &Row, layout: &Layout) -> Result<bool> {
        let location = || Location::line(path, row.line);
        let at = |column| location().column(layout.shown(column));
        if row.cells.len() != layout.width {
            let first = if layout.header.is_some() { "the header" } else { "the first row" };
            let problem = format!(
                "the row has {} value(s), but {first} has {}{}",
                row.cells.len(),
                layout.width,
                row.unclosed_quote_hint()
            );
            return Err(Error::data(location(), problem));
        }
        let drops = layout.missing == Missing::Drop;
        for (input, texts) in layout.inputs.iter().zip(&mut self.categories) {
            let cell = row.cells[input.position];
            let number_of = |cell: &[u8]| texts.number(cell).map(|number| number as f32);
            let value = input
                .value(cell, number_of, drops)
                .map_err(|problem| Error::data(at(input.position), problem + row.unclosed_quote_hint()));
            let Some(value) = value? else { return Ok(false) };
            self.values.push(value);
        }
        let group = layout.group.map(|column| self.group_texts.number(row.cells[column]).ok_or(column));
        let group = group.transpose().map_err(|column| not_utf8(row.cells[column], at(column)))?;
        if let Some(column) = layout.label {
            let cell = row.cells[column];
            let is_dropped = is_missing(cell) && drops || cell.is_empty() && layout.drops_unlabelled;
            if is_dropped && !layout.allows_no_label {
                return Ok(false);
            }
            let label = self.label(cell, row, layout, &location, &at, column)?;
            self.labels.push(label);
        }
        if !layout.label_columns.is_empty() {
            let label = joined(&layout.label_columns, |position| row.cells.get(position).copied());
            let label = label.map_err(|(column, problem)| Error::data(at(column), problem))?;
            self.labels.push(self.label_texts.number(label.as_bytes()).expect("names are UTF-8"));
        }
        self.groups.extend(group);
        Ok(true)
    }

    fn label(
        &mut self,
        cell: &[u8],
        row: &Row,
        layout: &Layout,
        location: &dyn Fn() -> Location,
        at: &dyn Fn(usize) -> Location,
        column: usize,
    ) -> Result<u32> {
        if cell.is_empty() && !layout.allows_no_label {
            let remedy = "fill it in, or drop such rows with --missing value";
            let problem = format!("the row has no label (column {} is empty); {remedy}", column + 1);
            return Err(Error::data(location(), problem));
        }
        let number = self.label_texts.number(cell).ok_or_else(|| not_utf8(cell, at(column)))?;
        if cell.contains(&b'\n') {
            let text = quoted(&self.label_texts.texts[number as usize]);
            let problem = format!("the label {text} has more than one line{}", row.unclosed_quote_hint());
            return Err(Error::data(location(), problem));
        }
        Ok(number)
    }

    /// Appends the rows of the next chunk.
    pub fn append(&mut self, part: Parsed, layout: &Layout) {
        let renumber = |known: &mut Texts, texts: &Texts| -> Vec<u32> {
            let number = |text: &String| known.number(text.as_bytes()).expect("the text is UTF-8");
            texts.texts.iter().map(number).collect()
        };
        let mut values = part.values;
        let columns = layout.inputs.len();
        for (column, _) in layout.inputs.iter().enumerate().filter(|(_, input)| input.is_text) {
            let number = renumber(&mut self.categories[column], &part.categories[column]);
            for value in values.iter_mut().skip(column).step_by(columns).filter(|value| !value.is_nan()) {
                *value = number[*value as usize] as f32;
            }
        }
        self.values.append(&mut values);
        let labels = renumber(&mut self.label_texts, &part.label_texts);
        self.labels.extend(part.labels.iter().map(|label| labels[*label as usize]));
        let groups = renumber(&mut self.group_texts, &part.group_texts);
        self.groups.extend(part.groups.iter().map(|group| groups[*group as usize]));
        self.rows.extend(part.rows.iter().map(|row| self.seen + row));
        self.lines.extend(part.lines);
        self.seen += part.seen;
    }
}

fn not_utf8(cell: &[u8], location: Location) -> Error {
    text_of(cell, || location).expect_err("the cell is not UTF-8")
}
