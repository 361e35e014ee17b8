//! The residual network of eighteen layers (He et al., 2016).

use super::Architecture;
use super::residual::{Block, Form, OPTIONS};

/// The architecture.
pub const ARCHITECTURE: Architecture = Architecture {
    name: FORM.name,
    summary: "residual network of 18 layers, with torchvision's names",
    options: OPTIONS,
    build: |path, task, options| FORM.network(path, task, options),
};

const FORM: Form = Form { name: "resnet18", block: Block::Basic, depths: [2, 2, 2, 2], is_d: false };
