//! Element-wise layers.

use tch::Tensor;

use super::{ChannelEffect, Layer, LayerFormula};
use crate::model::script::{Class, Script};

/// ReLU, max(x, 0).
///
/// ```
/// use cresset::model::layer::{Layer, Relu};
/// use tch::Tensor;
///
/// let x = Tensor::from_slice(&[-1f32, 2.]);
/// assert_eq!(Relu.forward(&x, false), Tensor::from_slice(&[0f32, 2.]));
/// ```
#[derive(Debug)]
pub struct Relu;

impl Layer for Relu {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.relu()
    }

    fn script(&self) -> Script {
        Script::expression("torch.relu({x})")
    }

    fn channel_effect(&self) -> ChannelEffect {
        ChannelEffect::Keeps
    }

    fn formula(&self) -> Option<LayerFormula<'_>> {
        Some(LayerFormula::Relu)
    }

    fn describe(&self) -> String {
        "ReLU".to_string()
    }
}

/// The Gaussian error linear unit, x · Φ(x) (Hendrycks and Gimpel, 2016).
///
/// ```
/// use cresset::model::layer::{Gelu, Layer};
/// use tch::Tensor;
///
/// let y = Gelu.forward(&Tensor::from_slice(&[1f32]), false);
/// assert!((y.double_value(&[0]) - 0.8413).abs() < 1e-4);
/// ```
#[derive(Debug)]
pub struct Gelu;

impl Layer for Gelu {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.gelu("none")
    }

    fn script(&self) -> Script {
        Script::expression("torch.gelu({x})")
    }

    fn channel_effect(&self) -> ChannelEffect {
        ChannelEffect::Keeps
    }

    fn describe(&self) -> String {
        "GELU".to_string()
    }
}

/// An element-wise function without parameters.
///
/// ```
/// use cresset::model::layer::{Activation, Layer};
/// use tch::Tensor;
///
/// let x = Tensor::from_slice(&[-1f32, 2., 9.]);
/// assert_eq!(Activation::Relu6.forward(&x, false), Tensor::from_slice(&[0f32, 2., 6.]));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// min(max(x, 0), 6).
    Relu6,
    /// x · sigmoid(x) (Elfwing, Uchibe and Doya, 2017), also called swish.
    Silu,
    /// x · max(0, min(x + 3, 6)) / 6, an approximation of SiLU (Howard et al., "Searching for MobileNetV3", 2019).
    HardSwish,
    /// 1 / (1 + exp(-x)).
    Sigmoid,
    /// max(0, min(x + 3, 6)) / 6, an approximation of the sigmoid.
    HardSigmoid,
    /// The hyperbolic tangent.
    Tanh,
}

impl Layer for Activation {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        match self {
            Activation::Relu6 => x.relu6(),
            Activation::Silu => x.silu(),
            Activation::HardSwish => x.hardswish(),
            Activation::Sigmoid => x.sigmoid(),
            Activation::HardSigmoid => x.hardsigmoid(),
            Activation::Tanh => x.tanh(),
        }
    }

    fn script(&self) -> Script {
        Script::expression(match self {
            Activation::Relu6 => "torch.relu6({x})",
            Activation::Silu => "torch.silu({x})",
            Activation::HardSwish => "torch.hardswish({x})",
            Activation::Sigmoid => "torch.sigmoid({x})",
            Activation::HardSigmoid => "torch.hardsigmoid({x})",
            Activation::Tanh => "torch.tanh({x})",
        })
    }

    fn channel_effect(&self) -> ChannelEffect {
        ChannelEffect::Keeps
    }

    fn describe(&self) -> String {
        match self {
            Activation::Relu6 => "ReLU6",
            Activation::Silu => "SiLU",
            Activation::HardSwish => "hard swish",
            Activation::Sigmoid => "sigmoid",
            Activation::HardSigmoid => "hard sigmoid",
            Activation::Tanh => "tanh",
        }
        .to_string()
    }
}

/// The gated linear unit with ReLU (Shazeer, "GLU Variants Improve Transformer", 2020): the first half of the last dimension times ReLU
/// of the second half, (…, 2 · width) to (…, width).
///
/// ```
/// use cresset::model::layer::{Layer, ReGlu};
/// use tch::Tensor;
///
/// let x = Tensor::from_slice2(&[[2f32, 3., 5., -1.]]);
/// assert_eq!(ReGlu.forward(&x, false), Tensor::from_slice2(&[[10f32, 0.]]));
/// ```
#[derive(Debug)]
pub struct ReGlu;

impl Layer for ReGlu {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        let halves = x.chunk(2, -1);
        &halves[0] * halves[1].relu()
    }

    fn script(&self) -> Script {
        let forward = "  def forward(self: {class}, x: Tensor) -> Tensor:\n    values, gates, = torch.chunk(x, 2, -1)\n    \
                       return torch.mul(values, torch.relu(gates))\n";
        Script::Class(Class::new("ReGlu", forward))
    }

    fn describe(&self) -> String {
        "ReGLU".to_string()
    }
}

/// Dropout with the given probability (Srivastava et al., 2014). The identity in evaluation.
///
/// ```
/// use cresset::model::layer::{Dropout, Layer};
/// use tch::Tensor;
///
/// let x = Tensor::from_slice(&[1f32, 2.]);
/// assert_eq!(Dropout(0.5).forward(&x, false), x);
/// ```
#[derive(Debug)]
pub struct Dropout(pub f64);

impl Layer for Dropout {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        x.dropout(self.0, train)
    }

    fn script(&self) -> Script {
        Script::expression(format!("torch.dropout({{x}}, {:?}, self.training)", self.0))
    }

    fn channel_effect(&self) -> ChannelEffect {
        ChannelEffect::Keeps
    }

    fn formula(&self) -> Option<LayerFormula<'_>> {
        Some(LayerFormula::Dropout)
    }

    fn describe(&self) -> String {
        format!("Dropout {}", self.0)
    }
}
