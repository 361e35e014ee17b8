//! The texts of stored rows, and their tokens.

use std::sync::Arc;

use super::{InputFeatures, LongestText, RowsOfBlocks, Source, StoredBlock, StoredRows};
use crate::error::Result;
use crate::tokens::Tokenization;

impl StoredRows {
    /// Whether the inputs are texts.
    pub fn has_texts(&self) -> bool {
        !self.longest.is_empty()
    }

    /// The longest texts of each column of texts.
    pub(crate) fn longest(&self) -> &[LongestText] {
        &self.longest
    }

    /// The same rows with the tokens of other tokenizations: for each column of texts, its own, and its maximum number of tokens.
    ///
    /// # Errors
    /// Too many open files.
    pub(crate) fn tokenized(&self, columns: Vec<(Tokenization, usize)>) -> Result<Self> {
        let mut inputs: Vec<InputFeatures> = Vec::with_capacity(columns.len());
        for (texts, (input, (tokenization, width))) in self.inputs.iter().zip(columns).enumerate() {
            let first = inputs.last().map_or(0, |before| before.first + before.width);
            let source = Source::Tokens { texts, tokenization: Arc::new(tokenization) };
            inputs.push(InputFeatures { column: input.column, first, width, source });
        }
        self.with_inputs(inputs)
    }

    /// The number of words of the text in the first column of rows of `blocks`, at most that of the tokens which are used.
    pub fn words(&self, blocks: &[StoredBlock], rows: RowsOfBlocks) -> Vec<u32> {
        let Some(input) = self.inputs.first() else { return vec![0; rows.len()] };
        let columns = input.columns(blocks);
        let words = rows.iter().map(|(block, row)| columns[*block as usize].value(*row as usize));
        // NaN, a missing text, is converted to 0.
        words.map(|words| (words as u32).min(input.width as u32)).collect()
    }

    /// The number of texts of each column that have more words than tokens which are used.
    ///
    /// # Errors
    /// As for [`StoredRows::read`].
    pub(crate) fn longer(&self) -> Result<Vec<usize>> {
        let mut longer = vec![0; self.inputs.len()];
        for block in 0..self.blocks() {
            let values = self.values(block)?;
            for (input, longer) in self.inputs.iter().zip(&mut longer) {
                let column = values.column(input.column);
                let words = (0..self.range(block).len()).map(|row| column.value(row));
                *longer += words.filter(|words| *words > input.width as f32).count();
            }
        }
        Ok(longer)
    }

    /// The texts of evenly spaced rows among `rows`, in ascending order: about as many as have `bytes` bytes.
    ///
    /// # Errors
    /// As for [`StoredRows::read`].
    pub(crate) fn sampled_texts(&self, rows: &[i64], bytes: u64) -> Result<Vec<String>> {
        let all: u64 = self.texts.iter().map(|place| u64::from(place.bytes)).sum();
        let of_rows = (all as f64 * rows.len() as f64 / self.rows().max(1) as f64) as u64;
        let every = of_rows.div_ceil(bytes).max(1) as usize;
        let sample: Vec<i64> = rows.iter().copied().step_by(every).collect();
        let mut texts = Vec::new();
        self.for_each_block(&sample, |block, rows| {
            for column in 0..self.longest.len() {
                texts.extend(rows.iter().map(|(_, row)| block.text(column, *row as usize).to_string()));
            }
            Ok(())
        })?;
        Ok(texts)
    }
}
