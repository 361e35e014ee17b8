//! A stair: the rate falls every so many epochs.

use super::ScheduleKind;
use cresset_options::number::NumberOption;

/// The schedule.
pub const STEP: ScheduleKind = ScheduleKind {
    name: "step",
    summary: "the rate is multiplied with a factor every so many epochs",
    options: &[
        NumberOption::whole("every", 10, (1, 1_000_000), "epochs between two falls"),
        NumberOption::real("factor", 0.1, (0., 1.), "what the rate is multiplied with"),
    ],
    has_end: false,
    factor: |options, moment| {
        let epochs = (moment.step / moment.steps_per_epoch).floor();
        options.number("factor").powf((epochs / options.number("every")).floor())
    },
};
