//! Warmup-stable-decay: Hu et al., "MiniCPM", 2024; the decay by a root is from Hägele et al., "Scaling Laws and Compute-Optimal
//! Training Beyond Fixed Training Durations", 2024.

use super::{ScheduleKind, ScheduleProgress};
use cresset_options::number::{NumberOption, Options};

/// The schedule.
pub(crate) const WSD: ScheduleKind = ScheduleKind {
    name: "wsd",
    summary: "warmup-stable-decay: constant, then a decrease to zero; use it with --warmup-epochs",
    options: &[
        NumberOption::real("decay", 0.2, (0., 1.), "share of the steps with a decreasing learning rate"),
        NumberOption::whole("root", 1, (0, 1), "1 decreases as 1 - sqrt(t), 0 linearly"),
        NumberOption::real("floor", 0., (0., 1.), "final learning rate, as a share of the initial one"),
    ],
    has_end: true,
    factor,
};

fn factor(options: &Options, progress: &ScheduleProgress) -> f64 {
    let [decay, root, floor] = ["decay", "root", "floor"].map(|name| options.number(name));
    let length = decay * progress.steps;
    let done = progress.step - (progress.steps - length);
    if done <= 0. || length == 0. {
        return 1.;
    }
    let done = (done / length).min(1.);
    let left = if root > 0. { 1. - done.sqrt() } else { 1. - done };
    floor + (1. - floor) * left
}
