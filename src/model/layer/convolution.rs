//! Convolution of images.

use cresset_bridge::kernels::convolution;
use tch::Tensor;
use tch::nn::{self, Init};

use super::{ChannelEffect, Layer, Parameters, ZeroPad, product};
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
    groups: i64,
    has_bias: bool,
}

impl Convolution {
    /// A convolution from `inputs` to `outputs` channels with a square kernel, stride 1, without bias, with zero padding that
    /// keeps the size of the image if `kernel` is odd.
    pub fn new(inputs: i64, outputs: i64, kernel: i64) -> Self {
        Convolution { inputs, outputs, kernel, stride: 1, padding: kernel / 2, groups: 1, has_bias: false }
    }

    /// Sets the stride in pixels.
    pub fn stride(self, stride: i64) -> Self {
        Convolution { stride, ..self }
    }

    /// Sets the zero padding on each side in pixels.
    pub(crate) fn padding(self, padding: i64) -> Self {
        Convolution { padding, ..self }
    }

    /// Splits the channels into groups that are convolved separately. Both numbers of channels must be multiples of `groups`.
    pub fn groups(self, groups: i64) -> Self {
        Convolution { groups, ..self }
    }

    /// A depthwise convolution: one kernel for each of `channels` channels.
    pub fn depthwise(channels: i64, kernel: i64) -> Self {
        Convolution::new(channels, channels, kernel).groups(channels)
    }

    /// Pads an image of this size like TensorFlow's `SAME`: with a stride, by up to one pixel more at the bottom and right than
    /// at the top and left. Such padding needs the layer that is returned, before the convolution.
    pub(crate) fn same(self, height: i64, width: i64) -> (Option<ZeroPad>, Self) {
        let around = |side: i64| {
            let total = ((self.output(side) - 1) * self.stride + self.kernel - side).max(0);
            (total / 2, total - total / 2)
        };
        let ((top, bottom), (left, right)) = (around(height), around(width));
        if [bottom, left, right].iter().all(|pixels| *pixels == top) {
            return (None, self.padding(top));
        }
        (Some(ZeroPad { top, left, bottom, right }), self.padding(0))
    }

    /// The number of pixels of a side after the convolution, with padding that keeps the size apart from the stride.
    pub(crate) fn output(&self, side: i64) -> i64 {
        (side + self.stride - 1) / self.stride
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
        let bound = 1. / ((self.inputs / self.groups * self.kernel * self.kernel) as f64).sqrt();
        self.with(path, Init::Uniform { lo: -bound, up: bound })
    }

    /// Creates the layer with He initialization: normal, fan-out (He et al., 2015), like torchvision's residual networks.
    pub(crate) fn make_he(self, path: &nn::Path) -> Conv2d {
        let stdev = (2. / (self.outputs / self.groups * self.kernel * self.kernel) as f64).sqrt();
        self.with(path, Init::Randn { mean: 0., stdev })
    }

    /// Creates the layer with a normal weight of standard deviation 0.02 and a bias of zeros, like timm's ConvNeXt and vision
    /// transformers.
    pub(crate) fn make_normal(self, path: &nn::Path) -> Conv2d {
        let layer = self.with(path, Init::Randn { mean: 0., stdev: 0.02 });
        tch::no_grad(|| layer.bias.iter().for_each(|bias| drop(bias.shallow_clone().zero_())));
        layer
    }

    fn with(self, path: &nn::Path, init: Init) -> Conv2d {
        let Convolution { inputs, outputs, kernel, groups, has_bias, .. } = self;
        let weight = path.parameter("weight", &[outputs, inputs / groups, kernel, kernel], init);
        Conv2d { of: self, weight, bias: has_bias.then(|| path.parameter("bias", &[outputs], init)) }
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

impl Conv2d {
    fn is_depthwise(&self) -> bool {
        let Convolution { inputs, outputs, groups, .. } = self.of;
        groups > 1 && groups == inputs && groups == outputs
    }

    fn groups(&self) -> i64 {
        // Pruning takes channels out of the weight.
        if self.is_depthwise() { self.weight.size()[0] } else { self.of.groups }
    }
}

impl Layer for Conv2d {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let Convolution { stride, padding, .. } = self.of;
        if train && self.bias.is_none() && self.of.groups == 1 {
            // On an error, libtorch's operation below reports it.
            if let Ok(Some(convolved)) = convolution::convolve(x, &self.weight, stride, padding) {
                return convolved;
            }
        }
        x.conv2d(
            &self.weight,
            self.bias.as_ref(),
            [stride, stride],
            [padding, padding],
            [1, 1],
            self.groups(),
        )
    }

    fn script(&self) -> Script {
        let Convolution { stride, padding, .. } = self.of;
        let bias = if self.bias.is_some() { "self.bias" } else { "None" };
        let groups = self.groups();
        let class = Class::new(
            "Conv2d",
            format!(
                "  def forward(self: {{class}}, x: Tensor) -> Tensor:\n    return torch.conv2d(x, self.weight, {bias}, [{stride}, {stride}], [{padding}, {padding}], [1, 1], {groups})\n"
            ),
        );
        let class = class.parameter("weight", &self.weight);
        Script::Class(match &self.bias {
            Some(bias) => class.parameter("bias", bias),
            None => class,
        })
    }

    fn channel_effect(&self) -> ChannelEffect {
        match self.of.groups {
            1 => ChannelEffect::Mixes,
            _ if self.is_depthwise() => ChannelEffect::PerChannel,
            _ => ChannelEffect::Opaque,
        }
    }

    fn describe(&self) -> String {
        let Convolution { kernel, stride, .. } = self.of;
        // Pruning takes channels out of the weight.
        let (outputs, inputs) = (self.weight.size()[0], self.weight.size()[1] * self.groups());
        let step = if stride == 1 { String::new() } else { format!(", stride {stride}") };
        let groups = match self.of.groups {
            1 => String::new(),
            _ if self.is_depthwise() => ", depthwise".to_string(),
            groups => format!(", {groups} groups"),
        };
        format!("Conv2d {inputs}→{outputs}, {kernel}×{kernel}{step}{groups}")
    }

    fn multiply_adds(&self, _input: &[i64], output: &[i64]) -> u64 {
        product(output) * product(&self.weight.size()[1..])
    }
}
