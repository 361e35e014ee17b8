//! Tokenizers: from text to the ids of tokens, as a pretrained model or a trained vocabulary defines them.
//!
//! The crate `tokenizers` reads and runs them. A [`Tokenizer`] adds what a classifier needs: the token for padding, a maximum length,
//! and checks.

mod checks;
pub mod graphemes;
mod train;
pub mod unicode;
mod vocabulary_file;

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tokenizers::{Encoding, TruncationDirection, TruncationParams, TruncationStrategy};

use crate::error::{Error, Result, quoted};

pub use train::{TrainedKind, train};

/// The maximum number of tokens if neither the caller nor the file sets one.
pub const DEFAULT_MAX_LENGTH: usize = 512;

/// A tokenizer with its maximum number of tokens and its padding token.
///
/// It serializes to the text of its `tokenizer.json`, with [`Tokenizer::max_length`] as the truncation.
///
/// ```
/// use cresset_data::tokenizer::{Tokenizer, TrainedKind, train};
///
/// let texts = ["the quick brown fox", "the lazy dog"];
/// let tokenizer = train(TrainedKind::WordPiece, &texts, 100)?;
/// let ids = tokenizer.encode("The DOG")?;
/// assert_eq!(ids.len(), 4, "[CLS] the dog [SEP]");
/// assert!(ids.iter().all(|id| (*id as usize) < tokenizer.vocabulary()));
/// # Ok::<(), cresset_data::error::Error>(())
/// ```
#[derive(Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    max_length: usize,
    pad_id: u32,
    vocabulary: usize,
}

/// The ids of a text or of a pair of texts, and the segment of each token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// The ids of the tokens.
    pub ids: Vec<u32>,
    /// The token types, of the same length: of BERT, 0 for the first text and 1 for the second.
    pub types: Vec<u32>,
}

