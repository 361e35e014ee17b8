//! Micro-averaged F1 score. With one label per example, it equals the accuracy.

use super::{Metric, Uncertainty};

/// The metric.
pub const METRIC: Metric =
    Metric::share("micro F1", |evaluation| Some(evaluation.confusion.micro_f1())).with(Uncertainty::Share);
