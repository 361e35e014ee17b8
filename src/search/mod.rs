//! A search for better options: many runs with options that are drawn, of which the best one is kept.
//!
//! ```text
//! runs/tune-space-1/
//!   space.toml     what is searched, as it was given
//!   trial-1/ …     a run a trial, like any other
//!   trials.csv     a row a trial: its options and figures
//!   best.toml      the run file of the best trial
//! ```
//!
//! What is done stands in the folder, so a search can be killed and gone on with at any moment: a trial's options depend on the
//! seed and its number alone, and its run resumes to the same bits.

mod brackets;
mod distribution;
mod number_options;
mod search;
mod settings;
mod space;
#[cfg(test)]
mod tests;
mod trials;

pub use brackets::{Bracket, Rung};
pub use distribution::Distribution;
pub use search::{Finished, Search, Step, Watch};
pub use settings::{Goal, Method, Settings};
pub use space::{Parameter, Space};
pub use trials::{Trial, TrialState};

/// The copy of what is searched, in the folder of a search.
pub const SPACE_FILE: &str = "space.toml";

/// The trials, in the folder of a search.
pub const TRIALS_FILE: &str = "trials.csv";
