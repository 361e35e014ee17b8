//! MobileNetV4 (Qin et al., "MobileNetV4: Universal Models for the Mobile Ecosystem", 2024) of convolutions only, small, with
//! timm's names and shapes.

use tch::nn;

use super::{Architecture, NumberOption, Options, image, normalized, rates};
use crate::error::Result;
use crate::model::Task;
use crate::model::layer::{
    Convolution, Dropout, Flatten, GlobalAverage, Linear, Relu, Sequential, StochasticDepth,
};

/// MobileNetV4-Conv-Small.
pub const CONV_SMALL: Architecture = Architecture {
    name: "mobilenetv4_conv_small",
    summary: "MobileNetV4-Conv-Small, for phones (timm)",
    options: &[NumberOption::dropout(0.2), NumberOption::drop_path(0.)],
    build,
};

/// A block of the network.
#[derive(Debug, Clone, Copy)]
enum Block {
    /// A convolution with the kernel size and the stride.
    Convolution { kernel: i64, stride: i64, outputs: i64 },
    /// The universal inverted bottleneck: a depthwise convolution, a 1×1 convolution to more channels by the factor
    /// `expansion`, a depthwise convolution, and a 1×1 convolution. A depthwise convolution with the kernel size 0 is left out.
    Universal { start: i64, middle: i64, stride: i64, expansion: i64, outputs: i64 },
}

const fn convolution(kernel: i64, stride: i64, outputs: i64) -> Block {
    Block::Convolution { kernel, stride, outputs }
}

const fn universal(start: i64, middle: i64, stride: i64, expansion: i64, outputs: i64) -> Block {
    Block::Universal { start, middle, stride, expansion, outputs }
}

const STAGES: &[&[Block]] = &[
    &[convolution(3, 2, 32), convolution(1, 1, 32)],
    &[convolution(3, 2, 96), convolution(1, 1, 64)],
    &[
        universal(5, 5, 2, 3, 96),
        universal(0, 3, 1, 2, 96),
        universal(0, 3, 1, 2, 96),
        universal(0, 3, 1, 2, 96),
        universal(0, 3, 1, 2, 96),
        universal(3, 0, 1, 4, 96),
    ],
    &[
        universal(3, 3, 2, 6, 128),
        universal(5, 5, 1, 4, 128),
        universal(0, 5, 1, 4, 128),
        universal(0, 5, 1, 3, 128),
        universal(0, 3, 1, 4, 128),
        universal(0, 3, 1, 4, 128),
    ],
    &[convolution(1, 1, 960)],
];

/// Units before the classifier.
const HEAD: i64 = 1280;

fn build(path: &nn::Path, task: &Task, options: &Options) -> Result<Sequential> {
    let [inputs, ..] = image(task, "mobilenetv4_conv_small")?;
    let mut channels = 32;
    let stem = Convolution::new(inputs, channels, 3).stride(2);
    let layers = normalized(path, "conv_stem", "bn1", stem, channels).then("act1", Relu);
    let count = STAGES.iter().map(|blocks| blocks.len()).sum();
    let mut rates = rates(options.number("drop_path"), count).into_iter();
    let mut stages = Sequential::default();
    for (stage, blocks) in STAGES.iter().enumerate() {
        let mut parts = Sequential::default();
        for ((index, block), rate) in blocks.iter().enumerate().zip(rates.by_ref()) {
            let (part, outputs) = block.make(&(path / "blocks" / stage / index), channels, rate);
            parts = parts.then(index.to_string(), part);
            channels = outputs;
        }
        stages = stages.then(stage.to_string(), parts);
    }
    let head = normalized(path, "conv_head", "norm_head", Convolution::new(channels, HEAD, 1), HEAD);
    Ok(layers
        .then("blocks", stages)
        .then("global_pool", GlobalAverage)
        .then_all(head)
        .then("act2", Relu)
        .then("flatten", Flatten)
        .then("dropout", Dropout(options.number("dropout")))
        .then("classifier", Linear::new(&(path / "classifier"), HEAD, task.classes)))
}

impl Block {
    /// The block and its number of output channels.
    fn make(&self, path: &nn::Path, inputs: i64, rate: f64) -> (Sequential, i64) {
        match *self {
            Block::Convolution { kernel, stride, outputs } => {
                let convolution = Convolution::new(inputs, outputs, kernel).stride(stride);
                (normalized(path, "conv", "bn1", convolution, outputs).then("act", Relu), outputs)
            }
            Block::Universal { start, middle, stride, expansion, outputs } => {
                let hidden = inputs * expansion;
                let part = |name: &str, convolution: Convolution, outputs: i64| {
                    normalized(&(path / name), "conv", "bn", convolution, outputs)
                };
                let mut body = Sequential::default();
                if start > 0 {
                    let stride = if middle > 0 { 1 } else { stride };
                    let convolution = Convolution::depthwise(inputs, start).stride(stride);
                    body = body.then("dw_start", part("dw_start", convolution, inputs));
                }
                let expand = part("pw_exp", Convolution::new(inputs, hidden, 1), hidden);
                body = body.then("pw_exp", expand.then("act", Relu));
                if middle > 0 {
                    let convolution = Convolution::depthwise(hidden, middle).stride(stride);
                    body = body.then("dw_mid", part("dw_mid", convolution, hidden).then("act", Relu));
                }
                body = body.then("pw_proj", part("pw_proj", Convolution::new(hidden, outputs, 1), outputs));
                if stride != 1 || inputs != outputs {
                    return (body, outputs);
                }
                if rate > 0. {
                    body = body.then("drop_path", StochasticDepth::new(rate, 4));
                }
                (Sequential::default().then_sum(body, Sequential::default()), outputs)
            }
        }
    }
}
