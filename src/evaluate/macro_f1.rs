//! Macro-averaged F1 score.

use super::{ConfusionMatrix, Metric, Sums};

/// The metric.
pub const METRIC: Metric = Metric::share("macro F1", |evaluation| match &evaluation.sums {
    Sums::Classes(confusion) => Some(confusion.mean(ConfusionMatrix::f1)),
    Sums::Labels(counts) => Some(counts.macro_f1()),
    Sums::Values(_) | Sums::Ranking(_) => None,
})
.headline();
