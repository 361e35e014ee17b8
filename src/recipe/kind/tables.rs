//! Rows of a table.

use super::fine_tuning;
use crate::recipe::{Choice, Facts, Kind, Start};

/// The kind.
pub const KIND: Kind = Kind { name: "table", is: |facts| facts.longest_side().is_none(), choose };

/// The training by the number of training rows.
struct Size {
    /// The largest number of rows.
    up_to: usize,
    epochs: u32,
    batch_size: u32,
    /// Units of each of the two hidden layers.
    width: u32,
    /// Members of the ensemble.
    members: u32,
    dropout: f64,
    patience: u32,
}

/// The first row that has enough examples is used. An epoch has at least about 15 steps.
#[rustfmt::skip]
const SIZES: &[Size] = &[
    Size { up_to: 240, epochs: 40, batch_size: 8, width: 128, members: 16, dropout: 0.1, patience: 30 },
    Size { up_to: 640, epochs: 40, batch_size: 16, width: 128, members: 16, dropout: 0.1, patience: 30 },
    Size { up_to: 1_280, epochs: 60, batch_size: 32, width: 128, members: 16, dropout: 0.1, patience: 30 },
    Size { up_to: 2_560, epochs: 60, batch_size: 64, width: 128, members: 16, dropout: 0.1, patience: 30 },
    Size { up_to: 5_120, epochs: 60, batch_size: 64, width: 128, members: 16, dropout: 0.1, patience: 30 },
    Size { up_to: 20_000, epochs: 40, batch_size: 128, width: 128, members: 8, dropout: 0.1, patience: 30 },
    Size { up_to: 100_000, epochs: 25, batch_size: 512, width: 256, members: 8, dropout: 0.1, patience: 20 },
    Size { up_to: 1_000_000, epochs: 12, batch_size: 1_024, width: 256, members: 8, dropout: 0., patience: 10 },
    Size { up_to: usize::MAX, epochs: 6, batch_size: 4_096, width: 256, members: 8, dropout: 0., patience: 5 },
];

/// The most training rows of a bag, beside a validation set of the default size. On the 16 tables with at most that many among those of
/// `docs/tables.md`, a bag has a higher accuracy (1.0 ± 0.9 points) and trains for a few seconds. On the tables with more than 240
/// that the recipe was tuned on, its test loss was that of a single model on average, so larger ones are not worth the time.
const MOST_ROWS_OF_BAG: usize = 400;

/// The members of a bag.
const BAG: u32 = 5;

/// The model for most tables.
const MODEL: &str = "tabm";

fn choose(facts: &Facts) -> Vec<Choice> {
    if facts.start != Start::Scratch {
        return fine_tuning::choose(facts);
    }
    let model = facts.model.as_deref().unwrap_or(MODEL);
    let is_known = [MODEL, "mlp"].contains(&model);
    let is_bag = is_known && facts.can_bag && facts.examples <= MOST_ROWS_OF_BAG;
    let facts = &if is_bag { facts.in_bag() } else { facts.clone() };
    let Size { epochs, batch_size, width, members, dropout, patience, .. } =
        SIZES.iter().find(|size| facts.examples <= size.up_to).expect("the last row takes all");
    let steps = facts.steps(*batch_size);
    let mut choices = vec![
        Choice::new("neither outliers nor skewed columns disturb training").set("normalization", "quantiles"),
        Choice::new(format!("{steps} steps per epoch; stops early without improvement"))
            .set("epochs", epochs)
            .set("batch_size", batch_size)
            .set("patience", patience),
        Choice::new("regularization, and a schedule that needs few epochs")
            .set("optimizer", "adamw")
            .set("lr", "0.003")
            .set("weight_decay", 0.01)
            .set("loss_options", "smoothing=0.05")
            .set("schedule", "one-cycle"),
    ];
    let (options, reason) = match model {
        MODEL => {
            let options = format!("members={members},width={width},dropout={dropout}");
            (options, "an ensemble with shared weights is accurate on most tables")
        }
        "mlp" => (format!("width={width},depth=2,dropout={dropout}"), "two hidden layers suit most tables"),
        _ => return choices,
    };
    choices.insert(0, Choice::new(reason).set("model", model).set("model_options", options));
    if is_bag {
        let reason = format!(
            "few rows: {BAG} models, each without another fifth of them, train on all rows and validate all; --bag 0 trains a single model"
        );
        choices.insert(1, Choice::new(reason).set("bag", BAG));
    }
    choices
}
