//! The residual network of eighteen layers (He et al., 2016).

use super::Architecture;
use super::residual::{Block, OPTIONS, network};

/// The architecture.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "resnet18",
    summary: "residual network of 18 layers, with torchvision's names",
    options: OPTIONS,
    build: |path, task, options| network(path, task, options, Block::Basic, [2, 2, 2, 2], "resnet18"),
};
