//! Models: each is written once, as a stack of layers that run in Rust and describe themselves in TorchScript.

pub mod layer;
mod mlp;
mod network;
pub mod script;

use tch::nn;

use crate::data::InputShape;
pub use network::{Network, Tensors};

/// What a model is to do: the shape of an input, and the number of classes to tell apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The shape of one example, as preprocessing gives it.
    pub input: InputShape,
    /// The number of classes.
    pub classes: i64,
}

/// An architecture.
///
/// To add one, write a file beside `mlp.rs` with a constant of this type and put it in [`ARCHITECTURES`].
pub struct Architecture {
    /// Its name, as `--model` takes it.
    pub name: &'static str,
    /// What it is, in a line.
    pub summary: &'static str,
    /// Makes the layers. Their parameters are made in `path`, under the names that PyTorch would give them, and are drawn
    /// from libtorch's default generator.
    pub build: fn(&nn::Path, &Task) -> layer::Sequential,
}

/// All architectures.
pub const ARCHITECTURES: &[Architecture] = &[mlp::ARCHITECTURE];
