//! The residual network of fifty layers (He et al., 2016).

use super::Architecture;
use super::residual::{Block, OPTIONS, network};

/// The architecture.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "resnet50",
    summary: "residual network of 50 layers, with torchvision's names",
    options: OPTIONS,
    build: |path, task, options| network(path, task, options, Block::Bottleneck, [3, 4, 6, 3], "resnet50"),
};
