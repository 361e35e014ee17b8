//! Pretrained text encoders: a folder or model of the hub with config.json, a tokenizer and weights.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::text_config::TextConfig;
use crate::error::{Error, Result, quoted};
use crate::model::weights;

/// A pretrained text encoder, by the files beside its weights.
#[derive(Debug, Clone, PartialEq)]
pub struct PretrainedText {
    /// The architecture.
    pub model: &'static str,
    /// The options of the architecture that have the sizes of the weights, and the pooling.
    pub options: Vec<(&'static str, String)>,
    /// `tokenizer.json`, or `vocab.txt`.
    pub tokenizer: PathBuf,
    /// The maximum number of tokens that the encoder was made for; none if the tokenizer decides.
    pub max_length: Option<usize>,
    /// The maximum number of tokens that it has positions for.
    pub positions: usize,
}

/// The files of tokenizers, in order of preference.
const TOKENIZERS: [&str; 2] = ["tokenizer.json", "vocab.txt"];

/// Files of sentence-transformers: the pooling, and the maximum number of tokens.
const POOLING: &str = "1_Pooling/config.json";
const SENTENCES: &str = "sentence_bert_config.json";

/// The encoder of a config.json, whose other files `fetch` finds by their names. None if the weights are not those of a text encoder.
///
/// # Errors
/// Files that are missing, cannot be read, or are of a model that is not available.
pub fn find(
    config: &Path,
    weights: &Path,
    fetch: &mut dyn FnMut(&str) -> Result<Option<PathBuf>>,
) -> Result<Option<PretrainedText>> {
    let of_config = TextConfig::of(&json(config)?).map_err(|problem| Error::artifact(config, problem))?;
    let Some(TextConfig { model, mut options, positions, pooler, pools_first }) = of_config else {
        return Ok(None);
    };
    let tokenizer = first(&TOKENIZERS, fetch)?.ok_or_else(|| {
        let problem =
            format!("there is no {} beside it, which the texts are read with", TOKENIZERS.join(" or "));
        Error::artifact(config, problem)
    })?;
    let pooling = match fetch(POOLING)? {
        Some(file) => of_sentences(&file)?,
        None if names(weights)?.iter().any(|name| name.ends_with(pooler)) => {
            Pooling::Pooler { is_first: pools_first }
        }
        None => Pooling::Mean,
    };
    options.extend(pooling.options().map(|(name, value)| (name, value.to_string())));
    let max_length = match fetch(SENTENCES)? {
        Some(file) => json(&file)?.get("max_seq_length").and_then(Value::as_u64),
        None => None,
    };
    let max_length = max_length.map(|length| (length as usize).min(positions));
    Ok(Some(PretrainedText { model, options, tokenizer, max_length, positions }))
}

impl PretrainedText {
    /// The options of the architecture in the syntax of `--model-options`: those of the weights, and over them those that are `given`.
    pub fn model_options(&self, given: &str) -> String {
        let own = given.split(',').filter(|part| !part.trim().is_empty());
        let own: Vec<(&str, &str)> = own
            .map(|part| part.split_once('=').map_or((part.trim(), ""), |(name, _)| (name.trim(), part)))
            .collect();
        let is_given = |name: &str| own.iter().any(|(other, _)| *other == name);
        let of_weights = self.options.iter().filter(|(name, _)| !is_given(name));
        let of_weights = of_weights.map(|(name, value)| format!("{name}={value}"));
        of_weights.chain((!own.is_empty()).then(|| given.to_string())).collect::<Vec<_>>().join(",")
    }
}

/// From the vectors of tokens to the input of the last layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pooling {
    Mean,
    First,
    /// A layer that the weights have, of the first token or of the mean.
    Pooler {
        is_first: bool,
    },
}

impl Pooling {
    fn options(self) -> impl Iterator<Item = (&'static str, u8)> {
        let (pooling, pooler) = match self {
            Pooling::Mean => (0, 0),
            Pooling::First => (1, 0),
            Pooling::Pooler { is_first } => (u8::from(is_first), 1),
        };
        [("pooling", pooling), ("pooler", pooler)].into_iter()
    }
}

