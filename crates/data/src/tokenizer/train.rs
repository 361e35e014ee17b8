//! Training a vocabulary on texts.
//!
//! The trainers of the crate `tokenizers` number and limit characters in the order of a hash table with random keys. They depend only
//! on the texts if the characters are given to them, in order.

use std::collections::{BTreeMap, BTreeSet};

use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{
    AddedToken, NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer,
};

use super::Tokenizer;
use super::vocabulary_file::{self, SPECIAL_TOKENS};
use crate::error::{Error, Result};

/// The special tokens of RoBERTa, in the order of their ids.
const ROBERTA_TOKENS: [&str; 5] = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"];

/// The smallest vocabulary for which every byte has a token.
const SMALLEST: usize = 300;

/// The maximum number of different characters in a WordPiece vocabulary, as BERT's tools set it.
const ALPHABET: usize = 1000;

/// The maximum number of characters of a word to learn from. WordPiece has no pieces of longer ones, and a word of megabytes, such as an
/// encoded file, would take hours.
const LONGEST_WORD: usize = 100;

/// The start of the tokens within words.
const PREFIX: &str = "##";

/// A kind of vocabulary that can be trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrainedKind {
    /// WordPiece on lowercase text without accents, as BERT uncased.
    WordPiece,
    /// WordPiece on the text as it is, as BERT cased.
    WordPieceCased,
    /// Byte-level byte pair encoding, as RoBERTa. The first word of a text has the ids that it has elsewhere.
    ByteLevelBpe,
}

/// Trains a tokenizer on texts. The vocabulary has at most `vocabulary` tokens, fewer if the texts have no more parts of words.
/// The result depends only on the arguments.
///
/// # Errors
/// A vocabulary smaller than the alphabet and the special tokens, texts without a word.
pub fn train<S: AsRef<str> + Sync>(kind: TrainedKind, texts: &[S], vocabulary: usize) -> Result<Tokenizer> {
    let inner = match kind {
        TrainedKind::WordPiece => word_piece(texts, vocabulary, true)?,
        TrainedKind::WordPieceCased => word_piece(texts, vocabulary, false)?,
        TrainedKind::ByteLevelBpe => byte_level(texts, vocabulary)?,
    };
    Tokenizer::checked(inner, None)
}

fn word_piece<S: AsRef<str> + Sync>(
    texts: &[S],
    vocabulary: usize,
    lowercase: bool,
) -> Result<tokenizers::Tokenizer> {
    let normalizer = BertNormalizer::new(true, true, None, lowercase);
    let words = words(texts, Some(&normalizer), &BertPreTokenizer)?;
    let alphabet = alphabet(&words);
    // Characters within words are tokens of their own.
    let within: BTreeSet<char> =
        words.keys().flat_map(|word| word.chars().skip(1)).filter(|c| alphabet.contains(c)).collect();
    let prefixed = within.iter().map(|c| format!("{PREFIX}{c}"));
    let first: Vec<String> = SPECIAL_TOKENS.iter().map(ToString::to_string).chain(prefixed).collect();
    let smallest = first.len() + alphabet.len();
    if vocabulary < smallest {
        let problem = format!(
            "a vocabulary of {vocabulary} tokens is too small for the characters of these texts, which need {smallest}"
        );
        return Err(Error::Usage(problem));
    }
    let trainer = BpeTrainer::builder()
        .vocab_size(vocabulary)
        .continuing_subword_prefix(PREFIX.to_string())
        .limit_alphabet(alphabet.len())
        .initial_alphabet(alphabet.into_iter().collect())
        .show_progress(false)
        .special_tokens(first.into_iter().map(|token| AddedToken::from(token, true)).collect())
        .build();
    let model = learn(&trainer, &words)?;
    vocabulary_file::build(model.get_vocab().into_iter().collect(), lowercase)
}

