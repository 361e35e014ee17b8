//! Mean average precision (mAP): the mean over the labels of the average precision of their probabilities.

use super::multilabel::mean_average_precision;
use super::{Metric, Scores};

/// The metric.
pub const METRIC: Metric = Metric::share("mAP", |evaluation| {
    let Scores { logits, labels } = evaluation.label_scores()?;
    mean_average_precision(&logits.sigmoid(), labels)
})
.headline();
