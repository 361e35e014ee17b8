//! The sizes of text encoders, config.json of the library transformers.

use serde_json::Value;

use crate::error::quoted;

/// An encoder and its sizes.
#[derive(Debug, Clone, PartialEq)]
pub struct TextConfig {
    /// The architecture.
    pub model: &'static str,
    /// The options of the architecture, without those of the pooling.
    pub options: Vec<(&'static str, String)>,
    /// The maximum number of tokens.
    pub positions: usize,
    /// The end of the names of the pooler's weights.
    pub pooler: &'static str,
    /// Whether the pooler takes the vector of the first token, and not the mean.
    pub pools_first: bool,
}

/// A family of encoders.
struct Family {
    /// `model_type` of config.json.
    types: &'static [&'static str],
    model: &'static str,
    /// Options of the architecture, and the entries that determine them.
    entries: &'static [(&'static str, &'static str)],
    /// The entry with the number of rows of the position embeddings, and how many of them no token uses.
    positions: &'static str,
    unused_positions: usize,
    pooler: &'static str,
    /// Options that follow from several entries.
    derived: fn(&Value) -> Derived,
}

/// Options that follow from several entries.
type Derived = Result<Vec<(&'static str, f64)>, String>;

/// The entries of BERT.
const BERT: &[(&str, &str)] = &[
    ("vocabulary", "vocab_size"),
    ("width", "hidden_size"),
    ("depth", "num_hidden_layers"),
    ("heads", "num_attention_heads"),
    ("hidden", "intermediate_size"),
    ("positions", "max_position_embeddings"),
    ("types", "type_vocab_size"),
    ("eps", "layer_norm_eps"),
    ("dropout", "hidden_dropout_prob"),
];

const FAMILIES: &[Family] = &[
    Family {
        types: &["bert"],
        model: "bert",
        entries: BERT,
        positions: "max_position_embeddings",
        unused_positions: 0,
        pooler: "pooler.dense.weight",
        derived: |_| Ok(Vec::new()),
    },
    Family {
        types: &["roberta", "xlm-roberta", "camembert"],
        model: "roberta",
        entries: BERT,
        positions: "max_position_embeddings",
        unused_positions: 2,
        pooler: "classifier.dense.weight",
        derived: |json| match json.get("pad_token_id").and_then(Value::as_u64) {
            None | Some(1) => Ok(Vec::new()),
            Some(other) => Err(format!(
                "`pad_token_id` is {other}; only 1 is available, after which positions are counted"
            )),
        },
    },
    Family {
        types: &["distilbert"],
        model: "distilbert",
        entries: &[
            ("vocabulary", "vocab_size"),
            ("width", "dim"),
            ("depth", "n_layers"),
            ("heads", "n_heads"),
            ("hidden", "hidden_dim"),
            ("positions", "max_position_embeddings"),
            ("dropout", "dropout"),
        ],
        positions: "max_position_embeddings",
        unused_positions: 0,
        pooler: "pre_classifier.weight",
        derived: |_| Ok(Vec::new()),
    },
    Family {
        types: &["modernbert"],
        model: "modernbert",
        entries: &[
            ("vocabulary", "vocab_size"),
            ("width", "hidden_size"),
            ("depth", "num_hidden_layers"),
            ("heads", "num_attention_heads"),
            ("hidden", "intermediate_size"),
            ("positions", "max_position_embeddings"),
            ("window", "local_attention"),
            ("eps", "norm_eps"),
            ("dropout", "mlp_dropout"),
        ],
        positions: "max_position_embeddings",
        unused_positions: 0,
        pooler: "head.dense.weight",
        derived: modern,
    },
];

impl TextConfig {
    /// The encoder of a config.json. None if it is not of the library transformers.
    ///
    /// # Errors
    /// A model of another type, and entries that are missing or that no architecture has here.
    pub fn of(json: &Value) -> Result<Option<Self>, String> {
        let Some(kind) = json.get("model_type").and_then(Value::as_str) else { return Ok(None) };
        // timm's files may have both.
        if json.get("architecture").is_some() {
            return Ok(None);
        }
        let Some(family) = FAMILIES.iter().find(|family| family.types.contains(&kind)) else {
            let known: Vec<_> = FAMILIES.iter().flat_map(|family| family.types).copied().collect();
            return Err(format!(
                "the weights are for a model of the type {}, which is not available; text encoders of these types are: {}",
                quoted(kind),
                known.join(", ")
            ));
        };
        family.check(json)?;
        let number = |entry: &str| {
            json.get(entry)
                .and_then(Value::as_f64)
                .ok_or_else(|| format!("`{entry}` is missing or no number"))
        };
        let option =
            |(name, entry): &(&'static str, &str)| Ok((*name, format!("{:?}", Plain(number(entry)?))));
        let mut options: Vec<_> = family.entries.iter().map(option).collect::<Result<_, String>>()?;
        options.extend(
            (family.derived)(json)?.into_iter().map(|(name, value)| (name, format!("{:?}", Plain(value)))),
        );
        let positions = (number(family.positions)? as usize).saturating_sub(family.unused_positions);
        let pools_first = json.get("classifier_pooling").and_then(Value::as_str) != Some("mean");
        Ok(Some(TextConfig { model: family.model, options, positions, pooler: family.pooler, pools_first }))
    }
}

/// The attention of ModernBERT: which blocks attend to the whole text, and the bases of the rotary positions. Older files have an entry
/// for each, later ones lists and dictionaries.
fn modern(json: &Value) -> Derived {
    if let Some(name) = ["norm_bias", "attention_bias", "mlp_bias", "classifier_bias"]
        .into_iter()
        .find(|name| json[*name].as_bool() == Some(true))
    {
        return Err(format!("`{name}` is true; only a model without biases is available"));
    }
    let every = match json["layer_types"].as_array() {
        None => json["global_attn_every_n_layers"].as_u64().unwrap_or(3) as usize,
        Some(types) => {
            let is_global = |index: usize| types[index] == "full_attention";
            let every = (1..types.len()).find(|index| is_global(*index)).unwrap_or(types.len().max(1));
            if (0..types.len()).any(|index| is_global(index) != index.is_multiple_of(every)) {
                return Err("`layer_types` has blocks with full attention at unequal distances".to_string());
            }
            every
        }
    };
    let base = |kind: &str, old: &str, default: f64| {
        let rope = &json["rope_parameters"][kind];
        match rope["rope_type"].as_str() {
            None | Some("default") => {
                Ok(rope["rope_theta"].as_f64().or(json[old].as_f64()).unwrap_or(default))
            }
            Some(other) => Err(format!("`rope_type` is {}; only default is available", quoted(other))),
        }
    };
    Ok(vec![
        ("global_every", every as f64),
        ("global_base", base("full_attention", "global_rope_theta", 160_000.)?),
        ("local_base", base("sliding_attention", "local_rope_theta", 10_000.)?),
    ])
}

/// A number as an option: whole numbers without a decimal point, small ones with an exponent.
struct Plain(f64);

impl std::fmt::Debug for Plain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            value if value != 0. && value.abs() < 1e-3 => write!(f, "{value:e}"),
            value => write!(f, "{value}"),
        }
    }
}

