//! The mean of the classes' recalls: accuracy as it would be if all classes were equally frequent.

use super::{Confusion, Metric};

/// The metric.
pub const METRIC: Metric =
    Metric { name: "balanced accuracy", of: |confusion| confusion.mean(Confusion::recall) };
