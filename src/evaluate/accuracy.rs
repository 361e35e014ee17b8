//! The share of rows classified rightly.

use super::{Metric, Uncertainty};

/// The metric.
pub const METRIC: Metric =
    Metric::share("accuracy", |found| Some(found.confusion.accuracy())).with(Uncertainty::Share).headline();
