//! Choices of items by users.

use crate::data::TaskKind;
use crate::recipe::{Choice, Facts, Kind};

/// The kind.
pub const KIND: Kind = Kind { name: "choices", is: |facts| facts.task == TaskKind::Ranking, choose };

/// The largest batch. Larger ones rank no better on MovieLens-100K.
const BATCH: u32 = 512;

fn choose(facts: &Facts) -> Vec<Choice> {
    let batch_size = facts.batch_size(BATCH);
    vec![
        Choice::new("vectors of users and items, and exact recommendations by one product")
            .set("model", "two-tower"),
        Choice::new("the other items of a block are the negative examples; stops early without improvement")
            .set("batch_size", batch_size)
            .set("epochs", 60)
            .set("patience", 10)
            .set("lr", "0.01"),
    ]
}
