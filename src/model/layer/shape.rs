//! Layers that change shapes.

use tch::Tensor;

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

/// Moves the channels of an image to the end: (N, channels, height, width) to (N, height, width, channels).
///
/// ```
/// use cresset::model::layer::{ChannelsLast, Layer};
/// use tch::{Device, Kind, Tensor};
///
/// let images = Tensor::rand([2, 3, 4, 5], (Kind::Float, Device::Cpu));
/// assert_eq!(ChannelsLast.forward(&images, false).size(), [2, 4, 5, 3]);
/// ```
#[derive(Debug)]
pub struct ChannelsLast;

impl Layer for ChannelsLast {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.permute([0, 2, 3, 1])
    }

    fn script(&self) -> Script {
        Script::expression("torch.permute({x}, [0, 2, 3, 1])")
    }

    fn describe(&self) -> String {
        "channels last".to_string()
    }
}

/// The inverse of [`ChannelsLast`]: (N, height, width, channels) to (N, channels, height, width).
///
/// ```
/// use cresset::model::layer::{ChannelsFirst, Layer};
/// use tch::{Device, Kind, Tensor};
///
/// let images = Tensor::rand([2, 4, 5, 3], (Kind::Float, Device::Cpu));
/// assert_eq!(ChannelsFirst.forward(&images, false).size(), [2, 3, 4, 5]);
/// ```
#[derive(Debug)]
pub struct ChannelsFirst;

impl Layer for ChannelsFirst {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.permute([0, 3, 1, 2])
    }

    fn script(&self) -> Script {
        Script::expression("torch.permute({x}, [0, 3, 1, 2])")
    }

    fn describe(&self) -> String {
        "channels first".to_string()
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

/// A sequence without its first elements: (N, length, width) to (N, length - count, width).
///
/// ```
/// use cresset::model::layer::{Layer, SkipElements};
/// use tch::{Device, Kind, Tensor};
///
/// let tokens = Tensor::rand([2, 10, 16], (Kind::Float, Device::Cpu));
/// assert_eq!(SkipElements(1).forward(&tokens, false).size(), [2, 9, 16]);
/// ```
#[derive(Debug)]
pub struct SkipElements(pub i64);

impl Layer for SkipElements {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.slice(1, self.0, None, 1)
    }

    fn script(&self) -> Script {
        Script::expression(format!("torch.slice({{x}}, 1, {})", self.0))
    }

    fn describe(&self) -> String {
        format!("sequence without its first {}", self.0)
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

/// Zero padding of an image.
///
/// ```
/// use cresset::model::layer::{Layer, ZeroPad};
/// use tch::{Device, Kind, Tensor};
///
/// let images = Tensor::ones([1, 1, 3, 4], (Kind::Float, Device::Cpu));
/// let padding = ZeroPad { bottom: 1, ..ZeroPad::default() };
/// assert_eq!(padding.forward(&images, false).size(), [1, 1, 4, 4]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ZeroPad {
    /// Rows of padding at the top.
    pub top: i64,
    /// Columns of padding at the left.
    pub left: i64,
    /// Rows of padding at the bottom.
    pub bottom: i64,
    /// Columns of padding at the right.
    pub right: i64,
}

impl Layer for ZeroPad {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.constant_pad_nd([self.left, self.right, self.top, self.bottom])
    }

    fn script(&self) -> Script {
        Script::expression(format!(
            "torch.constant_pad_nd({{x}}, [{}, {}, {}, {}], 0)",
            self.left, self.right, self.top, self.bottom
        ))
    }

    fn channel_effect(&self) -> ChannelEffect {
        ChannelEffect::Keeps
    }

    fn describe(&self) -> String {
        format!("zero padding: {} rows, {} columns", self.top + self.bottom, self.left + self.right)
    }
}
