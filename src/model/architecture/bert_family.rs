//! Options that BERT and its descendants share.

use super::texts::check_text;
use super::{NumberOption, Options};
use crate::data::column::FeatureGroup;
use crate::error::{Error, Result};
use crate::model::Task;
use crate::model::layer::{BertSize, PairFrame, Pooling};

/// The defaults in which the members of the family differ.
pub struct Family {
    /// Name of the architecture.
    pub name: &'static str,
    /// Number of ids.
    pub vocabulary: i64,
    /// Rows of the position embeddings.
    pub positions: i64,
    /// The row of the first position.
    pub first_position: i64,
    /// Number of token types.
    pub types: i64,
    /// How the two texts of a pair are joined.
    pub frame: PairFrame,
    /// Added to the variance in layer normalization.
    pub eps: f64,
}

/// The options. Without pretrained weights, the sizes are those of BERT-tiny (Turc et al., "Well-Read Students Learn Better", 2019).
pub const fn options(family: &Family) -> [NumberOption; 13] {
    [
        vocabulary(family.vocabulary),
        NumberOption::whole("width", 128, (1, 16_384), "size of a token"),
        NumberOption::whole("depth", 2, (1, 96), "encoder blocks"),
        NumberOption::whole("heads", 2, (1, 256), "attention heads; their number must divide the width"),
        NumberOption::whole("hidden", 512, (1, 65_536), "size of a token inside the feed-forward network"),
        NumberOption::whole("positions", family.positions, (8, 1 << 17), "rows of the position embeddings"),
        NumberOption::whole(
            "types",
            family.types,
            (0, 16),
            "token types, which tell the texts of a pair apart",
        ),
        LENGTH,
        NumberOption::real("eps", family.eps, (0., 0.01), "added to the variance in layer normalization"),
        POOLING,
        NumberOption::whole("pooler", 0, (0, 1), "1: a fully connected layer after the pooling"),
        NumberOption::dropout(0.1),
        LORA,
    ]
}

/// The option for the number of ids.
pub const fn vocabulary(default: i64) -> NumberOption {
    NumberOption::whole("vocabulary", default, (8, 1 << 24), "ids of the tokenizer")
}

/// The option for the maximum number of tokens of a pair.
pub const LENGTH: NumberOption =
    NumberOption::whole("length", 512, (8, 1 << 17), "maximum number of tokens of the two texts of a pair");

/// The option for low-rank adapters.
pub const LORA: NumberOption = NumberOption::whole(
    "lora",
    0,
    (0, 1024),
    "rank of adapters of the queries and values; --lora sets it. 0: none",
);

/// The option for the pooling.
pub const POOLING: NumberOption = NumberOption::whole(
    "pooling",
    0,
    (0, 1),
    "vector of the text. 0: mean over the tokens; 1: that of the first token",
);

/// The sizes of an encoder for a task.
///
/// # Errors
/// Examples that are not texts, or have more tokens than the model has positions, and a number of heads that does not divide the width.
pub fn size(task: &Task, options: &Options, family: &Family) -> Result<BertSize> {
    check_text(task, family.name)?;
    let size = BertSize {
        vocabulary: options.whole("vocabulary"),
        width: options.whole("width"),
        depth: options.whole("depth"),
        heads: options.whole("heads"),
        hidden: options.whole("hidden"),
        positions: options.whole("positions"),
        first_position: family.first_position,
        types: options.whole("types"),
        length: options.whole("length"),
        frame: family.frame,
        eps: options.number("eps"),
        dropout: options.number("dropout"),
        lora: options.whole("lora"),
        pooling: pooling(options),
        has_pooler: options.whole("pooler") == 1,
    };
    check_heads(family.name, size.width, size.heads)?;
    check_length(task, family.name, size.positions - size.first_position, size.length)?;
    Ok(size)
}

/// The pooling.
pub fn pooling(options: &Options) -> Pooling {
    match options.whole("pooling") {
        0 => Pooling::Mean,
        _ => Pooling::First,
    }
}

/// Rejects a number of heads that does not divide the width.
///
/// # Errors
/// Such a number.
pub fn check_heads(model: &str, width: i64, heads: i64) -> Result<()> {
    match width % heads {
        0 => Ok(()),
        _ => Err(Error::Usage(format!(
            "the options of the model {model}: heads={heads} does not divide width={width}"
        ))),
    }
}

/// Rejects texts with more tokens than the model has positions.
///
/// # Errors
/// Such texts.
pub fn check_length(task: &Task, model: &str, positions: i64, length: i64) -> Result<()> {
    let longest = task.groups.iter().map(FeatureGroup::features).max().unwrap_or(0) as i64;
    let longest = if task.groups.len() > 1 { longest.max(length) } else { longest };
    match longest > positions {
        false => Ok(()),
        true => Err(Error::Usage(format!(
            "the texts have up to {longest} tokens, but the model {model} has {positions} positions; use `--max-length {positions}`"
        ))),
    }
}
