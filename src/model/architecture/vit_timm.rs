//! Vision transformers of three sizes (Dosovitskiy et al., "An Image is Worth 16×16 Words", 2021; Touvron et al., "Training
//! data-efficient image transformers", 2021), with timm's names and shapes.

use super::transformer::{Form, Positions, Scale, mean_option};
use super::{Architecture, NumberOption};

const OPTIONS: &[NumberOption] = &[mean_option(0), NumberOption::dropout(0.), NumberOption::drop_path(0.1)];

/// ViT-Tiny with patches of 16×16 pixels.
pub const TINY: Architecture = Architecture {
    name: TINY_FORM.name,
    summary: "ViT-Tiny: vision transformer, patches of 16×16 (timm)",
    options: OPTIONS,
    build: |path, task, options| TINY_FORM.network(path, task, options),
};

/// ViT-Small with patches of 16×16 pixels.
pub const SMALL: Architecture = Architecture {
    name: SMALL_FORM.name,
    summary: "ViT-Small: vision transformer, patches of 16×16 (timm)",
    options: OPTIONS,
    build: |path, task, options| SMALL_FORM.network(path, task, options),
};

/// ViT-Base with patches of 16×16 pixels.
pub const BASE: Architecture = Architecture {
    name: BASE_FORM.name,
    summary: "ViT-Base: vision transformer, patches of 16×16 (timm)",
    options: OPTIONS,
    build: |path, task, options| BASE_FORM.network(path, task, options),
};

const TINY_FORM: Form = Form {
    name: "vit_tiny_patch16_224",
    patch: 16,
    width: 192,
    depth: 12,
    heads: 3,
    registers: 0,
    positions: Positions::All,
    scale: Scale::None,
    has_bias: true,
    eps: 1e-6,
    normalizes_tokens: false,
};
const SMALL_FORM: Form = Form { name: "vit_small_patch16_224", width: 384, heads: 6, ..TINY_FORM };
const BASE_FORM: Form = Form { name: "vit_base_patch16_224", width: 768, heads: 12, ..TINY_FORM };
