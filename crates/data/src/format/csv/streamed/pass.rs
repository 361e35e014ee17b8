//! Stores the rows of a table in one pass.

use std::path::Path;

use super::super::layout::Layout;
use super::super::parse::Parsed;
use super::columns::{StoredColumn, TextCells};
use super::labels::StoredLabelTexts;
use crate::error::Result;
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
    /// Begins the file at `to`.
    ///
    /// # Errors
    /// A folder that cannot be written to.
    pub fn begin(path: &'a Path, layout: &'a Layout, to: &Path) -> Result<Self> {
        let columns = StoredColumn::all(layout);
        // The columns of the label follow.
        let writer = RowWriter::create(to, columns.len() + 2)?;
        Ok(Pass { path, layout, columns, labels: StoredLabelTexts::default(), writer, seen: 0, kept: 0 })
    }

    /// Stores parsed rows.
    ///
    /// # Errors
    /// A full disk, or one label too many that is not a number.
    pub fn take(&mut self, part: Parsed) -> Result<()> {
        let mut columns: Vec<Vec<f32>> = Vec::with_capacity(self.columns.len() + 2);
        for (index, column) in self.columns.iter_mut().enumerate() {
            let mut values: Vec<f32> = part.column(index).collect();
            if let StoredColumn::Text(cells) = column {
                renumber(cells, &part.categories[index].texts, &mut values);
            }
            column.count(&values, part.lines.iter().copied());
            columns.push(values);
        }
        let labels = self.labels.columns(self.path, &part.labels, &part.label_texts.texts, &part.lines)?;
        columns.extend(labels);
        let rows: Vec<(u64, u64)> =
            part.rows.iter().zip(&part.lines).map(|(row, line)| (self.seen + row, *line)).collect();
        self.writer.push(&columns, &rows)?;
        self.seen += part.seen;
        self.kept += rows.len() as u64;
        Ok(())
    }
}

/// Replaces the numbers of texts in a part of the table by those in the whole table.
fn renumber(cells: &mut TextCells, texts: &[String], values: &mut [f32]) {
    let numbers: Vec<f32> =
        texts.iter().map(|text| cells.value(text.as_bytes()).expect("the text is UTF-8")).collect();
    for value in values.iter_mut().filter(|value| !value.is_nan()) {
        *value = numbers[*value as usize];
    }
}
