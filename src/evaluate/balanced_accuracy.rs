//! The mean of the classes' recalls: accuracy as it would be if all classes were equally frequent.

use super::{Confusion, Metric};

/// The metric.
pub const METRIC: Metric =
    Metric::share("balanced accuracy", |found| Some(found.confusion.mean(Confusion::recall))).headline();
