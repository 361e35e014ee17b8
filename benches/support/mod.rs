//! What the benchmarks share.

use std::path::Path;

/// The held-out accuracy (0 to 1) after the last epoch of a run, by which nothing was chosen: the epoch that is exported is
/// the one with the least held-out loss, and its accuracy on the same rows is flattered.
pub fn last_accuracy(run: &Path) -> f64 {
    let mut metrics = csv::Reader::from_path(run.join("metrics.csv")).expect("the run wrote its metrics");
    let column = metrics.headers().expect("a header").iter().position(|name| name == "held_out_accuracy");
    let last = metrics.records().last().expect("an epoch ended").expect("a row");
    last[column.expect("there are held-out rows")].parse().expect("a number")
}
