//! Small text encoders with random weights, as the Hugging Face hub would have them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use cresset::data::tokenizer::{TrainedKind, train};
use cresset::model::weights::safetensors;
use cresset::model::{Network, Task};
use tch::Device;

/// The sizes of the encoders, of `config.json` of BERT.
const CONFIG: &str = r#"{
  "model_type": "bert",
  "hidden_act": "gelu",
  "hidden_dropout_prob": 0.1,
  "hidden_size": 16,
  "intermediate_size": 32,
  "layer_norm_eps": 1e-12,
  "max_position_embeddings": 64,
  "num_attention_heads": 2,
  "num_hidden_layers": 2,
  "type_vocab_size": 2,
  "vocab_size": VOCABULARY
}"#;

/// Writes an encoder whose tokenizer knows the words of `text` into the folder `encoder` of `folder`, and returns its path.
pub fn write(folder: &Path, text: &str) -> PathBuf {
    let folder = folder.join("encoder");
    std::fs::create_dir_all(&folder).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let tokenizer = train(TrainedKind::WordPiece, &lines, 400).unwrap();
    std::fs::write(folder.join("tokenizer.json"), tokenizer.to_json().unwrap()).unwrap();
    let vocabulary = tokenizer.vocabulary();
    std::fs::write(folder.join("config.json"), CONFIG.replace("VOCABULARY", &vocabulary.to_string()))
        .unwrap();
    let options = format!("vocabulary={vocabulary},width=16,hidden=32,positions=64");
    let network = Network::new("bert", &options, &Task::of_texts(8, 2), Device::Cpu, 7).unwrap();
    // Larger than BERT's first values, so that random features tell texts apart.
    let state = network.state();
    let body = state.iter().filter(|(name, _)| !name.starts_with("classifier"));
    let named: Vec<_> = body
        .map(|(name, tensor)| (name.clone(), if tensor.dim() > 1 { tensor * 10. } else { tensor.copy() }))
        .collect();
    let named: Vec<_> = named.iter().map(|(name, tensor)| (name.clone(), tensor)).collect();
    safetensors::write(&folder.join("model.safetensors"), &named, HashMap::new()).unwrap();
    folder
}
