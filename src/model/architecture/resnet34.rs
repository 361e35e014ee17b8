//! The residual network of thirty-four layers (He et al., 2016).

use super::Architecture;
use super::residual::{Block, Form, OPTIONS};

/// The architecture.
pub const ARCHITECTURE: Architecture = Architecture {
    name: FORM.name,
    summary: "residual network of 34 layers, with torchvision's names",
    options: OPTIONS,
    build: |path, task, options| FORM.network(path, task, options),
};

const FORM: Form = Form { name: "resnet34", block: Block::Basic, depths: [3, 4, 6, 3], is_d: false };
