//! Pretrained text encoders of the Hugging Face hub. Others with these architectures can be used by their names, too.

/// A pretrained text encoder.
///
/// ```
/// use cresset::model::pretrained::ENCODERS;
///
/// let small = ENCODERS.iter().min_by(|a, b| a.megaparameters.total_cmp(&b.megaparameters)).unwrap();
/// assert_eq!((small.name, small.architecture), ("sentence-transformers/all-MiniLM-L6-v2", "bert"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PretrainedEncoder {
    /// The name on the hub.
    pub name: &'static str,
    /// The architecture ([`ARCHITECTURES`](crate::model::ARCHITECTURES)).
    pub architecture: &'static str,
    /// The number of parameters without heads, in millions.
    pub megaparameters: f64,
    /// The maximum number of tokens.
    pub tokens: u32,
    /// The license of the weights.
    pub license: &'static str,
}

const fn encoder(
    name: &'static str,
    architecture: &'static str,
    megaparameters: f64,
    tokens: u32,
    license: &'static str,
) -> PretrainedEncoder {
    PretrainedEncoder { name, architecture, megaparameters, tokens, license }
}

/// Encoders that suit transfer learning, the smallest first.
pub const ENCODERS: &[PretrainedEncoder] = &[
    encoder("sentence-transformers/all-MiniLM-L6-v2", "bert", 22.71, 256, "Apache-2.0"),
    encoder("distilbert/distilbert-base-uncased", "distilbert", 66.36, 512, "Apache-2.0"),
    encoder("google-bert/bert-base-uncased", "bert", 109.48, 512, "Apache-2.0"),
    encoder("FacebookAI/roberta-base", "roberta", 124.65, 512, "MIT"),
    encoder("answerdotai/ModernBERT-base", "modernbert", 149.01, 8192, "Apache-2.0"),
    encoder("google-bert/bert-base-multilingual-cased", "bert", 177.85, 512, "Apache-2.0"),
];
