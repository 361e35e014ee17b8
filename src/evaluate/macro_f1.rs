//! The mean of the classes' F1 scores.

use super::{Confusion, Metric};

/// The metric.
pub const METRIC: Metric =
    Metric::share("macro F1", |found| Some(found.confusion.mean(Confusion::f1))).headline();
