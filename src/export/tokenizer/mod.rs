//! Tokenizers in TorchScript: an exported model that takes text needs no other file and no other library.
//!
//! A string of TorchScript is a sequence of bytes, so the code decodes UTF-8 itself; invalid sequences count as U+FFFD, as in
//! [`String::from_utf8_lossy`]. A word that is in the vocabulary costs one lookup in a dictionary. The rest takes the steps of the
//! crate `tokenizers`, with its Unicode tables.

mod byte_level;
mod characters_map;
mod parts;
mod tables;
mod unigram;
mod word_piece;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ops::Range;

use cresset_data::tokenizer::Tokenizer;

use crate::model::script::{Class, Collection};
use parts::{Added, Parts, Template};

/// The methods of all tokenizers.
const FRAME: &str = include_str!("frame.py");

/// The search for added tokens in a text, once for each stage.
const STAGE: &str = include_str!("stage.py");

/// The TorchScript class of a tokenizer, with the methods `encode(self, text: str) -> List[int]` and
/// `encode_pair(self, first: str, second: str) -> Tuple[List[int], List[int]]` (ids and token types), which give the ids of
/// [`Tokenizer::encode`] and [`Tokenizer::encode_pair`].
///
/// ```
/// use cresset::data::tokenizer::{TrainedKind, train};
/// use cresset::export::tokenizer::script;
///
/// let tokenizer = train(TrainedKind::ByteLevelBpe, &["the quick brown fox"], 300)?;
/// let (source, _name, _values) = script(&tokenizer)?.compile()?;
/// assert!(source.contains("def encode("));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// A model, normalizer or pre-tokenizer that has no TorchScript here, named in the message: WordPiece with the normalizer and the
/// pre-tokenizer of BERT has, byte-level BPE without a normalizer, and Unigram with those of SentencePiece.
pub fn script(tokenizer: &Tokenizer) -> Result<Class, String> {
    let json = tokenizer.to_json().map_err(|error| error.to_string())?;
    let parts = Parts::of(&json)?;
    let own = match parts.model_type() {
        "WordPiece" => word_piece::of(tokenizer, &parts)?,
        "BPE" => byte_level::of(tokenizer, &parts)?,
        "Unigram" => unigram::of(tokenizer, &parts)?,
        other => return Err(format!("a tokenizer of the type {other} {}", parts::CANNOT)),
    };
    let template = Template::of(tokenizer, &own.words)?;
    let frame = FRAME.replace("SPACE", &tables::SPACE.to_string());
    let class = Class::new("Tokenizer", format!("{frame}{}{}", stages(&parts), own.methods));
    Ok(own.attributes.into_iter().fold(framed(class, tokenizer, &parts, template), |class, (name, value)| {
        class.collection(name, value)
    }))
}

/// What a kind of model adds to the class.
struct Own {
    /// Texts whose ids are a single token.
    words: Vec<(String, i64)>,
    /// TorchScript with the method `add_plain(self, text: str, ids: List[int]) -> bool`, which appends the ids of a text without added
    /// tokens. Like the crate `tokenizers`, it stops after the word with which there are as many as the maximum length, and then
    /// returns true.
    methods: String,
    attributes: Vec<(&'static str, Collection)>,
}

/// Adds the attributes of `FRAME` and `STAGE`.
fn framed(class: Class, tokenizer: &Tokenizer, parts: &Parts, template: Template) -> Class {
    let flags = |flag: fn(&Added) -> bool| parts.added.iter().map(|added| i64::from(flag(added))).collect();
    let contents: Vec<String> = parts.added.iter().map(|added| added.content.clone()).collect();
    let [before, after] = template.single;
    let [pair_before, pair_between, pair_after] = template.pair;
    let [types_before, types_between, types_after] = template.types;
    class
        .int("max_length", tokenizer.max_length() as i64)
        .int("first_type", template.text_types[0])
        .int("second_type", template.text_types[1])
        .strings("added", &contents)
        .collection("added_ids", Collection::Ints(parts.added.iter().map(|added| added.id).collect()))
        .collection("strips_left", Collection::Ints(flags(|added| added.lstrip)))
        .collection("strips_right", Collection::Ints(flags(|added| added.rstrip)))
        .collection("before", Collection::Ints(before))
        .collection("after", Collection::Ints(after))
        .collection("pair_before", Collection::Ints(pair_before))
        .collection("pair_between", Collection::Ints(pair_between))
        .collection("pair_after", Collection::Ints(pair_after))
        .collection("types_before", Collection::Ints(types_before))
        .collection("types_between", Collection::Ints(types_between))
        .collection("types_after", Collection::Ints(types_after))
}

/// The methods that split a text at the added tokens: first those that are searched for in the text itself, then those in the
/// normalized text. TorchScript has no recursion.
fn stages(parts: &Parts) -> String {
    let raw = parts.added.partition_point(|added| !added.normalized);
    let all = parts.added.len();
    let stage = |name: &str, next: &str, range: Range<usize>| {
        STAGE
            .replace("STAGE", name)
            .replace("NEXT", next)
            .replace("FIRST", &range.start.to_string())
            .replace("COUNT", &range.len().to_string())
            .replace("START", &common_start(&parts.added[range]))
    };
    if raw == 0 || raw == all {
        return stage("add_text", "add_plain", 0..all);
    }
    stage("add_text", "add_between", 0..raw) + &stage("add_between", "add_plain", raw..all)
}

/// A literal of the first character of all these tokens, or of no character.
fn common_start(added: &[Added]) -> String {
    let starts: BTreeSet<Option<char>> = added.iter().map(|added| added.content.chars().next()).collect();
    match starts.first() {
        Some(Some(c)) if starts.len() == 1 && c.is_ascii_graphic() && !['"', '\\'].contains(c) => {
            format!("\"{c}\"")
        }
        _ => "\"\"".to_string(),
    }
}
