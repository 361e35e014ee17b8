//! The features of stored values.

use std::sync::Arc;

use super::block::Column;
use super::{RowsOfBlocks, StoredBlock};
use crate::error::{Error, Result};
use crate::tokens::{PADDING, Tokenization};

/// Computes the features of a text that is too long or has too many features to look up.
pub(crate) type FeaturesOfText = Arc<dyn Fn(Option<usize>, &mut [f32]) + Send + Sync>;

/// A stored column that is an input, and its features.
#[derive(Clone)]
pub(crate) struct InputFeatures {
    /// The index among the stored columns.
    pub column: usize,
    /// The index of its first feature.
    pub first: usize,
    /// The number of its features.
    pub width: usize,
    pub source: Source,
}

/// Where the features come from.
#[derive(Clone)]
pub(crate) enum Source {
    /// The value is the feature.
    Number,
    /// The value is the number of a text, whose features are looked up.
    Lookup {
        /// The features of each text, concatenated.
        table: Arc<[f32]>,
        /// The features of a missing value.
        missing: Arc<[f32]>,
    },
    /// The value is the number of a text, whose row is looked up, or a row plus the number of these texts.
    Hashed(Arc<[f32]>),
    /// The value is the number of a text, whose features are computed.
    Computed(FeaturesOfText),
    /// The value is the number of words of a text, which is stored itself; the features are the ids of its tokens.
    Tokens {
        /// The index of the column among those of texts.
        texts: usize,
        tokenization: Arc<Tokenization>,
    },
}

impl std::fmt::Debug for InputFeatures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let source = match &self.source {
            Source::Number => "number",
            Source::Lookup { .. } => "lookup",
            Source::Hashed(_) => "hashed",
            Source::Computed(_) => "computed",
            Source::Tokens { .. } => "tokens",
        };
        write!(f, "{source} {}..{}", self.first, self.first + self.width)
    }
}

impl InputFeatures {
    /// Its column in each of these blocks.
    pub(super) fn columns<'a>(&self, blocks: &'a [StoredBlock]) -> Vec<Column<'a>> {
        blocks.iter().map(|block| block.values.column(self.column)).collect()
    }

    /// Writes the features of rows of `blocks` to their places in `out`, which has `stride` values a row. `columns` has its column in
    /// each block.
    ///
    /// # Errors
    /// A text that a tokenizer cannot encode.
    pub(super) fn write(
        &self,
        blocks: &[StoredBlock],
        columns: &[Column],
        rows: RowsOfBlocks,
        stride: usize,
        out: &mut [f32],
    ) -> Result<()> {
        let values = rows.iter().map(|(block, row)| columns[*block as usize].value(*row as usize));
        let places = out.chunks_exact_mut(stride).map(|row| &mut row[self.first..self.first + self.width]);
        match &self.source {
            Source::Number => places.zip(values).for_each(|(place, value)| place[0] = value),
            Source::Lookup { table, missing } if self.width == 1 => {
                let of = |value: f32| if value.is_nan() { missing[0] } else { table[value as usize] };
                places.zip(values).for_each(|(place, value)| place[0] = of(value));
            }
            Source::Lookup { table, missing } => places.zip(values).for_each(|(place, value)| {
                place.copy_from_slice(match value.is_nan() {
                    true => missing,
                    false => &table[value as usize * self.width..][..self.width],
                });
            }),
            Source::Hashed(known) => {
                let more = known.len() as f32;
                // NaN, a missing value, is converted to 0.
                let of = |value: f32| match known.get(value as usize) {
                    Some(row) if !value.is_nan() => *row,
                    _ => value - more,
                };
                places.zip(values).for_each(|(place, value)| place[0] = of(value));
            }
            Source::Computed(of) => places.zip(values).for_each(|(place, value)| {
                of((!value.is_nan()).then_some(value as usize), place);
            }),
            Source::Tokens { texts, tokenization } => {
                for ((place, value), (block, row)) in places.zip(values).zip(rows) {
                    place.fill(PADDING as f32);
                    if !value.is_nan() {
                        let text = blocks[*block as usize].text(*texts, *row as usize);
                        let ids = tokenization.ids(text, self.width).map_err(Error::Usage)?;
                        place.iter_mut().zip(ids).for_each(|(place, id)| *place = id as f32);
                    }
                }
            }
        }
        Ok(())
    }

    /// The features of a missing value.
    pub(super) fn of_missing(&self) -> Vec<f32> {
        match &self.source {
            Source::Number | Source::Hashed(_) => vec![f32::NAN],
            Source::Tokens { .. } => vec![PADDING as f32; self.width],
            Source::Lookup { missing, .. } => missing.to_vec(),
            Source::Computed(of) => {
                let mut features = vec![0.; self.width];
                of(None, &mut features);
                features
            }
        }
    }

    /// The features with each value replaced by `change`, which has the index of the feature among all, or dropped. They begin at
    /// `first`.
    pub(super) fn changed(&self, first: usize, change: &dyn Fn(usize, f32) -> Option<f32>) -> Self {
        let Source::Lookup { table, missing } = &self.source else {
            return InputFeatures { first, ..self.clone() };
        };
        let changed = |values: &[f32]| -> Arc<[f32]> {
            let cells = values.iter().enumerate();
            cells.filter_map(|(at, value)| change(self.first + at % self.width, *value)).collect()
        };
        let (table, missing) = (changed(table), changed(missing));
        InputFeatures { first, width: missing.len(), source: Source::Lookup { table, missing }, ..*self }
    }
}
