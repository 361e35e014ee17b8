//! Models: architectures, custom models ([`Model`]) and imported TorchScript modules. An architecture is a stack of layers,
//! each of which runs in Rust and generates its TorchScript.

mod architecture;
// Public for the fuzz target.
#[doc(hidden)]
pub mod archive;
mod backbone;
mod body;
pub mod executor;
mod imported;
mod int8;
pub mod layer;
pub mod loading;
pub(crate) mod members;
mod neighbors;
mod network;
pub mod onnx;
mod output;
pub mod package;
pub(crate) mod perceptron;
pub mod preprocessing;
pub mod pretrained;
mod pruning;
pub mod script;
#[cfg(test)]
mod tests;
pub mod weights;

use tch::Tensor;

use crate::data::column::FeatureGroup;
use crate::data::tokens::Tokenization;
use crate::data::{InputShape, TaskKind};
pub(crate) use architecture::TOWERS;
pub use architecture::{ARCHITECTURES, Architecture};
pub(crate) use backbone::Backbone;
pub(crate) use body::MEMBER_LOGITS;
pub use int8::Int8;
pub(crate) use layer::{FEATURES, TRAINED};
pub use network::{Network, Tensors};
pub use output::{Outputs, ValueInterval};

/// The task of a model: the shape of its input and the number of its outputs.
///
/// ```
/// use cresset::model::Task;
/// use cresset::prelude::*;
///
/// // Grayscale images of 28×28 pixels in ten classes.
/// let task = Task::new(InputShape(vec![1, 28, 28]), 10);
/// assert_eq!(task.input.features(), 784);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The shape of one preprocessed example.
    pub input: InputShape,
    /// The number of classes, labels or numbers to predict.
    pub classes: i64,
    /// What the outputs mean, for models that combine several predictions.
    pub kind: TaskKind,
    /// The groups of the preprocessed features of a table, in order; empty for images and where they are unknown.
    pub groups: Vec<FeatureGroup>,
    /// The groups of the features of users and of items, for ranking; empty without.
    pub described: [Vec<FeatureGroup>; 2],
}

impl Task {
    /// A classification task without feature groups.
    pub fn new(input: InputShape, classes: i64) -> Self {
        Task {
            input,
            classes,
            kind: TaskKind::Classification,
            groups: Vec::new(),
            described: [Vec::new(), Vec::new()],
        }
    }

    /// Ranking of `items` items for `users` users.
    pub fn of_choices(users: usize, items: usize) -> Self {
        let groups = [users, items].map(|categories| FeatureGroup::Code { categories }).to_vec();
        Task { groups, kind: TaskKind::Ranking, ..Task::new(InputShape(vec![2]), 1) }
    }

    /// Classification of texts of up to `length` hashed words.
    pub fn of_texts(length: usize, classes: i64) -> Self {
        let vocabulary = Tokenization::default().vocabulary();
        let groups = vec![FeatureGroup::Tokens { length, vocabulary }];
        Task { groups, ..Task::new(InputShape(vec![length as i64]), classes) }
    }
}

/// A custom model, such as a closure `|x, train| …`. [`Trainer::model`](crate::Trainer::model) and [`Network::of`] make it trainable.
///
/// ```
/// use cresset::prelude::*;
/// use tch::nn::{self, Module};
/// use tch::{Device, Kind, Tensor};
///
/// struct Mlp {
///     hidden: nn::Linear,
///     head: nn::Linear,
/// }
///
/// impl Model for Mlp {
///     fn forward(&self, x: &Tensor, train: bool) -> Tensor {
///         let hidden = self.hidden.forward(&x.flatten(1, -1)).relu();
///         self.head.forward(&hidden.dropout(0.1, train))
///     }
/// }
///
/// # fn main() -> Result<()> {
/// let task = Task::new(InputShape(vec![1, 8, 8]), 10);
/// let network = Network::of(&task, Device::Cpu, 0, |path| Mlp {
///     hidden: nn::linear(path / "hidden", 64, 32, Default::default()),
///     head: nn::linear(path / "head", 32, task.classes, Default::default()),
/// })?;
/// let images = Tensor::rand([5, 1, 8, 8], (Kind::Float, Device::Cpu));
/// assert_eq!(network.forward(&images, false)?.size(), [5, 10]);
/// # Ok(())
/// # }
/// ```
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
