//! Share of the items that are recommended.

use super::ranking::RankingSums;
use super::{Metric, Uncertainty};

/// The `coverage@10` metric.
pub const METRIC: Metric =
    Metric::loss("coverage@10", |evaluation| evaluation.ranking().and_then(RankingSums::coverage))
        .higher_is_better()
        .with(Uncertainty::Unknown);
