//! Layers at the end of a residual branch: stochastic depth and layer scale.

use tch::Tensor;
use tch::nn::{self, Init};

use super::{ChannelEffect, Layer, Parameters};
use crate::model::script::{Class, Script};

/// Stochastic depth (Huang et al., 2016): in training, sets the whole branch to zero for a random part of the examples, and
/// scales the others so that the expectation stays the same. The identity in evaluation.
///
/// ```
/// use cresset::model::layer::{Layer, StochasticDepth};
/// use tch::{Device, Kind, Tensor};
///
/// let branch = Tensor::ones([8, 4], (Kind::Float, Device::Cpu));
/// let trained = StochasticDepth::new(0.5, 2).forward(&branch, true);
/// // Each example is dropped or doubled.
/// assert!(trained.eq(0).logical_or(&trained.eq(2)).all().int64_value(&[]) == 1);
/// assert_eq!(StochasticDepth::new(0.5, 2).forward(&branch, false), branch);
/// ```
#[derive(Debug)]
pub struct StochasticDepth {
    /// The probability that the branch of an example is dropped.
    rate: f64,
    /// Dimensions of the input.
    dims: usize,
}

impl StochasticDepth {
    /// Drops the branch of an example with probability `rate`, for tensors with `dims` dimensions, the first of which is the
    /// batch.
    pub fn new(rate: f64, dims: usize) -> Self {
        StochasticDepth { rate, dims }
    }
}

impl Layer for StochasticDepth {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        if !train {
            return x.shallow_clone();
        }
        let mut size = vec![1; self.dims];
        size[0] = x.size()[0];
        // The dropout of ones: each is 0 or 1 / (1 - rate).
        x * x.new_ones(&size, (x.kind(), x.device())).dropout(self.rate, true)
    }

    fn script(&self) -> Script {
        let ones = ", 1".repeat(self.dims - 1);
        let forward = format!(
            r#"  def forward(self: {{class}}, x: Tensor) -> Tensor:
    if self.training:
      y = torch.mul(x, torch.dropout(torch.new_ones(x, [torch.size(x, 0){ones}]), {:?}, True))
    else:
      y = x
    return y
"#,
            self.rate
        );
        Script::Class(Class::new("StochasticDepth", forward))
    }

    fn channel_effect(&self) -> ChannelEffect {
        ChannelEffect::Keeps
    }

    fn describe(&self) -> String {
        format!("stochastic depth {:.3}", self.rate)
    }
}

/// Layer scale (Touvron et al., "Going Deeper with Image Transformers", 2021): a learned factor for each channel, small at
/// first.
///
/// ```
/// use cresset::model::layer::{Layer, LayerScale};
/// use tch::{Device, Kind, Tensor, nn};
///
/// let variables = nn::VarStore::new(Device::Cpu);
/// let scale = LayerScale::tokens(&variables.root(), "gamma", 16, 0.5);
/// let tokens = Tensor::ones([2, 3, 16], (Kind::Float, Device::Cpu));
/// assert_eq!(scale.forward(&tokens, false), tokens * 0.5);
/// ```
#[derive(Debug)]
pub struct LayerScale {
    name: &'static str,
    factors: Tensor,
    is_image: bool,
}

impl LayerScale {
    /// For tokens, (N, length, width). Creates the parameter `name` (width) in `path`, the path of the enclosing module, with
    /// `initial` in all places.
    pub fn tokens(path: &nn::Path, name: &'static str, width: i64, initial: f64) -> Self {
        LayerScale { name, factors: path.parameter(name, &[width], Init::Const(initial)), is_image: false }
    }

    /// For images, (N, channels, height, width). Creates the parameter `name` (channels) in `path`, the path of the enclosing
    /// module, with `initial` in all places.
    pub fn image(path: &nn::Path, name: &'static str, channels: i64, initial: f64) -> Self {
        LayerScale { is_image: true, ..LayerScale::tokens(path, name, channels, initial) }
    }
}

impl Layer for LayerScale {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        if self.is_image { x * self.factors.view([1, -1, 1, 1]) } else { x * &self.factors }
    }

    fn script(&self) -> Script {
        let factors = format!("self.{}", self.name);
        let expression = match self.is_image {
            true => format!("torch.mul({{x}}, torch.view({factors}, [1, -1, 1, 1]))"),
            false => format!("torch.mul({{x}}, {factors})"),
        };
        Script::own(self.name, &self.factors, &expression)
    }

    fn describe(&self) -> String {
        format!("layer scale {}", self.factors.numel())
    }
}
