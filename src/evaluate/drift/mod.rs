//! Drift: how inputs and predictions differ from those of the training data.
//!
//! An exported model carries a [`DriftReference`]: a histogram of each input column, or of a few statistics of images, of the
//! labels, and of the predictions on the validation set. A [`DriftCounter`] counts new inputs and predictions in the same bins and
//! keeps nothing else of them. A [`DriftReport`] compares both by the population stability index ([`psi`]).

mod bins;
mod counter;
mod decision;
mod index;
mod picture;
mod reference;
mod refusal;
mod report;
#[cfg(test)]
mod tests;

pub use bins::{Bins, Variable};
pub use counter::DriftCounter;
pub use decision::Decision;
pub use index::{DRIFTED, MODERATE, by_chance, psi};
pub use picture::image_statistics;
pub use reference::{DriftReference, MAX_VARIABLES, ReferenceOutputs};
pub use report::{BinShare, DriftPolicy, DriftReport, LEAST_ROWS, VariableDrift, VariableKind};