impl Tokenizer {
    /// Reads a `tokenizer.json` of Hugging Face, or the vocabulary of a WordPiece tokenizer (`vocab.txt`, one token a line), by the
    /// extension of the file. `max_length` replaces the maximum length of the file.
    ///
    /// A `vocab.txt` whose tokens are all lowercase, but for those in brackets, is one for lowercase text without accents.
    ///
    /// # Errors
    /// A file that cannot be read or is no tokenizer, has an unknown model type, no padding token or unknown token, or ids beyond its
    /// vocabulary; a maximum length without room for a token of the text.
    pub fn from_file(path: &Path, max_length: Option<usize>) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
        let is_text = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("txt"));
        let read = if is_text {
            vocabulary_file::read(&text, path).and_then(|inner| Self::checked(inner, max_length))
        } else {
            Self::from_json(&text, max_length)
        };
        read.map_err(|error| match error {
            Error::Usage(problem) => Error::data(path, problem),
            other => other,
        })
    }

    /// Like [`Tokenizer::from_file`], from the text of a `tokenizer.json`.
    ///
    /// # Errors
    /// Those of [`Tokenizer::from_file`], without the name of a file.
    pub fn from_json(json: &str, max_length: Option<usize>) -> Result<Self> {
        Self::checked(checks::parsed(json)?, max_length)
    }

    fn checked(mut inner: tokenizers::Tokenizer, max_length: Option<usize>) -> Result<Self> {
        let of_file = inner.get_truncation().map(|truncation| truncation.max_length);
        let max_length = max_length.or(of_file).unwrap_or(DEFAULT_MAX_LENGTH);
        checks::max_length(&inner, max_length)?;
        checks::unknown_token(&inner)?;
        let pad_id = checks::pad_id(&inner)?;
        // Batches are padded by the loader.
        inner.with_padding(None);
        inner
            .with_truncation(Some(TruncationParams {
                max_length,
                strategy: TruncationStrategy::LongestFirst,
                stride: 0,
                direction: TruncationDirection::Right,
            }))
            .map_err(|reason| {
                Error::Usage(format!("the maximum length {max_length} is invalid: {reason}"))
            })?;
        let vocabulary = checks::vocabulary(&inner)?;
        Ok(Tokenizer { inner, max_length, pad_id, vocabulary })
    }

    /// The same tokenizer for texts of at most `length` tokens, or of its own maximum or the least possible one, if that is closer.
    ///
    /// # Errors
    /// Those of [`Tokenizer::from_json`].
    pub fn shortened(&self, length: usize) -> Result<Self> {
        let length = length.max(checks::least_length(&self.inner)).min(self.max_length);
        Self::checked(self.inner.clone(), Some(length))
    }

    /// The ids of a text with the special tokens of the model (`[CLS]` … `[SEP]`), at most [`Tokenizer::max_length`]: the end of a
    /// longer text is left out.
    ///
    /// # Errors
    /// The tokenizer fails on this text: a regular expression of its own exceeds its limit of backtracking.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.encoding(text, true)?.get_ids().to_vec())
    }

    /// The bytes of the tokens of [`Tokenizer::encode`]: the first one and the one after the last, equal for special tokens.
    ///
    /// # Errors
    /// Those of [`Tokenizer::encode`].
    pub fn spans(&self, text: &str) -> Result<Vec<(usize, usize)>> {
        // `encode_fast` computes no offsets.
        let encoding = self.inner.encode(text, true).map_err(|reason| cannot_encode(text, reason))?;
        Ok(encoding.get_offsets().to_vec())
    }

    /// The ids of a pair of texts. Of a pair that is too long, the longer text loses its end first.
    ///
    /// # Errors
    /// Those of [`Tokenizer::encode`].
    pub fn encode_pair(&self, first: &str, second: &str) -> Result<Tokens> {
        // `encode_fast` loses the token types if there is no post-processor.
        let encoded = self.inner.encode((first, second), true);
        let encoding = encoded.map_err(|reason| cannot_encode(first, reason))?;
        Ok(Tokens { ids: encoding.get_ids().to_vec(), types: encoding.get_type_ids().to_vec() })
    }

    /// The ids of a text alone, without special tokens, at most [`Tokenizer::max_length`].
    ///
    /// # Errors
    /// Those of [`Tokenizer::encode`].
    pub fn encode_text_only(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.encoding(text, false)?.get_ids().to_vec())
    }

    fn encoding(&self, text: &str, special_tokens: bool) -> Result<Encoding> {
        let used = match self.splits_at_white_space() {
            true => beginning(text, self.max_length),
            false => text,
        };
        self.inner.encode_fast(used, special_tokens).map_err(|reason| cannot_encode(text, reason))
    }

    /// Whether no token reaches from one word into the next, so that the words after the maximum number of tokens have no effect.
    fn splits_at_white_space(&self) -> bool {
        use tokenizers::pre_tokenizers::PreTokenizerWrapper as Wrapper;
        match self.inner.get_pre_tokenizer() {
            Some(Wrapper::BertPreTokenizer(_) | Wrapper::WhitespaceSplit(_)) => true,
            Some(Wrapper::ByteLevel(level)) => level.use_regex,
            _ => false,
        }
    }

    /// The number of ids: the rows of an embedding for them. All ids are smaller.
    pub fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// The id of the token that fills up the shorter texts of a batch.
    pub fn pad_id(&self) -> u32 {
        self.pad_id
    }

    /// The maximum number of tokens, including the special ones.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// The tokenizer with another maximum number of tokens.
    ///
    /// # Errors
    /// A maximum without room for a token of the text.
    pub fn with_max_length(self, max_length: usize) -> Result<Self> {
        Self::checked(self.inner, Some(max_length))
    }

    /// The text of its `tokenizer.json`.
    ///
    /// # Errors
    /// A part of the tokenizer that cannot be serialized.
    pub fn to_json(&self) -> Result<String> {
        self.inner
            .to_string(false)
            .map_err(|reason| Error::Usage(format!("the tokenizer cannot be serialized: {reason}")))
    }
}

/// The beginning of a text with more than `most` words that have a token each, at least. A text of megabytes is not tokenized as a whole.
fn beginning(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    let has_token = |word: &&str| word.bytes().any(|byte| byte.is_ascii_alphanumeric());
    match text.split_ascii_whitespace().filter(has_token).nth(most) {
        Some(word) => &text[..word.as_ptr() as usize - text.as_ptr() as usize + word.len()],
        None => text,
    }
}

fn cannot_encode(text: &str, reason: tokenizers::Error) -> Error {
    Error::Usage(format!("the tokenizer cannot encode the text {}: {reason}", quoted(text)))
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer")
            .field("vocabulary", &self.vocabulary)
            .field("max_length", &self.max_length)
            .field("pad_id", &self.pad_id)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Tokenizer {
    fn eq(&self, other: &Self) -> bool {
        self.inner.to_string(false).ok() == other.inner.to_string(false).ok()
    }
}

impl Eq for Tokenizer {}

impl Serialize for Tokenizer {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.to_json().map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Tokenizer {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let json = String::deserialize(deserializer)?;
        Tokenizer::from_json(&json, None).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
