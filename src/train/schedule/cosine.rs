//! Half a wave of the cosine (Loshchilov and Hutter, "SGDR", ICLR 2017, without restarts).

use super::ScheduleKind;
use cresset_options::number::NumberOption;

/// The schedule.
pub const COSINE: ScheduleKind = ScheduleKind {
    name: "cosine",
    summary: "the rate falls to zero along a cosine",
    options: &[NumberOption::real("floor", 0., (0., 1.), "share of the rate that is left at the end")],
    has_end: true,
    factor: |options, moment| {
        let floor = options.number("floor");
        let done = (moment.step / moment.steps).min(1.);
        floor + (1. - floor) * (1. + (std::f64::consts::PI * done).cos()) / 2.
    },
};
