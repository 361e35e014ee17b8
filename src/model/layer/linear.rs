//! Fully connected layer.

use tch::Tensor;
use tch::nn::{self, Init};

use super::{ChannelEffect, Layer, LayerFormula, Parameters, product};
use crate::model::script::{Class, Script};

/// x · weightᵀ + bias: (…, inputs) to (…, outputs).
///
/// ```
/// use cresset::model::layer::{Layer, Linear};
/// use tch::{Device, Kind, Tensor, nn};
///
/// let variables = nn::VarStore::new(Device::Cpu);
/// let linear = Linear::new(&(variables.root() / "fc1"), 4, 3);
/// assert_eq!(linear.forward(&Tensor::zeros([2, 4], (Kind::Float, Device::Cpu)), false).size(), [2, 3]);
/// assert_eq!(variables.variables()["fc1.weight"].size(), [3, 4]);
/// ```
#[derive(Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// Creates `weight` (outputs, inputs) and `bias` (outputs) in `path`, initialized uniformly from ±1/√inputs like
    /// `torch.nn.Linear`. (The layer of tch has wider bounds.)
    pub fn new(path: &nn::Path, inputs: i64, outputs: i64) -> Self {
        let bound = 1. / (inputs as f64).sqrt();
        let init = Init::Uniform { lo: -bound, up: bound };
        Linear {
            weight: path.parameter("weight", &[outputs, inputs], init),
            bias: Some(path.parameter("bias", &[outputs], init)),
        }
    }

    /// Like [`Linear::new`], with a normal weight of standard deviation 0.02 and a bias of zeros, like timm's ConvNeXt and
    /// vision transformers.
    pub(crate) fn normal(path: &nn::Path, inputs: i64, outputs: i64) -> Self {
        let bias = path.parameter("bias", &[outputs], Init::Const(0.));
        Linear { bias: Some(bias), ..Linear::without_bias(path, inputs, outputs) }
    }

    /// Like [`Linear::normal`], without a bias.
    pub(crate) fn without_bias(path: &nn::Path, inputs: i64, outputs: i64) -> Self {
        let init = Init::Randn { mean: 0., stdev: 0.02 };
        Linear { weight: path.parameter("weight", &[outputs, inputs], init), bias: None }
    }

    /// Like [`Linear::new`], with Xavier initialization: uniform from ±√(6 / (inputs + outputs)) (Glorot and Bengio, 2010), and
    /// a bias with standard deviation 10⁻⁶, like the feed-forward layers of transformers.
    pub(crate) fn xavier(path: &nn::Path, inputs: i64, outputs: i64) -> Self {
        let bound = (6. / (inputs + outputs) as f64).sqrt();
        Linear {
            weight: path.parameter("weight", &[outputs, inputs], Init::Uniform { lo: -bound, up: bound }),
            bias: Some(path.parameter("bias", &[outputs], Init::Randn { mean: 0., stdev: 1e-6 })),
        }
    }
}

impl Linear {
    /// The layer with `delta` added to its weight, for an export.
    pub(crate) fn plus(&self, delta: &Tensor) -> Self {
        let bias = self.bias.as_ref().map(Tensor::shallow_clone);
        Linear { weight: self.weight.detach() + delta, bias }
    }
}

impl Layer for Linear {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.linear(&self.weight, self.bias.as_ref())
    }

    fn script(&self) -> Script {
        let bias = if self.bias.is_some() { "self.bias" } else { "None" };
        let forward = format!(
            "  def forward(self: {{class}}, x: Tensor) -> Tensor:\n    return torch.linear(x, self.weight, {bias})\n"
        );
        let class = Class::new("Linear", forward).parameter("weight", &self.weight);
        Script::Class(match &self.bias {
            Some(bias) => class.parameter("bias", bias),
            None => class,
        })
    }

    fn channel_effect(&self) -> ChannelEffect {
        ChannelEffect::Mixes
    }

    fn formula(&self) -> Option<LayerFormula<'_>> {
        let bias = self.bias.as_ref()?;
        Some(LayerFormula::Linear { weight: &self.weight, bias })
    }

    fn describe(&self) -> String {
        let size = self.weight.size();
        format!("Linear {}→{}", size[1], size[0])
    }

    fn multiply_adds(&self, _input: &[i64], output: &[i64]) -> u64 {
        product(output) * self.weight.size()[1] as u64
    }
}
