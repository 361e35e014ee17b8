//! The small vision transformer of DINOv3 (Siméoni et al., "DINOv3", 2025), with timm's names and shapes: patches of 16×16
//! pixels, rotary position embeddings, registers, layer scale.

use super::transformer::{Form, Positions, Scale, mean_option};
use super::{Architecture, NumberOption};

/// ViT-Small of DINOv3.
pub const SMALL: Architecture = Architecture {
    name: FORM.name,
    summary: "ViT-Small of DINOv3, patches of 16×16 (timm)",
    options: &[mean_option(1), NumberOption::dropout(0.), NumberOption::drop_path(0.1)],
    build: |path, task, options| FORM.network(path, task, options),
};

const FORM: Form = Form {
    name: "vit_small_patch16_dinov3",
    patch: 16,
    width: 384,
    depth: 12,
    heads: 6,
    registers: 4,
    positions: Positions::Rotary,
    scale: Scale::Parameters,
    has_bias: false,
    eps: 1e-5,
    normalizes_tokens: true,
};
