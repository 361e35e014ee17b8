//! The mean squared error of the probabilities against one-hot targets (Brier, 1950).

use tch::Kind;

use super::ObjectiveKind;

/// The objective.
pub const MSE: ObjectiveKind = ObjectiveKind {
    name: "mse",
    summary: "mean squared error of the softmax against a 1 for the class and a 0 for the others",
    options: &[],
    loss: |_, of| {
        let errors = of.logits.softmax(-1, None::<Kind>) - of.targets();
        of.reduced(&errors.square().mean_dim(1, false, None::<Kind>))
    },
};
