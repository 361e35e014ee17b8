//! Hamming loss: the fraction of decisions about labels that are wrong.

use super::Metric;

/// The metric.
pub const METRIC: Metric =
    Metric::loss("Hamming loss", |evaluation| Some(evaluation.labels()?.hamming_loss()));
