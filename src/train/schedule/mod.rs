//! Learning rate schedules.

mod constant;
mod cosine;
mod cosine_restarts;
mod one_cycle;
mod plateau;
mod step;
#[cfg(test)]
mod tests;
mod wsd;

use crate::error::{Error, Result};
use cresset_options::number::{NumberOption, Options};
pub(crate) use plateau::Monitored;
pub use plateau::PlateauState;

/// A learning rate schedule with a name.
///
/// To add one, write a file beside `cosine.rs` with a constant of this type and put it in [`SCHEDULES`].
///
/// ```
/// use cresset::train::schedule::SCHEDULES;
///
/// let names: Vec<&str> = SCHEDULES.iter().map(|schedule| schedule.name).collect();
/// assert_eq!(names, ["constant", "step", "cosine", "cosine-restarts", "one-cycle", "wsd", "plateau"]);
/// ```
pub struct ScheduleKind {
    /// The value of `--schedule`.
    pub name: &'static str,
    /// A one-line description.
    pub summary: &'static str,
    /// The options of `--schedule-options`.
    pub options: &'static [NumberOption],
    /// Whether it depends on the number of epochs, which then cannot change when a run is resumed.
    pub has_end: bool,
    /// The factor of the learning rate, from 0 to 1.
    pub factor: fn(&Options, &ScheduleProgress) -> f64,
}

/// All schedules.
pub const SCHEDULES: &[ScheduleKind] = &[
    constant::CONSTANT,
    step::STEP,
    cosine::COSINE,
    cosine_restarts::COSINE_RESTARTS,
    one_cycle::ONE_CYCLE,
    wsd::WSD,
    plateau::PLATEAU,
];

/// The progress of a run, not counting warmup.
///
/// ```
/// use cresset::train::schedule::{PlateauState, ScheduleProgress};
///
/// let plateau = PlateauState::default();
/// let progress = ScheduleProgress { step: 50., steps: 100., steps_per_epoch: 10., plateau };
/// assert_eq!(progress.step / progress.steps, 0.5);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScheduleProgress {
    /// Finished steps.
    pub step: f64,
    /// Total number of steps.
    pub steps: f64,
    /// Steps per epoch.
    pub steps_per_epoch: f64,
    /// The state of the plateau schedule.
    pub plateau: PlateauState,
}

/// A schedule with its options and warmup.
pub(crate) struct Schedule {
    kind: &'static ScheduleKind,
    options: Options,
    warmup_epochs: f64,
}

impl Schedule {
    /// The schedule of this name, with `options` in the syntax of `--schedule-options`. In the first `warmup_epochs` the learning
    /// rate increases linearly (Goyal et al., 2017). The schedule spans the remaining steps.
    ///
    /// # Errors
    /// An unknown name or invalid options.
    pub fn new(name: &str, options: &str, warmup_epochs: f64) -> Result<Self> {
        let known = SCHEDULES.iter().find(|known| known.name == name);
        let kind = known.ok_or_else(|| Error::Usage(format!("unknown schedule `{name}`")))?;
        let options =
            Options::parse(options, &format!("the schedule {name}"), kind.options).map_err(Error::Usage)?;
        Ok(Schedule { kind, options, warmup_epochs })
    }

    /// The factor of the learning rate at `step`, counted from 0 over the run.
    pub fn factor(&self, step: usize, epochs: u32, steps_per_epoch: usize, plateau: PlateauState) -> f64 {
        let (step, per_epoch) = (step as f64, steps_per_epoch as f64);
        let warmup = (self.warmup_epochs * per_epoch).round();
        if step < warmup {
            return (step + 1.) / (warmup + 1.);
        }
        let steps = (f64::from(epochs) * per_epoch - warmup).max(1.);
        let progress = ScheduleProgress { step: step - warmup, steps, steps_per_epoch: per_epoch, plateau };
        (self.kind.factor)(&self.options, &progress)
    }

    /// The state of the plateau schedule after an epoch.
    pub fn epoch_ended(&self, monitored: Monitored, plateau: PlateauState) -> PlateauState {
        plateau.after(monitored, &self.options)
    }

    /// Whether the schedule depends on the number of epochs.
    pub(crate) fn has_end(&self) -> bool {
        self.kind.has_end
    }
}
