//! Layers. Each one defines its forward pass in Rust, the names of its parameters, and the equivalent TorchScript, so that a
//! trained model and its export agree.

mod activation;
mod attention;
mod bag;
mod branch;
mod codes;
mod column_tokens;
mod columns;
mod constant;
mod convolution;
mod cross;
mod ensemble;
mod factorization;
mod layer_norm;
mod linear;
mod neighbors;
mod norm;
mod numbers;
mod parameters;
mod pool;
mod recomputation;
mod recurrent;
mod rotary;
mod sequential;
mod shape;
#[cfg(test)]
mod tests;
mod text;
mod tokens;
mod tower;
mod two_towers;
mod window;

use tch::{Kind, Tensor};

pub use activation::{Activation, Dropout, Gelu, ReGlu, Relu};
pub use attention::SelfAttention;
pub(crate) use bag::member_outputs;
pub use bag::{Bag, out_of_fold};
pub use branch::{LayerScale, StochasticDepth};
pub use column_tokens::ColumnTokens;
pub use columns::ColumnEmbedding;
pub use constant::Constant;
pub use convolution::{Conv2d, Convolution};
pub use cross::CrossNetwork;
pub(crate) use ensemble::combined_script;
pub use ensemble::{EnsembleHead, EnsembleLinear, InputScaling, RepeatMembers, combined};
pub use factorization::{FactorizationMachine, FieldVectors};
pub use layer_norm::{LayerNorm, LayerNorm2d};
pub use linear::Linear;
pub use neighbors::Neighbors;
pub(crate) use neighbors::{normalized, vote};
pub use norm::BatchNorm2d;
pub use numbers::NumberEmbedding;
pub use pool::{GlobalAverage, GlobalMax, HalvingAverage, MaxPool2d};
pub use recomputation::Recomputation;
pub use recurrent::{MOST_LAYERS, Recurrent, RecurrentCell};
pub use rotary::Rotation;
pub(crate) use sequential::FlatStep;
pub use sequential::{LayerRow, Sequential};
pub use shape::{
    ChannelsFirst, ChannelsLast, Flatten, RowSequence, SelectElement, SequenceMean, SkipElements, Tokens,
    ZeroPad,
};
pub(crate) use text::ADAPTER;
pub use text::{
    BertEncoder, BertNames, BertSize, EncoderSize, ModernBertEncoder, ModernBertSize, NgramBag, PairFrame,
    Pooling, TextConvolution, TextEncoder, TextRecurrent,
};
pub use tokens::{Grid, PositionEmbedding, PrefixTokens};
pub(crate) use tower::{FEATURES, TRAINED};
pub(crate) use two_towers::LOG_FREQUENCY;
pub use two_towers::{TowerOptions, TwoTowers};
pub use window::{MergePatches, WindowAttention};

use parameters::Parameters;
pub(crate) use parameters::with_zeros;

use super::script::Script;
use crate::distributed::World;
use crate::error::Result;

/// A layer of a model.
///
/// ```
/// use cresset::model::layer::Layer;
/// use cresset::model::script::Script;
/// use tch::Tensor;
///
/// /// The absolute value.
/// struct Abs;
///
/// impl Layer for Abs {
///     fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
///         x.abs()
///     }
///
///     fn script(&self) -> Script {
///         Script::expression("torch.abs({x})")
///     }
///
///     fn describe(&self) -> String {
///         "Abs".to_string()
///     }
/// }
///
/// let x = Tensor::from_slice(&[-1.5f32, 2.]);
/// assert_eq!(Abs.forward(&x, false), Tensor::from_slice(&[1.5f32, 2.]));
/// ```
pub trait Layer: Send {
    /// The output for `x`, (N, …). `train` is true in training, for layers such as dropout.
    fn forward(&self, x: &Tensor, train: bool) -> Tensor;

    /// The output in training of this layer followed by ReLU, if a fused kernel exists.
    fn train_with_relu(&self, _x: &Tensor) -> Option<Tensor> {
        None
    }

    /// The equivalent of [`Layer::forward`] in TorchScript.
    fn script(&self) -> Script;

    /// A short description: `Conv2d 3→64, 7×7, stride 2`.
    fn describe(&self) -> String;

