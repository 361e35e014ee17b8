//! The mean squared error: of the probabilities against one-hot targets (Brier, 1950), or of numbers.

use tch::Kind;

use super::ObjectiveKind;
use crate::data::TaskKind;

/// The loss function.
pub(crate) const MSE: ObjectiveKind = ObjectiveKind {
    name: "mse",
    summary: "mean squared error of numbers, or between the softmax and the one-hot label",
    options: &[],
    tasks: &[TaskKind::Classification, TaskKind::Regression],
    loss: |_, input| {
        let predicted = match input.task {
            TaskKind::Regression => input.logits.shallow_clone(),
            _ => input.logits.softmax(-1, None::<Kind>),
        };
        let errors = predicted - input.targets();
        input.reduce(&errors.square().mean_dim(1, false, None::<Kind>))
    },
};
