//! The vocabulary of BERT, `vocab.txt`: a token a line, whose number, from 0, is its id.

use std::path::Path;

use tokenizers::models::bpe::Vocab;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{AddedToken, Tokenizer};

use super::train::bert_template;
use crate::error::{Error, Location, Result, quoted};

/// The tokens that BERT gives a meaning, all but the last required.
pub(super) const SPECIAL_TOKENS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// The tokenizer of a vocabulary file with this text.
pub(super) fn read(text: &str, path: &Path) -> Result<Tokenizer> {
    let vocabulary = parsed(text, path)?;
    let missing: Vec<_> =
        SPECIAL_TOKENS[..4].iter().filter(|token| !vocabulary.contains_key(**token)).copied().collect();
    if !missing.is_empty() {
        let problem =
            format!("the vocabulary lacks {}, which a line of its own must have", missing.join(", "));
        return Err(Error::data(path, problem));
    }
    let is_cased = vocabulary.keys().any(|token| !token.starts_with('[') && token.to_lowercase() != **token);
    build(vocabulary, !is_cased)
}

fn parsed(text: &str, path: &Path) -> Result<Vocab> {
    let mut vocabulary = Vocab::default();
    for (index, line) in text.lines().enumerate() {
        let token = line.trim_end();
        let location = || Location::line(path, index as u64 + 1);
        if token.is_empty() {
            return Err(Error::data(location(), "an empty line, where a token is expected"));
        }
        if let Some(first) = vocabulary.insert(token.to_string(), index as u32) {
            let problem = format!("the token {} is already in line {}", quoted(token), first + 1);
            return Err(Error::data(location(), problem));
        }
    }
    Ok(vocabulary)
}

/// BERT's tokenizer with this vocabulary.
pub(super) fn build(vocabulary: Vocab, lowercase: bool) -> Result<Tokenizer> {
    let failed = |reason: tokenizers::Error| Error::Usage(format!("no tokenizer can be built: {reason}"));
    let known: Vec<AddedToken> = SPECIAL_TOKENS
        .iter()
        .filter(|token| vocabulary.contains_key(**token))
        .map(|token| AddedToken::from(*token, true))
        .collect();
    let template = bert_template(vocabulary["[CLS]"], vocabulary["[SEP]"])?;
    let model =
        WordPiece::builder().vocab(vocabulary).unk_token("[UNK]".to_string()).build().map_err(failed)?;
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_normalizer(Some(BertNormalizer::new(true, true, None, lowercase))).map_err(failed)?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer)).with_post_processor(Some(template));
    tokenizer.add_special_tokens(known).map_err(failed)?;
    Ok(tokenizer)
}
