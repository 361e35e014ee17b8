//! What a `tokenizer.json` consists of, and what of it has no TorchScript here.

use cresset_data::error::quoted;
use cresset_data::tokenizer::Tokenizer;
use serde_json::Value;

/// The end of the messages about tokenizers without TorchScript.
pub(super) const CANNOT: &str =
    "has no TorchScript, so the exported model takes the ids of tokens instead of text";

/// The parts of a `tokenizer.json`.
pub(super) struct Parts {
    json: Value,
    /// The added tokens: those that are searched for before normalization first, then by decreasing length.
    pub(super) added: Vec<Added>,
}

/// A token that a text is searched for before anything else.
#[derive(serde::Deserialize)]
pub(super) struct Added {
    pub(super) id: i64,
    pub(super) content: String,
    /// Whether it removes the whitespace before it.
    pub(super) lstrip: bool,
    /// Whether it removes the whitespace after it.
    pub(super) rstrip: bool,
    /// Whether the normalized text is searched.
    pub(super) normalized: bool,
    single_word: bool,
}

impl Parts {
    /// Parses the text of a `tokenizer.json`.
    pub(super) fn of(json: &str) -> Result<Self, String> {
        let json: Value = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let added: Vec<Added> = serde_json::from_value(json["added_tokens"].clone())
            .map_err(|error| format!("the added tokens of the tokenizer cannot be read: {error}"))?;
        let mut parts = Parts { added, json };
        let has_normalizer = !parts.json["normalizer"].is_null();
        for added in &parts.added {
            let reason = if added.single_word {
                "matches whole words only"
            } else if added.normalized && has_normalizer {
                "is searched for in the normalized text"
            } else if added.content.contains('\u{fffd}') {
                "contains the replacement character"
            } else {
                continue;
            };
            return Err(format!(
                "a tokenizer whose added token {} {reason} {CANNOT}",
                quoted(&added.content)
            ));
        }
        parts.added.sort_by_key(|added| (added.normalized, std::cmp::Reverse(added.content.len())));
        Ok(parts)
    }

    pub(super) fn model_type(&self) -> &str {
        self.json["model"]["type"].as_str().unwrap_or_default()
    }

    /// A value of the model.
    pub(super) fn model(&self, name: &str) -> &Value {
        &self.json["model"][name]
    }

    /// The tokens of the model with their ids, in the order of the ids.
    pub(super) fn vocabulary(&self) -> Vec<(&str, i64)> {
        let entries = self.model("vocab").as_object().into_iter().flatten();
        let mut tokens: Vec<(&str, i64)> =
            entries.filter_map(|(token, id)| Some((token.as_str(), id.as_i64()?))).collect();
        tokens.sort_by_key(|(_, id)| *id);
        tokens
    }

    /// A part of the tokenizer.
    pub(super) fn value(&self, name: &str) -> &Value {
        &self.json[name]
    }

    /// The part `name` (`normalizer`, `pre_tokenizer`) if it is of this type.
    ///
    /// # Errors
    /// Another type, or none.
    pub(super) fn part(&self, name: &str, of: &str) -> Result<&Value, String> {
        let part = &self.json[name];
        if part["type"] == of { Ok(part) } else { Err(refusal(name, part)) }
    }

    /// Checks that the tokenizer has no part `name`.
    pub(super) fn without(&self, name: &str) -> Result<(), String> {
        let part = &self.json[name];
        if part.is_null() { Ok(()) } else { Err(refusal(name, part)) }
    }

    /// Checks that the model sets none of these values.
    pub(super) fn model_without(&self, names: &[&str]) -> Result<(), String> {
        let is_set = |name: &&&str| {
            let value = self.model(name);
            !(value.is_null() || *value == false || *value == "" || *value == 0.)
        };
        match names.iter().find(is_set) {
            Some(name) => Err(format!("a tokenizer of the type {} with {name} {CANNOT}", self.model_type())),
            None => Ok(()),
        }
    }

    /// The text of the `tokenizer.json` with a value of the pre-tokenizer changed.
    pub(super) fn with_pre_tokenizer(&self, name: &str, value: Value) -> String {
        let mut json = self.json.clone();
        json["pre_tokenizer"][name] = value;
        json.to_string()
    }

    /// Those texts, given with a token's id, that the tokenizer encodes as this one token.
    pub(super) fn single_tokens(
        &self,
        tokenizer: &Tokenizer,
        texts: impl Iterator<Item = (String, i64)>,
    ) -> Vec<(String, i64)> {
        let is_single = |(text, id): &(String, i64)| {
            // An added token is found before the words.
            !self.added.iter().any(|added| text.contains(&added.content))
                && tokenizer.encode_text_only(text).is_ok_and(|ids| ids == [*id as u32])
        };
        texts.filter(is_single).collect()
    }
}

/// The message about a part of the tokenizer that has no TorchScript.
pub(super) fn refusal(name: &str, part: &Value) -> String {
    let name = name.replace('_', "-");
    match part["type"].as_str() {
        Some(kind) => format!("a tokenizer with the {name} {kind} {CANNOT}"),
        None => format!("a tokenizer without a {name} {CANNOT}"),
    }
}

/// The special tokens around a text and a pair of texts, and the token types of a pair.
pub(super) struct Template {
    pub(super) single: [Vec<i64>; 2],
    pub(super) pair: [Vec<i64>; 3],
    pub(super) types: [Vec<i64>; 3],
    /// The token types of both texts.
    pub(super) text_types: [i64; 2],
}

impl Template {
    /// What the post-processor of a tokenizer adds, from the ids of texts of one token, `words`.
    pub(super) fn of(tokenizer: &Tokenizer, words: &[(String, i64)]) -> Result<Self, String> {
        let fault = |error: cresset_data::error::Error| error.to_string();
        let repeats =
            || format!("a tokenizer whose post-processor does not use each text once, in order, {CANNOT}");
        let special = tokenizer.encode_pair("", "").map_err(fault)?.ids;
        let mut usable = words.iter().filter(|(_, id)| !special.contains(&(*id as u32)));
        let (Some((first, first_id)), Some((second, second_id))) = (usable.next(), usable.next()) else {
            return Err(format!("a tokenizer without two words of one token {CANNOT}"));
        };
        let single = ints(tokenizer.encode(first).map_err(fault)?);
        let pair = tokenizer.encode_pair(first, second).map_err(fault)?;
        let (ids, types) = (ints(pair.ids), ints(pair.types));
        let at = only(&single, *first_id).ok_or_else(repeats)?;
        let (a, b) =
            only(&ids, *first_id).zip(only(&ids, *second_id)).filter(|(a, b)| a < b).ok_or_else(repeats)?;
        Ok(Template {
            single: [single[..at].to_vec(), single[at + 1..].to_vec()],
            pair: around(&ids, a, b),
            types: around(&types, a, b),
            text_types: [types[a], types[b]],
        })
    }
}

fn ints(ids: Vec<u32>) -> Vec<i64> {
    ids.into_iter().map(i64::from).collect()
}

/// The place of a value that occurs once.
fn only(values: &[i64], value: i64) -> Option<usize> {
    let mut places = values.iter().enumerate().filter(|(_, other)| **other == value).map(|(place, _)| place);
    places.next().filter(|_| places.next().is_none())
}

/// The values before, between and after two places.
fn around(values: &[i64], a: usize, b: usize) -> [Vec<i64>; 3] {
    [values[..a].to_vec(), values[a + 1..b].to_vec(), values[b + 1..].to_vec()]
}
