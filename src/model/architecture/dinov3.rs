//! The vision transformers of DINOv3 (Siméoni et al., "DINOv3", 2025), with timm's names and shapes: patches of 16×16
//! pixels, rotary position embeddings, registers, layer scale.

use super::transformer::{Form, Positions, Scale, mean_option};
use super::{Architecture, NumberOption};

const OPTIONS: &[NumberOption] = &[mean_option(1), NumberOption::dropout(0.), NumberOption::drop_path(0.1)];

/// ViT-Small of DINOv3.
pub const SMALL: Architecture = Architecture {
    name: SMALL_FORM.name,
    summary: "ViT-Small of DINOv3, patches of 16×16 (timm)",
    options: OPTIONS,
    build: |path, task, options| SMALL_FORM.network(path, task, options),
};

/// ViT-Base of DINOv3.
pub const BASE: Architecture = Architecture {
    name: BASE_FORM.name,
    summary: "ViT-Base of DINOv3, patches of 16×16 (timm)",
    options: OPTIONS,
    build: |path, task, options| BASE_FORM.network(path, task, options),
};

const SMALL_FORM: Form = Form {
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
const BASE_FORM: Form = Form { name: "vit_base_patch16_dinov3", width: 768, heads: 12, ..SMALL_FORM };
