//! One cycle (Smith and Topin, "Super-Convergence", 2018), with PyTorch's form and defaults: up to the full rate and down to
//! almost nothing, both along a cosine.

use super::{Moment, ScheduleKind};
use cresset_options::number::{NumberOption, Options};

/// The schedule.
pub const ONE_CYCLE: ScheduleKind = ScheduleKind {
    name: "one-cycle",
    summary: "the rate rises from a small one and falls to almost nothing",
    options: &[
        NumberOption::real("rise", 0.3, (0., 1.), "share of the run in which the rate rises"),
        NumberOption::real("start", 25., (1., 1e9), "the first rate is the full one divided by this"),
        NumberOption::real("end", 1e4, (1., 1e12), "the last rate is the first one divided by this"),
    ],
    has_end: true,
    factor,
};

fn factor(options: &Options, moment: &Moment) -> f64 {
    let [rise, start, end] = ["rise", "start", "end"].map(|name| options.number(name));
    let (first, last) = (1. / start, 1. / (start * end));
    let top = rise * moment.steps - 1.;
    if moment.step < top {
        return along_cosine(first, 1., moment.step / top);
    }
    let fall = (moment.steps - 1. - top).max(1.);
    along_cosine(1., last, ((moment.step - top) / fall).clamp(0., 1.))
}

fn along_cosine(from: f64, to: f64, done: f64) -> f64 {
    to + (from - to) * (1. + (std::f64::consts::PI * done).cos()) / 2.
}
