//! Common code of the networks of inverted residual blocks (Sandler et al., "MobileNetV2", 2018): EfficientNet and MobileNet,
//! with timm's names.

use tch::nn;

use crate::model::layer::{
    Activation, BatchNorm2d, Convolution, GlobalAverage, Relu, Sequential, StochasticDepth,
};

/// What all blocks of a network share.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The activation. None: ReLU.
    pub activation: Option<Activation>,
    /// The squeeze-and-excitation (Hu et al., 2018).
    pub squeeze: Squeeze,
    /// Added to the variance in batch normalization.
    pub eps: f64,
    /// Whether strided convolutions are padded like TensorFlow's `SAME`: at the bottom and right by up to one pixel more.
    pub is_same: bool,
}

/// The kinds of squeeze-and-excitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Squeeze {
    /// A quarter of the channels of the block's input, sigmoid.
    OfInput,
    /// A quarter of the channels of the depthwise convolution, rounded to a multiple of 8, ReLU and hard sigmoid.
    OfExpansion,
}

/// One or more equal blocks. The first one has the stride.
#[derive(Debug, Clone, Copy)]
pub struct Blocks {
    kind: Kind,
    repeats: i64,
    kernel: i64,
    stride: i64,
    /// The factor between the channels of the input and those of the depthwise convolution.
    expansion: f64,
    outputs: i64,
    squeezes: bool,
    is_relu: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A convolution, with a residual connection if `true`.
    Convolution(bool),
    /// A depthwise and a 1×1 convolution.
    Separable,
    /// A 1×1, a depthwise and a 1×1 convolution.
    Inverted,
    /// A convolution and a 1×1 convolution.
    Fused,
}

impl Blocks {
    const fn of(kind: Kind, repeats: i64, kernel: i64, stride: i64, expansion: f64, outputs: i64) -> Self {
        Blocks { kind, repeats, kernel, stride, expansion, outputs, squeezes: false, is_relu: false }
    }

    /// Convolutions.
    pub const fn convolution(kernel: i64, stride: i64, outputs: i64) -> Self {
        Blocks::of(Kind::Convolution(false), 1, kernel, stride, 1., outputs)
    }

    /// Convolutions with residual connections.
    pub const fn residual(repeats: i64, kernel: i64, outputs: i64) -> Self {
        Blocks::of(Kind::Convolution(true), repeats, kernel, 1, 1., outputs)
    }

    /// Depthwise separable convolutions.
    pub const fn separable(kernel: i64, stride: i64, outputs: i64) -> Self {
        Blocks::of(Kind::Separable, 1, kernel, stride, 1., outputs)
    }

    /// Inverted residual blocks.
    pub const fn inverted(repeats: i64, kernel: i64, stride: i64, expansion: f64, outputs: i64) -> Self {
        Blocks::of(Kind::Inverted, repeats, kernel, stride, expansion, outputs)
    }

    /// Inverted residual blocks with one convolution in place of the 1×1 and the depthwise one (Tan and Le, 2021).
    pub const fn fused(repeats: i64, kernel: i64, stride: i64, expansion: f64, outputs: i64) -> Self {
        Blocks::of(Kind::Fused, repeats, kernel, stride, expansion, outputs)
    }

    /// The same blocks, wider and deeper by these factors.
    pub fn scaled(self, width: f64, depth: f64) -> Self {
        let repeats = (self.repeats as f64 * depth).ceil() as i64;
        Blocks { repeats, outputs: rounded(self.outputs as f64 * width), ..self }
    }

    /// Adds squeeze-and-excitation.
    pub const fn squeeze(self) -> Self {
        Blocks { squeezes: true, ..self }
    }

    /// Uses ReLU in place of the activation of the network.
    pub const fn relu(self) -> Self {
        Blocks { is_relu: true, ..self }
    }
}

/// Channels as a multiple of 8, at least 8 and at least 0.9 times `channels`.
pub fn rounded(channels: f64) -> i64 {
    let nearest = (((channels + 4.) as i64) / 8 * 8).max(8);
    if (nearest as f64) < 0.9 * channels { nearest + 8 } else { nearest }
}

/// A network under construction: the number of channels and the size of the image after the layers so far.
pub struct Builder<'a> {
    path: nn::Path<'a>,
    settings: Settings,
    pub channels: i64,
    height: i64,
    width: i64,
    /// The rate of stochastic depth, which grows linearly from 0 in the first block to this after the last one.
    drop_path: f64,
}

impl<'a> Builder<'a> {
    /// Begins with an image of `channels` channels. The layers are created in `path`.
    pub fn new(
        path: &nn::Path<'a>,
        [channels, height, width]: [i64; 3],
        settings: Settings,
        drop_path: f64,
    ) -> Self {
        Builder { path: path.clone(), settings, channels, height, width, drop_path }
    }

    /// The stem: a 3×3 convolution with stride 2.
    pub fn stem(&mut self, outputs: i64) -> Sequential {
        let path = self.path.clone();
        let convolution = Convolution::new(self.channels, outputs, 3).stride(2);
        let layers = self.convolve(&path, "conv_stem", convolution);
        self.channels = outputs;
        self.normalize(layers, &path, "bn1", self.settings.activation)
    }

    /// The blocks of all stages, `blocks.0.0` and so on.
    pub fn stages(&mut self, stages: &[&[Blocks]]) -> Sequential {
        let count = |blocks: &&[Blocks]| blocks.iter().map(|blocks| blocks.repeats).sum::<i64>();
        let total: i64 = stages.iter().map(count).sum();
        let (mut layers, mut built) = (Sequential::default(), 0);
        for (stage, groups) in stages.iter().enumerate() {
            let (mut parts, mut index) = (Sequential::default(), 0);
            for blocks in *groups {
                for repeat in 0..blocks.repeats {
                    let stride = if repeat == 0 { blocks.stride } else { 1 };
                    let at = &self.path / "blocks" / stage / index;
                    let rate = self.drop_path * built as f64 / total as f64;
                    parts = parts.then(index.to_string(), self.block(&at, blocks, stride, rate));
                    (index, built) = (index + 1, built + 1);
                }
            }
            layers = layers.then(stage.to_string(), parts);
        }
        Sequential::default().then("blocks", layers)
    }

