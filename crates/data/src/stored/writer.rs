//! Collects rows in blocks and writes them.

use std::path::Path;

use super::file::{FileWriter, Place};
use super::{BLOCK, StoredNames};
use crate::error::Result;

/// Where the blocks of a file are.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Blocks {
    pub(super) places: Vec<Place>,
    /// The number of stored columns.
    pub columns: usize,
}

/// Writes rows.
pub(crate) struct RowWriter {
    file: FileWriter,
    places: Vec<Place>,
    /// The rows that are not written yet, column by column.
    columns: Vec<Vec<f32>>,
    names: StoredNames,
}

impl RowWriter {
    /// Begins the file at `path` with this number of columns.
    ///
    /// # Errors
    /// A folder that cannot be written to.
    pub fn create(path: &Path, columns: usize) -> Result<Self> {
        Ok(RowWriter {
            file: FileWriter::create(path)?,
            places: Vec::new(),
            columns: vec![Vec::with_capacity(BLOCK); columns],
            names: StoredNames::default(),
        })
    }

    /// Adds rows: their columns, and the number and line of each.
    ///
    /// # Errors
    /// A full disk.
    pub fn push<T: AsRef<[f32]>>(&mut self, columns: &[T], rows: &[(u64, u64)]) -> Result<()> {
        rows.iter().for_each(|(row, line)| self.names.push(*row, *line));
        let mut start = 0;
        while start < rows.len() {
            let end = rows.len().min(start + BLOCK - self.columns[0].len());
            for (own, values) in self.columns.iter_mut().zip(columns) {
                own.extend_from_slice(&values.as_ref()[start..end]);
            }
            if self.columns[0].len() == BLOCK {
                self.flush()?;
            }
            start = end;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let rows = self.columns[0].len();
        if rows > 0 {
            self.places.push(self.file.block(&self.columns, rows)?);
            self.columns.iter_mut().for_each(Vec::clear);
        }
        Ok(())
    }

    /// Writes the last rows, and the description that `describe` makes of the blocks and names. Returns the size of the file.
    ///
    /// # Errors
    /// A full disk.
    pub fn finish<T: serde::Serialize>(
        mut self,
        describe: impl FnOnce(Blocks, StoredNames) -> T,
    ) -> Result<u64> {
        self.flush()?;
        let RowWriter { file, places, columns, names, .. } = self;
        file.finish(&describe(Blocks { places, columns: columns.len() }, names))
    }
}
