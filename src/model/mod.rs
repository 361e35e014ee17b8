//! Models: each is written once, as a stack of layers that run in Rust and describe themselves in TorchScript.

mod architecture;
pub mod layer;
mod network;
pub mod script;

use crate::data::InputShape;
pub use architecture::{ARCHITECTURES, Architecture};
pub use network::{Network, Tensors};

/// What a model is to do: the shape of an input, and the number of classes to tell apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The shape of one example, as preprocessing gives it.
    pub input: InputShape,
    /// The number of classes.
    pub classes: i64,
}
