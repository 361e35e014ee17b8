//! Balanced accuracy: the mean recall over the classes.

use super::{Confusion, Metric};

/// The metric.
pub const METRIC: Metric =
    Metric::share("balanced accuracy", |evaluation| Some(evaluation.confusion.mean(Confusion::recall)))
        .headline();
