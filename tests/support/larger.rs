//! The larger sizes of a family of models.

/// Architectures that have the layers of a smaller one, only more or wider ones. Tests of all architectures leave them out,
/// because they take long. `tests/export/python/backbones.rs` compares their logits with those of timm and torchvision.
const LARGER: &[&str] = &[
    "resnet101",
    "resnet34d",
    "resnet50d",
    "resnet101d",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "mobilenetv3_large_100",
    "regnety_004",
    "regnety_008",
    "convnext_femto",
    "convnext_nano",
    "convnext_small",
    "convnext_base",
    "vit_small_patch16_224",
    "vit_base_patch16_224",
    "vit_base_patch14_dinov2",
];

/// Whether an architecture has the layers of a smaller one.
pub fn is_larger(name: &str) -> bool {
    LARGER.contains(&name)
}
