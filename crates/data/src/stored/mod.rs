//! The rows of a table in a file, for tables larger than memory.
//!
//! A cell takes as few bytes as the values of its block need: a number, or the number of its text. The features of a text are
//! looked up when rows are read.

mod block;
mod features;
mod file;
mod names;
mod survey;
mod texts;
mod tokens;
mod writer;

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use block::{Block, Column};
pub(crate) use features::{FeaturesOfText, InputFeatures, Source};
use file::Place;
pub(crate) use file::StoredFile;
pub use names::StoredNames;
pub use survey::Survey;
use texts::BlockTexts;
pub use writer::LongestText;
pub(crate) use writer::{Blocks, RowWriter};

use crate::error::Result;

/// The rows of a block.
pub(crate) const BLOCK: usize = 4096;

/// Rows whose features are written column by column: as many as stay in the cache.
const ROWS_AT_ONCE: usize = 64;

/// The stored columns of a label: the number of its text, and its value if that is a number.
const LABEL_COLUMNS: usize = 2;

/// The rows of a table in a file.
#[derive(Debug)]
pub struct StoredRows {
    file: StoredFile,
    places: Vec<Place>,
    /// The index of the first row of each block, and the number of rows.
    starts: Vec<usize>,
    /// The number of stored columns, those of the label included.
    columns: usize,
    /// Where the texts of each block are, if there are columns of texts, …
    texts: Vec<Place>,
    /// … and the longest texts of each of these.
    longest: Vec<LongestText>,
    inputs: Vec<InputFeatures>,
    width: usize,
    labels: StoredLabels,
    survey: OnceLock<Survey>,
}

/// What the stored labels mean.
#[derive(Debug, Clone)]
pub(crate) enum StoredLabels {
    /// The label of each text.
    Indexes(Vec<i64>),
    /// The values are the labels.
    Values,
}

/// The labels of some rows.
#[derive(Debug, Clone, PartialEq)]
pub enum LabelsOfRows {
    /// Labels as in [`Dataset::labels`](crate::Dataset::labels).
    Indexes(Vec<i64>),
    /// Numbers.
    Values(Vec<f32>),
}

/// A block of stored rows, in memory.
#[derive(Clone)]
pub struct StoredBlock {
    values: Arc<Block>,
    texts: Option<Arc<BlockTexts>>,
}

impl StoredBlock {
    /// The text of a row in a column of texts; empty if there are none.
    fn text(&self, column: usize, row: usize) -> &str {
        self.texts.as_ref().map_or("", |texts| texts.text(column, row))
    }
}

/// Rows of blocks in memory: the index of the block in a list, and that of the row in the block.
pub type RowsOfBlocks<'a> = &'a [(u32, u32)];

impl StoredRows {
    pub(crate) fn new(
        file: StoredFile,
        blocks: Blocks,
        inputs: Vec<InputFeatures>,
        labels: StoredLabels,
    ) -> Self {
        let mut starts = vec![0];
        blocks.places.iter().for_each(|place| starts.push(starts[starts.len() - 1] + place.rows as usize));
        let width = inputs.iter().map(|input| input.width).sum();
        StoredRows {
            file,
            places: blocks.places,
            starts,
            columns: blocks.columns,
            texts: blocks.texts,
            longest: blocks.longest,
            inputs,
            width,
            labels,
            survey: OnceLock::new(),
        }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.starts[self.places.len()]
    }

    /// The number of features of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The size of the file in bytes.
    pub fn bytes(&self) -> u64 {
        self.file.size()
    }

    /// The number of blocks.
    pub fn blocks(&self) -> usize {
        self.places.len()
    }

    /// The rows of a block.
    pub fn range(&self, block: usize) -> Range<usize> {
        self.starts[block]..self.starts[block + 1]
    }

    /// The block of a row.
    pub fn block_of(&self, row: usize) -> usize {
        self.starts.partition_point(|start| *start <= row) - 1
    }

    /// Reads a block.
    ///
    /// # Errors
    /// A file that was changed since it was opened.
    pub fn read(&self, block: usize) -> Result<StoredBlock> {
        let texts = self.texts.get(block).map(|place| self.file.read_texts(place, self.longest.len()));
        Ok(StoredBlock { texts: texts.transpose()?.map(Arc::new), values: Arc::new(self.values(block)?) })
    }

    /// Reads a block without its texts.
    ///
    /// # Errors
    /// As for [`StoredRows::read`].
    fn values(&self, block: usize) -> Result<Block> {
        self.file.read(&self.places[block], self.columns)
    }

    /// The features of rows of `blocks`, concatenated.
    ///
    /// # Errors
    /// A text that a tokenizer cannot encode.
    pub fn features(&self, blocks: &[StoredBlock], rows: RowsOfBlocks) -> Result<Vec<f32>> {
        let mut features = vec![0.; rows.len() * self.width];
        let columns: Vec<Vec<Column>> = self.inputs.iter().map(|input| input.columns(blocks)).collect();
        let parts = features.chunks_mut((ROWS_AT_ONCE * self.width).max(1)).zip(rows.chunks(ROWS_AT_ONCE));
        for (part, rows) in parts {
            for (input, columns) in self.inputs.iter().zip(&columns) {
                input.write(blocks, columns, rows, self.width, part)?;
            }
        }
        Ok(features)
    }

