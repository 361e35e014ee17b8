//! Cosine annealing (Loshchilov and Hutter, "SGDR", ICLR 2017, without restarts).

use super::ScheduleKind;
use cresset_options::number::NumberOption;

/// The schedule.
pub(crate) const COSINE: ScheduleKind = ScheduleKind {
    name: "cosine",
    summary: "cosine annealing to zero",
    options: &[NumberOption::real(
        "floor",
        0.,
        (0., 1.),
        "final learning rate, as a share of the initial one",
    )],
    has_end: true,
    factor: |options, progress| {
        let floor = options.number("floor");
        let done = (progress.step / progress.steps).min(1.);
        floor + (1. - floor) * (1. + (std::f64::consts::PI * done).cos()) / 2.
    },
};
