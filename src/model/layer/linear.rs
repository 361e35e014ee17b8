//! The fully connected layer.

use tch::Tensor;
use tch::nn::{self, Init};

use super::{Channels, Elementary, Layer, product};
use crate::model::script::{Class, Script};

/// x · weightᵀ + bias: (…, inputs) to (…, outputs).
#[derive(Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// Makes `weight` (outputs, inputs) and `bias` (outputs) in `path`, drawn uniformly from ±1/√inputs as
    /// `torch.nn.Linear` does. (tch's own layer draws from wider bounds.)
    pub fn new(path: &nn::Path, inputs: i64, outputs: i64) -> Self {
        let bound = 1. / (inputs as f64).sqrt();
        let init = Init::Uniform { lo: -bound, up: bound };
        Linear {
            weight: path.var("weight", &[outputs, inputs], init),
            bias: path.var("bias", &[outputs], init),
        }
    }

    /// The same, with weights drawn uniformly from ±√(6 / (inputs + outputs)) and almost no bias, as the feed-forward
    /// layers of transformers start (Glorot and Bengio, 2010).
    pub fn xavier(path: &nn::Path, inputs: i64, outputs: i64) -> Self {
        let bound = (6. / (inputs + outputs) as f64).sqrt();
        Linear {
            weight: path.var("weight", &[outputs, inputs], Init::Uniform { lo: -bound, up: bound }),
            bias: path.var("bias", &[outputs], Init::Randn { mean: 0., stdev: 1e-6 }),
        }
    }
}

impl Layer for Linear {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.linear(&self.weight, Some(&self.bias))
    }

    fn script(&self) -> Script {
        let forward = "  def forward(self: {class}, x: Tensor) -> Tensor:\n    return torch.linear(x, self.weight, self.bias)\n";
        let class = Class::new("Linear", forward);
        Script::Class(class.parameter("weight", &self.weight).parameter("bias", &self.bias))
    }

    fn channels(&self) -> Channels {
        Channels::Makes
    }

    fn elementary(&self) -> Option<Elementary<'_>> {
        Some(Elementary::Linear { weight: &self.weight, bias: &self.bias })
    }

    fn describe(&self) -> String {
        let size = self.weight.size();
        format!("Linear {}→{}", size[1], size[0])
    }

    fn multiply_adds(&self, _input: &[i64], output: &[i64]) -> u64 {
        product(output) * self.weight.size()[1] as u64
    }
}
