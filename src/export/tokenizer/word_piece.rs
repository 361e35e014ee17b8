//! WordPiece with the normalizer and the pre-tokenizer of BERT.

use std::collections::HashSet;

use cresset_data::tokenizer::{Tokenizer, unicode};

use super::Own;
use super::parts::{CANNOT, Parts};
use super::tables::{SPACE, blocks, characters};
use crate::model::script::Collection;

const METHODS: &str = include_str!("word_piece.py");

/// Properties of characters; `word_piece.py` has their names.
const KINDS: [(&str, i64); 5] =
    [("CONTROL", 2), ("SPACE", SPACE), ("IDEOGRAPH", 4), ("ACCENT", 8), ("PUNCTUATION", 16)];

/// The ideographs that BERT's normalizer separates.
const IDEOGRAPHS: [(u32, u32); 8] = [
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
];

/// The options of BERT's normalizer.
struct Normalizer {
    cleans: bool,
    separates_ideographs: bool,
    strips_accents: bool,
    lowercases: bool,
}

pub(super) fn of(tokenizer: &Tokenizer, parts: &Parts) -> Result<Own, String> {
    parts.part("pre_tokenizer", "BertPreTokenizer")?;
    let normalizer = parts.part("normalizer", "BertNormalizer")?;
    let is_set = |name: &str| normalizer[name] == true;
    let normalizer = Normalizer {
        cleans: is_set("clean_text"),
        separates_ideographs: is_set("handle_chinese_chars"),
        strips_accents: normalizer["strip_accents"].as_bool().unwrap_or(is_set("lowercase")),
        lowercases: is_set("lowercase"),
    };
    let prefix = parts.model("continuing_subword_prefix").as_str().unwrap_or_default();
    if prefix.is_empty() {
        return Err(format!("a WordPiece tokenizer without a prefix for continuing tokens {CANNOT}"));
    }
    let mut attributes = normalizer.tables();
    let words = words(tokenizer, parts);
    let beginnings = beginnings(parts, &words, prefix);
    let has_others = beginnings.len() > words.len();
    if has_others {
        attributes.push(("beginnings", dictionary(beginnings)));
    }
    attributes.extend([
        ("words", dictionary(words.clone())),
        ("continuing", dictionary(continuing(parts, prefix))),
        ("carriage_return", Collection::Ints(vec![13])),
    ]);
    let maximum = parts.model("max_input_chars_per_word").as_i64().unwrap_or(100);
    let longest = parts.vocabulary().iter().map(|(token, _)| token.len()).max().unwrap_or(0);
    let unknown = parts.model("unk_token").as_str().unwrap_or_default();
    let unknown = parts.vocabulary().iter().find(|(token, _)| *token == unknown).map_or(0, |(_, id)| *id);
    let mut methods = METHODS
        .replace("LONGEST_WORD", &maximum.to_string())
        .replace("LONGEST_TOKEN", &longest.to_string())
        .replace("UNKNOWN", &unknown.to_string())
        .replace("BEGINNINGS", if has_others { "self.beginnings" } else { "self.words" })
        .replace("LOWERCASES", if normalizer.lowercases { "True" } else { "False" })
        .replace("STRIPS_ACCENTS", if normalizer.strips_accents { "True" } else { "False" });
    for (name, value) in KINDS {
        methods = methods.replace(name, &value.to_string());
    }
    Ok(Own { words, methods, attributes })
}

/// A dictionary of tokens, in which the empty text has the id -2.
fn dictionary(mut tokens: Vec<(String, i64)>) -> Collection {
    tokens.retain(|(token, _)| !token.is_empty());
    tokens.push((String::new(), -2));
    Collection::ByText(tokens)
}

/// The tokens that are words of a text.
fn words(tokenizer: &Tokenizer, parts: &Parts) -> Vec<(String, i64)> {
    let all = parts.vocabulary().into_iter().map(|(token, id)| (token.to_string(), id));
    let is_word = |token: &str| !token.contains([' ', '\t', '\n', '\r']);
    parts.single_tokens(tokenizer, all.filter(|(token, _)| is_word(token)))
}

/// The words, and the other tokens that a word can start with: punctuation is only ever a word alone.
fn beginnings(parts: &Parts, words: &[(String, i64)], prefix: &str) -> Vec<(String, i64)> {
    let known: HashSet<i64> = words.iter().map(|(_, id)| *id).collect();
    let is_split =
        |token: &str| token.len() > 1 && token.contains(|c: char| c.is_ascii_punctuation() || c == ' ');
    let all = parts.vocabulary().into_iter();
    let others = all.filter(|(token, id)| !known.contains(id) && !is_split(token) && *token != prefix);
    words.iter().cloned().chain(others.map(|(token, id)| (token.to_string(), id))).collect()
}

/// The tokens within a word, without their prefix.
fn continuing(parts: &Parts, prefix: &str) -> Vec<(String, i64)> {
    let all = parts.vocabulary().into_iter();
    all.filter_map(|(token, id)| Some((token.strip_prefix(prefix)?.to_string(), id))).collect()
}

impl Normalizer {
    /// The properties of characters, and what they are replaced by. A value below 0 stands for several characters, `- (start * 16 +
    /// count)` in `replacements`.
    fn tables(&self) -> Vec<(&'static str, Collection)> {
        let mut replacements = Vec::new();
        let mut entry = |c: char, parts: Vec<char>| match parts[..] {
            [only] => (i64::from(u32::from(c)), i64::from(u32::from(only))),
            _ => {
                let start = replacements.len();
                replacements.extend(parts.iter().map(|part| i64::from(u32::from(*part))));
                (i64::from(u32::from(c)), -((start * 16 + parts.len()) as i64))
            }
        };
        let mut lowercase = Vec::new();
        let mut decompositions = Vec::new();
        let mut classes = Vec::new();
        for c in characters() {
            let lower: Vec<char> = c.to_lowercase().collect();
            if self.lowercases && lower != [c] {
                lowercase.push(entry(c, lower));
            }
            // The syllables of Hangul are decomposed by their numbers.
            if self.strips_accents && !('\u{AC00}'..='\u{D7A3}').contains(&c) {
                let parts = unicode::decomposition(c);
                if parts != [c] {
                    decompositions.push(entry(c, parts));
                }
                if unicode::combining_class(c) > 0 {
                    classes.push((i64::from(u32::from(c)), i64::from(unicode::combining_class(c))));
                }
            }
        }
        let mut tables = vec![
            ("lowercase", Collection::ByInt(lowercase)),
            ("decompositions", Collection::ByInt(decompositions)),
            ("classes", Collection::ByInt(classes)),
            ("replacements", Collection::Ints(replacements)),
        ];
        tables.extend(blocks(|c| self.kinds(c)));
        tables
    }

    fn kinds(&self, c: char) -> i64 {
        let point = u32::from(c);
        let is = [
            self.cleans && unicode::is_control(c),
            c.is_whitespace(),
            self.separates_ideographs
                && IDEOGRAPHS.iter().any(|(first, last)| (*first..=*last).contains(&point)),
            self.strips_accents && unicode::is_accent(c),
            unicode::is_punctuation(c),
        ];
        KINDS.iter().zip(is).filter(|(_, is)| *is).map(|((_, value), _)| value).sum()
    }
}
