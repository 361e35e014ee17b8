//! A plain convolutional network: stages of two 3×3 convolutions with batch normalization and ReLU, each followed by 2×2 max
//! pooling (after VGG: Simonyan and Zisserman, 2015; Ioffe and Szegedy, 2015), then two linear layers.

use tch::nn;

use super::{Architecture, NumberOption, Options, image};
use crate::error::Result;
use crate::model::Task;
use crate::model::layer::{
    BatchNorm2d, Convolution, Dropout, Flatten, GlobalAverage, Linear, MaxPool2d, Relu, Sequential,
};

/// The architecture.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "cnn",
    summary: "convolutional network: 3×3 convolutions and pooling in stages, two linear layers",
    options: &[
        NumberOption::whole(
            "width",
            32,
            (1, 1024),
            "channels of the first stage; the number doubles with each stage",
        ),
        NumberOption::whole("hidden", 128, (1, 65_536), "units of the hidden linear layer"),
        NumberOption::dropout(0.25),
    ],
    build,
};

/// Maximum factor between the channels of a stage and those of the first one.
const MOST_WIDENING: i64 = 8;

/// Global average pooling follows the last stage if a side is larger than this, which keeps the linear layer small.
const MOST_SIDE: i64 = 8;

fn build(path: &nn::Path, task: &Task, options: &Options) -> Result<Sequential> {
    let [mut channels, mut height, mut width] = image(task, "cnn")?;
    let mut layers = Sequential::default();
    for stage in 0..stages(height.min(width)) {
        let outputs = options.whole("width") * (1 << stage).min(MOST_WIDENING);
        let name = format!("stage{}", stage + 1);
        layers = layers.then(&name, self::stage(&(path / &name), channels, outputs, height, width));
        channels = outputs;
        (height, width) = (halved(height), halved(width));
    }
    if height.max(width) > MOST_SIDE {
        layers = layers.then("pool", GlobalAverage);
        (height, width) = (1, 1);
    }
    let hidden = options.whole("hidden");
    Ok(layers
        .then("flatten", Flatten)
        .then("fc1", Linear::new(&(path / "fc1"), channels * height * width, hidden))
        .then("relu", Relu)
        .then("dropout", Dropout(options.number("dropout")))
        .then("fc2", Linear::new(&(path / "fc2"), hidden, task.classes)))
}

/// The number of stages: until the shorter side has two pixels, from 1 to 5.
fn stages(side: i64) -> u32 {
    (side as u64).max(1).ilog2().saturating_sub(1).clamp(1, 5)
}

fn halved(side: i64) -> i64 {
    if side > 1 { side / 2 } else { 1 }
}

fn stage(path: &nn::Path, inputs: i64, outputs: i64, height: i64, width: i64) -> Sequential {
    Sequential::default()
        .then("conv1", Convolution::new(inputs, outputs, 3).make_he(&(path / "conv1")))
        .then("bn1", BatchNorm2d::new(&(path / "bn1"), outputs))
        .then("relu1", Relu)
        .then("conv2", Convolution::new(outputs, outputs, 3).make_he(&(path / "conv2")))
        .then("bn2", BatchNorm2d::new(&(path / "bn2"), outputs))
        .then("relu2", Relu)
        .then("pool", MaxPool2d::halving(height, width))
}
