//! Cosine annealing with warm restarts (Loshchilov and Hutter, "SGDR", ICLR 2017).

use super::{ScheduleKind, ScheduleProgress};
use cresset_options::number::{NumberOption, Options};

/// The schedule.
pub(crate) const COSINE_RESTARTS: ScheduleKind = ScheduleKind {
    name: "cosine-restarts",
    summary: "cosine annealing that restarts at the full learning rate, with longer and longer cycles",
    options: &[
        NumberOption::whole("cycle", 10, (1, 1_000_000), "epochs of the first cycle"),
        NumberOption::real("growth", 2., (1., 100.), "factor of the length from one cycle to the next"),
        NumberOption::real(
            "floor",
            0.,
            (0., 1.),
            "learning rate before a restart, as a share of the initial one",
        ),
    ],
    has_end: false,
    factor,
};

fn factor(options: &Options, progress: &ScheduleProgress) -> f64 {
    let [cycle, growth, floor] = ["cycle", "growth", "floor"].map(|name| options.number(name));
    let (mut done, mut length) = (progress.step, cycle * progress.steps_per_epoch);
    while done >= length {
        done -= length;
        length *= growth;
    }
    floor + (1. - floor) * (1. + (std::f64::consts::PI * done / length).cos()) / 2.
}
