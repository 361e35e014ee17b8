//! Accuracy: the fraction of examples classified correctly.

use super::{Metric, Uncertainty};

/// The metric.
pub const METRIC: Metric = Metric::share("accuracy", |evaluation| Some(evaluation.confusion()?.accuracy()))
    .with(Uncertainty::Share)
    .headline();
