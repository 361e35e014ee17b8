//! Element-wise layers.

use tch::Tensor;

use super::{ChannelEffect, Layer, LayerFormula};
use crate::model::script::Script;

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
