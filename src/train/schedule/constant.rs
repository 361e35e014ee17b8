//! The same rate from the first step to the last.

use super::ScheduleKind;

/// The schedule.
pub const CONSTANT: ScheduleKind = ScheduleKind {
    name: "constant",
    summary: "the same rate all the time",
    options: &[],
    has_end: false,
    factor: |_, _| 1.,
};
