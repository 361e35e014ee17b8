//! Stores the rows of a table in one pass.

use std::path::Path;

use super::super::layout::Layout;
use super::super::parse::Parsed;
use super::columns::{StoredColumn, TextCells, number_of_words};
use super::labels::StoredLabelTexts;
use crate::error::Result;
use crate::parallel;
use crate::stored::RowWriter;

/// Rows that are being stored.
pub(in crate::format::csv) struct Pass<'a> {
    pub path: &'a Path,
    pub layout: &'a Layout,
    pub columns: Vec<StoredColumn>,
    pub labels: StoredLabelTexts,
    pub writer: RowWriter,
    /// The number of rows, including dropped ones.
    pub seen: u64,
    /// The number of stored rows.
    pub kept: u64,
}

impl<'a> Pass<'a> {
    /// Begins the file at `to`; `are_texts` if all inputs are texts, which are stored.
    ///
    /// # Errors
    /// A folder that cannot be written to.
    pub fn begin(path: &'a Path, layout: &'a Layout, are_texts: bool, to: &Path) -> Result<Self> {
        let columns = StoredColumn::all(layout, are_texts);
        // The columns of the label follow.
        let texts = if are_texts { columns.len() } else { 0 };
        let writer = RowWriter::create(to, columns.len() + 2, texts)?;
        Ok(Pass { path, layout, columns, labels: StoredLabelTexts::default(), writer, seen: 0, kept: 0 })
    }

    /// Stores parsed rows.
    ///
    /// # Errors
    /// A full disk, or one label too many that is not a number.
    pub fn take(&mut self, part: Parsed) -> Result<()> {
        let mut columns: Vec<Vec<f32>> = Vec::with_capacity(self.columns.len() + 2);
        let mut texts: Vec<Vec<&str>> = Vec::new();
        for (index, column) in self.columns.iter_mut().enumerate() {
            let mut values: Vec<f32> = part.column(index).collect();
            let own = &part.categories[index].texts;
            match column {
                StoredColumn::Number(_) => {}
                StoredColumn::Text(cells) => renumber(cells, own, &mut values),
                StoredColumn::Tokens => texts.push(take_texts(own, &mut values)),
            }
            column.count(&values, part.lines.iter().copied());
            columns.push(values);
        }
        let labels = self.labels.columns(self.path, &part.labels, &part.label_texts.texts, &part.lines)?;
        columns.extend(labels);
        let rows: Vec<(u64, u64)> =
            part.rows.iter().zip(&part.lines).map(|(row, line)| (self.seen + row, *line)).collect();
        self.writer.push(&columns, &texts, &rows)?;
        self.seen += part.seen;
        self.kept += rows.len() as u64;
        Ok(())
    }
}

/// The text of each row of a part of the table; replaces the numbers of texts by their numbers of words.
fn take_texts<'a>(texts: &'a [String], values: &mut [f32]) -> Vec<&'a str> {
    let words = parallel::map(texts, |text| number_of_words(text.as_bytes()).expect("the text is UTF-8"));
    let of_row = |value: &mut f32| {
        if value.is_nan() {
            return "";
        }
        let text = *value as usize;
        *value = words[text];
        &texts[text]
    };
    values.iter_mut().map(of_row).collect()
}

/// Replaces the numbers of texts in a part of the table by those in the whole table.
fn renumber(cells: &mut TextCells, texts: &[String], values: &mut [f32]) {
    let numbers: Vec<f32> =
        texts.iter().map(|text| cells.value(text.as_bytes()).expect("the text is UTF-8")).collect();
    for value in values.iter_mut().filter(|value| !value.is_nan()) {
        *value = numbers[*value as usize];
    }
}
