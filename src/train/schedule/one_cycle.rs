//! One-cycle policy (Smith and Topin, "Super-Convergence", 2018), in PyTorch's formulation and with its defaults: cosine
//! annealing up to the full learning rate and down to almost zero.

use super::{ScheduleKind, ScheduleProgress};
use cresset_options::number::{NumberOption, Options};

/// The schedule.
pub(crate) const ONE_CYCLE: ScheduleKind = ScheduleKind {
    name: "one-cycle",
    summary: "one-cycle policy: increases from a small learning rate, then decreases to almost zero",
    options: &[
        NumberOption::real("rise", 0.3, (0., 1.), "share of the steps with an increasing learning rate"),
        NumberOption::real(
            "start",
            25.,
            (1., 1e9),
            "the initial learning rate is the maximum divided by this",
        ),
        NumberOption::real(
            "end",
            1e4,
            (1., 1e12),
            "the final learning rate is the initial one divided by this",
        ),
    ],
    has_end: true,
    factor,
};

fn factor(options: &Options, progress: &ScheduleProgress) -> f64 {
    let [rise, start, end] = ["rise", "start", "end"].map(|name| options.number(name));
    let (first, last) = (1. / start, 1. / (start * end));
    let peak = rise * progress.steps - 1.;
    if progress.step < peak {
        return anneal(first, 1., progress.step / peak);
    }
    let fall = (progress.steps - 1. - peak).max(1.);
    anneal(1., last, ((progress.step - peak) / fall).clamp(0., 1.))
}

fn anneal(from: f64, to: f64, done: f64) -> f64 {
    to + (from - to) * (1. + (std::f64::consts::PI * done).cos()) / 2.
}
