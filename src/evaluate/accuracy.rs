//! The share of rows classified rightly.

use super::{Confusion, Metric};

/// The metric.
pub const METRIC: Metric = Metric { name: "accuracy", of: Confusion::accuracy };
