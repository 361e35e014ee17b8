//! Macro-averaged F1 score.

use super::{ConfusionMatrix, Metric};

/// The metric.
pub const METRIC: Metric =
    Metric::share("macro F1", |evaluation| Some(evaluation.confusion.mean(ConfusionMatrix::f1))).headline();
