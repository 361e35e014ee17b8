//! The lengths of texts.

use serde::Serialize;

use super::phrases::LeakingPhrase;
use crate::column::ColumnKind;
use crate::texts::ColumnTexts;
use crate::tokens::{PADDING, Tokenization};
use crate::{Dataset, Inputs, parallel};

/// The lengths of the texts of a data set; those of a pair are added.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TextLengths {
    /// The number of characters.
    pub characters: Distribution,
    /// The number of tokens. Of a tokenizer with a vocabulary, it counts those that are used.
    pub tokens: Distribution,
    /// The maximum number of tokens that is used.
    pub max_length: usize,
    /// The number of examples with more tokens.
    pub cut: usize,
    /// Phrases that alone predict a class, those of the most texts first.
    pub leaking_phrases: Vec<LeakingPhrase>,
}

/// A distribution of whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Distribution {
    /// The smallest.
    pub min: usize,
    /// Half of them are at most this.
    pub median: usize,
    /// 95 % of them are at most this.
    pub percentile_95: usize,
    /// The largest.
    pub max: usize,
}

impl Distribution {
    fn of(mut values: Vec<usize>) -> Self {
        values.sort_unstable();
        let at = |share: f64| values.get(((values.len() - 1) as f64 * share).round() as usize).copied();
        let of = |share| if values.is_empty() { 0 } else { at(share).unwrap_or(0) };
        Distribution { min: of(0.), median: of(0.5), percentile_95: of(0.95), max: of(1.) }
    }
}

impl std::fmt::Display for Distribution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "median {}, 95 % up to {}, longest {}", self.median, self.percentile_95, self.max)
    }
}

impl TextLengths {
    /// The lengths of the texts of a data set, with these phrases; none if its examples are no texts.
    pub(in crate::audit) fn of(dataset: &Dataset, leaking_phrases: Vec<LeakingPhrase>) -> Option<Self> {
        let texts = dataset.texts.as_ref()?;
        let table = dataset.table.as_ref().filter(|table| table.is_text())?;
        let Inputs::Floats(ids) = &dataset.inputs else { return None };
        let columns: Vec<(&ColumnTexts, &Tokenization, usize)> = texts
            .columns
            .iter()
            .zip(&table.columns)
            .filter_map(|(texts, column)| match &column.kind {
                ColumnKind::Tokens { tokenization, length } => Some((texts, tokenization, *length)),
                _ => None,
            })
            .collect();
        let rows: Vec<usize> = (0..dataset.rows()).collect();
        let width = table.features();
        let counts = parallel::map(&rows, |row| RowCounts::of(&columns, &ids[row * width..][..width], *row));
        Some(TextLengths {
            characters: Distribution::of(counts.iter().map(|counts| counts.characters).collect()),
            tokens: Distribution::of(counts.iter().map(|counts| counts.tokens).collect()),
            max_length: columns.iter().map(|(.., length)| *length).max().unwrap_or(0),
            cut: counts.iter().filter(|counts| counts.is_cut).count(),
            leaking_phrases,
        })
    }

    /// Lines for people.
    pub fn lines(&self) -> [String; 3] {
        [
            format!("characters: {}", self.characters),
            format!("tokens: {}", self.tokens),
            format!(
                "{} text(s) have more than {} tokens, whose end a model does not use (--max-length)",
                self.cut, self.max_length
            ),
        ]
    }
}

/// The lengths of the texts of an example.
#[derive(Default)]
struct RowCounts {
    characters: usize,
    tokens: usize,
    is_cut: bool,
}

impl RowCounts {
    /// The lengths of the texts of these columns of a row with these ids.
    fn of(columns: &[(&ColumnTexts, &Tokenization, usize)], ids: &[f32], row: usize) -> Self {
        let (mut counts, mut first) = (RowCounts::default(), 0);
        for (texts, tokenization, length) in columns {
            let text = texts.of(row);
            let own = &ids[first..first + length];
            first += length;
            let (tokens, is_cut) = match tokenization {
                Tokenization::Hashed { .. } => {
                    let count = tokenization.ids(text, usize::MAX).map_or(0, |ids| ids.len());
                    (count, count > *length)
                }
                // A text of as many tokens as are used was probably cut by the tokenizer.
                #[cfg(feature = "tokenizers")]
                Tokenization::Vocabulary { .. } => {
                    let count = own.iter().filter(|id| **id != PADDING as f32).count();
                    (count, texts.longer > 0 && count == *length)
                }
            };
            counts.characters += text.chars().count();
            counts.tokens += tokens;
            counts.is_cut |= is_cut;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_has_the_smallest_the_middle_and_the_largest() {
        let of = Distribution::of((1..=101).rev().collect());
        assert_eq!(of, Distribution { min: 1, median: 51, percentile_95: 96, max: 101 });
        assert_eq!(Distribution::of(Vec::new()).max, 0);
    }
}
