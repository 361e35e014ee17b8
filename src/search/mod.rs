//! Hyperparameter search: trains runs with sampled options and keeps the best.
//!
//! ```text
//! runs/tune-space-1/
//!   space.toml     copy of the search space file
//!   trial-1/ …     one run per trial
//!   trials.csv     one row per trial: options and metrics
//!   best.toml      options of the best trial
//! ```
//! The state is in the folder, so a search can be killed and resumed at any time: the options of a trial depend only on the
//! seed and its number, and its run resumes bit-identically.

mod brackets;
mod distribution;
mod number_options;
mod settings;
mod space;
mod study;
#[cfg(test)]
mod tests;
mod trials;

pub use brackets::{Bracket, Rung};
pub use distribution::Distribution;
pub use settings::{Goal, SearchMethod, Settings};
pub use space::{SampledOption, Space};
pub use study::{Search, SearchCallback, SearchOutcome, SearchStep};
pub use trials::{Trial, TrialState};

/// Copy of the search space in the search folder.
pub(crate) const SPACE_FILE: &str = "space.toml";

/// Table of trials in the search folder.
pub(crate) const TRIALS_FILE: &str = "trials.csv";
