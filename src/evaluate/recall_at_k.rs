//! Recall of recommendations.

use super::Metric;
use super::ranking::RankingSums;

/// The `recall@10` metric.
pub const METRIC: Metric =
    Metric::loss("recall@10", |evaluation| evaluation.ranking().map(RankingSums::recall)).higher_is_better();
