//! Log-loss: the mean cross-entropy, in nats.

use super::Metric;

/// The metric.
pub const METRIC: Metric =
    Metric::loss("log-loss", |evaluation| evaluation.errors().is_none().then_some(evaluation.loss));
