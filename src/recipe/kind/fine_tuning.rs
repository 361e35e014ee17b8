//! Training that starts from weights other than random ones.

use crate::recipe::{Choice, Facts, Start};

/// The choices where the user sets `--pretrained`, `--init` or a TorchScript file, or a program trains a custom model.
pub fn choose(facts: &Facts) -> Vec<Choice> {
    let (epochs, batch_size) = (epochs(facts.examples), facts.batch_size(32));
    let mut length = Choice::new(format!("{} steps per epoch", facts.steps(batch_size)))
        .set("epochs", epochs)
        .set("batch_size", batch_size);
    let rate = Choice::new("a low learning rate keeps what the weights have learned")
        .set("optimizer", "adamw")
        .set("weight_decay", 0.05)
        .set("schedule", "one-cycle");
    let rate = match facts.start {
        Start::Pretrained => {
            length = length.set("head_epochs", (epochs / 4).max(1));
            length.reason += "; the first epochs train only the new last layer";
            rate.set("lr", "1e-3").set("layer_decay", 0.8).set("loss_options", "smoothing=0.1")
        }
        Start::Weights => rate.set("lr", "2e-4"),
        Start::Custom | Start::Scratch => rate.set("lr", "5e-4"),
    };
    let mut choices = vec![length, rate];
    if facts.can_augment && facts.longest_side() > Some(super::small_images::LONGEST_SIDE) {
        choices.push(light_augmentation());
    }
    choices
}

/// The augmentation of photographs.
pub fn light_augmentation() -> Choice {
    Choice::new("light augmentation, which keeps the class of a photograph")
        .set("augment", "random-resized-crop=0.5,flip")
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
