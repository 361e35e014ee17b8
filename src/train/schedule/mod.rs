//! Learning-rate schedules: how the rate changes in the course of a run.

mod constant;
mod cosine;
mod one_cycle;
mod plateau;
mod step;
#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use cresset_options::number::{NumberOption, Options};
pub use plateau::PlateauState;

/// A schedule that is known by name.
///
/// To add one, write a file beside `cosine.rs` with a constant of this type and put it in [`SCHEDULES`].
pub struct ScheduleKind {
    /// Its name, as `--schedule` takes it.
    pub name: &'static str,
    /// What it is, in a line.
    pub summary: &'static str,
    /// What `--schedule-options` can set.
    pub options: &'static [NumberOption],
    /// Whether the number of epochs is part of its shape, so that it cannot be changed on the way.
    pub has_end: bool,
    /// What the learning rate is multiplied with, from 0 to 1.
    pub factor: fn(&Options, &Moment) -> f64,
}

/// All schedules.
pub const SCHEDULES: &[ScheduleKind] =
    &[constant::CONSTANT, step::STEP, cosine::COSINE, one_cycle::ONE_CYCLE, plateau::PLATEAU];

/// A moment of a run, the warm-up left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// Steps that are done.
    pub step: f64,
    /// Steps of the run.
    pub steps: f64,
    /// Steps of an epoch.
    pub steps_per_epoch: f64,
    /// How the held-out loss has developed.
    pub plateau: PlateauState,
}

/// A schedule with its options, and a warm-up in front.
pub struct Schedule {
    kind: &'static ScheduleKind,
    options: Options,
    warmup_epochs: f64,
}

impl Schedule {
    /// The schedule of this name with `options` as `--schedule-options` takes them. In the first `warmup_epochs` the rate
    /// grows evenly to its full height (Goyal et al., 2017), and the schedule runs over the steps that are left.
    ///
    /// # Errors
    /// An unknown name, and faulty options.
    pub fn new(name: &str, options: &str, warmup_epochs: f64) -> Result<Self> {
        let known = SCHEDULES.iter().find(|known| known.name == name);
        let kind = known.ok_or_else(|| Error::Usage(format!("there is no schedule `{name}`")))?;
        let options =
            Options::parse(options, &format!("the schedule {name}"), kind.options).map_err(Error::Usage)?;
        Ok(Schedule { kind, options, warmup_epochs })
    }

    /// What the learning rate is multiplied with for the step number `step`, from 0, of the run.
    pub fn factor(&self, step: usize, epochs: u32, steps_per_epoch: usize, plateau: PlateauState) -> f64 {
        let (step, per_epoch) = (step as f64, steps_per_epoch as f64);
        let warmup = (self.warmup_epochs * per_epoch).round();
        if step < warmup {
            return (step + 1.) / (warmup + 1.);
        }
        let steps = (f64::from(epochs) * per_epoch - warmup).max(1.);
        let moment = Moment { step: step - warmup, steps, steps_per_epoch: per_epoch, plateau };
        (self.kind.factor)(&self.options, &moment)
    }

    /// Takes note of an epoch's held-out loss.
    pub fn epoch_ended(&self, held_out_loss: f64, plateau: PlateauState) -> PlateauState {
        plateau.after(held_out_loss, &self.options)
    }

    /// Whether the number of epochs is part of its shape.
    pub fn has_end(&self) -> bool {
        self.kind.has_end
    }
}
