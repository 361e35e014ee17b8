//! The residual network of 101 layers (He et al., 2016).

use super::Architecture;
use super::residual::{Block, Form, OPTIONS};

/// The architecture.
pub const ARCHITECTURE: Architecture = Architecture {
    name: FORM.name,
    summary: "residual network of 101 layers, with torchvision's names",
    options: OPTIONS,
    build: |path, task, options| FORM.network(path, task, options),
};

const FORM: Form = Form { name: "resnet101", block: Block::Bottleneck, depths: [3, 4, 23, 3], is_d: false };
