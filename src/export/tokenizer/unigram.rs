//! Unigram models of SentencePiece (Kudo, "Subword Regularization", 2018), as of XLM-RoBERTa and CamemBERT: the tokens of a word with the
//! largest sum of scores.

use std::collections::HashMap;

use cresset_data::error::quoted;
use cresset_data::tokenizer::Tokenizer;
use cresset_data::tokenizer::graphemes::{class, class_of};
use serde_json::Value;

use super::Own;
use super::characters_map::{self, Replacements};
use super::parts::{CANNOT, Parts, refusal};
use super::tables::{SPACE, blocks};
use crate::model::script::Collection;

const METHODS: &str = include_str!("unigram.py");

/// Properties of characters; `unigram.py` has their names. Those that others contain come after them.
const KINDS: [(&str, i64); 15] = [
    ("WITHIN_PICTOGRAPHS", class::WITHIN_PICTOGRAPHS),
    ("WITHIN_CONSONANTS", class::WITHIN_CONSONANTS),
    ("BEFORE_LEADING", class::BEFORE[0]),
    ("BEFORE_VOWEL", class::BEFORE[1]),
    ("BEFORE_FINAL", class::BEFORE[2]),
    ("AFTER_LEADING", class::AFTER[0]),
    ("AFTER_VOWEL", class::AFTER[1]),
    ("AFTER_FINAL", class::AFTER[2]),
    ("EXTENDS", class::EXTENDS),
    ("CONTROL", class::CONTROL),
    ("PREPENDS_CLUSTER", class::PREPENDS),
    ("PICTOGRAPH", class::PICTOGRAPH),
    ("CONSONANT", class::CONSONANT),
    ("LINKER", class::LINKER),
    ("SPACE", 0),
];

/// What the score of an unknown character is below the lowest score.
const PENALTY: f64 = 10.;

/// The units of the two integers that a score is the sum of.
const UNITS: [f64; 2] = [1. / (1u64 << 20) as f64, 1. / (1u64 << 20) as f64 / (1u64 << 53) as f64];

/// The mark of the beginning of a word.
const MARK: &str = "▁";

pub(super) fn of(tokenizer: &Tokenizer, parts: &Parts) -> Result<Own, String> {
    parts.model_without(&["byte_fallback"])?;
    let unknown =
        parts.model("unk_id").as_i64().ok_or_else(|| format!("a Unigram model without unk_id {CANNOT}"))?;
    let vocabulary = Vocabulary::of(parts)?;
    let mut normalizer = Normalizer::default();
    normalizer.read(parts.value("normalizer"))?;
    let words = Words::of(parts)?;
    let lowest = vocabulary.scores.iter().copied().fold(f64::INFINITY, f64::min);
    let longest = vocabulary.ids.keys().map(|token| token.chars().count()).max().unwrap_or(1);
    let flag = |is: bool| if is { "True" } else { "False" };
    let mut methods = METHODS
        .replace("PREPENDS_MARK", flag(words.prepends))
        .replace("BY_WHITESPACE", flag(words.by_whitespace))
        .replace("SPLITS", flag(words.splits))
        .replace("KEEPS_ASCII", flag(normalizer.keeps_ascii()))
        .replace("STEPS", &normalizer.steps)
        .replace("JOINED", &u32::from(normalizer.joined).to_string())
        .replace("LONGEST", &longest.to_string())
        .replace("HIGH_UNIT", &format!("{:e}", UNITS[0]))
        .replace("LOW_UNIT", &format!("{:e}", UNITS[1]))
        .replace("UNKNOWN_SCORE", &format!("({:?})", lowest - PENALTY))
        .replace("UNKNOWN", &unknown.to_string());
    for (name, value) in KINDS {
        // Whitespace has the lowest bit.
        let value = if name == "SPACE" { SPACE } else { value << 1 };
        methods = methods.replace(name, &value.to_string());
    }
    let mut attributes = normalizer.tables()?;
    attributes.extend(vocabulary.tables()?);
    attributes.extend(blocks(|c| i64::from(c.is_whitespace()) * SPACE + (class_of(c) << 1)));
    Ok(Own { words: vocabulary.words(tokenizer, parts), methods, attributes })
}

/// The tokens and their scores.
struct Vocabulary {
    /// Of a token that occurs twice, the last id.
    ids: HashMap<String, i64>,
    scores: Vec<f64>,
}

impl Vocabulary {
    fn of(parts: &Parts) -> Result<Self, String> {
        let entry = |entry: &Value| Some((entry[0].as_str()?.to_string(), entry[1].as_f64()?));
        let entries = parts.model("vocab").as_array().into_iter().flatten().map(entry);
        let entries: Vec<(String, f64)> = entries
            .collect::<Option<_>>()
            .ok_or_else(|| format!("a Unigram model whose vocabulary cannot be read {CANNOT}"))?;
        let scores = entries.iter().map(|(_, score)| *score).collect();
        let ids = (0..).zip(entries).map(|(id, (token, _))| (token, id)).collect();
        Ok(Vocabulary { ids, scores })
    }

    /// The dictionary of the tokens, and the scores, each the sum of two integers times [`UNITS`]: TorchScript has no list of floats here.
    fn tables(&self) -> Result<Vec<(&'static str, Collection)>, String> {
        let (mut high, mut low) = (Vec::new(), Vec::new());
        for score in &self.scores {
            let first = (score / UNITS[0]).trunc();
            let second = (score - first * UNITS[0]) / UNITS[1];
            let is_exact = first as i64 as f64 * UNITS[0] + second as i64 as f64 * UNITS[1] == *score;
            if !is_exact {
                return Err(format!("a Unigram model with the score {score} {CANNOT}"));
            }
            high.push(first as i64);
            low.push(second as i64);
        }
        let mut pieces: Vec<(String, i64)> =
            self.ids.iter().map(|(token, id)| (token.clone(), *id)).collect();
        pieces.retain(|(token, _)| !token.is_empty());
        pieces.sort_by_key(|(_, id)| *id);
        Ok(vec![
            ("pieces", Collection::ByText(pieces)),
            ("high", Collection::Ints(high)),
            ("low", Collection::Ints(low)),
        ])
    }

