//! Area under the ROC curve of each user.

use super::Metric;
use super::ranking::RankingSums;

/// The `GAUC` metric.
pub const METRIC: Metric =
    Metric::loss("GAUC", |evaluation| evaluation.ranking().and_then(RankingSums::grouped_area))
        .higher_is_better();
