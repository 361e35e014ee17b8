//! Normalized discounted cumulative gain of recommendations.

use super::Metric;
use super::ranking::RankingSums;

/// The `NDCG@10` metric.
pub const METRIC: Metric =
    Metric::loss("NDCG@10", |evaluation| evaluation.ranking().map(RankingSums::ndcg)).higher_is_better();
