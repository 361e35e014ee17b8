//! Share of the items that are recommended.

use super::Metric;
use super::ranking::RankingSums;

/// The `coverage@10` metric.
pub const METRIC: Metric =
    Metric::loss("coverage@10", |evaluation| evaluation.ranking().map(RankingSums::coverage))
        .higher_is_better();
