//! Reduces the learning rate when the validation loss stops improving, as PyTorch's `ReduceLROnPlateau`.

use serde::{Deserialize, Serialize};

use super::ScheduleKind;
use cresset_options::number::{NumberOption, Options};

/// The schedule.
pub(crate) const PLATEAU: ScheduleKind = ScheduleKind {
    name: "plateau",
    summary: "reduces the learning rate by a factor when the validation loss stops improving",
    options: &[
        NumberOption::real("factor", 0.1, (0., 1.), "factor of the learning rate"),
        NumberOption::whole(
            "patience",
            10,
            (0, 1_000_000),
            "epochs without a lower loss before the learning rate is reduced",
        ),
    ],
    has_end: false,
    factor: |_, progress| progress.plateau.factor,
};

/// An improvement is a loss below this share of the lowest one (PyTorch's relative threshold of 1e-4).
const IMPROVEMENT: f64 = 1. - 1e-4;

/// The state of the plateau schedule.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PlateauState {
    /// Factor of the learning rate.
    pub factor: f64,
    /// The lowest loss so far; none before the first epoch.
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
    /// The state after an epoch with this loss. `options` are those of the selected schedule; other schedules do not change it.
    pub(super) fn after(self, loss: f64, options: &Options) -> Self {
        let (Some(patience), Some(factor)) = (options.get("patience"), options.get("factor")) else {
            return self;
        };
        if self.best.is_none_or(|best| loss < best * IMPROVEMENT) {
            return PlateauState { best: Some(loss), waited: 0, ..self };
        }
        let waited = self.waited + 1;
        if f64::from(waited) > patience {
            return PlateauState { factor: self.factor * factor, waited: 0, ..self };
        }
        PlateauState { waited, ..self }
    }
}
