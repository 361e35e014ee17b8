//! Micro-averaged F1 score. With one class per example, it equals the accuracy.

use super::{Metric, Sums, Uncertainty};

/// The metric of a classifier.
pub const OF_CLASSES: Metric =
    Metric::share("micro F1", |evaluation| Some(evaluation.confusion()?.micro_f1())).with(Uncertainty::Share);

/// The metric of labels. It is no fraction of the examples.
pub const OF_LABELS: Metric = Metric::share("micro F1", |evaluation| match &evaluation.sums {
    Sums::Labels(counts) => Some(counts.micro_f1()),
    _ => None,
})
.headline();
