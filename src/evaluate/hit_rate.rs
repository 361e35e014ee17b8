//! Hit rate of recommendations.

use super::Metric;
use super::ranking::RankingSums;

/// The `hit rate@10` metric.
pub const METRIC: Metric =
    Metric::loss("hit rate@10", |evaluation| evaluation.ranking().map(RankingSums::hit_rate))
        .higher_is_better();
