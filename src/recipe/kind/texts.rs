//! Texts.

use super::{encoders, fine_tuning};
use crate::recipe::{Choice, Facts, Kind, Start};

/// The kind.
pub const KIND: Kind = Kind { name: "texts", is: |facts| facts.is_text, choose };

/// The model for most texts.
const MODEL: &str = "bow";

/// The longest text of a transformer on a CPU, in tokens: its time grows with the square.
const LONGEST_ON_CPU: i64 = 256;

/// The most classes for which the vectors have as many values as there are classes: the scores of a linear classifier have no more
/// directions, and longer vectors only make files larger and steps slower. It is the default of the model.
const MOST_DIRECTIONS: usize = 16;

/// The share of rare words from which character n-grams are tokens, too.
const MANY_RARE_WORDS: f64 = 0.5;

/// The length of the longest character n-grams.
const CHAR_NGRAMS: u32 = 4;

fn choose(facts: &Facts) -> Vec<Choice> {
    match facts.start {
        Start::Scratch => {}
        Start::Pretrained => return encoders::choose(facts),
        Start::Weights | Start::Custom => return fine_tuning::choose(facts),
    }
    let model = facts.model.as_deref().unwrap_or(MODEL);
    let batch_size = facts.batch_size(32);
    let length = |epochs: u32, patience: u32| {
        let steps = facts.steps(batch_size);
        Choice::new(format!("{steps} steps per epoch; stops early without improvement"))
            .set("epochs", epochs)
            .set("batch_size", batch_size)
            .set("patience", patience)
    };
    if model == MODEL {
        let reason = "a linear model of words and pairs of words trains in seconds";
        let rate = Choice::new("the vectors of rare words need large steps")
            .set("optimizer", "adam")
            .set("lr", "0.01");
        // The loss of a linear model whose rows have steps of their own is lowest after one or two epochs, and then only grows.
        let mut model = Choice::new(reason).set("model", MODEL);
        if let 2..=MOST_DIRECTIONS = facts.counts.len() {
            model = model.set("model_options", format!("width={}", facts.counts.len().next_power_of_two()));
        }
        let mut choices = vec![model, length(epochs(facts.examples), 1), rate];
        if facts.rare_words >= MANY_RARE_WORDS {
            let reason =
                format!("{:.0} % of the words of a text are in no other one", 100. * facts.rare_words);
            choices.push(Choice::new(reason).set("char_ngrams", CHAR_NGRAMS));
        }
        return choices;
    }
    let mut choices = vec![
        length(epochs(facts.examples), 4),
        Choice::new("regularization, and a schedule that needs few epochs")
            .set("optimizer", "adamw")
            .set("lr", "0.002")
            .set("weight_decay", 0.01)
            .set("clip", 1)
            .set("schedule", "one-cycle"),
    ];
    if model == "transformer" && !facts.is_on_gpu && facts.shape.features() > LONGEST_ON_CPU {
        let reason = "the time of attention grows with the square of the length";
        choices.push(Choice::new(reason).set("max_length", LONGEST_ON_CPU));
    }
    choices
}

/// Fewer epochs the more texts there are, since steps count.
fn epochs(examples: usize) -> u32 {
    match examples {
        0..=1_000 => 20,
        1_001..=20_000 => 10,
        20_001..=200_000 => 5,
        _ => 3,
    }
}
