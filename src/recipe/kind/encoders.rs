//! Pretrained encoders of texts.

use crate::recipe::{Choice, Facts, Head};

/// The choices where the user gives pretrained weights for texts.
pub fn choose(facts: &Facts) -> Vec<Choice> {
    match facts.head {
        Head::Only => Vec::new(),
        Head::Open => {
            let reason = "the encoder stays as it is: its vectors of the texts are computed once and cached, and a linear classifier is \
                          fitted to them; with --finetune, all layers are trained then";
            vec![Choice::new(reason).set("head_only", true)]
        }
        Head::First => {
            let reason = "fine-tuning from a fitted last layer keeps the pretrained features";
            [vec![Choice::new(reason).set("head_only", true)], fine_tuning(facts)].concat()
        }
        Head::Excluded => fine_tuning(facts),
    }
}

/// Training of all layers, with the usual values for BERT (Devlin et al., 2018; Mosbach et al., "On the Stability of Fine-tuning
/// BERT", 2021).
fn fine_tuning(facts: &Facts) -> Vec<Choice> {
    let batch_size = facts.batch_size(16);
    let epochs = epochs(facts.examples);
    let length = Choice::new(format!("{} steps per epoch", facts.steps(batch_size)))
        .set("epochs", epochs)
        .set("batch_size", batch_size);
    let (lr, reason) = match facts.has_adapters {
        true => ("5e-4", "adapters start at zero and need larger steps than weights"),
        false => ("3e-5", "a low learning rate after a warmup keeps what the weights have learned"),
    };
    let rate = Choice::new(reason)
        .set("optimizer", "adamw")
        .set("lr", lr)
        .set("weight_decay", 0.01)
        .set("clip", 1)
        .set("schedule", "cosine")
        .set("warmup_epochs", 0.1 * f64::from(epochs));
    let mut choices = vec![length, rate];
    if facts.has_fast_bf16 {
        choices.push(Choice::new("the device computes fast in bfloat16").set("precision", "bf16"));
    }
    choices
}

/// Fewer epochs the more texts there are, since steps count.
fn epochs(examples: usize) -> u32 {
    match examples {
        0..=1_000 => 10,
        1_001..=5_000 => 5,
        _ => 3,
    }
}
