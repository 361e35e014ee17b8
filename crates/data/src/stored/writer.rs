//! Collects rows in blocks and writes them.

use std::path::Path;

use super::file::{FileWriter, Place};
use super::texts::PendingTexts;
use super::{BLOCK, StoredNames};
use crate::error::Result;

/// Where the blocks of a file are.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Blocks {
    pub(super) places: Vec<Place>,
    /// The number of stored columns.
    pub columns: usize,
    /// Where the texts of each block are, if there are columns of texts.
    pub(super) texts: Vec<Place>,
    /// The longest texts of each column of texts; these are the first columns.
    pub(super) longest: Vec<LongestText>,
}

/// The longest texts of a column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LongestText {
    /// The most words of a text.
    pub words: usize,
    /// The most bytes of a text.
    pub bytes: usize,
}

/// The bytes of texts from which on a block is complete, so that texts of any length take little memory.
const BLOCK_BYTES: usize = 4 << 20;

/// Writes rows.
pub(crate) struct RowWriter {
    file: FileWriter,
    places: Vec<Place>,
    /// The rows that are not written yet, column by column.
    columns: Vec<Vec<f32>>,
    text_places: Vec<Place>,
    /// The texts that are not written yet, column by column.
    texts: Vec<PendingTexts>,
    longest: Vec<LongestText>,
    names: StoredNames,
}

impl RowWriter {
    /// Begins the file at `path` with this number of columns, of which the first `texts` have texts. Their values are the numbers of
    /// words.
    ///
    /// # Errors
    /// A folder that cannot be written to.
    pub fn create(path: &Path, columns: usize, texts: usize) -> Result<Self> {
        Ok(RowWriter {
            file: FileWriter::create(path)?,
            places: Vec::new(),
            columns: vec![Vec::with_capacity(BLOCK); columns],
            text_places: Vec::new(),
            texts: (0..texts).map(|_| PendingTexts::default()).collect(),
            longest: vec![LongestText::default(); texts],
            names: StoredNames::default(),
        })
    }

    /// Adds rows: their columns, the texts of those that have them, and the number and line of each.
    ///
    /// # Errors
    /// A full disk.
    pub fn push<T: AsRef<[f32]>, S: AsRef<str>>(
        &mut self,
        columns: &[T],
        texts: &[Vec<S>],
        rows: &[(u64, u64)],
    ) -> Result<()> {
        rows.iter().for_each(|(row, line)| self.names.push(*row, *line));
        for (longest, (words, texts)) in self.longest.iter_mut().zip(columns.iter().zip(texts)) {
            // A missing text is NaN, which `f32::max` ignores.
            let words = words.as_ref().iter().copied().fold(0f32, f32::max);
            let bytes = texts.iter().map(|text| text.as_ref().len()).max().unwrap_or(0);
            *longest =
                LongestText { words: longest.words.max(words as usize), bytes: longest.bytes.max(bytes) };
        }
        let mut start = 0;
        while start < rows.len() {
            let end = self.push_texts(texts, start, rows.len().min(start + BLOCK - self.columns[0].len()));
            for (own, values) in self.columns.iter_mut().zip(columns) {
                own.extend_from_slice(&values.as_ref()[start..end]);
            }
            if self.columns[0].len() == BLOCK || self.text_bytes() >= BLOCK_BYTES {
                self.flush()?;
            }
            start = end;
        }
        Ok(())
    }

    /// Adds the texts of the rows from `start` to `end`, or of fewer if they complete the block. Returns the end of those that were added.
    fn push_texts<S: AsRef<str>>(&mut self, texts: &[Vec<S>], start: usize, end: usize) -> usize {
        if self.texts.is_empty() {
            return end;
        }
        for row in start..end {
            for (own, texts) in self.texts.iter_mut().zip(texts) {
                own.push(texts[row].as_ref());
            }
            if self.text_bytes() >= BLOCK_BYTES {
                return row + 1;
            }
        }
        end
    }

    /// The longest texts so far of each column of texts.
    pub fn longest(&self) -> &[LongestText] {
        &self.longest
    }

    fn text_bytes(&self) -> usize {
        self.texts.iter().map(PendingTexts::bytes).sum()
    }

    fn flush(&mut self) -> Result<()> {
        let rows = self.columns[0].len();
        if rows > 0 {
            self.places.push(self.file.block(&self.columns, rows)?);
            if !self.texts.is_empty() {
                self.text_places.push(self.file.texts(&mut self.texts, rows)?);
            }
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
        let RowWriter { file, places, columns, text_places, longest, names, .. } = self;
        let blocks = Blocks { places, columns: columns.len(), texts: text_places, longest };
        file.finish(&describe(blocks, names))
    }
}
