//! Exact match: the fraction of examples whose labels are all correct (subset accuracy).

use super::{Metric, Uncertainty};

/// The metric.
pub const METRIC: Metric =
    Metric::share("exact match", |evaluation| Some(evaluation.labels()?.exact_match()))
        .with(Uncertainty::Share)
        .headline();
