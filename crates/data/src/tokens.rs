//! Token ids of texts: the inputs of text models.

use serde::{Deserialize, Serialize};

use crate::char_ngrams;
use crate::hashing;
#[cfg(feature = "tokenizers")]
use crate::tokenizer::Tokenizer;

/// The id after the last token of a text.
pub const PADDING: u32 = 0;

/// The id between two texts of a row.
pub const SEPARATOR: u32 = 1;

/// The number of ids with a meaning of their own.
pub const RESERVED: u32 = 2;

/// The default number of ids of hashed words.
pub const BUCKETS: u32 = 1 << 18;

/// The default for the maximum number of tokens of a text.
pub const MAX_LENGTH: usize = 1024;

/// How a text becomes token ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Tokenization {
    /// Hashed words (see [`words`]): an id from 2 to `buckets` - 1 for each. It has no vocabulary, so no word is unknown.
    Hashed {
        /// The number of ids.
        buckets: u32,
        /// The length of the longest character n-grams of words, which follow their word (see [`crate::char_ngrams`]); 0
        /// for words alone.
        #[serde(default, skip_serializing_if = "is_zero")]
        char_ngrams: u32,
    },
    /// The ids of a tokenizer with a vocabulary, plus 2.
    #[cfg(feature = "tokenizers")]
    Vocabulary {
        /// The tokenizer, whose maximum length is that of the column.
        tokenizer: Box<Tokenizer>,
    },
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

impl Default for Tokenization {
    fn default() -> Self {
        Tokenization::Hashed { buckets: BUCKETS, char_ngrams: 0 }
    }
}

impl Tokenization {
    /// The number of ids, with those of padding and separator.
    pub fn vocabulary(&self) -> usize {
        match self {
            Tokenization::Hashed { buckets, .. } => *buckets as usize,
            #[cfg(feature = "tokenizers")]
            Tokenization::Vocabulary { tokenizer } => tokenizer.vocabulary() + RESERVED as usize,
        }
    }

    /// Whether it hashes words.
    pub(crate) fn is_hashed(&self) -> bool {
        matches!(self, Tokenization::Hashed { .. })
    }

    /// The ids of the first tokens of a text, at most `length`.
    ///
    /// # Errors
    /// A text that a tokenizer cannot encode.
    pub fn ids(&self, text: &str, length: usize) -> Result<Vec<u32>, String> {
        match self {
            Tokenization::Hashed { buckets, char_ngrams } => {
                let hashes = words(text.as_bytes()).flat_map(|word| hashes(text, word, *char_ngrams));
                Ok(hashes.take(length).map(|hash| RESERVED + hash % (buckets - RESERVED)).collect())
            }
            #[cfg(feature = "tokenizers")]
            Tokenization::Vocabulary { tokenizer } => {
                let ids = tokenizer.encode(text).map_err(|error| error.to_string())?;
                Ok(ids.into_iter().take(length).map(|id| id + RESERVED).collect())
            }
        }
    }

    /// The bytes of the first tokens of a text, at most `length`, in the order of [`Tokenization::ids`]: the first byte and the one after
    /// the last; none for tokens that are not in the text, such as `[CLS]`. Character n-grams have the bytes of their word.
    ///
    /// # Errors
    /// Those of [`Tokenization::ids`].
    pub fn spans(&self, text: &str, length: usize) -> Result<Vec<Option<(usize, usize)>>, String> {
        match self {
            Tokenization::Hashed { char_ngrams, .. } => {
                let spans = words(text.as_bytes()).flat_map(|word| {
                    hashes(text, word, *char_ngrams).map(move |_| Some((word.start, word.end)))
                });
                Ok(spans.take(length).collect())
            }
            #[cfg(feature = "tokenizers")]
            Tokenization::Vocabulary { tokenizer } => {
                let spans = tokenizer.spans(text).map_err(|error| error.to_string())?;
                Ok(spans
                    .into_iter()
                    .take(length)
                    .map(|(start, end)| (end > start).then_some((start, end)))
                    .collect())
            }
        }
    }

    /// The features of a text: its ids as float32, with padding to `length` values.
    ///
    /// # Errors
    /// Those of [`Tokenization::ids`].
    pub fn features(&self, text: &str, length: usize) -> Result<Vec<f32>, String> {
        let mut features = Vec::with_capacity(length);
        self.extend(text, length, &mut features)?;
        Ok(features)
    }

    /// Adds the ids of a text to `features`, as float32, with padding to `length` values.
    pub(crate) fn extend(&self, text: &str, length: usize, features: &mut Vec<f32>) -> Result<(), String> {
        let end = features.len() + length;
        features.extend(self.ids(text, length)?.into_iter().map(|id| id as f32));
        features.resize(end, PADDING as f32);
        Ok(())
    }
}

/// The hash of a word of the text, and those of its character n-grams.
fn hashes(text: &str, word: Word, char_ngrams: u32) -> impl Iterator<Item = u32> {
    let longest = if word.is_single { 0 } else { char_ngrams };
    let parts = char_ngrams::hashes(&text.as_bytes()[word.start..word.end], longest);
    std::iter::once(word.hash).chain(parts)
}

/// A word of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    /// The first byte.
    pub start: usize,
    /// The byte after the last one.
    pub end: usize,
    /// The hash of the word in ASCII lower case, below 2³¹ - 1.
    pub hash: u32,
    /// Whether it is a character of a script without spaces, a symbol or an emoji.
    pub is_single: bool,
}

