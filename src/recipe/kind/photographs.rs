//! Photographs: images of more than 40 pixels.

use super::fine_tuning::{self, light_augmentation};
use super::small_images;
use crate::recipe::{Backbone, Choice, Facts, Kind, Start};

/// The kind.
pub const KIND: Kind = Kind { name: "photographs", is: |facts| facts.longest_side().is_some(), choose };

/// Pretrained backbones, the preferred one first: fast ones, and accurate ones for GPUs.
pub const PREFERRED_ON_CPU: &[&str] =
    &["timm/tf_efficientnet_lite0.in1k", "timm/mobilenetv3_large_100.ra_in1k", "timm/resnet18.a1_in1k"];
pub const PREFERRED_ON_GPU: &[&str] = &[
    "timm/convnext_tiny.fb_in1k",
    "timm/resnet50.a1_in1k",
    "timm/tf_efficientnet_lite0.in1k",
    "timm/resnet18.a1_in1k",
];

fn choose(facts: &Facts) -> Vec<Choice> {
    match (facts.start, facts.backbone) {
        (Start::Scratch, _) if facts.model.is_some() => small_images::from_scratch(facts),
        (Start::Scratch, Backbone::Available(name)) => pretrained(facts, name),
        (Start::Scratch, Backbone::Unavailable(why)) => small_network(facts, why),
        _ => fine_tuning::choose(facts),
    }
}

/// A pretrained backbone with a new last layer, which is fitted before the others are trained (Kumar et al., "Fine-Tuning Can Distort
/// Pretrained Features and Underperform Out-of-Distribution", 2022).
fn pretrained(facts: &Facts, name: &str) -> Vec<Choice> {
    let facts = &Facts { start: Start::Pretrained, ..facts.clone() };
    let weights = Choice::new("features learned on ImageNet need few examples").set("pretrained", name);
    [vec![weights], fine_tuning::choose(facts)].concat()
}

/// Height and width to which photographs are reduced for a network from scratch, on a CPU and on a GPU.
const REDUCED: (u32, u32) = (64, 128);

/// The number of epochs of a network from scratch, if the time budget allows them. 320 images take about two minutes on two cores.
const MAX_EPOCHS: u32 = 30;

/// A small network from scratch on reduced images.
fn small_network(facts: &Facts, why: &str) -> Vec<Choice> {
    let size = if facts.is_on_gpu { REDUCED.1 } else { REDUCED.0 };
    let batch_size = facts.batch_size(32);
    let affordable = small_images::affordable_epochs(facts, small_images::RESNET9, i64::from(size * size));
    let epochs = affordable.min(MAX_EPOCHS);
    let mut choices = vec![
        Choice::new(format!(
            "{why}: a network from scratch usually makes several times as many errors as a pretrained one (--pretrained)"
        )),
        Choice::new("small network and image size, for speed")
            .set("model", "resnet9")
            .set("model_options", "width=32")
            .set("image_size", size),
        Choice::new(format!("{} steps per epoch", facts.steps(batch_size)))
            .set("epochs", epochs)
            .set("batch_size", batch_size),
    ];
    choices.push(small_images::optimization("resnet9", "0.003"));
    if facts.can_augment {
        choices.push(light_augmentation());
    }
    choices
}
