//! The share of rows classified rightly.

use super::Metric;

/// The metric.
pub const METRIC: Metric = Metric::share("accuracy", |found| Some(found.confusion.accuracy())).headline();
