//! Mean absolute error, in the unit of the target.

use super::Metric;

/// The metric.
pub const METRIC: Metric =
    Metric::loss("mean absolute error", |evaluation| Some(evaluation.errors()?.mae())).headline();
