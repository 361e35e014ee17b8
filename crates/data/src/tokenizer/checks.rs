//! What a tokenizer must have before it encodes anything.

use serde_json::Value;
use tokenizers::{Model, ModelWrapper, PostProcessor, Tokenizer};

use crate::error::{Error, Result, did_you_mean, quoted};

/// The model types of a `tokenizer.json`.
const MODELS: [&str; 4] = ["WordPiece", "BPE", "Unigram", "WordLevel"];

/// The names of padding tokens, if the file does not say which one it is.
const PAD_TOKENS: [&str; 3] = ["[PAD]", "<pad>", "<|padding|>"];

/// Parses the text of a `tokenizer.json`.
pub(super) fn parsed(json: &str) -> Result<Tokenizer> {
    let value: Value = serde_json::from_str(json)
        .map_err(|reason| Error::Usage(format!("is not a tokenizer.json: {reason}")))?;
    let Some(model) = value.get("model").filter(|model| model.is_object()) else {
        let problem = "is not a tokenizer.json: it has no \"model\" (is it tokenizer_config.json?)";
        return Err(Error::Usage(problem.to_string()));
    };
    if let Some(kind) = model.get("type").and_then(Value::as_str).filter(|kind| !MODELS.contains(kind)) {
        let hint = did_you_mean(kind, MODELS).unwrap_or_default();
        let known = MODELS.join(", ");
        return Err(Error::Usage(format!("unknown tokenizer model {} (known: {known}){hint}", quoted(kind))));
    }
    if model["type"] == "Unigram" && model["unk_id"].is_null() {
        let problem = "the Unigram model has no \"unk_id\", so text with unknown characters has no ids";
        return Err(Error::Usage(problem.to_string()));
    }
    post_processor_tokens(&value)?;
    json.parse().map_err(|reason| Error::Usage(format!("is not a tokenizer.json that can be read: {reason}")))
}

/// Checks that all special tokens of the templates are defined: the crate `tokenizers` panics when it applies a template of a file
/// with others.
fn post_processor_tokens(json: &Value) -> Result<()> {
    let mut pending = vec![&json["post_processor"]];
    while let Some(processor) = pending.pop() {
        pending.extend(processor["processors"].as_array().into_iter().flatten());
        if processor["type"] != "TemplateProcessing" {
            continue;
        }
        for name in ["single", "pair"] {
            let pieces = processor[name].as_array().map(Vec::as_slice).unwrap_or_default();
            for piece in pieces {
                let Some(token) = piece["SpecialToken"]["id"].as_str() else { continue };
                if processor["special_tokens"][token].is_null() {
                    let token = quoted(token);
                    let problem = format!(
                        "the template \"{name}\" uses the token {token}, which its \"special_tokens\" do not define"
                    );
                    return Err(Error::Usage(problem));
                }
            }
            if name == "single" && pieces.iter().any(|piece| piece["Sequence"]["id"] == "B") {
                let problem = "the template \"single\" uses the sequence B; it may only use A";
                return Err(Error::Usage(problem.to_string()));
            }
        }
    }
    Ok(())
}

/// The least maximum length: it leaves room for at least one token of each text.
pub(super) fn least_length(tokenizer: &Tokenizer) -> usize {
    special_tokens(tokenizer) + 2
}

/// The most special tokens that a text or a pair gets.
fn special_tokens(tokenizer: &Tokenizer) -> usize {
    let added =
        |is_pair| tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(is_pair));
    added(true).max(added(false))
}

/// Checks that a maximum length leaves room for at least one token of each text.
pub(super) fn max_length(tokenizer: &Tokenizer, max_length: usize) -> Result<()> {
    let (special, least) = (special_tokens(tokenizer), least_length(tokenizer));
    if max_length < least {
        let problem = format!(
            "the maximum length {max_length} is too small: {special} special tokens and one of each text of a pair are {least}"
        );
        return Err(Error::Usage(problem));
    }
    Ok(())
}

/// Checks that the model has the token that it gives for unknown ones, without which encoding would fail.
pub(super) fn unknown_token(tokenizer: &Tokenizer) -> Result<()> {
    let token = match tokenizer.get_model() {
        ModelWrapper::WordPiece(model) => Some(model.unk_token.clone()),
        ModelWrapper::WordLevel(model) => Some(model.unk_token.clone()),
        ModelWrapper::BPE(model) => model.unk_token.clone(),
        // `parsed` checks its "unk_id".
        ModelWrapper::Unigram(_) => None,
    };
    match token {
        Some(token) if tokenizer.get_model().token_to_id(&token).is_none() => Err(Error::Usage(format!(
            "the token {} for unknown tokens is not in the vocabulary",
            quoted(&token)
        ))),
        _ => Ok(()),
    }
}

/// The id of the padding token.
pub(super) fn pad_id(tokenizer: &Tokenizer) -> Result<u32> {
    let of_file = tokenizer.get_padding().map(|padding| padding.pad_token.clone());
    let known = PAD_TOKENS.iter().map(ToString::to_string);
    of_file.into_iter().chain(known).find_map(|token| tokenizer.token_to_id(&token)).ok_or_else(|| {
        let problem = format!(
            "has no padding token ({}); add one with the library tokenizers: tokenizer.add_special_tokens([\"[PAD]\"])",
            PAD_TOKENS.join(", ")
        );
        Error::Usage(problem)
    })
}

/// The number of ids, which must be 0, 1, 2, …
pub(super) fn vocabulary(tokenizer: &Tokenizer) -> Result<usize> {
    let vocabulary = tokenizer.get_vocab(true);
    let mut ids: Vec<u32> = vocabulary.values().copied().collect();
    ids.sort_unstable();
    ids.dedup();
    if let Some((token, id)) = vocabulary.iter().find(|(_, id)| **id as usize >= ids.len()) {
        let problem = format!(
            "the id {id} of the token {} is beyond the vocabulary of {} ids",
            quoted(token),
            ids.len()
        );
        return Err(Error::Usage(problem));
    }
    // The ids of the special tokens that are added are stated again.
    let added = tokenizer
        .encode(("", ""), true)
        .map_err(|reason| Error::Usage(format!("cannot encode an empty text: {reason}")))?;
    if let Some(id) = added.get_ids().iter().find(|id| **id as usize >= ids.len()) {
        let problem = format!(
            "the post-processor adds the id {id}, which is beyond the vocabulary of {} ids",
            ids.len()
        );
        return Err(Error::Usage(problem));
    }
    Ok(ids.len())
}
