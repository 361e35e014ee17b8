//! Step decay: reduces the learning rate every few epochs.

use super::ScheduleKind;
use cresset_options::number::NumberOption;

/// The schedule.
pub(crate) const STEP: ScheduleKind = ScheduleKind {
    name: "step",
    summary: "reduces the learning rate by a factor every few epochs",
    options: &[
        NumberOption::whole("every", 10, (1, 1_000_000), "epochs between reductions"),
        NumberOption::real("factor", 0.1, (0., 1.), "factor of the learning rate"),
    ],
    has_end: false,
    factor: |options, progress| {
        let epochs = (progress.step / progress.steps_per_epoch).floor();
        options.number("factor").powf((epochs / options.number("every")).floor())
    },
};