    /// The labels of rows of `blocks`.
    pub fn labels(&self, blocks: &[StoredBlock], rows: RowsOfBlocks) -> LabelsOfRows {
        let values: Vec<&Block> = blocks.iter().map(|block| &*block.values).collect();
        self.labels_in(&values, rows)
    }

    fn labels_in(&self, blocks: &[&Block], rows: RowsOfBlocks) -> LabelsOfRows {
        let texts = self.columns - LABEL_COLUMNS;
        let column = |index: usize| {
            let columns: Vec<_> = blocks.iter().map(|block| block.column(index)).collect();
            rows.iter().map(move |(block, row)| columns[*block as usize].value(*row as usize))
        };
        match &self.labels {
            StoredLabels::Indexes(of_text) => {
                LabelsOfRows::Indexes(column(texts).map(|text| of_text[text as usize]).collect())
            }
            StoredLabels::Values => LabelsOfRows::Values(column(texts + 1).collect()),
        }
    }

    /// The labels of all rows.
    ///
    /// # Errors
    /// As for [`StoredRows::read`].
    pub(crate) fn all_labels(&self) -> Result<LabelsOfRows> {
        let mut all = match self.labels {
            StoredLabels::Indexes(_) => LabelsOfRows::Indexes(Vec::with_capacity(self.rows())),
            StoredLabels::Values => LabelsOfRows::Values(Vec::with_capacity(self.rows())),
        };
        for block in 0..self.blocks() {
            let rows: Vec<_> = (0..self.range(block).len() as u32).map(|row| (0, row)).collect();
            match (&mut all, self.labels_in(&[&self.values(block)?], &rows)) {
                (LabelsOfRows::Indexes(all), LabelsOfRows::Indexes(own)) => all.extend(own),
                (LabelsOfRows::Values(all), LabelsOfRows::Values(own)) => all.extend(own),
                _ => unreachable!("all labels are of the same kind"),
            }
        }
        Ok(all)
    }

    /// The features of the rows at `indexes`, concatenated. Rows of a block that follow each other are read at once.
    ///
    /// # Errors
    /// As for [`StoredRows::read`].
    pub fn gather(&self, indexes: &[i64]) -> Result<Vec<f32>> {
        let mut features = Vec::with_capacity(indexes.len() * self.width);
        for rows in indexes.chunk_by(|a, b| self.block_of(*a as usize) == self.block_of(*b as usize)) {
            let block = self.block_of(rows[0] as usize);
            let first = self.starts[block];
            let places: Vec<_> = rows.iter().map(|row| (0, (*row as usize - first) as u32)).collect();
            features.extend(self.features(&[self.read(block)?], &places)?);
        }
        Ok(features)
    }

    /// Calls `work` with each block that has one of `rows`, in ascending order, and with its rows among them.
    ///
    /// # Errors
    /// As for [`StoredRows::read`], and those of `work`.
    pub fn for_each_block(
        &self,
        rows: &[i64],
        mut work: impl FnMut(&StoredBlock, RowsOfBlocks) -> Result<()>,
    ) -> Result<()> {
        let (mut rest, mut places) = (rows, Vec::new());
        while let Some(first) = rest.first() {
            let block = self.block_of(*first as usize);
            let Range { start, end } = self.range(block);
            let (own, others) = rest.split_at(rest.partition_point(|row| (*row as usize) < end));
            places.clear();
            places.extend(own.iter().map(|row| (0, (*row as usize - start) as u32)));
            work(&self.read(block)?, &places)?;
            rest = others;
        }
        Ok(())
    }

    /// The same rows with other features: `change` replaces or drops the value of a feature, whose index it has, of a column of
    /// texts.
    pub fn changed(&self, change: &dyn Fn(usize, f32) -> Option<f32>) -> Result<Self> {
        let mut inputs: Vec<InputFeatures> = Vec::with_capacity(self.inputs.len());
        for input in &self.inputs {
            let first = inputs.last().map_or(0, |before| before.first + before.width);
            inputs.push(input.changed(first, change));
        }
        self.with_inputs(inputs)
    }

    /// The same rows with other features.
    fn with_inputs(&self, inputs: Vec<InputFeatures>) -> Result<Self> {
        let blocks = Blocks {
            places: self.places.clone(),
            columns: self.columns,
            texts: self.texts.clone(),
            longest: self.longest.clone(),
        };
        let changed = StoredRows::new(self.file.again()?, blocks, inputs, self.labels.clone());
        let survey = self.survey.get().cloned();
        Ok(StoredRows { survey: survey.map_or_else(OnceLock::new, OnceLock::from), ..changed })
    }
}
