//! Micro-averaged F1 score. With one class per example, it equals the accuracy.

use super::{Metric, Sums, Uncertainty};

/// The metric.
pub const METRIC: Metric = Metric::share("micro F1", |evaluation| match &evaluation.sums {
    Sums::Classes(confusion) => Some(confusion.micro_f1()),
    Sums::Labels(counts) => Some(counts.micro_f1()),
    Sums::Values(_) | Sums::Ranking(_) => None,
})
.with(Uncertainty::ShareOfClasses);
