//! Root mean squared error, in the unit of the target.

use super::Metric;

/// The metric.
pub const METRIC: Metric =
    Metric::loss("root mean squared error", |evaluation| Some(evaluation.errors()?.rmse())).headline();
