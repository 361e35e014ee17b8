//! MobileNetV3 (Howard et al., "Searching for MobileNetV3", 2019), with timm's names and shapes.

use tch::nn;

use super::inverted::{Blocks, Builder, Settings, Squeeze};
use super::{Architecture, NumberOption, Options, image};
use crate::error::Result;
use crate::model::Task;
use crate::model::layer::{Activation, Convolution, Dropout, Flatten, GlobalAverage, Linear, Sequential};

const OPTIONS: &[NumberOption] = &[NumberOption::dropout(0.2), NumberOption::drop_path(0.)];

/// MobileNetV3-Small.
pub const SMALL: Architecture = Architecture {
    name: "mobilenetv3_small_100",
    summary: "MobileNetV3-Small, for phones (timm)",
    options: OPTIONS,
    build: |path, task, options| network(path, task, options, "mobilenetv3_small_100", SMALL_STAGES, 1024),
};

/// MobileNetV3-Large.
pub const LARGE: Architecture = Architecture {
    name: "mobilenetv3_large_100",
    summary: "MobileNetV3-Large, for phones (timm)",
    options: OPTIONS,
    build: |path, task, options| network(path, task, options, "mobilenetv3_large_100", LARGE_STAGES, 1280),
};

const SMALL_STAGES: &[&[Blocks]] = &[
    &[Blocks::separable(3, 2, 16).squeeze().relu()],
    &[Blocks::inverted(1, 3, 2, 4.5, 24).relu(), Blocks::inverted(1, 3, 1, 3.67, 24).relu()],
    &[Blocks::inverted(1, 5, 2, 4., 40).squeeze(), Blocks::inverted(2, 5, 1, 6., 40).squeeze()],
    &[Blocks::inverted(2, 5, 1, 3., 48).squeeze()],
    &[Blocks::inverted(3, 5, 2, 6., 96).squeeze()],
    &[Blocks::convolution(1, 1, 576)],
];

const LARGE_STAGES: &[&[Blocks]] = &[
    &[Blocks::separable(3, 1, 16).relu()],
    &[Blocks::inverted(1, 3, 2, 4., 24).relu(), Blocks::inverted(1, 3, 1, 3., 24).relu()],
    &[Blocks::inverted(3, 5, 2, 3., 40).squeeze().relu()],
    &[
        Blocks::inverted(1, 3, 2, 6., 80),
        Blocks::inverted(1, 3, 1, 2.5, 80),
        Blocks::inverted(2, 3, 1, 2.3, 80),
    ],
    &[Blocks::inverted(2, 3, 1, 6., 112).squeeze()],
    &[Blocks::inverted(3, 5, 2, 6., 160).squeeze()],
    &[Blocks::convolution(1, 1, 960)],
];

const SETTINGS: Settings = Settings {
    activation: Some(Activation::HardSwish),
    squeeze: Squeeze::OfExpansion,
    eps: 1e-5,
    is_same: false,
};

/// The network with `head` units before the classifier.
fn network(
    path: &nn::Path,
    task: &Task,
    options: &Options,
    name: &str,
    stages: &[&[Blocks]],
    head: i64,
) -> Result<Sequential> {
    let mut builder = Builder::new(path, image(task, name)?, SETTINGS, options.number("drop_path"));
    let layers = builder.stem(16).then_all(builder.stages(stages));
    let convolution = Convolution::new(builder.channels, head, 1).bias().make_he(&(path / "conv_head"));
    Ok(layers
        .then("global_pool", GlobalAverage)
        .then("conv_head", convolution)
        .then("act", Activation::HardSwish)
        .then("flatten", Flatten)
        .then("dropout", Dropout(options.number("dropout")))
        .then("classifier", Linear::new(&(path / "classifier"), head, task.classes)))
}
