//! Layers that take the token ids of texts.

mod adapter;
mod attention;
mod bert;
mod convolution;
mod encoder;
mod ids;
mod modern_bert;
mod modern_block;
mod ngrams;
mod pooling;
mod post_norm;
mod recurrent;
mod sequence;
mod word_vectors;

pub use adapter::ADAPTER;
pub use bert::{BertEncoder, BertSize};
pub use convolution::TextConvolution;
pub use encoder::{EncoderSize, TextEncoder};
pub use modern_bert::{ModernBertEncoder, ModernBertSize};
pub use ngrams::NgramBag;
pub use pooling::Pooling;
pub use post_norm::BertNames;
pub use recurrent::TextRecurrent;
pub use sequence::PairFrame;

use ids::TextColumns;
use word_vectors::WordVectors;

use tch::nn;

use super::Layer;
use crate::model::script::{Class, Script};

/// The class of a layer that has parameters.
fn class_of(layer: &dyn Layer) -> Class {
    match layer.script() {
        Script::Class(class) => class,
        Script::Expression(_) | Script::Own { .. } => unreachable!("the layer has parameters of its own"),
    }
}

/// The path at a dotted name in a path.
fn descend<'a>(path: &nn::Path<'a>, name: &str) -> nn::Path<'a> {
    name.split('.').fold(path.clone(), |path, part| path / part)
}

/// The expression of a submodule with a dotted name. Names of digits are not valid attribute names.
fn attribute(name: &str) -> String {
    name.split('.').fold("self".to_string(), |owner, part| {
        match part.starts_with(|first: char| first.is_ascii_digit()) {
            true => format!("getattr({owner}, \"{part}\")"),
            false => format!("{owner}.{part}"),
        }
    })
}
