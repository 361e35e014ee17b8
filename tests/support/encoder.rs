//! Small text encoders with random weights, as the Hugging Face hub would have them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use cresset::data::tokenizer::{TrainedKind, train};
use cresset::model::weights::safetensors;
use cresset::model::{Network, Task};
use tch::{Device, Tensor};

/// A family of encoders: the architecture, its `config.json`, and the options of the same sizes.
struct Family {
    model: &'static str,
    config: &'static str,
    options: &'static str,
    tokens: TrainedKind,
}

const FAMILIES: [Family; 3] = [
    Family {
        model: "bert",
        config: r#""hidden_act": "gelu", "hidden_dropout_prob": 0.1, "hidden_size": 16, "intermediate_size": 32,
            "layer_norm_eps": 1e-12, "max_position_embeddings": 64, "num_attention_heads": 2, "num_hidden_layers": 2,
            "type_vocab_size": 2"#,
        options: "width=16,hidden=32,positions=64",
        tokens: TrainedKind::WordPiece,
    },
    Family {
        model: "roberta",
        config: r#""hidden_act": "gelu", "hidden_dropout_prob": 0.1, "hidden_size": 16, "intermediate_size": 32,
            "layer_norm_eps": 1e-5, "max_position_embeddings": 66, "num_attention_heads": 2, "num_hidden_layers": 2,
            "type_vocab_size": 1, "pad_token_id": 1"#,
        options: "width=16,hidden=32,positions=66",
        tokens: TrainedKind::ByteLevelBpe,
    },
    Family {
        model: "modernbert",
        config: r#""hidden_activation": "gelu", "mlp_dropout": 0.0, "hidden_size": 16, "intermediate_size": 32, "norm_eps": 1e-5,
            "max_position_embeddings": 64, "num_attention_heads": 2, "num_hidden_layers": 2, "local_attention": 8"#,
        options: "width=16,hidden=32,depth=2,positions=64,window=8,length=64",
        tokens: TrainedKind::WordPiece,
    },
];

/// Writes a BERT whose tokenizer knows the words of `text` into the folder `encoder` of `folder`, and returns its path.
pub fn write(folder: &Path, text: &str) -> PathBuf {
    write_of("bert", &folder.join("encoder"), text)
}

/// Writes an encoder of this architecture into a folder, and returns its path.
pub fn write_of(model: &str, folder: &Path, text: &str) -> PathBuf {
    let family = FAMILIES.iter().find(|family| family.model == model).unwrap();
    std::fs::create_dir_all(folder).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let tokenizer = train(family.tokens, &lines, 400).unwrap();
    std::fs::write(folder.join("tokenizer.json"), tokenizer.to_json().unwrap()).unwrap();
    let vocabulary = tokenizer.vocabulary();
    let config = format!("{{\"model_type\": \"{model}\", {}, \"vocab_size\": {vocabulary}}}", family.config);
    std::fs::write(folder.join("config.json"), config).unwrap();
    let options = format!("vocabulary={vocabulary},{}", family.options);
    let network = Network::new(model, &options, &Task::of_texts(8, 2), Device::Cpu, 7).unwrap();
    let state = network.state();
    let body = state.iter().filter(|(name, _)| !name.starts_with("classifier"));
    // Larger than the first values of training, so that random features tell texts apart.
    let scaled = |tensor: &Tensor| if tensor.dim() > 1 { tensor * 10. } else { tensor.copy() };
    let named: Vec<_> = body.map(|(name, tensor)| (name.clone(), scaled(tensor))).collect();
    let named: Vec<_> = named.iter().map(|(name, tensor)| (name.clone(), tensor)).collect();
    safetensors::write(&folder.join("model.safetensors"), &named, HashMap::new()).unwrap();
    folder.to_path_buf()
}
