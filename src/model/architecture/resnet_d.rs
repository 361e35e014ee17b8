//! The residual networks with the changes of variant D (He et al., "Bag of Tricks for Image Classification with Convolutional
//! Neural Networks", 2019), with timm's names and shapes.

use super::Architecture;
use super::residual::{Block, Form};

/// ResNet-18-D.
pub const RESNET18D: Architecture = Architecture {
    name: FORM18.name,
    summary: "residual network of 18 layers with three convolutions in the stem (timm)",
    options: &[],
    build: |path, task, options| FORM18.network(path, task, options),
};

const FORM18: Form = Form { name: "resnet18d", block: Block::Basic, depths: [2, 2, 2, 2], is_d: true };

/// ResNet-34-D.
pub const RESNET34D: Architecture = Architecture {
    name: FORM34.name,
    summary: "residual network of 34 layers with three convolutions in the stem (timm)",
    options: &[],
    build: |path, task, options| FORM34.network(path, task, options),
};

const FORM34: Form = Form { name: "resnet34d", block: Block::Basic, depths: [3, 4, 6, 3], is_d: true };

/// ResNet-50-D.
pub const RESNET50D: Architecture = Architecture {
    name: FORM50.name,
    summary: "residual network of 50 layers with three convolutions in the stem (timm)",
    options: &[],
    build: |path, task, options| FORM50.network(path, task, options),
};

const FORM50: Form = Form { name: "resnet50d", block: Block::Bottleneck, depths: [3, 4, 6, 3], is_d: true };

/// ResNet-101-D.
pub const RESNET101D: Architecture = Architecture {
    name: FORM101.name,
    summary: "residual network of 101 layers with three convolutions in the stem (timm)",
    options: &[],
    build: |path, task, options| FORM101.network(path, task, options),
};

const FORM101: Form =
    Form { name: "resnet101d", block: Block::Bottleneck, depths: [3, 4, 23, 3], is_d: true };
