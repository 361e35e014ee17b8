//! EfficientNet (Tan and Le, 2019), EfficientNet-Lite and EfficientNetV2 (Tan and Le, 2021), with timm's names and shapes.
//!
//! The names with the prefix `tf_` are those of timm for networks whose weights were trained in TensorFlow: padding is `SAME`,
//! and 0.001 is added to the variance in batch normalization.

use tch::nn;

use super::inverted::{Blocks, Builder, Settings, Squeeze, rounded};
use super::{Architecture, NumberOption, Options, image};
use crate::error::Result;
use crate::model::Task;
use crate::model::layer::{Activation, Dropout, Flatten, GlobalAverage, Linear, Sequential};

const OPTIONS: &[NumberOption] = &[NumberOption::dropout(0.2), NumberOption::drop_path(0.2)];

/// EfficientNet-B0.
pub const B0: Architecture = Architecture {
    name: "efficientnet_b0",
    summary: "EfficientNet-B0, for images of about 224×224 (timm)",
    options: OPTIONS,
    build: |path, task, options| network(path, task, options, &scaled("efficientnet_b0", 1., 1.)),
};

/// EfficientNet-B1.
pub const B1: Architecture = Architecture {
    name: "efficientnet_b1",
    summary: "EfficientNet-B1, for images of about 240×240 (timm)",
    options: OPTIONS,
    build: |path, task, options| network(path, task, options, &scaled("efficientnet_b1", 1., 1.1)),
};

/// EfficientNet-B2.
pub const B2: Architecture = Architecture {
    name: "efficientnet_b2",
    summary: "EfficientNet-B2, for images of about 260×260 (timm)",
    options: OPTIONS,
    build: |path, task, options| network(path, task, options, &scaled("efficientnet_b2", 1.1, 1.2)),
};

/// EfficientNet-B3.
pub const B3: Architecture = Architecture {
    name: "efficientnet_b3",
    summary: "EfficientNet-B3, for images of about 300×300 (timm)",
    options: OPTIONS,
    build: |path, task, options| network(path, task, options, &scaled("efficientnet_b3", 1.2, 1.4)),
};

/// EfficientNet-Lite0: without squeeze-and-excitation, with ReLU6.
pub const LITE0: Architecture = Architecture {
    name: "efficientnet_lite0",
    summary: "EfficientNet-Lite0, for phones and small processors (timm)",
    options: OPTIONS,
    build: |path, task, options| network(path, task, options, &lite("efficientnet_lite0", false)),
};

/// EfficientNet-Lite0 with the padding of TensorFlow.
pub const TF_LITE0: Architecture = Architecture {
    name: "tf_efficientnet_lite0",
    summary: "EfficientNet-Lite0 with TensorFlow's padding (timm)",
    options: OPTIONS,
    build: |path, task, options| network(path, task, options, &lite("tf_efficientnet_lite0", true)),
};

/// EfficientNetV2-S with the padding of TensorFlow.
pub const TF_V2_S: Architecture = Architecture {
    name: "tf_efficientnetv2_s",
    summary: "EfficientNetV2-S with TensorFlow's padding, for images of about 300×300 (timm)",
    options: OPTIONS,
    build: |path, task, options| network(path, task, options, &v2_small()),
};

/// The sizes of a network.
struct Form {
    name: &'static str,
    stem: i64,
    stages: Vec<Vec<Blocks>>,
    head: i64,
    settings: Settings,
}

/// Added to the variance in batch normalization, in PyTorch and in TensorFlow's EfficientNets.
const EPS: f64 = 1e-5;
const TF_EPS: f64 = 1e-3;

/// The stages of EfficientNet-B0.
const STAGES: [Blocks; 7] = [
    Blocks::separable(3, 1, 16),
    Blocks::inverted(2, 3, 2, 6., 24),
    Blocks::inverted(2, 5, 2, 6., 40),
    Blocks::inverted(3, 3, 2, 6., 80),
    Blocks::inverted(3, 5, 1, 6., 112),
    Blocks::inverted(4, 5, 2, 6., 192),
    Blocks::inverted(1, 3, 1, 6., 320),
];

/// EfficientNet-B0, with more channels and blocks by these factors.
fn scaled(name: &'static str, width: f64, depth: f64) -> Form {
    let scaled = |blocks: &Blocks| vec![blocks.scaled(width, depth).squeeze()];
    Form {
        name,
        stem: rounded(32. * width),
        stages: STAGES.iter().map(scaled).collect(),
        head: rounded(1280. * width),
        settings: Settings {
            activation: Some(Activation::Silu),
            squeeze: Squeeze::OfInput,
            eps: EPS,
            is_same: false,
        },
    }
}

fn lite(name: &'static str, is_same: bool) -> Form {
    let settings = Settings {
        activation: Some(Activation::Relu6),
        squeeze: Squeeze::OfInput,
        eps: if is_same { TF_EPS } else { EPS },
        is_same,
    };
    Form { name, stem: 32, stages: STAGES.map(|blocks| vec![blocks]).into(), head: 1280, settings }
}

fn v2_small() -> Form {
    let stages = [
        Blocks::residual(2, 3, 24),
        Blocks::fused(4, 3, 2, 4., 48),
        Blocks::fused(4, 3, 2, 4., 64),
        Blocks::inverted(6, 3, 2, 4., 128).squeeze(),
        Blocks::inverted(9, 3, 1, 6., 160).squeeze(),
        Blocks::inverted(15, 3, 2, 6., 256).squeeze(),
    ];
    Form {
        name: "tf_efficientnetv2_s",
        stem: 24,
        stages: stages.map(|blocks| vec![blocks]).into(),
        head: 1280,
        settings: Settings {
            activation: Some(Activation::Silu),
            squeeze: Squeeze::OfInput,
            eps: TF_EPS,
            is_same: true,
        },
    }
}

fn network(path: &nn::Path, task: &Task, options: &Options, form: &Form) -> Result<Sequential> {
    let image = image(task, form.name)?;
    let mut builder = Builder::new(path, image, form.settings, options.number("drop_path"));
    let stages: Vec<&[Blocks]> = form.stages.iter().map(Vec::as_slice).collect();
    let layers = builder.stem(form.stem).then_all(builder.stages(&stages)).then_all(builder.head(form.head));
    Ok(layers
        .then("global_pool", GlobalAverage)
        .then("flatten", Flatten)
        .then("dropout", Dropout(options.number("dropout")))
        .then("classifier", Linear::new(&(path / "classifier"), form.head, task.classes)))
}