    /// A 1×1 convolution to `outputs` channels with batch normalization.
    pub fn head(&mut self, outputs: i64) -> Sequential {
        let path = self.path.clone();
        let layers = self.convolve(&path, "conv_head", Convolution::new(self.channels, outputs, 1));
        self.channels = outputs;
        self.normalize(layers, &path, "bn2", self.settings.activation)
    }

    fn block(&mut self, path: &nn::Path, blocks: &Blocks, stride: i64, rate: f64) -> Sequential {
        let inputs = self.channels;
        let is_residual = stride == 1 && inputs == blocks.outputs && blocks.kind != Kind::Convolution(false);
        let activation = if blocks.is_relu { None } else { self.settings.activation };
        let expanded = rounded(inputs as f64 * blocks.expansion);
        let mut body = match blocks.kind {
            Kind::Convolution(_) => {
                let convolution = Convolution::new(inputs, blocks.outputs, blocks.kernel).stride(stride);
                let layers = self.convolve(path, "conv", convolution);
                self.channels = blocks.outputs;
                self.normalize(layers, path, "bn1", activation)
            }
            Kind::Separable => {
                let layers = self.depthwise(path, blocks, stride, "bn1", activation);
                layers.then_all(self.project(path, "conv_pw", "bn2", blocks.outputs))
            }
            Kind::Inverted => {
                let layers = self.convolve(path, "conv_pw", Convolution::new(inputs, expanded, 1));
                self.channels = expanded;
                let layers = self.normalize(layers, path, "bn1", activation);
                let layers = layers.then_all(self.depthwise(path, blocks, stride, "bn2", activation));
                layers.then_all(self.project(path, "conv_pwl", "bn3", blocks.outputs))
            }
            Kind::Fused => {
                let convolution = Convolution::new(inputs, expanded, blocks.kernel).stride(stride);
                let layers = self.convolve(path, "conv_exp", convolution);
                self.channels = expanded;
                let layers = self.normalize(layers, path, "bn1", activation);
                layers.then_all(self.project(path, "conv_pwl", "bn2", blocks.outputs))
            }
        };
        if !is_residual {
            return body;
        }
        if rate > 0. {
            body = body.then("drop_path", StochasticDepth::new(rate, 4));
        }
        Sequential::default().then_sum(body, Sequential::default())
    }

    /// The depthwise convolution of a block with its squeeze-and-excitation.
    fn depthwise(
        &mut self,
        path: &nn::Path,
        blocks: &Blocks,
        stride: i64,
        norm: &str,
        activation: Option<Activation>,
    ) -> Sequential {
        let convolution = Convolution::depthwise(self.channels, blocks.kernel).stride(stride);
        let layers = self.convolve(path, "conv_dw", convolution);
        let layers = self.normalize(layers, path, norm, activation);
        if !blocks.squeezes {
            return layers;
        }
        let at = path / "se";
        let (hidden, within, gate) = match self.settings.squeeze {
            Squeeze::OfInput => {
                let hidden = (self.channels as f64 / blocks.expansion * 0.25).round() as i64;
                (hidden, activation, Activation::Sigmoid)
            }
            Squeeze::OfExpansion => (rounded(self.channels as f64 * 0.25), None, Activation::HardSigmoid),
        };
        let reduce = Convolution::new(self.channels, hidden, 1).bias().make_he(&(&at / "conv_reduce"));
        let expand = Convolution::new(hidden, self.channels, 1).bias().make_he(&(&at / "conv_expand"));
        let squeezed = Sequential::default().then("pool", GlobalAverage).then("conv_reduce", reduce);
        let excited = activate(squeezed, "act1", within).then("conv_expand", expand).then("gate", gate);
        layers.then_gate(Sequential::default().then("se", excited))
    }

    /// A 1×1 convolution without activation.
    fn project(&mut self, path: &nn::Path, name: &str, norm: &str, outputs: i64) -> Sequential {
        let convolution = Convolution::new(self.channels, outputs, 1).make_he(&(path / name));
        self.channels = outputs;
        let norm_layer = BatchNorm2d::with_eps(&(path / norm), outputs, self.settings.eps);
        Sequential::default().then(name, convolution).then(norm, norm_layer)
    }

    fn convolve(&mut self, path: &nn::Path, name: &str, mut convolution: Convolution) -> Sequential {
        let mut layers = Sequential::default();
        if self.settings.is_same {
            let (padding, rest) = convolution.same(self.height, self.width);
            layers = match padding {
                Some(padding) => layers.then("pad", padding),
                None => layers,
            };
            convolution = rest;
        }
        (self.height, self.width) = (convolution.output(self.height), convolution.output(self.width));
        layers.then(name, convolution.make_he(&(path / name)))
    }

    fn normalize(
        &self,
        layers: Sequential,
        path: &nn::Path,
        name: &str,
        activation: Option<Activation>,
    ) -> Sequential {
        let norm = BatchNorm2d::with_eps(&(path / name), self.channels, self.settings.eps);
        activate(layers.then(name, norm), &format!("{name}_act"), activation)
    }
}

/// Appends the activation.
pub fn activate(layers: Sequential, name: &str, activation: Option<Activation>) -> Sequential {
    match activation {
        Some(activation) => layers.then(name, activation),
        None => layers.then(name, Relu),
    }
}
