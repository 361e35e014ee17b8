//! The options that a pretrained text encoder determines.

use crate::data::tokenizer::Tokenizer;
use crate::error::{Error, Result, quoted};
use crate::model::Network;
use crate::model::layer::ADAPTER;
use crate::model::pretrained::PretrainedText;
use crate::model::weights::Matching;
use crate::options::Config;

/// The options with those of the encoder where `config` has the defaults: the architecture and its sizes, the tokenizer, and the
/// maximum number of tokens.
///
/// # Errors
/// Another model, and a tokenizer that cannot be read or has ids that the encoder has no vectors for.
pub fn options(mut config: Config, text: &PretrainedText) -> Result<Config> {
    if config.model != Config::default().model && config.model != text.model {
        let (model, own) = (quoted(&config.model), text.model);
        return Err(Error::Usage(format!(
            "the weights are those of the model {own}, not of {model}; leave out --model"
        )));
    }
    let file = config.reading.tokenizer.get_or_insert_with(|| text.tokenizer.clone());
    let tokenizer = Tokenizer::from_file(file, None)?;
    let vectors = text.options.iter().find(|(name, _)| *name == "vocabulary");
    let vectors = vectors.and_then(|(_, count)| count.parse::<usize>().ok()).unwrap_or(usize::MAX);
    if tokenizer.vocabulary() > vectors {
        let problem = format!(
            "the tokenizer has {} ids, but the weights have vectors of {vectors}; use the tokenizer that the weights were trained with",
            tokenizer.vocabulary()
        );
        return Err(Error::artifact(file, problem));
    }
    let own = text.max_length.unwrap_or(tokenizer.max_length()).min(text.positions);
    let length = *config.reading.max_length.get_or_insert(own as u32);
    let rank = config.lora.unwrap_or(0);
    let own = [("length", length.to_string()), ("lora", rank.to_string())];
    let text = PretrainedText { options: [&text.options[..], &own].concat(), ..text.clone() };
    if config.lora.is_some() {
        // The option of the run counts.
        let others = config.model_options.split(',').filter(|part| !part.trim().starts_with("lora="));
        config.model_options = others.collect::<Vec<_>>().join(",");
    }
    config.model = text.model.to_string();
    config.model_options = text.model_options(&config.model_options);
    Ok(config)
}

/// Rejects weights that leave parts of a text encoder random, other than the last layer: its sizes come from the files beside the
/// weights, so all parts must be there.
///
/// # Errors
/// The first missing tensor.
pub fn require_all(network: &Network, matching: &Matching) -> Result<()> {
    let missing = matching.fresh.iter().chain(matching.reshaped.iter().map(|(name, ..)| name));
    let is_own = |name: &str| network.is_head(name) || name.contains(ADAPTER);
    match missing.into_iter().find(|name| !is_own(name)) {
        None => Ok(()),
        Some(name) => Err(Error::Usage(format!(
            "the weights have no `{name}` of the size that their config.json and --model-options state"
        ))),
    }
}
