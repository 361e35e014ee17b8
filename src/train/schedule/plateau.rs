//! Reduces the learning rate when the monitored metric stops improving, as PyTorch's `ReduceLROnPlateau`.

use serde::{Deserialize, Serialize};

use super::ScheduleKind;
use cresset_options::number::{NumberOption, Options};

/// The schedule.
pub(crate) const PLATEAU: ScheduleKind = ScheduleKind {
    name: "plateau",
    summary: "reduces the learning rate by a factor when the validation loss, or the metric of --monitor, stops improving",
    options: &[
        NumberOption::real("factor", 0.1, (0., 1.), "factor of the learning rate"),
        NumberOption::whole(
            "patience",
            10,
            (0, 1_000_000),
            "epochs without an improvement before the learning rate is reduced",
        ),
    ],
    has_end: false,
    factor: |_, progress| progress.plateau.factor,
};

/// The least relative improvement that counts, as in PyTorch.
const THRESHOLD: f64 = 1e-4;

/// The monitored metric of an epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Monitored {
    /// A loss: lower is better.
    Loss(f64),
    /// A score: higher is better.
    Score(f64),
}

/// The state of the plateau schedule.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PlateauState {
    /// Factor of the learning rate.
    pub factor: f64,
    /// The best value of the monitored metric so far; none before the first epoch.
    pub best: Option<f64>,
    /// Epochs since the last improvement or reduction.
    pub waited: u32,
}

impl Default for PlateauState {
    fn default() -> Self {
        PlateauState { factor: 1., best: None, waited: 0 }
    }
}

impl PlateauState {
    /// The state after an epoch. `options` are those of the selected schedule; other schedules do not change it.
    pub(super) fn after(self, monitored: Monitored, options: &Options) -> Self {
        let (Some(patience), Some(factor)) = (options.get("patience"), options.get("factor")) else {
            return self;
        };
        let (value, is_better) = match monitored {
            Monitored::Loss(loss) => (loss, self.best.is_none_or(|best| loss < best * (1. - THRESHOLD))),
            Monitored::Score(score) => (score, self.best.is_none_or(|best| score > best * (1. + THRESHOLD))),
        };
        if is_better {
            return PlateauState { best: Some(value), waited: 0, ..self };
        }
        let waited = self.waited + 1;
        if f64::from(waited) > patience {
            return PlateauState { factor: self.factor * factor, waited: 0, ..self };
        }
        PlateauState { waited, ..self }
    }
}