/// Entries that change the computation, and the only value that is available.
const REQUIRED: [(&str, &str); 5] = [
    ("hidden_act", "gelu"),
    ("activation", "gelu"),
    ("hidden_activation", "gelu"),
    ("classifier_activation", "gelu"),
    ("position_embedding_type", "absolute"),
];

impl Family {
    /// Rejects a variant of the architecture that is not available.
    fn check(&self, json: &Value) -> Result<(), String> {
        for (entry, available) in REQUIRED {
            if let Some(value) = json.get(entry).and_then(Value::as_str).filter(|value| *value != available) {
                return Err(format!("`{entry}` is {}; only {available} is available", quoted(value)));
            }
        }
        match json.get("is_decoder").and_then(Value::as_bool) {
            Some(true) => Err("the model is a decoder; only encoders are available".to_string()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sizes_of_the_library_transformers_are_options() {
        let json = json!({
            "model_type": "distilbert", "vocab_size": 100, "dim": 16, "n_layers": 2, "n_heads": 4, "hidden_dim": 32,
            "max_position_embeddings": 64, "dropout": 0.1, "activation": "gelu",
        });
        let found = TextConfig::of(&json).unwrap().unwrap();
        assert_eq!((found.model, found.positions), ("distilbert", 64));
        let options: Vec<_> = found.options.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            options.join(","),
            "vocabulary=100,width=16,depth=2,heads=4,hidden=32,positions=64,dropout=0.1"
        );
        assert_eq!(format!("{:?} {:?}", Plain(1e-12), Plain(0.)), "1e-12 0");
    }

    #[test]
    fn old_and_new_files_of_modernbert_are_read() {
        let mut json = json!({
            "model_type": "modernbert", "vocab_size": 100, "hidden_size": 16, "num_hidden_layers": 5, "num_attention_heads": 2,
            "intermediate_size": 32, "max_position_embeddings": 64, "norm_eps": 1e-5, "mlp_dropout": 0.0, "local_attention": 8,
            "global_attn_every_n_layers": 2, "global_rope_theta": 5000.0, "classifier_pooling": "mean",
        });
        let found = TextConfig::of(&json).unwrap().unwrap();
        assert!(!found.pools_first);
        let derived = |found: &TextConfig| {
            found.options[9..].iter().map(|(_, value)| value.clone()).collect::<Vec<_>>()
        };
        assert_eq!(derived(&found), ["2", "5000", "10000"]);
        let kind =
            |index: usize| if index.is_multiple_of(4) { "full_attention" } else { "sliding_attention" };
        json["layer_types"] = (0..5).map(kind).collect();
        json["rope_parameters"] = json!({ "full_attention": { "rope_theta": 7.0, "rope_type": "default" } });
        assert_eq!(derived(&TextConfig::of(&json).unwrap().unwrap()), ["4", "7", "10000"]);
        json["layer_types"] = json!(["full_attention", "full_attention", "sliding_attention"]);
        assert!(TextConfig::of(&json).unwrap_err().contains("`layer_types`"));
    }

    #[test]
    fn other_models_and_variants_are_refused() {
        let problem = |json| TextConfig::of(&json).unwrap_err();
        assert!(problem(json!({ "model_type": "gpt2" })).contains("type `gpt2`, which is not available"));
        assert!(problem(json!({ "model_type": "bert" })).contains("`vocab_size` is missing"));
        assert!(
            problem(json!({ "model_type": "bert", "hidden_act": "relu" })).contains("`hidden_act` is `relu`")
        );
        assert_eq!(TextConfig::of(&json!({ "architecture": "resnet18" })).unwrap(), None);
    }
}
