//! Rows of a table.

use super::fine_tuning;
use crate::recipe::{Choice, Facts, Kind, Start};

/// The kind.
pub const KIND: Kind = Kind { name: "table", is: |facts| facts.longest_side().is_none(), choose };

/// The training of an MLP by the number of training rows.
struct Size {
    /// The largest number of rows.
    up_to: usize,
    epochs: u32,
    batch_size: u32,
    /// Units of each of the two hidden layers.
    width: u32,
    dropout: f64,
    patience: u32,
}

/// The first row that has enough examples is used. The batch size gives an epoch at least about 20 steps.
const SIZES: &[Size] = &[
    Size { up_to: 300, epochs: 60, batch_size: 8, width: 256, dropout: 0.1, patience: 30 },
    Size { up_to: 1_000, epochs: 60, batch_size: 16, width: 256, dropout: 0.1, patience: 30 },
    Size { up_to: 5_000, epochs: 50, batch_size: 32, width: 256, dropout: 0.1, patience: 20 },
    Size { up_to: 20_000, epochs: 40, batch_size: 64, width: 256, dropout: 0.1, patience: 15 },
    Size { up_to: 100_000, epochs: 30, batch_size: 256, width: 256, dropout: 0.05, patience: 12 },
    Size { up_to: 1_000_000, epochs: 15, batch_size: 512, width: 512, dropout: 0., patience: 8 },
    Size { up_to: usize::MAX, epochs: 8, batch_size: 1_024, width: 512, dropout: 0., patience: 5 },
];

fn choose(facts: &Facts) -> Vec<Choice> {
    if facts.start != Start::Scratch {
        return fine_tuning::choose(facts);
    }
    let Size { epochs, batch_size, width, dropout, patience, .. } =
        SIZES.iter().find(|size| facts.examples <= size.up_to).expect("the last row takes all");
    let mut choices = Vec::new();
    if facts.model.as_deref().is_none_or(|model| model == "mlp") {
        let options = match *dropout > 0. {
            true => format!("width={width},depth=2,dropout={dropout}"),
            false => format!("width={width},depth=2"),
        };
        let model = Choice::new("two hidden layers suit most tables").set("model", "mlp");
        choices.push(model.set("model_options", options));
    }
    let steps = facts.steps(*batch_size);
    choices.push(
        Choice::new(format!("{steps} steps per epoch; stops early without improvement"))
            .set("epochs", epochs)
            .set("batch_size", batch_size)
            .set("patience", patience),
    );
    choices.push(
        Choice::new("regularization for few rows, and a schedule that needs few epochs")
            .set("optimizer", "adamw")
            .set("lr", "0.003")
            .set("weight_decay", 0.05)
            .set("loss_options", "smoothing=0.05")
            .set("schedule", "one-cycle"),
    );
    choices
}
