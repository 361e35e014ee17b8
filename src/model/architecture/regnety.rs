//! RegNetY (Radosavovic et al., "Designing Network Design Spaces", 2020), with timm's names and shapes: bottlenecks with
//! grouped convolutions and squeeze-and-excitation.

use tch::nn;

use super::{Architecture, NumberOption, Options, image, normalized, rates};
use crate::error::Result;
use crate::model::Task;
use crate::model::layer::{
    Activation, Convolution, Dropout, Flatten, GlobalAverage, Linear, Relu, Sequential, StochasticDepth,
};

const OPTIONS: &[NumberOption] = &[NumberOption::dropout(0.), NumberOption::drop_path(0.)];

/// RegNetY with 0.2 billion multiply-adds for an image of 224×224.
pub const REGNETY_002: Architecture = Architecture {
    name: FORM_002.name,
    summary: "RegNetY with 0.2 billion multiply-adds for an image of 224×224 (timm)",
    options: OPTIONS,
    build: |path, task, options| FORM_002.network(path, task, options),
};

/// RegNetY with 0.4 billion multiply-adds for an image of 224×224.
pub const REGNETY_004: Architecture = Architecture {
    name: FORM_004.name,
    summary: "RegNetY with 0.4 billion multiply-adds for an image of 224×224 (timm)",
    options: OPTIONS,
    build: |path, task, options| FORM_004.network(path, task, options),
};

/// RegNetY with 0.8 billion multiply-adds for an image of 224×224.
pub const REGNETY_008: Architecture = Architecture {
    name: FORM_008.name,
    summary: "RegNetY with 0.8 billion multiply-adds for an image of 224×224 (timm)",
    options: OPTIONS,
    build: |path, task, options| FORM_008.network(path, task, options),
};

/// The sizes of a network.
struct Form {
    name: &'static str,
    /// Blocks and channels of each stage.
    stages: [(usize, i64); 4],
    /// Channels of a group of the convolutions.
    group: i64,
}

const FORM_002: Form = Form { name: "regnety_002", stages: [(1, 24), (1, 56), (4, 152), (7, 368)], group: 8 };
const FORM_004: Form =
    Form { name: "regnety_004", stages: [(1, 48), (3, 104), (6, 208), (6, 440)], group: 8 };
const FORM_008: Form =
    Form { name: "regnety_008", stages: [(1, 64), (3, 128), (8, 320), (2, 768)], group: 16 };

impl Form {
    fn network(&self, path: &nn::Path, task: &Task, options: &Options) -> Result<Sequential> {
        let [inputs, ..] = image(task, self.name)?;
        let stem =
            convolved(&(path / "stem"), Convolution::new(inputs, 32, 3).stride(2), 32).then("act", Relu);
        let mut layers = Sequential::default().then("stem", stem);
        let depth = self.stages.iter().map(|(blocks, _)| blocks).sum();
        let mut rates = rates(options.number("drop_path"), depth).into_iter();
        let mut channels = 32;
        for (stage, (blocks, width)) in (1..).zip(self.stages) {
            let name = format!("s{stage}");
            let mut parts = Sequential::default();
            for (index, rate) in (1..=blocks).zip(rates.by_ref()) {
                let block = format!("b{index}");
                let stride = if index == 1 { 2 } else { 1 };
                let part = self.block(&(path / &name / &block), channels, width, stride, rate);
                parts = parts.then(block, part);
                channels = width;
            }
            layers = layers.then(name, parts);
        }
        let at = path / "head";
        let head = Sequential::default()
            .then("global_pool", GlobalAverage)
            .then("flatten", Flatten)
            .then("drop", Dropout(options.number("dropout")))
            .then("fc", Linear::new(&(&at / "fc"), channels, task.classes));
        Ok(layers.then("head", head))
    }

    /// A bottleneck: a 1×1 convolution, a grouped 3×3 convolution with the stride, squeeze-and-excitation with a quarter of
    /// the channels of the input, and a 1×1 convolution.
    fn block(&self, path: &nn::Path, inputs: i64, width: i64, stride: i64, rate: f64) -> Sequential {
        let grouped = Convolution::new(width, width, 3).groups(width / self.group).stride(stride);
        let first = convolved(&(path / "conv1"), Convolution::new(inputs, width, 1), width);
        let second = convolved(&(path / "conv2"), grouped, width);
        let mut body = Sequential::default()
            .then("conv1", first.then("act", Relu))
            .then("conv2", second.then("act", Relu))
            .then_gate(squeeze(&(path / "se"), width, (inputs as f64 * 0.25).round() as i64))
            .then("conv3", convolved(&(path / "conv3"), Convolution::new(width, width, 1), width));
        if rate > 0. {
            body = body.then("drop_path", StochasticDepth::new(rate, 4));
        }
        let mut shortcut = Sequential::default();
        if stride != 1 || inputs != width {
            let projection = Convolution::new(inputs, width, 1).stride(stride);
            shortcut = shortcut.then("downsample", convolved(&(path / "downsample"), projection, width));
        }
        Sequential::default().then_sum(body, shortcut).then("act3", Relu)
    }
}

/// A convolution with batch normalization, with the names of timm's `ConvNormAct`.
fn convolved(path: &nn::Path, convolution: Convolution, outputs: i64) -> Sequential {
    normalized(path, "conv", "bn", convolution, outputs)
}

/// Squeeze-and-excitation (Hu et al., 2018).
fn squeeze(path: &nn::Path, channels: i64, hidden: i64) -> Sequential {
    let layers = Sequential::default()
        .then("pool", GlobalAverage)
        .then("fc1", Convolution::new(channels, hidden, 1).bias().make_he(&(path / "fc1")))
        .then("act", Relu)
        .then("fc2", Convolution::new(hidden, channels, 1).bias().make_he(&(path / "fc2")))
        .then("gate", Activation::Sigmoid);
    Sequential::default().then("se", layers)
}
