//! The texts of a data set, and their token ids.

use std::sync::Arc;

use crate::column::ColumnKind;
use crate::error::{Error, Result};
use crate::parallel;
use crate::tokens::{PADDING, Tokenization};

/// The texts of the examples, before they are tokenized.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texts {
    /// The columns of texts, in the order of the layout.
    pub columns: Vec<ColumnTexts>,
}

/// The texts of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnTexts {
    /// The texts, each of which may be that of several examples.
    pub texts: Arc<Vec<String>>,
    /// The index in `texts` of the text of each example; none if it is missing.
    pub of_example: Vec<Option<u32>>,
    /// The number of texts that have more tokens than the maximum.
    pub longer: usize,
}

impl Texts {
    /// The texts of the examples at these indexes.
    pub(crate) fn select(&self, indexes: &[usize]) -> Self {
        let of_column = |column: &ColumnTexts| ColumnTexts {
            of_example: indexes.iter().map(|index| column.of_example[*index]).collect(),
            ..column.clone()
        };
        Texts { columns: self.columns.iter().map(of_column).collect() }
    }

    /// The texts of an example, one for each column; empty if they are missing.
    pub fn of(&self, example: usize) -> Vec<&str> {
        self.columns.iter().map(|column| column.of(example)).collect()
    }

    /// The token ids of all examples, as float32, given those of the texts of each column.
    pub(crate) fn features(&self, ids: &[TextIds]) -> Vec<f32> {
        let examples = self.columns.first().map_or(0, |column| column.of_example.len());
        let width: usize = ids.iter().map(|ids| ids.length).sum();
        let mut features = Vec::with_capacity(examples * width);
        for example in 0..examples {
            for (column, ids) in self.columns.iter().zip(ids) {
                let end = features.len() + ids.length;
                if let Some(text) = column.of_example[example] {
                    features.extend(ids.of_text[text as usize].iter().map(|id| *id as f32));
                }
                features.resize(end, PADDING as f32);
            }
        }
        features
    }
}

impl ColumnTexts {
    /// The text of an example; empty if it is missing.
    pub fn of(&self, example: usize) -> &str {
        self.of_example[example].map_or("", |text| &self.texts[text as usize])
    }
}

/// The token ids of the texts of a column.
#[derive(Debug, Clone)]
pub(crate) struct TextIds {
    /// How they are tokenized.
    pub tokenization: Tokenization,
    /// The number of ids of an example.
    pub length: usize,
    /// The ids of each text, at most `length`.
    pub of_text: Vec<Vec<u32>>,
    /// The number of texts that have more.
    pub longer: usize,
}

impl TextIds {
    /// Tokenizes texts, in threads. The length is that of the longest one, at most `most`.
    ///
    /// # Errors
    /// A text that the tokenizer cannot encode.
    pub fn new(texts: &[String], tokenization: Tokenization, most: usize) -> Result<Self> {
        // A tokenizer with a vocabulary has a maximum of its own, so a text that reaches it counts as longer.
        let limit = if tokenization.is_hashed() { most + 1 } else { most };
        let of_text = parallel::map(texts, |text| tokenization.ids(text, limit));
        let mut of_text =
            of_text.into_iter().collect::<std::result::Result<Vec<_>, _>>().map_err(Error::Usage)?;
        let longer = of_text.iter().filter(|ids| ids.len() == limit).count();
        of_text.iter_mut().for_each(|ids| ids.truncate(most));
        let longest = of_text.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let (tokenization, length) = shortened(tokenization, longest)?;
        Ok(TextIds { tokenization, length, of_text, longer })
    }

    /// The column that has them.
    pub fn kind(&self) -> ColumnKind {
        ColumnKind::Tokens { tokenization: self.tokenization.clone(), length: self.length }
    }
}

/// The tokenization for texts of at most so many tokens, and the maximum that it has then. A tokenizer with a vocabulary leaves out the
/// end of the text and keeps the special tokens after it.
pub(crate) fn shortened(tokenization: Tokenization, longest: usize) -> Result<(Tokenization, usize)> {
    match tokenization {
        #[cfg(feature = "tokenizers")]
        Tokenization::Vocabulary { tokenizer } => {
            let tokenizer = tokenizer.shortened(longest)?;
            let length = tokenizer.max_length();
            Ok((Tokenization::Vocabulary { tokenizer: Box::new(tokenizer) }, length))
        }
        hashed => Ok((hashed, longest)),
    }
}
