//! Macro-averaged F1 score.

use super::{Confusion, Metric};

/// The metric.
pub const METRIC: Metric =
    Metric::share("macro F1", |evaluation| Some(evaluation.confusion.mean(Confusion::f1))).headline();
