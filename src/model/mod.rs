//! Models. Each architecture is written once, as a stack of layers that run in Rust and describe themselves in TorchScript;
//! beside them stand models of one's own ([`Model`]) and TorchScript files that are trained as they are.

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

/// What a model is to do: the shape of an input, and the number of classes to tell apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The shape of one example, as preprocessing gives it.
    pub input: InputShape,
    /// The number of classes.
    pub classes: i64,
}

/// A model of one's own. A closure `|x, train| …` is one; [`Network::of`] makes it trainable.
pub trait Model {
    /// Logits, float32 (N, classes), of preprocessed inputs, float32 (N, …). `train` switches what behaves otherwise in
    /// training, such as dropout.
    fn forward(&self, x: &Tensor, train: bool) -> Tensor;
}

impl<F: Fn(&Tensor, bool) -> Tensor> Model for F {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        self(x, train)
    }
}
