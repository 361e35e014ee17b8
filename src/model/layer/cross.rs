//! Cross layers, which multiply features with each other.

use tch::Tensor;
use tch::nn::{self, Init};

use super::{Layer, Parameters, product};
use crate::model::script::{Class, Script};

/// The cross network of DCN v2 (Wang et al., "DCN V2: Improved Deep & Cross Network", 2021), (N, width) to (N, width): each layer
/// computes x₀ · (x weightᵀ + bias) + x, where x₀ is the input of the network, and so adds products of one more feature.
///
/// ```
/// use cresset::model::layer::{CrossNetwork, Layer};
/// use tch::{Device, Kind, Tensor, nn};
///
/// let variables = nn::VarStore::new(Device::Cpu);
/// let cross = CrossNetwork::new(&variables.root(), 4, 2);
/// assert_eq!(cross.forward(&Tensor::ones([5, 4], (Kind::Float, Device::Cpu)), false).size(), [5, 4]);
/// assert_eq!(variables.variables()["weight2"].size(), [4, 4]);
/// ```
#[derive(Debug)]
pub struct CrossNetwork {
    /// Weight, (width, width), and bias, (width), of each layer.
    layers: Vec<(Tensor, Tensor)>,
}

impl CrossNetwork {
    /// Creates `weight1`, `bias1`, … of `depth` layers in `path`, initialized like `torch.nn.Linear`.
    pub fn new(path: &nn::Path, width: i64, depth: i64) -> Self {
        let bound = 1. / (width as f64).sqrt();
        let init = Init::Uniform { lo: -bound, up: bound };
        let layer = |index: i64| {
            let weight = path.parameter(&format!("weight{index}"), &[width, width], init);
            (weight, path.parameter(&format!("bias{index}"), &[width], init))
        };
        CrossNetwork { layers: (1..=depth).map(layer).collect() }
    }
}

impl Layer for CrossNetwork {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        let product = |y: Tensor, (weight, bias): &(Tensor, Tensor)| x * y.linear(weight, Some(bias)) + y;
        self.layers.iter().fold(x.shallow_clone(), product)
    }

    fn script(&self) -> Script {
        let mut lines = String::new();
        for index in 1..=self.layers.len() {
            lines += &format!(
                "    y = torch.add(torch.mul(x, torch.linear(y, self.weight{index}, self.bias{index})), y)\n"
            );
        }
        let forward =
            format!("  def forward(self: {{class}}, x: Tensor) -> Tensor:\n    y = x\n{lines}    return y\n");
        let mut class = Class::new("CrossNetwork", forward);
        for (index, (weight, bias)) in self.layers.iter().enumerate() {
            let place = index + 1;
            class = class.parameter(format!("weight{place}"), weight).parameter(format!("bias{place}"), bias);
        }
        Script::Class(class)
    }

    fn describe(&self) -> String {
        format!("{} cross layers", self.layers.len())
    }

    fn multiply_adds(&self, input: &[i64], _output: &[i64]) -> u64 {
        let width = input.last().copied().unwrap_or(0);
        product(&[input[0], width, width, self.layers.len() as i64])
    }
}
