//! Balanced accuracy: the mean recall over the classes.

use super::{ConfusionMatrix, Metric};

/// The metric.
pub const METRIC: Metric = Metric::share("balanced accuracy", |evaluation| {
    Some(evaluation.confusion()?.mean(ConfusionMatrix::recall))
})
.headline();
