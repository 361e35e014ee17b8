//! Layers. Each knows its forward pass in Rust, the names of its parameters, and the TorchScript that does the same, so
//! that a trained model and its export cannot disagree.

mod activation;
mod attention;
mod convolution;
mod linear;
mod norm;
mod pool;
mod recurrent;
mod sequential;
mod shape;
#[cfg(test)]
mod tests;

use tch::Tensor;

pub use activation::{Dropout, Gelu, Relu};
pub use attention::SelfAttention;
pub use convolution::{Conv2d, Convolution};
pub use linear::Linear;
pub use norm::{BatchNorm2d, LayerNorm};
pub use pool::{GlobalAverage, GlobalMax, MaxPool2d};
pub use recurrent::{Cell, MOST_LAYERS, Recurrent};
pub use sequential::{LayerRow, Part, Sequential};
pub use shape::{Average, ClassToken, Flatten, Pad, Position, Rows, Select, Tokens};

use super::script::Script;
use crate::distributed::World;

/// A step of a model.
pub trait Layer: Send {
    /// The layer's output for `x`; batches come first (N, …). `train` switches what behaves otherwise in training, such
    /// as dropout.
    fn forward(&self, x: &Tensor, train: bool) -> Tensor;

    /// The layer's output in training with a rectifier behind it, if both together are less work.
    fn train_rectified(&self, _x: &Tensor) -> Option<Tensor> {
        None
    }

    /// The same computation as that of `forward` in TorchScript.
    fn script(&self) -> Script;

    /// What it is, in a few words: `Conv2d 3→64, 7×7, stride 2`.
    fn describe(&self) -> String;

    /// The multiplications with a weight or of two activations, each with its addition, that make `output` of `input`;
    /// both are sizes with the batch first. What costs nothing beside them (norms, activations, pooling) is not counted,
    /// as in PyTorch's `FlopCounterMode`.
    fn multiply_adds(&self, _input: &[i64], _output: &[i64]) -> u64 {
        0
    }

    /// What it does with the channels of an image, or the units of a hidden layer.
    fn channels(&self) -> Channels {
        Channels::Opaque
    }

    /// What it computes, if that is so little that it can be done without libtorch's operations or autograd's record of them.
    fn elementary(&self) -> Option<Elementary<'_>> {
        None
    }

    /// From now on, takes the batches of all processes of `world` together for one, if that is another matter than
    /// taking each for itself.
    fn span(&self, _world: &World) {}

    /// The layers inside, if it is a container.
    fn parts(&self) -> Option<&Sequential> {
        None
    }
}

/// What a layer does with the channels of an image, or the units of a hidden layer: the second dimension of its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channels {
    /// Each channel is passed on by itself.
    Keeps,
    /// Each channel is passed on by itself, with figures of its own: every tensor of the layer has one for each channel, or
    /// has no dimension.
    Follows,
    /// Others are made of all of them, by a `weight` of (outputs, inputs, …); a `bias` has one figure for each output.
    Makes,
    /// Anything else.
    Opaque,
}

/// A layer that is a short formula.
#[derive(Debug)]
pub enum Elementary<'a> {
    /// (N, …) to (N, values of an example).
    Flatten,
    /// x · weightᵀ + bias.
    Linear {
        /// (outputs, inputs).
        weight: &'a Tensor,
        /// (outputs).
        bias: &'a Tensor,
    },
    /// max(x, 0).
    Relu,
    /// Values left out by chance in training, and nothing otherwise.
    Dropout,
}

/// The product of sizes.
fn product(sizes: &[i64]) -> u64 {
    sizes.iter().product::<i64>().max(0) as u64
}