fn byte_level<S: AsRef<str> + Sync>(texts: &[S], vocabulary: usize) -> Result<tokenizers::Tokenizer> {
    if vocabulary < SMALLEST {
        let problem = format!("a byte-level vocabulary needs at least {SMALLEST} tokens, not {vocabulary}");
        return Err(Error::Usage(problem));
    }
    let special = ROBERTA_TOKENS.map(|token| AddedToken::from(token, true));
    let words = words(texts, None, &ByteLevel::default())?;
    let trainer = BpeTrainer::builder()
        .vocab_size(vocabulary)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .show_progress(false)
        .special_tokens(special.to_vec())
        .build();
    let mut tokenizer = tokenizers::Tokenizer::new(learn(&trainer, &words)?);
    let token = |id: usize| (ROBERTA_TOKENS[id].to_string(), id as u32);
    tokenizer
        .with_pre_tokenizer(Some(ByteLevel::default()))
        .with_post_processor(Some(RobertaProcessing::new(token(2), token(0))))
        .add_special_tokens(special)
        .map_err(failed)?;
    Ok(tokenizer)
}

/// The words of the texts with their numbers of occurrences.
fn words<S: AsRef<str> + Sync>(
    texts: &[S],
    normalizer: Option<&BertNormalizer>,
    pre_tokenizer: &(impl PreTokenizer + Sync),
) -> Result<BTreeMap<String, u64>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = texts.len().div_ceil(threads).max(1);
    let counts = std::thread::scope(|scope| {
        let count = |texts: &[S]| -> std::result::Result<BTreeMap<String, u64>, tokenizers::Error> {
            let mut counts = BTreeMap::new();
            for text in texts {
                let mut normalized = NormalizedString::from(text.as_ref());
                normalizer.map_or(Ok(()), |normalizer| normalizer.normalize(&mut normalized))?;
                let mut split = PreTokenizedString::from(normalized);
                pre_tokenizer.pre_tokenize(&mut split)?;
                let splits = split.get_splits(OffsetReferential::Normalized, OffsetType::None);
                for (word, ..) in splits.into_iter().filter(|(word, ..)| is_learned(word)) {
                    match counts.get_mut(word) {
                        Some(count) => *count += 1,
                        None => _ = counts.insert(word.to_string(), 1),
                    }
                }
            }
            Ok(counts)
        };
        let started: Vec<_> = texts.chunks(share).map(|texts| scope.spawn(move || count(texts))).collect();
        started
            .into_iter()
            .map(|thread| thread.join().expect("no panic while words are counted"))
            .collect::<Vec<_>>()
    });
    let mut words = BTreeMap::new();
    for counts in counts {
        for (word, count) in counts.map_err(failed)? {
            *words.entry(word).or_default() += count;
        }
    }
    words.remove("");
    if words.is_empty() {
        return Err(Error::Usage("the texts have no word to train a vocabulary on".to_string()));
    }
    Ok(words)
}

fn is_learned(word: &str) -> bool {
    word.len() <= LONGEST_WORD || word.chars().nth(LONGEST_WORD).is_none()
}

/// The most frequent characters, at most `ALPHABET`.
fn alphabet(words: &BTreeMap<String, u64>) -> BTreeSet<char> {
    let mut counts: BTreeMap<char, u64> = BTreeMap::new();
    for (word, count) in words {
        word.chars().for_each(|c| *counts.entry(c).or_default() += count);
    }
    let mut characters: Vec<(char, u64)> = counts.into_iter().collect();
    characters.sort_by_key(|(c, count)| (std::cmp::Reverse(*count), *c));
    characters.into_iter().take(ALPHABET).map(|(c, _)| c).collect()
}

fn learn(trainer: &BpeTrainer, words: &BTreeMap<String, u64>) -> Result<BPE> {
    let mut model = BPE::default();
    let counts = words.iter().map(|(word, count)| (word.as_str().into(), *count)).collect();
    trainer.do_train(&counts, &mut model).map_err(failed)?;
    Ok(model)
}

/// `[CLS] A [SEP]` and `[CLS] A [SEP] B [SEP]`, the second text with token type 1.
pub(super) fn bert_template(cls: u32, sep: u32) -> Result<TemplateProcessing> {
    let invalid =
        |reason: String| Error::Usage(format!("the template of special tokens is invalid: {reason}"));
    TemplateProcessing::builder()
        .try_single("[CLS]:0 $A:0 [SEP]:0")
        .map_err(invalid)?
        .try_pair("[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1")
        .map_err(invalid)?
        .special_tokens(vec![("[CLS]".to_string(), cls), ("[SEP]".to_string(), sep)])
        .build()
        .map_err(|reason| invalid(reason.to_string()))
}

fn failed(reason: tokenizers::Error) -> Error {
    Error::Usage(format!("the vocabulary cannot be trained: {reason}"))
}
