//! The nine-layer residual network for small images of David Page's "How to train your ResNet" (2018): a stem, three
//! stages, the first and the last with a residual block, global max pooling, one linear layer.

use tch::nn;

use super::{Architecture, NumberOption, Options, image};
use crate::error::Result;
use crate::model::Task;
use crate::model::layer::{
    BatchNorm2d, Convolution, Dropout, Flatten, GlobalMax, Linear, MaxPool2d, Relu, Sequential,
};

/// The architecture.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "resnet9",
    summary: "residual network of nine layers, for small images",
    options: &[
        NumberOption::whole(
            "width",
            64,
            (1, 512),
            "channels of the stem; the last stage has eight times as many",
        ),
        NumberOption::dropout(0.),
    ],
    build,
};

fn build(path: &nn::Path, task: &Task, options: &Options) -> Result<Sequential> {
    let [channels, mut height, mut width] = image(task, "resnet9")?;
    let first = options.whole("width");
    let mut layers = Sequential::default().then("stem", block(&(path / "stem"), channels, first));
    for (stage, is_residual) in [true, false, true].into_iter().enumerate() {
        let (inputs, name) = (first << stage, format!("stage{}", stage + 1));
        let at = path / &name;
        let mut parts = Sequential::default().then("conv", block(&(&at / "conv"), inputs, 2 * inputs));
        if height.max(width) > 1 {
            parts = parts.then("pool", MaxPool2d::halving(height, width));
            (height, width) = ((height / 2).max(1), (width / 2).max(1));
        }
        if is_residual {
            let body = Sequential::default()
                .then("residual1", block(&(&at / "residual1"), 2 * inputs, 2 * inputs))
                .then("residual2", block(&(&at / "residual2"), 2 * inputs, 2 * inputs));
            parts = parts.then_sum(body, Sequential::default());
        }
        layers = layers.then(name, parts);
    }
    layers = layers.then("pool", GlobalMax).then("flatten", Flatten);
    if options.number("dropout") > 0. {
        layers = layers.then("dropout", Dropout(options.number("dropout")));
    }
    Ok(layers.then("fc", Linear::new(&(path / "fc"), 8 * first, task.classes)))
}

fn block(path: &nn::Path, inputs: i64, outputs: i64) -> Sequential {
    Sequential::default()
        .then("conv", Convolution::new(inputs, outputs, 3).make_he(&(path / "conv")))
        .then("bn", BatchNorm2d::new(&(path / "bn"), outputs))
        .then("relu", Relu)
}
