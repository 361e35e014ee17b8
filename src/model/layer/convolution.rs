//! Convolution of images.

use cresset_bridge::kernels::convolution;
use tch::Tensor;
use tch::nn::{self, Init};

use super::{ChannelEffect, Layer, product};
use crate::model::script::{Class, Script};

/// Builder of [`Conv2d`]: [`Convolution::make`] creates the layer.
///
/// ```
/// use cresset::model::layer::{Convolution, Layer};
/// use tch::{Device, Kind, Tensor, nn};
///
/// let variables = nn::VarStore::new(Device::Cpu);
/// let convolution = Convolution::new(3, 8, 3).stride(2).bias().make(&(variables.root() / "conv1"));
/// let images = Tensor::rand([2, 3, 16, 16], (Kind::Float, Device::Cpu));
/// assert_eq!(convolution.forward(&images, false).size(), [2, 8, 8, 8]);
/// assert_eq!(variables.variables()["conv1.weight"].size(), [8, 3, 3, 3]);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Convolution {
    inputs: i64,
    outputs: i64,
    kernel: i64,
    stride: i64,
    padding: i64,
    has_bias: bool,
}

impl Convolution {
    /// A convolution from `inputs` to `outputs` channels with a square kernel, stride 1, without bias, with zero padding that
    /// keeps the size of the image if `kernel` is odd.
    pub fn new(inputs: i64, outputs: i64, kernel: i64) -> Self {
        Convolution { inputs, outputs, kernel, stride: 1, padding: kernel / 2, has_bias: false }
    }

    /// Sets the stride in pixels.
    pub fn stride(self, stride: i64) -> Self {
        Convolution { stride, ..self }
    }

    /// Adds a bias.
    pub fn bias(self) -> Self {
        Convolution { has_bias: true, ..self }
    }

    /// Splits the image into patches: the stride is the kernel size, without padding.
    pub fn patches(self) -> Self {
        Convolution { stride: self.kernel, padding: 0, ..self }
    }

    /// Creates the layer, with weight and bias initialized uniformly from ±1/√(fan-in) like `torch.nn.Conv2d`.
    pub fn make(self, path: &nn::Path) -> Conv2d {
        let bound = 1. / ((self.inputs * self.kernel * self.kernel) as f64).sqrt();
        self.with(path, Init::Uniform { lo: -bound, up: bound })
    }

    /// Creates the layer with He initialization: normal, fan-out (He et al., 2015), like torchvision's residual networks.
    pub(crate) fn make_he(self, path: &nn::Path) -> Conv2d {
        let stdev = (2. / (self.outputs * self.kernel * self.kernel) as f64).sqrt();
        self.with(path, Init::Randn { mean: 0., stdev })
    }

    fn with(self, path: &nn::Path, init: Init) -> Conv2d {
        let Convolution { inputs, outputs, kernel, has_bias, .. } = self;
        let weight = path.var("weight", &[outputs, inputs, kernel, kernel], init);
        Conv2d { of: self, weight, bias: has_bias.then(|| path.var("bias", &[outputs], init)) }
    }
}

/// A convolution, (N, channels, height, width) to (N, channels, height, width).
///
/// ```
/// use cresset::model::layer::{Conv2d, Convolution, Layer};
/// use tch::{Device, nn};
///
/// let variables = nn::VarStore::new(Device::Cpu);
/// let patches: Conv2d = Convolution::new(3, 8, 4).patches().make(&variables.root());
/// assert_eq!(patches.multiply_adds(&[1, 3, 16, 16], &[1, 8, 4, 4]), 8 * 3 * 4 * 4 * 16);
/// ```
#[derive(Debug)]
pub struct Conv2d {
    of: Convolution,
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Layer for Conv2d {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let Convolution { stride, padding, .. } = self.of;
        if train && self.bias.is_none() {
            // On an error, libtorch's operation below reports it.
            if let Ok(Some(convolved)) = convolution::convolve(x, &self.weight, stride, padding) {
                return convolved;
            }
        }
        x.conv2d(&self.weight, self.bias.as_ref(), [stride, stride], [padding, padding], [1, 1], 1)
    }

    fn script(&self) -> Script {
        let Convolution { stride, padding, .. } = self.of;
        let bias = if self.bias.is_some() { "self.bias" } else { "None" };
        let class = Class::new(
            "Conv2d",
            format!(
                "  def forward(self: {{class}}, x: Tensor) -> Tensor:\n    return torch.conv2d(x, self.weight, {bias}, [{stride}, {stride}], [{padding}, {padding}], [1, 1], 1)\n"
            ),
        );
        let class = class.parameter("weight", &self.weight);
        Script::Class(match &self.bias {
            Some(bias) => class.parameter("bias", bias),
            None => class,
        })
    }

    fn channel_effect(&self) -> ChannelEffect {
        ChannelEffect::Mixes
    }

    fn describe(&self) -> String {
        let Convolution { kernel, stride, .. } = self.of;
        // Pruning takes channels out of the weight.
        let (outputs, inputs) = (self.weight.size()[0], self.weight.size()[1]);
        let step = if stride == 1 { String::new() } else { format!(", stride {stride}") };
        format!("Conv2d {inputs}→{outputs}, {kernel}×{kernel}{step}")
    }

    fn multiply_adds(&self, _input: &[i64], output: &[i64]) -> u64 {
        product(output) * product(&self.weight.size()[1..])
    }
}
