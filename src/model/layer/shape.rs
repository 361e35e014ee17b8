//! Layers that change shapes, and token layers of transformers.

use tch::Tensor;
use tch::nn::{self, Init};

use super::{ChannelEffect, Layer, LayerFormula};
use crate::model::script::Script;

/// (N, …) to (N, values of an example).
///
/// ```
/// use cresset::model::layer::{Flatten, Layer};
/// use tch::{Device, Kind, Tensor};
///
/// let images = Tensor::zeros([2, 3, 8, 8], (Kind::Float, Device::Cpu));
/// assert_eq!(Flatten.forward(&images, false).size(), [2, 192]);
/// ```
#[derive(Debug)]
pub struct Flatten;

impl Layer for Flatten {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.flatten(1, -1)
    }

    fn script(&self) -> Script {
        Script::expression("torch.flatten({x}, 1, -1)")
    }

    fn channel_effect(&self) -> ChannelEffect {
        ChannelEffect::Keeps
    }

    fn formula(&self) -> Option<LayerFormula<'_>> {
        Some(LayerFormula::Flatten)
    }

    fn describe(&self) -> String {
        "flatten".to_string()
    }
}

/// An image as a sequence of its rows: (N, channels, height, width) to (N, height, channels · width).
///
/// ```
/// use cresset::model::layer::{Layer, RowSequence};
/// use tch::{Device, Kind, Tensor};
///
/// let images = Tensor::zeros([2, 3, 8, 4], (Kind::Float, Device::Cpu));
/// assert_eq!(RowSequence.forward(&images, false).size(), [2, 8, 12]);
/// ```
#[derive(Debug)]
pub struct RowSequence;

impl Layer for RowSequence {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.permute([0, 2, 1, 3]).flatten(2, -1)
    }

    fn script(&self) -> Script {
        Script::expression("torch.flatten(torch.permute({x}, [0, 2, 1, 3]), 2, -1)")
    }

    fn describe(&self) -> String {
        "rows as a sequence".to_string()
    }
}

/// The positions of an image as a sequence: (N, channels, height, width) to (N, height · width, channels).
///
/// ```
/// use cresset::model::layer::{Layer, Tokens};
/// use tch::{Device, Kind, Tensor};
///
/// let images = Tensor::zeros([2, 16, 4, 4], (Kind::Float, Device::Cpu));
/// assert_eq!(Tokens.forward(&images, false).size(), [2, 16, 16]);
/// ```
#[derive(Debug)]
pub struct Tokens;

impl Layer for Tokens {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.flatten(2, -1).permute([0, 2, 1])
    }

    fn script(&self) -> Script {
        Script::expression("torch.permute(torch.flatten({x}, 2, -1), [0, 2, 1])")
    }

    fn describe(&self) -> String {
        "positions as a sequence".to_string()
    }
}

/// One element of a sequence: (N, length, width) to (N, width). A negative index counts from the end.
///
/// ```
/// use cresset::model::layer::{Layer, SelectElement};
/// use tch::Tensor;
///
/// let sequence = Tensor::from_slice(&[1f32, 2., 3.]).view([1, 3, 1]);
/// assert_eq!(SelectElement(-1).forward(&sequence, false).double_value(&[0, 0]), 3.);
/// ```
#[derive(Debug)]
pub struct SelectElement(pub i64);

impl Layer for SelectElement {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.select(1, self.0)
    }

    fn script(&self) -> Script {
        Script::expression(format!("torch.select({{x}}, 1, {})", self.0))
    }

    fn describe(&self) -> String {
        format!("element {} of the sequence", self.0)
    }
}

/// The mean over a sequence: (N, length, width) to (N, width).
///
/// ```
/// use cresset::model::layer::{Layer, SequenceMean};
/// use tch::Tensor;
///
/// let sequence = Tensor::from_slice(&[1f32, 2., 3.]).view([1, 3, 1]);
/// assert_eq!(SequenceMean.forward(&sequence, false).double_value(&[0, 0]), 2.);
/// ```
#[derive(Debug)]
pub struct SequenceMean;

