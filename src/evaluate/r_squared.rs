//! The coefficient of determination R².

use super::Metric;

/// The metric.
pub const METRIC: Metric =
    Metric::loss("R²", |evaluation| evaluation.errors()?.r2()).higher_is_better().headline();
