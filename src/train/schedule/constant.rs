//! Constant learning rate.

use super::ScheduleKind;

/// The schedule.
pub(crate) const CONSTANT: ScheduleKind = ScheduleKind {
    name: "constant",
    summary: "constant learning rate",
    options: &[],
    has_end: false,
    factor: |_, _| 1.,
};
