//! Layers that bring values into another shape, and the tokens of transformers.

use tch::Tensor;
use tch::nn::{self, Init};

use super::{Channels, Elementary, Layer};
use crate::model::script::Script;

/// (N, …) to (N, values of an example).
#[derive(Debug)]
pub struct Flatten;

impl Layer for Flatten {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.flatten(1, -1)
    }

    fn script(&self) -> Script {
        Script::expression("torch.flatten({x}, 1, -1)")
    }

    fn channels(&self) -> Channels {
        Channels::Keeps
    }

    fn elementary(&self) -> Option<Elementary<'_>> {
        Some(Elementary::Flatten)
    }

    fn describe(&self) -> String {
        "flatten".to_string()
    }
}

/// An image as a sequence of its rows: (N, channels, height, width) to (N, height, channels · width).
#[derive(Debug)]
pub struct Rows;

impl Layer for Rows {
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

/// The places of an image as a sequence: (N, channels, height, width) to (N, height · width, channels).
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
        "places as a sequence".to_string()
    }
}

/// One member of a sequence, from 0 or, below 0, from its end: (N, length, width) to (N, width).
#[derive(Debug)]
pub struct Select(pub i64);

impl Layer for Select {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.select(1, self.0)
    }

    fn script(&self) -> Script {
        Script::expression(format!("torch.select({{x}}, 1, {})", self.0))
    }

    fn describe(&self) -> String {
        format!("member {} of the sequence", self.0)
    }
}

/// The mean over a sequence: (N, length, width) to (N, width).
#[derive(Debug)]
pub struct Average;

impl Layer for Average {
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

/// Zeros at the bottom and at the right of an image.
#[derive(Debug)]
pub struct Pad {
    /// So many rows.
    pub bottom: i64,
    /// So many columns.
    pub right: i64,
}

impl Layer for Pad {
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
        format!("{} rows and {} columns of zeros", self.bottom, self.right)
    }
}

/// A learned token at the head of the sequence, whose place the class is read from: (N, length, width) to
/// (N, 1 + length, width) (Dosovitskiy et al., 2021).
#[derive(Debug)]
pub struct ClassToken(Tensor);

impl ClassToken {
    /// Makes `class_token` (1, 1, width), zeros, in `path`, which is that of the enclosing module.
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

/// Adds to each token what is learned of its place: (N, length, width).
#[derive(Debug)]
pub struct Position(Tensor);

impl Position {
    /// Makes `pos_embedding` (1, length, width), drawn normally with deviation 0.02 as the vision transformer does, in
    /// `path`, which is that of the enclosing module.
    pub fn new(path: &nn::Path, length: i64, width: i64) -> Self {
        Position(path.var("pos_embedding", &[1, length, width], Init::Randn { mean: 0., stdev: 0.02 }))
    }
}

impl Layer for Position {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x + &self.0
    }

    fn script(&self) -> Script {
        Script::own("pos_embedding", &self.0, "torch.add({x}, self.pos_embedding)")
    }

    fn describe(&self) -> String {
        "positions".to_string()
    }
}
