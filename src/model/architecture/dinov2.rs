//! The vision transformers of DINOv2 (Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", 2023), with
//! timm's names and shapes: patches of 14×14 pixels, layer scale, and optionally registers (Darcet et al., "Vision Transformers
//! Need Registers", 2024).

use super::transformer::{Form, Positions, Scale, mean_option};
use super::{Architecture, NumberOption};

const OPTIONS: &[NumberOption] = &[mean_option(0), NumberOption::dropout(0.), NumberOption::drop_path(0.1)];

/// ViT-Small of DINOv2.
pub const SMALL: Architecture = Architecture {
    name: SMALL_FORM.name,
    summary: "ViT-Small of DINOv2, patches of 14×14 (timm)",
    options: OPTIONS,
    build: |path, task, options| SMALL_FORM.network(path, task, options),
};

/// ViT-Base of DINOv2.
pub const BASE: Architecture = Architecture {
    name: BASE_FORM.name,
    summary: "ViT-Base of DINOv2, patches of 14×14 (timm)",
    options: OPTIONS,
    build: |path, task, options| BASE_FORM.network(path, task, options),
};

/// ViT-Small of DINOv2 with four registers.
pub const SMALL_REGISTERS: Architecture = Architecture {
    name: SMALL_REGISTERS_FORM.name,
    summary: "ViT-Small of DINOv2 with four registers, patches of 14×14 (timm)",
    options: OPTIONS,
    build: |path, task, options| SMALL_REGISTERS_FORM.network(path, task, options),
};

const SMALL_FORM: Form = Form {
    name: "vit_small_patch14_dinov2",
    patch: 14,
    width: 384,
    depth: 12,
    heads: 6,
    registers: 0,
    positions: Positions::All,
    scale: Scale::Modules,
    has_bias: true,
    eps: 1e-6,
    normalizes_tokens: false,
};
const BASE_FORM: Form = Form { name: "vit_base_patch14_dinov2", width: 768, heads: 12, ..SMALL_FORM };
const SMALL_REGISTERS_FORM: Form =
    Form { name: "vit_small_patch14_reg4_dinov2", registers: 4, positions: Positions::Patches, ..SMALL_FORM };