/// The use of a character in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CharacterClass {
    /// Ends a word.
    Separator,
    /// Part of a word.
    Letter,
    /// A word of its own: a character of a script without spaces, or an emoji.
    Single,
}

/// The words of a text in UTF-8: sequences of ASCII letters and digits and of letters of scripts with spaces. Each character of
/// Chinese, Japanese, Thai, Lao, Khmer and Burmese, and each symbol and emoji is a word. Case is ignored in ASCII.
///
/// Classes of characters are decided by their first two bytes, so that the same code in TorchScript is fast. Invalid bytes are
/// separators.
pub fn words(text: &[u8]) -> impl Iterator<Item = Word> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let mut word: Option<Word> = None;
        while at < text.len() {
            let (class, length) = character(text, at);
            let end = (at + length).min(text.len());
            match (class, word) {
                (CharacterClass::Separator, None) => at = end,
                (CharacterClass::Separator | CharacterClass::Single, Some(_)) => break,
                (CharacterClass::Single, None) => {
                    let word = Word { start: at, end, hash: hash(1, &text[at..end]), is_single: true };
                    at = end;
                    return Some(word);
                }
                (CharacterClass::Letter, _) => {
                    let (start, before) = word.map_or((at, 1), |word| (word.start, word.hash));
                    word = Some(Word { start, end, hash: hash(before, &text[at..end]), is_single: false });
                    at = end;
                }
            }
        }
        word
    })
}

/// The class of the character that starts at a byte, and its number of bytes.
fn character(text: &[u8], at: usize) -> (CharacterClass, usize) {
    use CharacterClass::{Letter, Separator, Single};
    let second = text.get(at + 1).copied().unwrap_or(0);
    match text[at] {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => (Letter, 1),
        // Latin, Greek, Cyrillic, Hebrew, Arabic and others.
        0xC3..=0xDF => (Letter, 2),
        0xE0 if (0xB8..=0xBB).contains(&second) => (Single, 3),
        0xE0 => (Letter, 3),
        // Burmese and Khmer; also Georgian, Ethiopic and more of Latin and Greek.
        0xE1 if second == 0x80 || second == 0x81 || second == 0x9E || second == 0x9F => (Single, 3),
        0xE1 => (Letter, 3),
        // General punctuation, and that of Chinese and Japanese.
        0xE2 if second == 0x80 || second == 0x81 => (Separator, 3),
        0xE3 if second == 0x80 => (Separator, 3),
        0xE2..=0xE9 => (Single, 3),
        // Korean from U+AC00.
        0xEA if second < 0xB0 => (Single, 3),
        0xEA..=0xED => (Letter, 3),
        // Byte order mark, full-width punctuation and the replacement character.
        0xEF if second == 0xBB || second == 0xBC || second == 0xBF => (Separator, 3),
        0xEE..=0xEF => (Single, 3),
        0xF0..=0xF4 => (Single, 4),
        _ => (Separator, 1),
    }
}

/// The [hash](hashing::hash) of bytes in ASCII lower case, after others.
fn hash(start: u32, bytes: &[u8]) -> u32 {
    let lower = bytes.iter().map(u8::to_ascii_lowercase);
    lower.fold(start.into(), |sum, byte| hashing::hash(sum, &[byte])) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(text: &str) -> Vec<&str> {
        words(text.as_bytes()).map(|word| &text[word.start..word.end]).collect()
    }

    #[test]
    fn words_are_letters_and_digits_and_characters_of_scripts_without_spaces() {
        assert_eq!(split("Hello, World2! it's"), ["Hello", "World2", "it", "s"]);
        assert_eq!(split("Größe «naïve» – “quoted”"), ["Größe", "naïve", "quoted"]);
        assert_eq!(split("Привет, мир"), ["Привет", "мир"]);
        assert_eq!(split("东京タワー。"), ["东", "京", "タ", "ワ", "ー"]);
        assert_eq!(split("ไทย"), ["ไ", "ท", "ย"]);
        assert_eq!(split("한국어 사람"), ["한국어", "사람"]);
        assert_eq!(split("ok👍🏽no"), ["ok", "👍", "🏽", "no"]);
        assert_eq!(split("Tiếng Việt"), ["Tiếng", "Việt"]);
        assert!(split(" \0\u{feff}…\n").is_empty());
    }

    #[test]
    fn case_is_ignored_and_ids_are_padded_and_cut() {
        let tokens = Tokenization::default();
        assert_eq!(tokens.ids("Free MONEY", 9), tokens.ids("free money", 9));
        let ids = tokens.ids("a b c", 2).unwrap();
        assert!(ids.len() == 2 && ids.iter().all(|id| (RESERVED..BUCKETS).contains(id)));
        assert_eq!(tokens.features("a", 3).unwrap(), [tokens.ids("a", 1).unwrap()[0] as f32, 0., 0.]);
        assert!(tokens.ids("", 3).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn words_of_any_bytes_are_in_order_and_inside(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut last = 0;
            for word in words(&bytes) {
                prop_assert!(word.start >= last && word.end > word.start && word.end <= bytes.len());
                last = word.end;
            }
        }

        #[test]
        fn words_of_texts_are_whole_characters(text in "\\PC{0,40}") {
            for word in words(text.as_bytes()) {
                prop_assert!(text.get(word.start..word.end).is_some());
            }
        }
    }
}
