//! Byte-level byte pair encoding, as of GPT-2 and RoBERTa.

use std::collections::HashMap;

use cresset_data::tokenizer::{Tokenizer, unicode};
use serde_json::Value;

use super::Own;
use super::parts::{CANNOT, Parts};
use super::tables::{SPACE, blocks};
use crate::model::script::Collection;

const METHODS: &str = include_str!("byte_level.py");

/// Classes of characters of the regular expression that splits text; `byte_level.py` has their names.
const KINDS: [(&str, i64, &str); 3] =
    [("SPACE", SPACE, r"\s"), ("LETTER", 2, r"\p{L}"), ("NUMBER", 4, r"\p{N}")];

pub(super) fn of(tokenizer: &Tokenizer, parts: &Parts) -> Result<Own, String> {
    parts.without("normalizer")?;
    let pre_tokenizer = parts.part("pre_tokenizer", "ByteLevel")?;
    if pre_tokenizer["use_regex"] == false {
        return Err(format!("a tokenizer whose pre-tokenizer ByteLevel has no regular expression {CANNOT}"));
    }
    parts.model_without(&["dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"])?;
    let adds_space = pre_tokenizer["add_prefix_space"] == true;
    let all = parts.vocabulary();
    let ids: HashMap<&str, i64> = all.iter().copied().collect();
    let size = ids.values().max().map_or(1, |id| id + 1);
    let mut attributes = vec![("bytes", Collection::Ints(of_bytes(&ids)?))];
    attributes.extend(merges(parts, &ids, size)?);

    let byte_of: HashMap<char, u8> = (0..=255).map(|byte| (character(byte), byte)).collect();
    let texts = all.iter().filter_map(|(token, id)| {
        let bytes = token.chars().map(|c| byte_of.get(&c).copied()).collect::<Option<Vec<u8>>>()?;
        Some((String::from_utf8(bytes).ok()?, *id))
    });
    // As within a text, where no space is added.
    let json = parts.with_pre_tokenizer("add_prefix_space", Value::Bool(false));
    let within =
        Tokenizer::from_json(&json, Some(tokenizer.max_length())).map_err(|error| error.to_string())?;
    let words = parts.single_tokens(&within, texts);
    let after_space = |text: &str| {
        text.strip_prefix(' ')
            .filter(|rest| rest.starts_with(|c: char| !c.is_whitespace()))
            .map(str::to_string)
    };
    let spaced: Vec<(String, i64)> =
        words.iter().filter_map(|(text, id)| Some((after_space(text)?, *id))).collect();
    let with_space = spaced.iter().map(|(text, id)| (format!(" {text}"), *id)).collect();
    let plain = words.into_iter().filter(|(text, _)| after_space(text).is_none()).collect();
    attributes.push(("spaced", Collection::ByText(spaced)));
    attributes.push(("plain", Collection::ByText(plain)));
    let classes = KINDS.map(|(_, value, class)| (value, unicode::ranges(class)));
    attributes.extend(blocks(|c| {
        let is_in = |ranges: &[(char, char)]| {
            let next = ranges.partition_point(|(_, last)| *last < c);
            ranges.get(next).is_some_and(|(first, _)| *first <= c)
        };
        classes.iter().filter(|(_, ranges)| is_in(ranges)).map(|(value, _)| value).sum()
    }));
    let mut methods = METHODS
        .replace("ADDS_SPACE", if adds_space { "True" } else { "False" })
        .replace("NO_RANK", &i64::MAX.to_string())
        .replace("SIZE", &size.to_string());
    for (name, value, _) in KINDS {
        methods = methods.replace(name, &value.to_string());
    }
    Ok(Own { words: with_space, methods, attributes })
}

/// The character that stands for a byte in the tokens: a printable one.
fn character(byte: u8) -> char {
    let is_itself = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    if is_itself(byte) {
        return char::from(byte);
    }
    let number = (0..byte).filter(|byte| !is_itself(*byte)).count() as u32;
    char::from_u32(256 + number).expect("at most 323")
}

/// The ids of all bytes.
fn of_bytes(ids: &HashMap<&str, i64>) -> Result<Vec<i64>, String> {
    let missing = |byte: u8| format!("a byte-level tokenizer without a token for the byte {byte} {CANNOT}");
    let id = |byte: u8| ids.get(character(byte).to_string().as_str()).copied().ok_or_else(|| missing(byte));
    (0..=255).map(id).collect()
}

/// The ranks of pairs of tokens, by `first * size + second`, and what the pairs become.
fn merges(
    parts: &Parts,
    ids: &HashMap<&str, i64>,
    size: i64,
) -> Result<[(&'static str, Collection); 2], String> {
    let pairs = parts.model("merges").as_array().into_iter().flatten();
    let mut ranks = Vec::new();
    let mut merged = Vec::new();
    for (rank, pair) in pairs.enumerate() {
        let known = pair[0].as_str().zip(pair[1].as_str()).and_then(|(first, second)| {
            let product = ids.get(format!("{first}{second}").as_str())?;
            Some((ids.get(first)? * size + ids.get(second)?, *product))
        });
        let Some((key, product)) = known else {
            return Err(format!("a tokenizer with the merge {pair}, whose tokens are unknown, {CANNOT}"));
        };
        ranks.push((key, rank as i64));
        merged.push(product);
    }
    Ok([("ranks", Collection::ByInt(ranks)), ("merged", Collection::Ints(merged))])
}
