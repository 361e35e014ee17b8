//! The mean of the classes' F1 scores.

use super::{Confusion, Metric};

/// The metric.
pub const METRIC: Metric = Metric { name: "macro F1", of: |confusion| confusion.mean(Confusion::f1) };
