//! Layer normalization.

use tch::Tensor;
use tch::nn::{self, Init};

use super::{Layer, Parameters};
use crate::model::script::{Class, Script};

/// Layer normalization (Ba, Kiros and Hinton, 2016), (…, width): normalizes each token to mean 0 and standard deviation 1.
///
/// ```
/// use cresset::model::layer::{Layer, LayerNorm};
/// use tch::{Device, Kind, Tensor, nn};
///
/// let variables = nn::VarStore::new(Device::Cpu);
/// let norm = LayerNorm::new(&variables.root(), 16);
/// let tokens = 5. + Tensor::rand([2, 3, 16], (Kind::Float, Device::Cpu));
/// let mean = norm.forward(&tokens, false).mean(Kind::Float).double_value(&[]);
/// assert!(mean.abs() < 1e-4);
/// ```
#[derive(Debug)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Option<Tensor>,
    eps: f64,
}

/// Added to the variance, as in torchvision's and timm's vision transformers.
const EPS: f64 = 1e-6;

impl LayerNorm {
    /// For tokens of size `width`.
    pub fn new(path: &nn::Path, width: i64) -> Self {
        LayerNorm::with_eps(path, width, EPS)
    }

    /// Like [`LayerNorm::new`], with another value that is added to the variance.
    pub fn with_eps(path: &nn::Path, width: i64, eps: f64) -> Self {
        let norm = LayerNorm::without_bias(path, width, eps);
        LayerNorm { bias: Some(path.parameter("bias", &[width], Init::Const(0.))), ..norm }
    }

    /// Like [`LayerNorm::with_eps`], without a bias.
    pub(crate) fn without_bias(path: &nn::Path, width: i64, eps: f64) -> Self {
        LayerNorm { weight: path.parameter("weight", &[width], Init::Const(1.)), bias: None, eps }
    }

    fn width(&self) -> i64 {
        self.weight.numel() as i64
    }

    /// The class whose `forward` normalizes the last dimension of the expression `x`, and `arranged` moves back the result.
    fn class(&self, name: &'static str, x: &str, arranged: impl Fn(&str) -> String) -> Script {
        let (width, eps) = (self.width(), self.eps);
        let bias = if self.bias.is_some() { "self.bias" } else { "None" };
        let normalized = format!("torch.layer_norm({x}, [{width}], self.weight, {bias}, {eps:?}, True)");
        let forward = format!(
            "  def forward(self: {{class}}, x: Tensor) -> Tensor:\n    return {}\n",
            arranged(&normalized)
        );
        let class = Class::new(name, forward).parameter("weight", &self.weight);
        Script::Class(match &self.bias {
            Some(bias) => class.parameter("bias", bias),
            None => class,
        })
    }
}

impl Layer for LayerNorm {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.layer_norm([self.width()], Some(&self.weight), self.bias.as_ref(), self.eps, true)
    }

    fn script(&self) -> Script {
        self.class("LayerNorm", "x", str::to_string)
    }

    fn describe(&self) -> String {
        format!("LayerNorm {}", self.width())
    }
}

/// Layer normalization of the channels at each position of an image, (N, channels, height, width).
///
/// ```
/// use cresset::model::layer::{Layer, LayerNorm2d};
/// use tch::{Device, Kind, Tensor, nn};
///
/// let variables = nn::VarStore::new(Device::Cpu);
/// let norm = LayerNorm2d::new(&variables.root(), 16);
/// let images = 5. + Tensor::rand([2, 16, 4, 4], (Kind::Float, Device::Cpu));
/// let mean = norm.forward(&images, false).select(2, 0).select(2, 0).mean(Kind::Float);
/// assert!(mean.double_value(&[]).abs() < 1e-4);
/// ```
#[derive(Debug)]
pub struct LayerNorm2d(LayerNorm);

impl LayerNorm2d {
    /// For `channels` channels.
    pub fn new(path: &nn::Path, channels: i64) -> Self {
        LayerNorm2d(LayerNorm::new(path, channels))
    }
}

impl Layer for LayerNorm2d {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        self.0.forward(&x.permute([0, 2, 3, 1]), train).permute([0, 3, 1, 2])
    }

    fn script(&self) -> Script {
        let arranged = |normalized: &str| format!("torch.permute({normalized}, [0, 3, 1, 2])");
        self.0.class("LayerNorm2d", "torch.permute(x, [0, 2, 3, 1])", arranged)
    }

    fn describe(&self) -> String {
        format!("LayerNorm2d {}", self.0.width())
    }
}
