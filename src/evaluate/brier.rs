//! The Brier score: the squared distance of the probabilities from certainty of the right class (Brier, 1950), from 0 to 2.

use tch::Kind;

use super::Metric;

/// The metric.
pub const METRIC: Metric = Metric::loss("Brier score", |found| {
    let scores = found.scores.as_ref()?;
    let probabilities = scores.probabilities(1.);
    let certain = probabilities.zeros_like().scatter_value(1, &scores.labels.unsqueeze(1), 1.);
    let distances = (probabilities - certain).square().sum_dim_intlist(1, false, Kind::Double);
    Some(distances.mean(Kind::Double).double_value(&[]))
});
