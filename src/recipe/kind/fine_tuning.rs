//! Training that starts from weights other than random ones.

use super::small_images;
use crate::recipe::{Choice, Facts, Head, Start};

/// The choices where the user sets `--pretrained`, `--init` or a TorchScript file, or a program trains a custom model.
pub fn choose(facts: &Facts) -> Vec<Choice> {
    let may_fit_head = facts.start == Start::Pretrained && facts.head == Head::Open;
    let affordable = affordable_epochs(facts);
    if facts.head == Head::Only {
        return Vec::new();
    }
    if may_fit_head && affordable < LEAST_EPOCHS {
        let reason = "the features are computed once, and fine-tuning would take more than 40 minutes";
        return vec![Choice::new(reason).set("head_only", true)];
    }
    let epochs = epochs(facts.examples).min(affordable.max(LEAST_EPOCHS));
    let batch_size = facts.batch_size(32);
    let mut length = Choice::new(format!("{} steps per epoch", facts.steps(batch_size)))
        .set("epochs", epochs)
        .set("batch_size", batch_size);
    let rate = Choice::new("a low learning rate keeps what the weights have learned")
        .set("optimizer", "adamw")
        .set("weight_decay", 0.05)
        .set("schedule", "one-cycle");
    let rate = match facts.start {
        Start::Pretrained => {
            if facts.head == Head::Excluded {
                length = length.set("head_epochs", (epochs / 4).max(1));
                length.reason += "; the first epochs train only the new last layer";
            }
            rate.set("lr", "1e-3").set("layer_decay", 0.8).set("loss_options", "smoothing=0.1")
        }
        Start::Weights => rate.set("lr", "2e-4"),
        Start::Custom | Start::Scratch => rate.set("lr", "5e-4"),
    };
    let mut choices = vec![length, rate];
    if may_fit_head {
        let reason = "fine-tuning from a fitted last layer keeps the pretrained features";
        choices.insert(0, Choice::new(reason).set("head_only", true).set("finetune", true));
    }
    if facts.can_augment && facts.longest_side() > Some(small_images::LONGEST_SIDE) {
        choices.push(light_augmentation());
    }
    choices
}

/// The augmentation of photographs.
pub fn light_augmentation() -> Choice {
    Choice::new("light augmentation, which keeps the class of a photograph")
        .set("augment", "random-resized-crop=0.5,flip")
}

/// The fewest epochs of fine-tuning.
const LEAST_EPOCHS: u32 = 2;

/// Seconds that a step takes per image and pixel, on two cores: that of EfficientNet-Lite0.
const COST: f64 = 1e-6;

/// The number of epochs within the time budget; unlimited on a GPU.
fn affordable_epochs(facts: &Facts) -> u32 {
    let pixels = facts.shape.image().map_or(1, |(_, height, width)| height * width);
    small_images::epochs_in_budget(facts, COST, pixels)
}

/// Fewer epochs the more examples there are, since steps count.
fn epochs(examples: usize) -> u32 {
    match examples {
        0..=500 => 20,
        501..=2_000 => 12,
        2_001..=10_000 => 8,
        _ => 5,
    }
}
