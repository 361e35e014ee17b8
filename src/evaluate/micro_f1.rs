//! The F1 score of all rows together. Where each row has one class, it is the accuracy.

use super::{Metric, Uncertainty};

/// The metric.
pub const METRIC: Metric =
    Metric::share("micro F1", |found| Some(found.confusion.micro_f1())).with(Uncertainty::Share);