    /// A few texts that are a single token.
    fn words(&self, tokenizer: &Tokenizer, parts: &Parts) -> Vec<(String, i64)> {
        const ENOUGH: usize = 16;
        let mut tokens: Vec<(&String, &i64)> = self.ids.iter().collect();
        tokens.sort_by_key(|(_, id)| **id);
        let texts = tokens.into_iter().filter_map(|(token, id)| {
            let text = token.strip_prefix(MARK).unwrap_or(token);
            let is_word = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric());
            is_word.then(|| (text.to_string(), *id))
        });
        let single = texts.filter_map(|word| parts.single_tokens(tokenizer, std::iter::once(word)).pop());
        single.take(ENOUGH).collect()
    }
}

/// The steps of the normalizer.
#[derive(Default)]
struct Normalizer {
    replacements: Replacements,
    /// TorchScript of the steps after the replacements.
    steps: String,
    /// What several spaces become.
    joined: char,
}

impl Normalizer {
    fn read(&mut self, part: &Value) -> Result<(), String> {
        let refuse = || Err(refusal("normalizer", part));
        match part["type"].as_str() {
            None if part.is_null() => {}
            Some("Sequence") => {
                for step in part["normalizers"].as_array().into_iter().flatten() {
                    self.read(step)?;
                }
            }
            Some("Precompiled") if self.replacements.is_empty() && self.steps.is_empty() => {
                let map = part["precompiled_charsmap"].as_str().unwrap_or_default();
                self.replacements = characters_map::read(map)?;
            }
            Some("Strip") => {
                if part["strip_right"] == true {
                    self.steps += "    result = self.without_space_at_end(result)\n";
                }
                if part["strip_left"] == true {
                    self.steps += "    result = result[self.space_at_start(result):]\n";
                }
            }
            Some("Replace") if self.joined == char::default() && part["pattern"]["Regex"] == " {2,}" => {
                let content: Vec<char> = part["content"].as_str().unwrap_or_default().chars().collect();
                let [joined] = content[..] else { return refuse() };
                self.joined = joined;
                self.steps += "    result = self.joined_spaces(result)\n";
            }
            Some("Replace") => {
                let pattern = quoted(&part["pattern"].to_string());
                return Err(format!("a tokenizer with the normalizer Replace of {pattern} {CANNOT}"));
            }
            _ => return refuse(),
        }
        Ok(())
    }

    /// Whether texts of printable ASCII have no replacements.
    fn keeps_ascii(&self) -> bool {
        let is_plain = |text: &str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        !self.replacements.iter().any(|(text, _)| is_plain(text))
    }

    /// The replacements of characters and of short clusters: `start * 64 + count` in a list of code points.
    fn tables(&self) -> Result<Vec<(&'static str, Collection)>, String> {
        const MOST: usize = 63;
        let (mut characters, mut clusters, mut points) = (Vec::new(), Vec::new(), Vec::new());
        for (text, replacement) in &self.replacements {
            let start = points.len();
            points.extend(replacement.chars().map(|c| i64::from(u32::from(c))));
            let count = points.len() - start;
            if count > MOST {
                return Err(format!(
                    "a tokenizer that replaces {} by {count} characters {CANNOT}",
                    quoted(text)
                ));
            }
            let value = (start * (MOST + 1) + count) as i64;
            if let [only] = text.chars().collect::<Vec<_>>()[..] {
                characters.push((i64::from(u32::from(only)), value));
            }
            clusters.push((text.clone(), value));
        }
        // An entry that no text has, for dictionaries without others.
        characters.push((-1, 0));
        clusters.push((String::new(), 0));
        Ok(vec![
            ("characters", Collection::ByInt(characters)),
            ("clusters", Collection::ByText(clusters)),
            ("replacements", Collection::Ints(points)),
        ])
    }
}

/// How the normalized text becomes words.
struct Words {
    /// Words end at whitespace, which is left out.
    by_whitespace: bool,
    /// A mark is added before words without one.
    prepends: bool,
    /// A mark begins a word.
    splits: bool,
}

impl Words {
    fn of(parts: &Parts) -> Result<Self, String> {
        let part = parts.value("pre_tokenizer");
        let steps: Vec<&Value> = match part["type"].as_str() {
            Some("Sequence") => part["pretokenizers"].as_array().into_iter().flatten().collect(),
            _ => vec![part],
        };
        let (by_whitespace, marks) = match steps[..] {
            [marks] => (false, marks),
            [first, marks] if first["type"] == "WhitespaceSplit" => (true, marks),
            _ => return Err(refusal("pre_tokenizer", part)),
        };
        if marks["type"] != "Metaspace" {
            return Err(refusal("pre_tokenizer", marks));
        }
        if marks["replacement"] != MARK {
            return Err(format!("a tokenizer with the mark {} of words {CANNOT}", marks["replacement"]));
        }
        let prepends = match marks["prepend_scheme"].as_str() {
            None => marks["add_prefix_space"] != false,
            Some("always") => true,
            Some("never") => false,
            Some(other) => {
                return Err(format!("a tokenizer with the prepend_scheme {} {CANNOT}", quoted(other)));
            }
        };
        Ok(Words { by_whitespace, prepends, splits: marks["split"] != false })
    }
}
