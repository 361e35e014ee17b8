//! The mean cross-entropy of the probabilities, in nats.

use super::Metric;

/// The metric.
pub const METRIC: Metric = Metric::loss("log-loss", |found| Some(found.loss));
