//! The sizes of models, for tests of all architectures.

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
    "vit_base_patch16_dinov3",
];

/// The architectures that tests run with several sizes of images.
const SMALL: &[&str] = &["mlp", "cnn", "resnet9", "resnet18", "resnet34", "resnet50", "lstm", "gru", "vit"];

/// The architectures for tables alone. Tests of all images leave them out.
pub const FOR_TABLES: &[&str] = &["tabm", "resnet-table", "ft-transformer", "dcn", "deepfm"];

/// The architectures for choices of users alone.
const FOR_RANKING: &[&str] = &["two-tower"];

/// The architectures for texts alone.
pub const FOR_TEXTS: &[&str] =
    &["bow", "textcnn", "transformer", "bert", "distilbert", "roberta", "modernbert"];

/// Whether an architecture is small enough for many runs in a test.
pub fn is_small(name: &str) -> bool {
    SMALL.contains(&name)
}

/// Whether an architecture is for tables alone.
pub fn is_for_tables(name: &str) -> bool {
    FOR_TABLES.contains(&name)
}

/// Whether an architecture takes images.
pub fn is_for_images(name: &str) -> bool {
    ![FOR_TABLES, FOR_TEXTS, FOR_RANKING].iter().any(|names| names.contains(&name))
}

/// Whether an architecture has the layers of a smaller one.
pub fn is_larger(name: &str) -> bool {
    LARGER.contains(&name)
}
