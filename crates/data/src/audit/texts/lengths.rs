//! The lengths of texts.

use serde::Serialize;

use super::phrases::LeakingPhrase;
use crate::tokens::{PADDING, Tokenization, words};
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
        let (texts, table) =
            (dataset.texts.as_ref()?, dataset.table.as_ref().filter(|table| table.is_text())?);
        let Inputs::Floats(ids) = &dataset.inputs else { return None };
        let rows: Vec<usize> = (0..dataset.rows()).collect();
        let width = table.features();
        let used =
            |row: &usize| ids[row * width..][..width].iter().filter(|id| **id != PADDING as f32).count();
        let (characters, tokens) = rows
            .iter()
            .map(|row| {
                let own = texts.columns.iter().map(|column| column.of(*row).chars().count());
                (own.sum::<usize>(), used(row))
            })
            .unzip();
        let kinds = || {
            table.columns.iter().filter_map(|column| match &column.kind {
                crate::column::ColumnKind::Tokens { tokenization, length } => Some((tokenization, *length)),
                _ => None,
            })
        };
        let all = parallel::map(&rows, |row| -> (usize, bool) {
            let counts = texts.columns.iter().zip(kinds()).map(|(column, (tokenization, length))| {
                let count = match tokenization {
                    Tokenization::Hashed { .. } => words(column.of(*row).as_bytes()).count(),
                    #[cfg(feature = "tokenizers")]
                    Tokenization::Vocabulary { .. } => 0,
                };
                (count, count > length)
            });
            counts.fold((0, false), |(sum, is_cut), (count, own)| (sum + count, is_cut || own))
        });
        let is_hashed = kinds().all(|(tokenization, _)| tokenization.is_hashed());
        let tokens = if is_hashed { all.iter().map(|(count, _)| *count).collect() } else { tokens };
        let cut = match is_hashed {
            true => all.iter().filter(|(_, is_cut)| *is_cut).count(),
            false => texts.columns.iter().map(|column| column.longer).max().unwrap_or(0),
        };
        Some(TextLengths {
            characters: Distribution::of(characters),
            tokens: Distribution::of(tokens),
            max_length: kinds().map(|(_, length)| length).max().unwrap_or(0),
            cut,
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