    /// The number of multiply-adds for inputs of size `input` and outputs of size `output`, both with the batch dimension.
    /// Cheap operations (normalization, activations, pooling) are not counted, as in PyTorch's `FlopCounterMode`.
    fn multiply_adds(&self, _input: &[i64], _output: &[i64]) -> u64 {
        0
    }

    /// Its effect on the channels of an image, or on the units of a hidden layer.
    fn channel_effect(&self) -> ChannelEffect {
        ChannelEffect::Opaque
    }

    /// Its formula, if it is simple enough for a kernel without libtorch operations and autograd.
    fn formula(&self) -> Option<LayerFormula<'_>> {
        None
    }

    /// Synchronizes batch statistics over all ranks of `world`, if the layer has any.
    fn synchronize(&self, _world: &World) {}

    /// The names, in its path, of its parameters that have sparse gradients in training.
    fn sparse_parameters(&self) -> Vec<String> {
        Vec::new()
    }

    /// The names, in its path, of its parts that have parameters, from the input to the output. Empty if it is one part.
    fn parts(&self) -> Vec<String> {
        Vec::new()
    }

    /// The vectors of the tokens of texts (N, tokens, width) in evaluation mode, before they are pooled, if it is an encoder of texts.
    fn token_vectors(&self, _x: &Tensor) -> Option<Tensor> {
        None
    }

    /// The scores of all items, (users, items), for the indexes of users, int64 (users), in evaluation mode, if it ranks items.
    fn item_scores(&self, _users: &Tensor) -> Option<Tensor> {
        None
    }

    /// Whether it is an encoder of texts, which has [`Layer::token_vectors`].
    fn encodes_texts(&self) -> bool {
        false
    }

    /// Whether most of its time is spent on each token of texts, padding included.
    fn computes_padding(&self) -> bool {
        self.encodes_texts()
    }

    /// Computes its blocks again in the backward pass from now on ([`Recomputation`]). False if it has no blocks.
    fn recompute_blocks(&self) -> bool {
        false
    }

    /// Continues the backward pass of a loss, which ended at the output of its last block, if its blocks are computed again. `precision` is
    /// that of the autocast of the forward pass.
    ///
    /// # Errors
    /// What libtorch fails with.
    fn backward_blocks(&self, _precision: Option<Kind>) -> Result<()> {
        Ok(())
    }

    /// The places of its position embeddings, if it has any. Its parameter then has the name of the layer.
    fn position_grid(&self) -> Option<Grid> {
        None
    }

    /// The contained layers, if it is a container.
    fn children(&self) -> Option<&Sequential> {
        None
    }

    /// The networks of a bag, each trained without one fold of the examples; empty for other layers.
    fn members(&self) -> &[Sequential] {
        &[]
    }

    /// The contained layers, to change them.
    fn children_mut(&mut self) -> Option<&mut Sequential> {
        None
    }
}

/// The effect of a layer on the channels of an image, or on the units of a hidden layer: the second dimension of its input.
///
/// ```
/// use cresset::model::layer::{ChannelEffect, Flatten, Layer, Relu};
///
/// assert_eq!(Relu.channel_effect(), ChannelEffect::Keeps);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelEffect {
    /// Processes each channel separately, without parameters.
    Keeps,
    /// Processes each channel separately, with parameters: the first dimension of every tensor of the layer is the channel,
    /// or the tensor is a scalar.
    PerChannel,
    /// Combines all input channels with a `weight` (outputs, inputs, …) and an optional `bias` (outputs).
    Mixes,
    /// Anything else.
    Opaque,
}

/// A layer with a simple formula.
///
/// ```
/// use cresset::model::layer::{Gelu, Layer, LayerFormula, Relu};
///
/// assert!(matches!(Relu.formula(), Some(LayerFormula::Relu)));
/// assert!(Gelu.formula().is_none());
/// ```
#[derive(Debug)]
pub enum LayerFormula<'a> {
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
    /// Dropout in training, the identity in evaluation.
    Dropout,
}

/// The method that returns the input of the last layer, if the last layer is known; of a bag, those of its members, one after the other.
pub(crate) const PENULTIMATE: &str = "penultimate";

/// The product of sizes.
fn product(sizes: &[i64]) -> u64 {
    sizes.iter().product::<i64>().max(0) as u64
}
