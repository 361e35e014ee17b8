//! The rate falls when the held-out loss no longer does, as PyTorch's `ReduceLROnPlateau` has it.

use serde::{Deserialize, Serialize};

use super::ScheduleKind;
use cresset_options::number::{NumberOption, Options};

/// The schedule.
pub const PLATEAU: ScheduleKind = ScheduleKind {
    name: "plateau",
    summary: "the rate is multiplied with a factor when the held-out loss stops falling",
    options: &[
        NumberOption::real("factor", 0.1, (0., 1.), "what the rate is multiplied with"),
        NumberOption::whole(
            "patience",
            10,
            (0, 1_000_000),
            "epochs without a better loss that are put up with",
        ),
    ],
    has_end: false,
    factor: |_, moment| moment.plateau.factor,
};

/// A loss is better if it is less than this share of the best one.
const BETTER: f64 = 1. - 1e-4;

/// How the held-out loss has developed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PlateauState {
    /// What the learning rate is multiplied with.
    pub factor: f64,
    /// The least loss so far; none before the first epoch.
    pub best: Option<f64>,
    /// Epochs since then.
    pub waited: u32,
}

impl Default for PlateauState {
    fn default() -> Self {
        PlateauState { factor: 1., best: None, waited: 0 }
    }
}

impl PlateauState {
    /// The state after an epoch with this loss, by the options of the schedule in use; another schedule keeps it as it is.
    pub(super) fn after(self, loss: f64, options: &Options) -> Self {
        let (Some(patience), Some(factor)) = (options.get("patience"), options.get("factor")) else {
            return self;
        };
        if self.best.is_none_or(|best| loss < best * BETTER) {
            return PlateauState { best: Some(loss), waited: 0, ..self };
        }
        let waited = self.waited + 1;
        if f64::from(waited) > patience {
            return PlateauState { factor: self.factor * factor, waited: 0, ..self };
        }
        PlateauState { waited, ..self }
    }
}