/// The pooling of sentence-transformers.
fn of_sentences(file: &Path) -> Result<Pooling> {
    let json = json(file)?;
    let name = json.get("pooling_mode").and_then(Value::as_str);
    let is_set = |mode: &str| json[format!("pooling_mode_{mode}")].as_bool() == Some(true);
    let modes = ["max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"];
    match modes.into_iter().find(|mode| is_set(mode)).or(name.filter(|name| !["mean", "cls"].contains(name)))
    {
        Some(other) => Err(Error::artifact(
            file,
            format!(
                "the pooling {} is not available; only those of the mean and of [CLS] are",
                quoted(other)
            ),
        )),
        None if is_set("cls_token") || name == Some("cls") => Ok(Pooling::First),
        None => Ok(Pooling::Mean),
    }
}

fn first(names: &[&str], fetch: &mut dyn FnMut(&str) -> Result<Option<PathBuf>>) -> Result<Option<PathBuf>> {
    for name in names {
        if let Some(found) = fetch(name)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn json(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    serde_json::from_str(&text)
        .map_err(|problem| Error::artifact(path, format!("the configuration is not valid JSON: {problem}")))
}

/// The largest header of a safetensors file.
const MAX_HEADER: u64 = 100_000_000;

/// The names of the tensors of a file; of safetensors, the header alone is read.
fn names(path: &Path) -> Result<Vec<String>> {
    if path.extension().is_none_or(|extension| extension != "safetensors") {
        return Ok(weights::read(path)?.into_keys().collect());
    }
    let damaged =
        |problem: String| Error::artifact(path, format!("the safetensors file is damaged: {problem}"));
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(|problem| damaged(problem.to_string()))?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER {
        return Err(damaged(format!("its header has {length} bytes")));
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header).map_err(Error::io("read", path))?;
    let header: BTreeMap<String, Value> =
        serde_json::from_slice(&header).map_err(|problem| damaged(problem.to_string()))?;
    Ok(header.into_keys().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The problem of a folder with these files, or what was found.
    fn found(files: &[(&str, &str)]) -> std::result::Result<PretrainedText, String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let header = r#"{"bert.pooler.dense.weight": {}}"#;
        let weights = folder.path().join("model.safetensors");
        let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
        std::fs::write(&weights, bytes).unwrap();
        let mut fetch = |name: &str| -> Result<Option<PathBuf>> {
            Ok(Some(folder.path().join(name)).filter(|path| path.is_file()))
        };
        find(&folder.path().join("config.json"), &weights, &mut fetch)
            .map(Option::unwrap)
            .map_err(|error| error.to_string())
    }

    const CONFIG: &str = r#"{"model_type": "bert", "vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1,
        "intermediate_size": 8, "max_position_embeddings": 64, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_dropout_prob": 0}"#;

    #[test]
    fn the_pooling_is_that_of_the_sentence_encoder_or_of_the_weights() {
        let base = [("config.json", CONFIG), ("vocab.txt", "")];
        let pooling = |files: &[(&str, &str)]| {
            let all = found(&[&base, files].concat()).unwrap().model_options("");
            all.split_once("pooling=").unwrap().1.to_string()
        };
        assert_eq!(pooling(&[]), "1,pooler=1");
        assert_eq!(pooling(&[(POOLING, r#"{"pooling_mode_mean_tokens": true}"#)]), "0,pooler=0");
        assert_eq!(pooling(&[(POOLING, r#"{"pooling_mode_cls_token": true}"#)]), "1,pooler=0");
        let problem =
            found(&[&base[..], &[(POOLING, r#"{"pooling_mode_max_tokens": true}"#)]].concat()).unwrap_err();
        assert!(problem.contains("the pooling `max_tokens` is not available"), "{problem}");
    }

    #[test]
    fn a_folder_needs_a_tokenizer_and_given_options_count() {
        let problem = found(&[("config.json", CONFIG)]).unwrap_err();
        assert!(problem.contains("there is no tokenizer.json or vocab.txt beside it"), "{problem}");
        let sentences = (SENTENCES, r#"{"max_seq_length": 256}"#);
        let text = found(&[("config.json", CONFIG), ("tokenizer.json", "{}"), ("vocab.txt", ""), sentences])
            .unwrap();
        assert!(text.tokenizer.ends_with("tokenizer.json"));
        assert_eq!(text.max_length, Some(64));
        let options = text.model_options("dropout=0.3, pooler=0");
        assert!(options.contains("eps=1e-12,pooling=1,dropout=0.3, pooler=0"), "{options}");
    }
}