impl Layer for SequenceMean {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.mean_dim(1, false, None)
    }

    fn script(&self) -> Script {
        Script::expression("torch.mean({x}, [1])")
    }

    fn describe(&self) -> String {
        "mean of the sequence".to_string()
    }
}

/// Zero padding at the bottom and right of an image.
///
/// ```
/// use cresset::model::layer::{Layer, ZeroPad};
/// use tch::{Device, Kind, Tensor};
///
/// let images = Tensor::ones([1, 1, 3, 4], (Kind::Float, Device::Cpu));
/// let padded = ZeroPad { bottom: 1, right: 0 }.forward(&images, false);
/// assert_eq!(padded.size(), [1, 1, 4, 4]);
/// ```
#[derive(Debug)]
pub struct ZeroPad {
    /// Rows of padding.
    pub bottom: i64,
    /// Columns of padding.
    pub right: i64,
}

impl Layer for ZeroPad {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.constant_pad_nd([0, self.right, 0, self.bottom])
    }

    fn script(&self) -> Script {
        Script::expression(format!(
            "torch.constant_pad_nd({{x}}, [0, {}, 0, {}], 0)",
            self.right, self.bottom
        ))
    }

    fn describe(&self) -> String {
        format!("zero padding: {} rows, {} columns", self.bottom, self.right)
    }
}

/// Prepends a learned class token, whose output the classifier uses: (N, length, width) to (N, 1 + length, width)
/// (Dosovitskiy et al., 2021).
///
/// ```
/// use cresset::model::layer::{ClassToken, Layer};
/// use tch::{Device, Kind, Tensor, nn};
///
/// let variables = nn::VarStore::new(Device::Cpu);
/// let token = ClassToken::new(&variables.root(), 16);
/// let tokens = Tensor::rand([2, 9, 16], (Kind::Float, Device::Cpu));
/// assert_eq!(token.forward(&tokens, false).size(), [2, 10, 16]);
/// ```
#[derive(Debug)]
pub struct ClassToken(Tensor);

impl ClassToken {
    /// Creates `class_token` (1, 1, width), zeros, in `path`, the path of the enclosing module.
    pub fn new(path: &nn::Path, width: i64) -> Self {
        ClassToken(path.var("class_token", &[1, 1, width], Init::Const(0.)))
    }
}

impl Layer for ClassToken {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        let size = [x.size()[0], -1, -1];
        Tensor::cat(&[&self.0.expand(size, false), x], 1)
    }

    fn script(&self) -> Script {
        Script::own(
            "class_token",
            &self.0,
            "torch.cat([torch.expand(self.class_token, [torch.size({x}, 0), -1, -1]), {x}], 1)",
        )
    }

    fn describe(&self) -> String {
        "class token".to_string()
    }
}

/// Adds learned position embeddings: (N, length, width).
///
/// ```
/// use cresset::model::layer::{Layer, PositionEmbedding};
/// use tch::{Device, Kind, Tensor, nn};
///
/// let variables = nn::VarStore::new(Device::Cpu);
/// let positions = PositionEmbedding::new(&variables.root(), 10, 16);
/// let tokens = Tensor::rand([2, 10, 16], (Kind::Float, Device::Cpu));
/// assert_eq!(positions.forward(&tokens, false).size(), [2, 10, 16]);
/// ```
#[derive(Debug)]
pub struct PositionEmbedding(Tensor);

impl PositionEmbedding {
    /// Creates `pos_embedding` (1, length, width), normal with standard deviation 0.02 as in the vision transformer, in
    /// `path`, the path of the enclosing module.
    pub fn new(path: &nn::Path, length: i64, width: i64) -> Self {
        PositionEmbedding(path.var(
            "pos_embedding",
            &[1, length, width],
            Init::Randn { mean: 0., stdev: 0.02 },
        ))
    }
}

impl Layer for PositionEmbedding {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x + &self.0
    }

    fn script(&self) -> Script {
        Script::own("pos_embedding", &self.0, "torch.add({x}, self.pos_embedding)")
    }

    fn describe(&self) -> String {
        "position embeddings".to_string()
    }
}
