//! Layers that take the token ids of texts.

mod convolution;
mod encoder;
mod ids;
mod ngrams;
mod recurrent;
mod word_vectors;

pub use convolution::TextConvolution;
pub use encoder::{EncoderSize, TextEncoder};
pub use ngrams::NgramBag;
pub use recurrent::TextRecurrent;

use ids::TextColumns;
use word_vectors::WordVectors;
