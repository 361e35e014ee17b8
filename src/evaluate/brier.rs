//! Brier score: the mean squared distance between the probabilities and the one-hot labels (Brier, 1950), from 0 to 2.

use tch::Kind;

use super::Metric;

/// The metric.
pub const METRIC: Metric = Metric::loss("Brier score", |evaluation| {
    let scores = evaluation.class_scores()?;
    let probabilities = scores.probabilities(1.);
    let one_hot = probabilities.zeros_like().scatter_value(1, &scores.labels.unsqueeze(1), 1.);
    let distances = (probabilities - one_hot).square().sum_dim_intlist(1, false, Kind::Double);
    Some(distances.mean(Kind::Double).double_value(&[]))
});
