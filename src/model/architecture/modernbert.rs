//! ModernBERT (Warner et al., "Smarter, Better, Faster, Longer: A Modern Bidirectional Encoder for Fast, Memory Efficient, and Long
//! Context Finetuning and Inference", 2024).

use super::bert_family::{LENGTH, LORA, POOLING, check_heads, check_length, pooling, vocabulary};
use super::texts::check_text;
use super::{Architecture, NumberOption};
use crate::model::layer::{Dropout, Gelu, LayerNorm, Linear, ModernBertEncoder, ModernBertSize, Sequential};

/// The architecture. Its pooler is `head`.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "modernbert",
    summary: "ModernBERT, with rotary positions and attention to windows; for texts",
    options: &[
        vocabulary(50_368),
        NumberOption::whole("width", 128, (4, 16_384), "size of a token"),
        NumberOption::whole("depth", 4, (1, 96), "encoder blocks"),
        NumberOption::whole(
            "heads",
            2,
            (1, 256),
            "attention heads; twice their number must divide the width",
        ),
        NumberOption::whole("hidden", 256, (1, 65_536), "size of a token inside the feed-forward network"),
        NumberOption::whole("positions", 8192, (8, 1 << 17), "maximum number of tokens"),
        LENGTH,
        NumberOption::whole(
            "global_every",
            3,
            (1, 96),
            "of so many blocks, the first one attends to the whole text",
        ),
        NumberOption::whole("window", 128, (2, 1 << 17), "tokens to which the other blocks attend"),
        NumberOption::real(
            "global_base",
            160_000.,
            (1., 1e9),
            "base of the rotary positions for the whole text",
        ),
        NumberOption::real("local_base", 10_000., (1., 1e9), "base of the rotary positions for windows"),
        NumberOption::real("eps", 1e-5, (0., 0.01), "added to the variance in layer normalization"),
        POOLING,
        NumberOption::whole("pooler", 0, (0, 1), "1: a fully connected layer after the pooling"),
        NumberOption::dropout(0.),
        LORA,
    ],
    build: |path, task, options| {
        check_text(task, ARCHITECTURE.name)?;
        let (width, eps, dropout) =
            (options.whole("width"), options.number("eps"), options.number("dropout"));
        let size = ModernBertSize {
            vocabulary: options.whole("vocabulary"),
            width,
            depth: options.whole("depth"),
            heads: options.whole("heads"),
            hidden: options.whole("hidden"),
            length: options.whole("length"),
            global_every: options.whole("global_every"),
            window: options.whole("window"),
            bases: [options.number("global_base"), options.number("local_base")],
            eps,
            dropout,
            lora: options.whole("lora"),
            pooling: pooling(options),
        };
        check_heads(ARCHITECTURE.name, width, 2 * size.heads)?;
        check_length(task, ARCHITECTURE.name, options.whole("positions"), size.length)?;
        let layers =
            Sequential::default().then("model", ModernBertEncoder::new(&(path / "model"), task, size));
        let layers = match options.whole("pooler") {
            0 => layers,
            _ => {
                let head = path / "head";
                let dense = Linear::without_bias(&(&head / "dense"), width, width);
                let norm = LayerNorm::without_bias(&(&head / "norm"), width, eps);
                let head = Sequential::default().then("dense", dense).then("gelu", Gelu).then("norm", norm);
                layers.then("head", head)
            }
        };
        Ok(layers
            .then("dropout", Dropout(dropout))
            .then("classifier", Linear::normal(&(path / "classifier"), width, task.classes)))
    },
};
