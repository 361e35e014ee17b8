//! The kinds of data, one file each.

mod encoders;
mod fine_tuning;
mod photographs;
mod ranking;
mod small_images;
mod tables;
mod texts;

use super::{Choice, Facts, Kind};
use crate::data::TaskKind;
pub use photographs::{PREFERRED_ON_CPU, PREFERRED_ON_GPU};

/// All kinds. The first one that has the data decides.
pub const KINDS: &[Kind] = &[ranking::KIND, texts::KIND, tables::KIND, small_images::KIND, photographs::KIND];

/// How many times larger than the smallest class the largest one may be, so that accuracy selects the best epoch.
const IMBALANCED: f64 = 3.;

/// The same from which on the loss also weights the classes.
const WEIGHTED: f64 = 10.;

/// The fewest validation examples by whose accuracy epochs are compared: with 30, the first epoch with 29 correct predictions would
/// win, by luck and half trained.
const FEW: usize = 300;

/// The metric that selects the best epoch, and the class weights.
pub fn monitor(facts: &Facts) -> Choice {
    if facts.task == TaskKind::Ranking {
        return Choice::new("the first recommendations matter most").set("monitor", "ndcg");
    }
    if facts.task != TaskKind::Classification {
        let reason = format!("{} is learned by its loss", facts.task.described());
        return Choice::new(reason).set("monitor", "loss");
    }
    let ratio = facts.imbalance();
    if ratio < IMBALANCED && facts.validation < FEW {
        let reason =
            format!("{} validation examples are too few to compare epochs by accuracy", facts.validation);
        return Choice::new(reason).set("monitor", "loss");
    }
    if ratio < IMBALANCED && facts.longest_side().is_none() {
        let reason = "the loss of probabilities compares epochs more finely than the accuracy";
        return Choice::new(reason).set("monitor", "loss");
    }
    if ratio < IMBALANCED {
        return Choice::new("the classes are balanced").set("monitor", "accuracy");
    }
    let reason = format!("the largest class has {ratio:.0} times the examples of the smallest");
    let choice = Choice::new(reason).set("monitor", "macro-f1");
    if ratio < WEIGHTED { choice } else { choice.set("class_weights", "balanced") }
}
