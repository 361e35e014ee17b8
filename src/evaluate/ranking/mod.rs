//! Evaluation of recommendations: for each user, all items are ranked, except those that the user chose before.

mod evaluation;
mod sums;
#[cfg(test)]
mod tests;

pub use sums::RankingSums;

/// The number of recommendations that metrics such as NDCG@10 look at.
pub const TOP: usize = 10;
