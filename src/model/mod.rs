//! Models: architectures, custom models ([`Model`]) and imported TorchScript modules. An architecture is a stack of layers,
//! each of which runs in Rust and generates its TorchScript.

mod architecture;
pub mod archive;
mod body;
mod imported;
mod int8;
pub mod layer;
pub mod loading;
pub(crate) mod members;
mod network;
pub(crate) mod perceptron;
pub mod preprocessing;
mod pruning;
pub mod script;
#[cfg(test)]
mod tests;
pub mod weights;

use tch::Tensor;

use crate::data::InputShape;
pub use architecture::{ARCHITECTURES, Architecture};
pub use int8::Int8;
pub use network::{Network, Tensors};

/// The classification task of a model: input shape and number of classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The shape of one preprocessed example.
    pub input: InputShape,
    /// The number of classes.
    pub classes: i64,
}

/// A custom model, such as a closure `|x, train| …`. [`Network::of`] makes it trainable.
pub trait Model {
    /// Logits, float32 (N, classes), for preprocessed inputs, float32 (N, …). `train` is true in training, for layers such as
    /// dropout.
    fn forward(&self, x: &Tensor, train: bool) -> Tensor;
}

impl<F: Fn(&Tensor, bool) -> Tensor> Model for F {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        self(x, train)
    }
}
