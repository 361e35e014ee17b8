//! The residual network of thirty-four layers (He et al., 2016).

use super::Architecture;
use super::residual::{Block, OPTIONS, network};

/// The architecture.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "resnet34",
    summary: "residual network of 34 layers, with torchvision's names",
    options: OPTIONS,
    build: |path, task, options| network(path, task, options, Block::Basic, [3, 4, 6, 3], "resnet34"),
};
